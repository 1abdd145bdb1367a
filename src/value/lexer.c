// SPDX-License-Identifier: Apache-2.0
#include "value/lexer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool is_name_start(char c)
{
	return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_name(char c)
{
	return is_name_start(c) || isdigit((unsigned char)c);
}

static char peek(const struct lexer *lexer, size_t ahead)
{
	size_t at = lexer->position + ahead;
	return at < lexer->size ? lexer->text[at] : '\0';
}

static bool octal_escape(const char **position, const char *end, uint32_t *ret)
{
	uint32_t value = 0;
	for (int i = 0; i < 3 && *position < end && **position >= '0' && **position <= '7'; i++)
		value = value * 8 + (uint32_t)(*(*position)++ - '0');
	*ret = value;
	return true;
}

static bool hex_escape(const char **position, const char *end, int digits, uint32_t *ret)
{
	uint32_t value = 0;
	int count = 0;
	for (; count < digits && *position < end && isxdigit((unsigned char)**position); count++) {
		char c = *(*position)++;
		value = value << 4 |
			(uint32_t)(isdigit((unsigned char)c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	*ret = value;
	return count > 0;
}

bool lexer_character(const char **position, const char *end, uint32_t *ret)
{
	static const char letters[] = "abfnrtve", values[] = "\a\b\f\n\r\t\v\033";
	if (*position >= end)
		return false;
	char c = *(*position)++;
	*ret = (unsigned char)c;
	if (c != '\\')
		return true;
	if (*position >= end)
		return false;
	c = **position;
	if (c >= '0' && c <= '7')
		return octal_escape(position, end, ret);
	(*position)++;
	const char *letter = c ? strchr(letters, c) : NULL;
	if (letter) {
		*ret = (unsigned char)values[letter - letters];
		return true;
	}
	if (c == 'x' || c == 'u' || c == 'U')
		return hex_escape(position, end, c == 'u' ? 4 : 8, ret);
	*ret = (unsigned char)c;
	return strchr("\\'\"?", c) != NULL && c != '\0';
}

static struct strobe_error *float_literal(struct lexer *lexer, size_t size, struct token *ret)
{
	char buffer[128];
	if (size >= sizeof(buffer))
		return error_column(STROBE_ERROR_SYNTAX, ret->column, "number is too long");
	memcpy(buffer, ret->start, size);
	buffer[size] = '\0';
	char *end;
	ret->kind = TOKEN_FLOAT;
	ret->real = strtold(buffer, &end);
	if (strchr("fFlL", *end) && *end)
		ret->float_suffix = (char)tolower(*end++);
	if (*end || end == buffer)
		return error_column(STROBE_ERROR_SYNTAX, ret->column, "invalid number \"%s\"",
				    buffer);
	ret->size = size;
	lexer->position += size;
	return NULL;
}

static bool integer_suffix(const char *at, const char *end, struct token *ret)
{
	static const char *const rust[] = {"i8", "i16", "i32", "i64", "i128", "isize",
					   "u8", "u16", "u32", "u64", "u128", "usize"};
	for (size_t i = 0; i < sizeof(rust) / sizeof(rust[0]); i++)
		if (strlen(rust[i]) == (size_t)(end - at) &&
		    memcmp(rust[i], at, strlen(rust[i])) == 0)
			ret->rust_type = rust[i];
	for (; at < end && !ret->rust_type; at++) {
		if ((*at == 'u' || *at == 'U') && !ret->is_unsigned)
			ret->is_unsigned = true;
		else if ((*at == 'l' || *at == 'L') && ret->longs == 0)
			ret->longs = at + 1 < end && at[1] == *at ? (at++, 2) : 1;
		else
			return false;
	}
	return true;
}

static struct strobe_error *integer_literal(struct lexer *lexer, size_t size, struct token *ret)
{
	const char *at = ret->start, *end = at + size;
	unsigned base = 10;
	if (size > 1 && at[0] == '0') {
		char c = (char)tolower((unsigned char)at[1]);
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		at += base == 8 ? 1 : 2;
	}
	const char *digits = at;
	bool overflow = false;
	for (; at < end; at++) {
		int c = tolower((unsigned char)*at);
		if (c == '_' && at > digits)
			continue; // as Rust groups digits
		unsigned digit = isdigit(c)    ? (unsigned)c - '0'
				 : isxdigit(c) ? (unsigned)c - 'a' + 10
					       : 99;
		if (digit >= base)
			break;
		overflow |= __builtin_mul_overflow(ret->integer, (uint64_t)base, &ret->integer);
		overflow |= __builtin_add_overflow(ret->integer, (uint64_t)digit, &ret->integer);
	}
	ret->kind = TOKEN_INTEGER;
	ret->size = size;
	ret->is_octal_or_hex = base != 10;
	if ((at == digits && base != 8) || !integer_suffix(at, end, ret))
		return error_column(STROBE_ERROR_SYNTAX, ret->column, "invalid number \"%.*s\"",
				    (int)(size > 64 ? 64 : size), ret->start);
	if (overflow)
		return error_column(STROBE_ERROR_SYNTAX, ret->column, "number is too large");
	lexer->position += size;
	return NULL;
}

/** Whether an operand ends before `position`: "a.0" is a field of a tuple, " .5" a number. */
static bool is_behind_operand(const struct lexer *lexer, size_t position)
{
	char c = position > 0 ? lexer->text[position - 1] : ' ';
	return is_name(c) || c == ')' || c == ']';
}

/** In "a.0.1" neither "0.1" nor ".1" is a number. */
static bool is_tuple_field(const struct lexer *lexer)
{
	size_t at = lexer->position;
	return at > 1 && lexer->text[at - 1] == '.' && is_behind_operand(lexer, at - 1);
}

static struct strobe_error *number(struct lexer *lexer, struct token *ret)
{
	bool hex = peek(lexer, 0) == '0' && tolower((unsigned char)peek(lexer, 1)) == 'x';
	bool real = false;
	size_t size = 0;
	while (is_tuple_field(lexer) && isdigit((unsigned char)peek(lexer, size)))
		size++;
	if (size > 0)
		return integer_literal(lexer, size, ret);
	for (;; size++) {
		char c = peek(lexer, size), lower = (char)tolower((unsigned char)c);
		bool exponent = lower == (hex ? 'p' : 'e');
		if (c == '.' || exponent)
			real = true;
		else if (!isalnum((unsigned char)c) && c != '_')
			break;
		if (exponent && (peek(lexer, size + 1) == '+' || peek(lexer, size + 1) == '-'))
			size++;
	}
	return real ? float_literal(lexer, size, ret) : integer_literal(lexer, size, ret);
}

/** Size of a literal's text up to its closing quote, from behind the opening one; -1 if open. */
static ptrdiff_t quoted_size(const struct lexer *lexer, size_t from, char quote)
{
	for (size_t i = from; i < lexer->size; i++) {
		if (lexer->text[i] == quote)
			return (ptrdiff_t)(i - from);
		if (lexer->text[i] == '\\')
			i++;
	}
	return -1;
}

static struct strobe_error *quoted(struct lexer *lexer, struct token *ret)
{
	size_t prefix = 0;
	if (ret->prefix)
		prefix = ret->prefix == '8' ? 2 : 1;
	char quote = peek(lexer, prefix);
	size_t from = lexer->position + prefix + 1;
	ptrdiff_t size = quoted_size(lexer, from, quote);
	if (size < 0)
		return error_column(STROBE_ERROR_SYNTAX, ret->column, "missing closing %c", quote);
	ret->start = lexer->text + from;
	ret->size = (size_t)size;
	lexer->position = from + (size_t)size + 1;
	if (quote == '"') {
		ret->kind = TOKEN_STRING;
		return NULL;
	}
	const char *at = ret->start, *end = at + size;
	uint32_t c = 0;
	bool one = lexer_character(&at, end, &c) && at == end;
	bool scope = peek(lexer, 0) == ':' && peek(lexer, 1) == ':';
	ret->kind = one && !scope ? TOKEN_CHARACTER : TOKEN_QUOTED;
	ret->integer = c;
	if (size == 0)
		return error_column(STROBE_ERROR_SYNTAX, ret->column, "empty character constant");
	return NULL;
}

static bool is_literal_prefix(const struct lexer *lexer, char *prefix)
{
	char c = peek(lexer, 0), next = peek(lexer, 1);
	*prefix = c;
	if (c == 'u' && next == '8' && peek(lexer, 2) == '"') {
		*prefix = '8';
		return true;
	}
	return (c == 'L' || c == 'u' || c == 'U') && (next == '"' || next == '\'');
}

static struct strobe_error *punctuator(struct lexer *lexer, struct token *ret)
{
	static const char long_ones[][4] = {
		"<<=", ">>=", "->*", "...", ".*", "->", "++", "--", "<<", ">>", "<=", ">=", "==",
		"!=",  "&&",  "||",  "::",  "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
	};
	ret->kind = TOKEN_PUNCTUATOR;
	for (size_t i = 0; i < sizeof(long_ones) / sizeof(long_ones[0]); i++) {
		const char *p = long_ones[i];
		size_t size = strlen(p);
		if (lexer->size - lexer->position < size || memcmp(ret->start, p, size) != 0)
			continue;
		ret->size = size;
		ret->punctuator = PUNCTUATOR(p[0], p[1], p[2]);
		lexer->position += size;
		return NULL;
	}
	char c = peek(lexer, 0);
	if (!c || !strchr("+-*/%&|^~!<>=?:,.()[]{}@", c))
		return error_column(STROBE_ERROR_SYNTAX, ret->column,
				    isprint((unsigned char)c) ? "unexpected character '%c'"
							      : "unexpected character 0x%02x",
				    (unsigned char)c);
	ret->size = 1;
	ret->punctuator = PUNCTUATOR(c, 0, 0);
	lexer->position++;
	return NULL;
}

static void name(struct lexer *lexer, struct token *ret, enum token_kind kind)
{
	size_t size = 0;
	while (is_name(peek(lexer, size)) || (size && peek(lexer, size) == '$'))
		size++;
	ret->kind = kind;
	ret->start = lexer->text + lexer->position;
	ret->size = size;
	lexer->position += size;
}

struct strobe_error *lexer_next(struct lexer *lexer, struct token *ret)
{
	while (lexer->position < lexer->size && isspace((unsigned char)peek(lexer, 0)))
		lexer->position++;
	*ret = (struct token){.start = lexer->text + lexer->position,
			      .column = (unsigned)lexer->position + 1};
	if (lexer->position >= lexer->size)
		return NULL;
	char c = peek(lexer, 0), prefix;
	if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)peek(lexer, 1)) &&
					  !is_behind_operand(lexer, lexer->position)))
		return number(lexer, ret);
	if (is_literal_prefix(lexer, &prefix)) {
		ret->prefix = prefix;
		return quoted(lexer, ret);
	}
	if (c == '\'' || c == '"')
		return quoted(lexer, ret);
	if (c == '$') {
		lexer->position++;
		name(lexer, ret, TOKEN_REGISTER);
		return NULL;
	}
	if (is_name_start(c)) {
		name(lexer, ret, TOKEN_NAME);
		return NULL;
	}
	return punctuator(lexer, ret);
}
