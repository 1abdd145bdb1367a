// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_EMIT_H
#define CLI_TRACE_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "command.h"

// Output by the hundred million lines: one large buffer, and numbers that are written without printf.

enum { EMIT_BUFFER_SIZE = 1 << 18, EMIT_ROOM = 1 << 12, EMIT_PATH_SIZE = 4096 };

/** Invariant: used <= EMIT_BUFFER_SIZE. */
struct emit {
	int fd;	     // -1 = closed
	int problem; // errno of the first write that failed; what follows it goes nowhere
	size_t used;
	char *buffer;
	char temporary[EMIT_PATH_SIZE]; // what becomes `path` at the end; "" = written directly
	const char *path;		// NULL = standard output
};

/** Opens `path` (NULL = standard output) for a verb. A file appears under its name when it is whole, mode 0600. */
int emit_open(const struct command *command, const char *path, struct emit *ret) STROBE_MUST_CHECK;
/** Writes what is left and gives the file its name; `keep` false: it is dropped. Tells what went wrong. */
int emit_close(const struct command *command, struct emit *emit, bool keep) STROBE_MUST_CHECK;
/** Writes the buffer out. */
void emit_flush(struct emit *emit);

/** A place for EMIT_ROOM bytes: write there, then say with emit_wrote() up to where. */
static inline char *emit_room(struct emit *emit)
{
	if (emit->used > EMIT_BUFFER_SIZE - EMIT_ROOM)
		emit_flush(emit);
	return emit->buffer + emit->used;
}

static inline void emit_wrote(struct emit *emit, const char *end)
{
	emit->used = (size_t)(end - emit->buffer);
}

/** Bytes, however many. */
void emit_bytes(struct emit *emit, const char *bytes, size_t size);
static inline void emit_text(struct emit *emit, const char *text)
{
	emit_bytes(emit, text, strlen(text));
}

// Each writes at `at`, where there is room, and returns where it ends.

char *write_decimal(char *at, uint64_t number);
/** 16 digits. */
char *write_hex16(char *at, uint64_t number);
/** Without leading zeros. */
char *write_hex(char *at, uint64_t number);
/** With `decimals` (3 or 6) digits behind the point, rounded to the nearest. */
char *write_fixed(char *at, double number, unsigned decimals);
static inline char *write_bytes(char *at, const char *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

enum { DECIMAL_SIZE = 24 };
/** A number in decimal that is counted up and down: the last `size` of the first DECIMAL_SIZE digits. */
struct decimal {
	char digits[2 * DECIMAL_SIZE];
	unsigned size;
};
void decimal_set(struct decimal *decimal, uint64_t number);
void decimal_step(struct decimal *decimal, bool up);
static inline char *write_counted(char *at, const struct decimal *decimal)
{
	// A fixed size is one or two instructions; what is too much is overwritten.
	memcpy(at, decimal->digits + DECIMAL_SIZE - decimal->size, DECIMAL_SIZE);
	return at + decimal->size;
}

#endif
