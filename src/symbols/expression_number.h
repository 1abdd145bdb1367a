// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_EXPRESSION_NUMBER_H
#define SYMBOLS_EXPRESSION_NUMBER_H

// The typed numbers that DWARF expressions compute with (DWARF 5, section 2.5.1).

#include <stdbool.h>
#include <stdint.h>

enum number_kind {
	NUMBER_GENERIC, // of an address's size; the operation decides about its sign
	NUMBER_UNSIGNED,
	NUMBER_SIGNED,
	NUMBER_FLOAT, // x86's formats: 4, 8, or 10 bytes in 10, 12 or 16
};

struct number {
	enum number_kind kind;
	unsigned size;		// bytes, at most 16
	unsigned __int128 bits; // zero above `size`
};

struct number number_generic(uint64_t value);
/** A zero of the base type with that DW_ATE_* and size; false if it is not supported. */
bool number_type(uint64_t encoding, uint64_t size, struct number *ret);
/** Gives `number`, whose type stays, the integer `value`. */
void number_set(struct number *number, uint64_t value);
/** As an address: sign-extended where the type is signed. Not for floats. */
uint64_t number_to_u64(const struct number *number);
/** Its bytes in memory order, zero behind them. */
void number_to_bytes(const struct number *number, uint8_t bytes[16]);
bool number_is_zero(const struct number *number);
/** `from` in the type of `to`, as C converts; out of range floats go to the nearest integer. */
void number_convert(const struct number *from, struct number *to);

/** DW_OP_abs, neg, not in place. Returns what is wrong, or NULL. */
const char *number_unary(uint8_t op, struct number *number);
/** An arithmetic, logic or comparison operation; `ret` may be one of the operands. */
const char *number_binary(uint8_t op, const struct number *left, const struct number *right,
			  struct number *ret);

#endif
