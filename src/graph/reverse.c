// SPDX-License-Identifier: Apache-2.0
// One pass counts, one puts; the places that come up next are prefetched.
#include "graph/reverse.h"

enum { AHEAD = 24 };

static void count_edges(const struct graph_arrays *arrays, uint64_t edge_count, uint32_t *counts)
{
	const uint32_t *edges = arrays->edges;
	for (uint64_t i = 0; i < edge_count; i++) {
		if (i + AHEAD < edge_count)
			__builtin_prefetch(&counts[edges[i + AHEAD] & EDGE_TARGET], 1);
		counts[edges[i] & EDGE_TARGET]++;
	}
}

/** Counts become the ends of the nodes' parts, from their chunk's base on. False if a chunk has too many. */
static bool add_up(uint32_t node_count, const struct graph_reverse *reverse)
{
	uint64_t base = 0, sum = 0;
	for (uint32_t node = 0; node <= node_count; node++) {
		if (node % (1u << GRAPH_CHUNK_SHIFT) == 0) {
			base += sum;
			sum = 0;
			reverse->base[node >> GRAPH_CHUNK_SHIFT] = base;
		}
		sum += reverse->begin[node];
		if (sum > UINT32_MAX)
			return false;
		reverse->begin[node] = (uint32_t)sum;
	}
	return true;
}

static void put_edge(const uint32_t *edges, uint64_t i, uint32_t from,
		     const struct graph_reverse *reverse)
{
	if (i >= 2 * AHEAD) {
		uint32_t later = edges[i - 2 * AHEAD] & EDGE_TARGET;
		uint32_t soon = edges[i - AHEAD] & EDGE_TARGET;
		__builtin_prefetch(&reverse->begin[later], 1);
		__builtin_prefetch(&reverse->sources[graph_reverse_at(reverse, soon)] - 1, 1);
	}
	uint32_t to = edges[i] & EDGE_TARGET;
	reverse->begin[to]--;
	reverse->sources[graph_reverse_at(reverse, to)] = from;
}

bool graph_reverse(const struct graph_arrays *arrays, const struct graph_reverse *reverse)
{
	uint64_t i = graph_arrays_begin(arrays, arrays->node_count);
	count_edges(arrays, i, reverse->begin);
	if (!add_up(arrays->node_count, reverse))
		return false;
	// Backwards, so that sources come to stand ascending; then parts begin where their ends were.
	for (uint32_t from = arrays->node_count; from-- > 0;)
		for (uint64_t begin = graph_arrays_begin(arrays, from); i > begin;)
			put_edge(arrays->edges, --i, from, reverse);
	return true;
}
