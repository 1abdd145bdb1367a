// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_ARRAYS_H
#define GRAPH_ARRAYS_H

// Nodes and edges alone, for what needs to know no more of a graph.

#include "graph/graph.h"

/** The arrays that make a graph, as struct strobe_graph has them. */
struct graph_arrays {
	uint32_t node_count; // at least 1
	const uint32_t *edge_begin;
	const uint64_t *chunk_base;
	const uint32_t *edges;
};

/** Where the edges of `node` begin; of node_count, where all end. */
static inline uint64_t graph_arrays_begin(const struct graph_arrays *arrays, uint32_t node)
{
	return arrays->chunk_base[node >> GRAPH_CHUNK_SHIFT] + arrays->edge_begin[node];
}
static inline struct graph_arrays graph_arrays_of(const struct strobe_graph *graph)
{
	return (struct graph_arrays){graph->node_count, graph->edge_begin, graph->chunk_base,
				     graph->edges};
}

#endif
