// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_IN_PLACE_H
#define QUERY_IN_PLACE_H

// Objects that std::make_shared() made: they stand in the block that counts their references.

#include <stdbool.h>
#include <stdint.h>

struct strobe_symbols;
struct type;

/** Is a type called `name` one whose objects hold one called `wanted`? By the names alone. */
bool in_place_is(const char *name, const char *wanted);
/** Does a block of `type`, called `name`, hold an object called `wanted` at `*offset`? */
bool in_place_find(struct strobe_symbols *symbols, struct type *type, const char *name,
		   const char *wanted, uint64_t *offset);

#endif
