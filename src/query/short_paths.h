// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_SHORT_PATHS_H
#define QUERY_SHORT_PATHS_H

// Shortest paths to many nodes from one breadth-first search. 8 bytes a node.

#include "graph/graph.h"

/** Invariant: parent[n] is NODE_NONE iff node n was not reached; that of node 0 is itself. */
struct short_paths {
	const struct strobe_graph *graph;
	bool precise;
	uint32_t *parent, *queue;
	uint32_t reached;
};

/** Searches all of the graph. Errors: NO_MEMORY. */
struct strobe_error *short_paths_init(struct short_paths *search, const struct strobe_graph *graph,
				      bool precise) STROBE_MUST_CHECK;
void short_paths_fini(struct short_paths *search);
static inline bool short_paths_reaches(const struct short_paths *search, uint32_t node)
{
	return search->parent[node] != NODE_NONE;
}
/** The path to a node that was reached, into `ret`, whose arrays are used again. Errors: NO_MEMORY. */
struct strobe_error *short_paths_path(const struct short_paths *search, uint32_t node,
				      struct graph_path *ret) STROBE_MUST_CHECK;

#endif
