// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_DOMINATORS_H
#define GRAPH_DOMINATORS_H

// Dominators and retained sizes of any graph in the arrays of graph/graph.h, whose node 0 is the root.

#include "graph/arrays.h"

/**
 * Immediate dominators, as graph_dominators() has them, and an order for passes over the tree: `order` (room for all nodes;
 * may be NULL) gets the nodes that are reached, `*reached` (may be NULL) of them, in preorder of a depth-first search:
 * what dominates stands before what it dominates. By two threads where `threads` (0 = one a processor) allows. 16 bytes a
 * node (12 with `order`, whose memory is used), two bits, and four bytes for 64 of them, and 4 an edge while it runs,
 * besides `idom`.
 * Errors: NO_MEMORY; LIMIT, when more than 2^32 edges lead to one chunk of nodes.
 */
struct strobe_error *graph_dominators_in_order(const struct graph_arrays *arrays, unsigned threads,
					       uint32_t *idom, uint32_t *order, uint32_t *reached)
	STROBE_MUST_CHECK;

/** Turns each node's own size in `retained` into what it retains: one pass over `order`, backwards. */
void graph_retained(const uint32_t *order, uint32_t reached, const uint32_t *idom,
		    uint64_t *retained);

#endif
