// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_NODE_RANKS_H
#define GRAPH_EXPORT_NODE_RANKS_H

// Numbers without gaps for those nodes that are written.

#include "graph/graph.h"

struct node_ranks {
	uint64_t *bits;	  // who is written
	uint32_t *before; // by word of bits: how many are written before its first
	uint32_t count;
};

/** All nodes, or those that are reachable. False when memory is short. */
bool node_ranks_make(struct node_ranks *ranks, const struct strobe_graph *graph,
		     bool with_unreachable);
bool node_ranks_has(const struct node_ranks *ranks, uint32_t node);
/** Of one that is written. */
uint32_t node_ranks_get(const struct node_ranks *ranks, uint32_t node);
void node_ranks_fini(struct node_ranks *ranks);

#endif
