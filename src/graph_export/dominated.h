// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_DOMINATED_H
#define GRAPH_EXPORT_DOMINATED_H

// The dominator tree from above: whom each node dominates immediately.

#include "graph/graph.h"

struct dominated {
	uint32_t *begin; // node_count + 1; those of node n are list[begin[n]] to list[begin[n + 1]]
	uint32_t *list;	 // ascending for each node
};

/** Errors: NO_MEMORY. 8 bytes a node. */
struct strobe_error *dominated_make(const struct strobe_graph *graph, struct dominated *ret)
	STROBE_MUST_CHECK;
void dominated_fini(struct dominated *dominated);

#endif
