// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_BRUTE_H
#define TESTS_BRUTE_H

// Answers by trying everything, for graphs of few nodes.

#include "graph/graph.h"

enum { BRUTE_NODES = 64 };
/** Sets of nodes are words of 64 bits: graphs have at most 64 nodes. */
typedef uint64_t node_set;

/** What node 0 reaches without going through `without`. */
static inline node_set brute_reached(const struct strobe_graph *graph, node_set without)
{
	node_set reached = without & 1 ? 0 : 1, old = 0;
	while (reached != old) {
		old = reached;
		for (uint32_t node = 0; node < graph->node_count; node++) {
			if (!(reached >> node & 1))
				continue;
			for (uint64_t i = graph_edges_begin(graph, node);
			     i < graph_edges_end(graph, node); i++)
				reached |=
					UINT64_C(1) << (graph->edges[i] & EDGE_TARGET) & ~without;
		}
	}
	return reached;
}

/** What `from` leads to among `set`, it included. */
static inline node_set brute_spread(const struct strobe_graph *graph, uint32_t from, node_set set)
{
	node_set reached = UINT64_C(1) << from, old = 0;
	while (reached != old) {
		old = reached;
		for (uint32_t node = 0; node < graph->node_count; node++) {
			if (!(reached >> node & 1))
				continue;
			for (uint64_t i = graph_edges_begin(graph, node);
			     i < graph_edges_end(graph, node); i++)
				reached |= UINT64_C(1) << (graph->edges[i] & EDGE_TARGET) & set;
		}
	}
	return reached;
}

/** What goes when `gone` do: they and all that is reached through them alone; of what is reached at all. */
static inline node_set brute_retained(const struct strobe_graph *graph, node_set gone)
{
	return brute_reached(graph, 0) & ~brute_reached(graph, gone);
}

static inline uint64_t brute_bytes(const struct strobe_graph *graph, node_set set)
{
	uint64_t bytes = 0;
	for (uint32_t node = 0; node < graph->node_count; node++)
		if (set >> node & 1)
			bytes += graph_node_size(graph, node);
	return bytes;
}

#endif
