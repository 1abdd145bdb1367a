// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_EMIT_H
#define AGENT_EMIT_H

// Machine code in the making.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EMIT_MAX = 4096 };

struct emit {
	uint64_t base; // where it will stand
	size_t size;
	bool failed; // too long, or out of reach
	uint8_t bytes[EMIT_MAX];
};

void emit_init(struct emit *code, uint64_t base);
void emit_put(struct emit *code, const void *bytes, size_t size);
/** The bytes of a string literal. */
#define EMIT(code, literal) emit_put((code), (literal), sizeof(literal) - 1)
void emit_put_32(struct emit *code, uint32_t value);
void emit_put_64(struct emit *code, uint64_t value);
/** Where the next byte will stand. */
uint64_t emit_here(const struct emit *code);
/** Four bytes that lead from behind them (and `more` bytes) to `target`. */
void emit_put_relative(struct emit *code, uint64_t target, unsigned more);
/** A jump, in whatever distance; it changes nothing. */
void emit_put_jump(struct emit *code, uint64_t target);
/** Has the four bytes at offset `at` lead here. */
void emit_land(struct emit *code, size_t at);
bool emit_reaches(uint64_t from, uint64_t target);

#endif
