// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_ROOTS_CLAIMS_H
#define LENS_ROOTS_CLAIMS_H

// A set of stretches of memory that do not overlap: what has been told already.
//
// Invariants: 1. `sorted` is sorted by start, and nothing in it overlaps; 2. `recent`, at most CLAIMS_RECENT long, is in
// no order, and overlaps nothing either.

#include <stdbool.h>
#include <stdint.h>

#include "base/array.h"

struct stretch {
	uint64_t start, end;
};

struct claims {
	ARRAY(struct stretch) sorted;
	ARRAY(struct stretch) recent;
};

/** Adds [start, end), of which no byte is in it. Amortised O(log n) and a small constant; empty ones are nothing. False
 *  when memory is short. */
bool claims_add(struct claims *claims, uint64_t start, uint64_t end);
/** The first stretch that ends behind `address`; false if there is none. */
bool claims_next(const struct claims *claims, uint64_t address, struct stretch *ret);
/** The last stretch that begins before `address`; false if there is none. */
bool claims_before(const struct claims *claims, uint64_t address, struct stretch *ret);
/** The first stretch of [start, end) that is not in it; false if all is. */
bool claims_free(const struct claims *claims, uint64_t start, uint64_t end, struct stretch *ret);
void claims_fini(struct claims *claims);

#endif
