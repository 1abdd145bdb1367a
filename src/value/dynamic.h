// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_DYNAMIC_H
#define VALUE_DYNAMIC_H

// Classes of C++ with virtual tables: what an object really is, and where its bases are in it.

#include "value/value.h"

/** The class of the object that the `class` at `address` is part of; NULL if that cannot be told.
 *  `*start` is where the whole object starts. */
struct type *dynamic_class(struct strobe_symbols *symbols, struct type *class, uint64_t address,
			   uint64_t *start);
/** Where the base class `base` (or `class` itself) is in the `class` at `address`; virtual bases
 *  too. False if it has no such base. */
bool dynamic_base(struct strobe_symbols *symbols, struct type *class, uint64_t address,
		  struct type *base, uint64_t *ret);

#endif
