// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_HEAVY_H
#define QUERY_HEAVY_H

// The few nodes of a dominator tree that explain most of its weight: from those nearest to the roots down along the heaviest
// child, to where the weight falls apart into many. There, children that are heavy in their own right are looked at by themselves.
// Lists and trees of one type are one thing: they are not followed inside.

#include "base/array.h"
#include "query/tree.h"

struct heavy_item {
	uint32_t node, accumulation; // where it began, and where it falls apart
	uint64_t weight;	     // of `node`
	uint64_t explained;	     // of it, not by other items below
};
/** The nodes nearest to the roots that are memory, and not heavy by themselves, by group. */
struct heavy_group {
	uint64_t weight, count;
	uint32_t biggest; // the heaviest of them
	uint32_t parent;  // dominator of all of them; NODE_NONE if they have several
};
struct heavy {
	const struct tree *tree;
	const uint64_t *weights;	// by node: of it and all below
	uint64_t least;			// weight of an item
	ARRAY(struct heavy_item) items; // no order
	struct heavy_group *groups;	// by group: see groups_of()
};

/** Finds all of weight >= least (> 0). Errors: NO_MEMORY. */
struct strobe_error *heavy_init(struct heavy *heavy, const struct tree *tree,
				const uint64_t *weights, uint64_t least) STROBE_MUST_CHECK;
void heavy_fini(struct heavy *heavy);

/** Bytes of blocks in and below each node: 8 bytes a node, malloc'ed. Errors: NO_MEMORY. */
struct strobe_error *heavy_blocks(const struct tree *tree, uint64_t **ret) STROBE_MUST_CHECK;
/** What grew, as weights: bytes of new nodes below each node of match->after, no more than it retains more. 8 bytes a node,
 *  malloc'ed. Errors: NO_MEMORY. */
struct match;
struct strobe_error *heavy_growth(const struct match *match, const struct tree *tree,
				  uint64_t **ret) STROBE_MUST_CHECK;

#endif
