// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_UNIT_CODE_H
#define TRACE_UNIT_CODE_H

// Units as bytes, each told by what differs from the one before: docs/format/trace-index.md, "Units".

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/units.h"

/** No unit takes more bytes. */
enum { UNIT_CODE_MAX = 384 };

/** What a unit's bytes do not say, because the one before it does. */
struct unit_carry {
	bool placed; // block, stream and part are valid
	uint64_t block;
	uint32_t stream, part;
	int cpu;
	uint64_t first_id;
	bool has_before;
	struct clock_point before;
};

/** Appends unsigned numbers, seven bits a byte, the lowest first (LEB128). */
uint8_t *code_put(uint8_t *at, uint64_t value);

/** Bytes that are read; `bad` once they were not what they should be. */
struct code_bytes {
	const uint8_t *at, *end;
	bool bad;
};
uint64_t code_get(struct code_bytes *bytes);
/** The same, of at most `most`. */
uint64_t code_get_most(struct code_bytes *bytes, uint64_t most);

/** Writes `unit` to `ret` and returns its size; `carry` moves on. */
size_t unit_encode(const struct unit *unit, struct unit_carry *carry, uint8_t ret[UNIT_CODE_MAX]);
/** Reads one; false if the bytes are not those of a unit. `carry` moves on. */
bool unit_decode(struct code_bytes *bytes, struct unit_carry *carry, struct unit *ret);

#endif
