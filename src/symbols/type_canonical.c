// SPDX-License-Identifier: Apache-2.0
#include "symbols/type_canonical.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "symbols/type_die.h"

/** How often each word of a base type stands in it. */
struct words {
	unsigned is_signed, is_unsigned, is_short, is_long, is_int, is_char, is_double, int128;
	unsigned count;
};

static bool count_word(struct words *words, const char *word, size_t size)
{
	const struct {
		const char *text;
		unsigned *counter;
	} known[] = {
		{"signed", &words->is_signed},	   {"unsigned", &words->is_unsigned},
		{"short", &words->is_short},	   {"long", &words->is_long},
		{"int", &words->is_int},	   {"char", &words->is_char},
		{"double", &words->is_double},	   {"__int128", &words->int128},
		{"__signed__", &words->is_signed},
	};
	words->count++;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].text) != size || memcmp(known[i].text, word, size) != 0)
			continue;
		(*known[i].counter)++;
		return true;
	}
	return false;
}

static const char *spell(const struct words *words)
{
	bool u = words->is_unsigned;
	if (words->is_signed + words->is_unsigned > 1 || words->is_int > 1)
		return NULL;
	if (words->is_double)
		return words->is_double == 1 && words->count == 1 + words->is_long &&
				       words->is_long <= 1
			       ? (words->is_long ? "long double" : "double")
			       : NULL;
	if (words->is_char) {
		if (words->count != 1 + words->is_signed + words->is_unsigned)
			return NULL;
		return u ? "unsigned char" : words->is_signed ? "signed char" : "char";
	}
	if (words->int128) // gdb leaves GCC's order
		return u ? "__int128 unsigned" : "__int128";
	if (words->is_short)
		return words->is_long || words->is_short > 1 ? NULL
		       : u				     ? "unsigned short"
							     : "short";
	switch (words->is_long) {
	case 0:
		return u ? "unsigned int" : "int";
	case 1:
		return u ? "unsigned long" : "long";
	case 2:
		return u ? "unsigned long long" : "long long";
	default:
		return NULL;
	}
}

const char *type_canonical_words(const char *text, size_t size)
{
	struct words words = {0};
	const char *at = text, *end = text + size;
	while (at < end) {
		while (at < end && isspace((unsigned char)*at))
			at++;
		const char *start = at;
		while (at < end && !isspace((unsigned char)*at))
			at++;
		if (at == start)
			break;
		if (words.count == TYPE_WORD_LIMIT ||
		    !count_word(&words, start, (size_t)(at - start)))
			return NULL;
	}
	return words.count ? spell(&words) : NULL;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/** The longest run of words at `at` that is a base type; 0 if there is none. */
static size_t base_run(const char *at, const char **spelled)
{
	size_t best = 0, size = 0;
	for (unsigned i = 0; i < TYPE_WORD_LIMIT; i++) {
		while (is_word(at[size]))
			size++;
		const char *candidate = type_canonical_words(at, size);
		// Words so far may be too few ("unsigned") yet never wrong: each one is checked.
		if (!candidate)
			break;
		*spelled = candidate;
		best = size;
		if (at[size] != ' ' || !is_word(at[size + 1]))
			break;
		size++;
	}
	return best;
}

/** Template arguments: base types in C's order, integers without suffix, "> >" apart. */
static void spell_template(struct text *out, const char *name)
{
	const char *at = name;
	unsigned depth = 0;
	char before = 0;
	while (*at) {
		const char *spelled;
		size_t run = is_word(*at) && !is_word(before) ? base_run(at, &spelled) : 0;
		if (run > 0) {
			text_append(out, spelled);
			at += run;
			before = 'a';
			continue;
		}
		bool number = isdigit((unsigned char)*at) && !is_word(before) && depth > 0;
		if (number) {
			while (isdigit((unsigned char)*at))
				text_append_char(out, *at++);
			while (*at == 'u' || *at == 'l' || *at == 'U' || *at == 'L')
				at++;
			before = '0';
			continue;
		}
		bool argument = before == '<' || (before == ' ' && depth > 0);
		if (argument && *at == '\'')
			text_append(out, "(char)");
		size_t address = argument && strncmp(at, "(& ", 3) == 0 ? strcspn(at + 3, "<>()") : 0;
		if (address > 0 && at[3 + address] == ')') {
			text_append_char(out, '&');
			text_append_bytes(out, at + 3, address);
			at += address + 4;
			before = 'a';
			continue;
		}
		if (*at == '<')
			depth++;
		if (*at == '>' && before == '>' && depth > 1)
			text_append_char(out, ' ');
		if (*at == '>' && depth > 0)
			depth--;
		before = *at;
		text_append_char(out, *at++);
	}
}

const char *type_canonical_name(struct strobe_symbols *symbols, const char *name, int language)
{
	if (!name || language_is_rust(language))
		return name;
	const char *base = type_canonical_words(name, strlen(name));
	if (base)
		return base;
	if (!language_is_cplus(language) || !strchr(name, '<'))
		return name;
	struct text text cleanup_text = {0};
	spell_template(&text, name);
	if (text.failed || strcmp(text_string(&text), name) == 0)
		return name;
	const char *copy = arena_copy_string(&symbols->arena, text_string(&text), text.size);
	return copy ? copy : name;
}
