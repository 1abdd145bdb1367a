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

/** A name on its way into the canonical spelling. */
struct spelling {
	struct text *out;
	const char *at;
	unsigned depth;	      // of template arguments
	char before, before2; // what was written last
	// Bit n: "const", "volatile" is to follow the type being written at depth n.
	uint64_t constant, changing;
};

static void put(struct spelling *spelling, const char *text, size_t size)
{
	if (size == 0)
		return;
	text_append_bytes(spelling->out, text, size);
	spelling->before2 = size > 1 ? text[size - 2] : spelling->before;
	spelling->before = text[size - 1];
}

static void put_string(struct spelling *spelling, const char *text)
{
	put(spelling, text, strlen(text));
}

static bool at_argument(const struct spelling *spelling)
{
	return spelling->before == '<' || spelling->before == '(' ||
	       (spelling->before == ' ' && spelling->before2 == ',');
}

/** What gdb spells in another way at the start of an argument. */
static bool spell_argument(struct spelling *spelling)
{
	const char *at = spelling->at;
	if (*at == '\'')
		put_string(spelling, "(char)");
	if (strncmp(at, "const ", 6) == 0 && spelling->depth < 64) {
		spelling->constant |= UINT64_C(1) << spelling->depth;
		spelling->at += 6;
		return true;
	}
	if (strncmp(at, "volatile ", 9) == 0 && spelling->depth < 64) {
		spelling->changing |= UINT64_C(1) << spelling->depth;
		spelling->at += 9;
		return true;
	}
	size_t address = strncmp(at, "(& ", 3) == 0 ? strcspn(at + 3, "<>()") : 0;
	if (address == 0 || at[3 + address] != ')')
		return false;
	put_string(spelling, "&");
	put(spelling, at + 3, address);
	spelling->at += address + 4;
	return true;
}

/** Words: base types in C's usual order, suffixes of numbers in lower case. */
static bool spell_word(struct spelling *spelling)
{
	const char *spelled, *at = spelling->at;
	if (!is_word(*at) || is_word(spelling->before))
		return false;
	// "int *const" of clang is "int* const" here.
	if (spelling->depth > 0 && (spelling->before == '*' || spelling->before == '&') &&
	    (strncmp(at, "const", 5) == 0 || strncmp(at, "volatile", 8) == 0))
		put_string(spelling, " ");
	size_t run = base_run(at, &spelled);
	if (run > 0) {
		put_string(spelling, spelled);
		spelling->at += run;
		return true;
	}
	run = strspn(at, "0123456789");
	if (run == 0 || spelling->depth == 0)
		return false;
	put(spelling, at, run);
	for (at += run; *at && strchr("ulUL", *at); at++)
		put_string(spelling, *at == 'u' || *at == 'U' ? "u" : "l");
	spelling->at = at;
	return true;
}

static void spell_mark(struct spelling *spelling)
{
	char c = *spelling->at++;
	uint64_t bit = spelling->depth < 64 ? UINT64_C(1) << spelling->depth : 0;
	// "int *" of clang is "int*" here.
	if (c == ' ' && spelling->depth > 0 && (*spelling->at == '*' || *spelling->at == '&'))
		return;
	if (strchr(",>*&(", c)) {
		put_string(spelling, spelling->constant & bit ? " const" : "");
		put_string(spelling, spelling->changing & bit ? " volatile" : "");
		spelling->constant &= ~bit;
		spelling->changing &= ~bit;
	}
	if (c == '[' && spelling->depth > 0 && spelling->before != ' ' && spelling->before != ']')
		put_string(spelling, " ");
	if (c == '>' && spelling->before == '>' && spelling->depth > 1)
		put_string(spelling, " ");
	if (c == '<')
		spelling->depth++;
	if (c == '>' && spelling->depth > 0)
		spelling->depth--;
	put(spelling, &c, 1);
}

/** Template arguments: base types in C's order, const behind. */
static void spell_template(struct text *out, const char *name)
{
	struct spelling spelling = {.out = out, .at = name};
	while (*spelling.at) {
		if (spelling.depth > 0 && at_argument(&spelling) && spell_argument(&spelling))
			continue;
		if (!spell_word(&spelling))
			spell_mark(&spelling);
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

char *type_canonical_copy(const char *name)
{
	const char *base = type_canonical_words(name, strlen(name));
	struct text text cleanup_text = {0};
	if (base || !strchr(name, '<'))
		return strdup(base ? base : name);
	spell_template(&text, name);
	return text_steal(&text);
}
