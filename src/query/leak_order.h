// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_LEAK_ORDER_H
#define QUERY_LEAK_ORDER_H

// Which of a set of blocks hold which others: the direct ones are those that nothing else of the set leads to (of a cycle, the
// lowest), all others are reached from one of these.

#include "graph/graph.h"

/** Leaked blocks of the graph, or those that only guesses reach. */
enum leak_set { LEAK_SET_SURE, LEAK_SET_GUESSED };
bool leak_set_has(const struct strobe_graph *graph, enum leak_set set, uint32_t node);

/** Invariants: `nodes` is ascending; owner[i] is the index of the lowest direct block that leads to nodes[i]; owner[i] == i
 *  iff nodes[i] is direct. */
struct leak_order {
	uint32_t *nodes, *owner;
	uint32_t count;
};

/** Time is linear in the set and its edges, and in the graph's nodes. Errors: NO_MEMORY. */
struct strobe_error *leak_order_init(struct leak_order *order, const struct strobe_graph *graph,
				     enum leak_set set) STROBE_MUST_CHECK;
void leak_order_fini(struct leak_order *order);

#endif
