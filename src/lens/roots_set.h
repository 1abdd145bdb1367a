// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_ROOTS_SET_H
#define LENS_ROOTS_SET_H

// The roots of one thread or one module before they are told: which of them have the memory, and what is between.

#include "base/array.h"
#include "lens/roots.h"
#include "lens/roots_claims.h"

enum { ROOT_OWNER_NONE = UINT32_MAX };

/** A root in memory has it, or lies in another's, or lost it to another that it overlaps in part. */
struct root_item {
	struct root root;
	uint32_t
		owner; // number of the item whose memory holds it; ROOT_OWNER_NONE = it has its own
	bool lost;
};

/** Zero-initialise. `owners` are the numbers of the items that have memory, by address, once it is settled. */
struct root_set {
	ARRAY(struct root_item) items;
	ARRAY(uint32_t) owners;
};

/** False when memory is short. Roots without memory (address 0) are kept as they are. */
bool root_set_add(struct root_set *set, const struct root *root);
/** Decides who has what memory: of two that overlap the larger, of two alike the first. False when memory is short. */
bool root_set_settle(struct root_set *set);
/** The first stretch of whole, aligned words in [*at, end) that no owner has; `*at` moves behind it. False: no more. */
bool root_set_gap(const struct root_set *set, uint64_t *at, uint64_t end, struct stretch *ret);
/** The number, in `owners`, of the first owner that ends behind `address`. */
size_t root_set_owner_after(const struct root_set *set, uint64_t address);
/** Empties it, for another thread. */
void root_set_clear(struct root_set *set);
void root_set_fini(struct root_set *set);

#endif
