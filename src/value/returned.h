// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_RETURNED_H
#define VALUE_RETURNED_H

// What a function returns, by the calling convention of x86-64 (System V ABI, AMD64 supplement, 3.2.3; Itanium C++ ABI, 3.1.3).

#include "value/value.h"

/** Registers as they are when a function returns. */
struct returned_registers {
	uint64_t rax, rdx;
	bool has_vectors; // what follows is known
	uint8_t xmm[2][16], st[2][10];
};

/** The type that the function with code at run-time `pc` returns; NULL: none (void), or not known. */
struct type *returned_type(struct strobe_symbols *symbols, uint64_t pc);
/** The value of that type; bytes of registers that are not known are unreadable. Place is PLACE_PROBLEM if memory is short. */
struct strobe_value returned_value(struct strobe_symbols *symbols, struct type *type,
				   const struct returned_registers *registers);

#endif
