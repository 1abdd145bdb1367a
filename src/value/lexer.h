// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_LEXER_H
#define VALUE_LEXER_H

// Cuts an expression into tokens. Nothing is copied: tokens point into the expression.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

enum token_kind {
	TOKEN_END,
	TOKEN_INTEGER,
	TOKEN_FLOAT,
	TOKEN_CHARACTER,
	TOKEN_STRING,
	TOKEN_NAME,
	TOKEN_REGISTER, // $rip; `start` is behind the dollar sign
	TOKEN_QUOTED,	// 'file.c'; `start` is behind the quote
	TOKEN_PUNCTUATOR,
};

/** Code of a punctuator: its characters, the first in the lowest byte. */
#define PUNCTUATOR(a, b, c) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16)

/** Kinds of characters and strings: 0 for char, 'L', 'u', 'U' for wide ones, '8' for u8. */
struct token {
	enum token_kind kind;
	const char *start;
	size_t size;
	unsigned column;     // 1-based
	uint32_t punctuator; // PUNCTUATOR(...)
	uint64_t integer;    // TOKEN_INTEGER and TOKEN_CHARACTER
	long double real;    // TOKEN_FLOAT
	char prefix;	     // see above
	bool is_unsigned, is_octal_or_hex;
	unsigned longs;	       // number of 'l' in an integer's suffix
	const char *rust_type; // of an integer: "u8"; NULL without such a suffix
	char float_suffix;     // 0, 'f', 'l'
};

struct lexer {
	const char *text;
	size_t size;
	size_t position;
};

/** Reads the token at the lexer's position and moves behind it. Errors: SYNTAX with column. */
struct strobe_error *lexer_next(struct lexer *lexer, struct token *ret) STROBE_MUST_CHECK;
/** Decodes the character or escape at `*position` of a literal that ends at `end`. False at a
 *  malformed escape. */
bool lexer_character(const char **position, const char *end, uint32_t *ret);

#endif
