// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Text for people: nothing that a target contains may reach the terminal as a control sequence.

/** What a piece of text is, for its colour. */
enum style {
	STYLE_PLAIN,
	STYLE_HEADING,
	STYLE_ADDRESS,
	STYLE_FUNCTION,
	STYLE_FILE,
	STYLE_NAME, // of variables, members, registers
	STYLE_ALERT,
	STYLE_FAINT,
};

/** The escape sequence that starts `style`; "" without `color`. */
const char *style_start(bool color, enum style style);
/** The sequence that ends any style; "" without `color`. */
const char *style_end(bool color);

/** Writes `text` with control characters and what is not UTF-8 as \ooo; NULL writes nothing. */
void put_safe(FILE *out, const char *text);
void put_safe_size(FILE *out, const char *text, size_t size);
/** The same for text that has its own line breaks, which are followed by `indent` spaces. */
void put_safe_lines(FILE *out, const char *text, unsigned indent);
/** A source line: tabs stay, for the terminal to expand. */
void put_source(FILE *out, const char *text, size_t size);
/** Bytes as a C string literal, in ASCII: a byte reads the same everywhere. */
void put_quoted(FILE *out, const uint8_t *bytes, size_t size);
/** put_safe() in a style. */
void put_styled(FILE *out, bool color, enum style style, const char *text);

/** Columns of the terminal that stdout is, or 80. */
unsigned output_width(void);
/** Columns that `text` takes, counting code points. */
size_t text_columns(const char *text);
/** Writes `text` wrapped at words to `width` columns; the first line begins at column `column`. */
void put_wrapped(FILE *out, const char *text, unsigned indent, unsigned column, unsigned width);

/** "1.5 MiB"; into `buffer`, which is returned. */
struct size_text {
	char text[32];
};
const char *size_text(uint64_t bytes, struct size_text *ret);

/** Length of the well-formed UTF-8 sequence at `text` (`size` > 0 bytes), or 0 if there is none. */
size_t utf8_sequence(const uint8_t *text, size_t size);

#endif
