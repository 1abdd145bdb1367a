// SPDX-License-Identifier: Apache-2.0
#include "graph/dominators.h"

#include <string.h>

#include "base/error.h"
#include "graph/storage.h"

enum { AHEAD = 24, NEAR = 8 };

void graph_retained(const uint32_t *order, uint32_t reached, const uint32_t *idom,
		    uint64_t *retained)
{
	for (uint32_t i = reached; i-- > 1;) {
		if (i > 2 * AHEAD) {
			uint32_t soon = order[i - AHEAD], later = order[i - 2 * AHEAD];
			__builtin_prefetch(&idom[later]);
			__builtin_prefetch(&retained[later]);
			__builtin_prefetch(&retained[idom[soon]], 1);
		}
		retained[idom[order[i]]] += retained[order[i]];
	}
}

/** Nodes that are reached, breadth first. */
struct flood {
	const struct strobe_graph *graph;
	uint64_t *seen;	 // a bit a node
	uint32_t *queue; // of all that were seen, once each
	uint32_t first, last;
};

static bool has_bit(const uint64_t *bits, uint32_t node)
{
	return bits[node / 64] >> node % 64 & 1;
}

static void set_bit(uint64_t *bits, uint32_t node)
{
	bits[node / 64] |= UINT64_C(1) << node % 64;
}

static void see(struct flood *flood, uint32_t node)
{
	if (has_bit(flood->seen, node))
		return;
	set_bit(flood->seen, node);
	flood->queue[flood->last++] = node;
}

/** Goes on until nothing is new; nodes that are marked in `seen` already are not entered. */
static void run(struct flood *flood)
{
	const struct strobe_graph *graph = flood->graph;
	while (flood->first < flood->last) {
		if (flood->last - flood->first > 2 * NEAR) {
			const uint32_t *next = flood->queue + flood->first;
			__builtin_prefetch(&graph->edge_begin[next[2 * NEAR]]);
			__builtin_prefetch(&graph->edges[graph_edges_begin(graph, next[NEAR])]);
		}
		uint32_t node = flood->queue[flood->first++];
		uint64_t end = graph_edges_end(graph, node);
		for (uint64_t i = graph_edges_begin(graph, node); i < end; i++)
			if (graph_edge_holds(graph, node, graph->edges[i]))
				see(flood, graph->edges[i] & EDGE_TARGET);
	}
}

/** What is reached from the set and not without it. */
static void flood_both(struct flood *flood, const uint32_t *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		set_bit(flood->seen, nodes[i]);
	see(flood, 0);
	run(flood);
	flood->first = flood->last = 0;
	for (size_t i = 0; i < count; i++)
		flood->seen[nodes[i] / 64] &= ~(UINT64_C(1) << nodes[i] % 64);
	for (size_t i = 0; i < count; i++)
		see(flood, nodes[i]);
	run(flood);
}

struct strobe_error *graph_retained_of(struct strobe_graph *graph, const uint32_t *nodes,
				       size_t count, uint64_t *ret_bytes, uint64_t *ret_nodes,
				       uint64_t *mark)
{
	size_t bits = ((size_t)graph->node_count / 64 + 1) * 8;
	size_t queue = (size_t)graph->node_count * 4;
	struct flood flood = {graph, pages_new(bits), pages_new(queue), 0, 0};
	bool short_of_memory = !flood.seen || !flood.queue;
	uint64_t bytes = 0;
	if (!short_of_memory)
		flood_both(&flood, nodes, count);
	if (mark)
		memset(mark, 0, ((size_t)graph->node_count + 63) / 64 * 8);
	for (uint32_t i = 0; i < flood.last; i++) {
		bytes += graph_node_size(graph, flood.queue[i]);
		if (mark)
			set_bit(mark, flood.queue[i]);
	}
	*ret_bytes = bytes;
	*ret_nodes = flood.last;
	pages_free(flood.seen, bits);
	pages_free(flood.queue, queue);
	return short_of_memory ? error_no_memory() : NULL;
}
