// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_GRAPH_EXPORT_HAND_GRAPH_H
#define TESTS_GRAPH_EXPORT_HAND_GRAPH_H

// Graphs filled by hand. Dominators and retained sizes come from their definition: take a node away and see what is still reached.

#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

enum { HAND_NODES = 64, HAND_EDGES = 256, HAND_STRINGS = 4096 };

/** Zero-initialise. Nodes are added in the graph's order: node 0, memory by address, what is in no memory, surrogates. */
struct hand_graph {
	struct strobe_graph graph;
	uint64_t addresses[HAND_NODES], retained[HAND_NODES], large[HAND_NODES];
	uint32_t sizes[HAND_NODES], types[HAND_NODES], idom[HAND_NODES], begin[HAND_NODES + 1];
	uint64_t chunk_base[1];
	struct {
		uint32_t from, to;
	} pairs[HAND_EDGES];
	uint32_t edges[HAND_EDGES];
	size_t pair_count, large_count;
	struct graph_root roots[HAND_NODES];
	struct graph_type graph_types[HAND_NODES];
	struct graph_extent extents[HAND_NODES];
	struct graph_free_block free_blocks[HAND_NODES];
	uint8_t reasons[HAND_NODES];
	char strings[HAND_STRINGS];
	size_t strings_size;
};

static inline uint32_t hand_string(struct hand_graph *hand, const char *string)
{
	uint32_t at = (uint32_t)hand->strings_size;
	memcpy(hand->strings + at, string, strlen(string) + 1);
	hand->strings_size += strlen(string) + 1;
	return at;
}

/** Returns the type's number. */
static inline uint32_t hand_type(struct hand_graph *hand, const char *name, uint64_t size)
{
	size_t *count = &hand->graph.type_count;
	if (*count == 0) {
		uint32_t none = hand_string(hand, "");
		hand->graph_types[(*count)++] = (struct graph_type){.name = none, .language = none};
	}
	hand->graph_types[*count] = (struct graph_type){.name = hand_string(hand, name),
							.language = hand_string(hand, "C"),
							.size_bytes = size,
							.module = UINT32_MAX};
	return (uint32_t)(*count)++;
}

static inline uint32_t hand_node(struct hand_graph *hand, uint64_t address, uint64_t size,
				 uint32_t types)
{
	uint32_t node = hand->graph.node_count++;
	hand->addresses[node] = address;
	hand->sizes[node] = (uint32_t)size;
	if (size >= NODE_LARGE) {
		hand->large[hand->large_count] = size;
		hand->sizes[node] = NODE_LARGE | (uint32_t)hand->large_count++;
	}
	hand->types[node] = types;
	return node;
}

static inline uint32_t hand_block(struct hand_graph *hand, uint64_t address, uint64_t size,
				  uint32_t type)
{
	uint32_t evidence = type ? STROBE_EVIDENCE_POINTER << NODE_EVIDENCE_SHIFT : 0;
	return hand_node(hand, address, size, NODE_BLOCK | type | evidence);
}

/** A variable, thread, frame, group: `kind` is a root_kind, or ROOT_KIND_NODE and a strobe_node_kind. */
static inline uint32_t hand_root(struct hand_graph *hand, uint64_t address, uint64_t size,
				 uint32_t type, int kind, uint32_t parent, const char *name)
{
	uint32_t node = hand_node(hand, address, size, type);
	hand->roots[hand->graph.root_count++] = (struct graph_root){
		.node = node,
		.parent = parent,
		.name = hand_string(hand, name),
		.kind = (uint8_t)kind,
		.thread = UINT32_MAX,
		.frame = UINT32_MAX,
		.module = UINT32_MAX,
	};
	return node;
}

static inline uint32_t hand_surrogate(struct hand_graph *hand, uint64_t address,
				      enum strobe_surrogate_reason reason)
{
	if (!hand->graph.surrogate_begin)
		hand->graph.surrogate_begin = hand->graph.node_count;
	uint32_t node = hand_node(hand, address, 0, 0);
	hand->reasons[node - hand->graph.surrogate_begin] = (uint8_t)reason;
	return node;
}

static inline void hand_edge(struct hand_graph *hand, uint32_t from, uint32_t to, bool guessed)
{
	hand->pairs[hand->pair_count].from = from;
	hand->pairs[hand->pair_count++].to = to | (guessed ? EDGE_GUESSED : 0);
}

/** Marks what is reached from node 0 when node `without` is taken away: without guesses (`precise`), or by edges that hold, where
 *  `sure` (may be NULL) has what is reached without guesses when all is there. */
static inline void hand_reach(const struct hand_graph *hand, uint32_t without, bool precise,
			      const bool *sure, bool *reached)
{
	bool more = true;
	memset(reached, 0, HAND_NODES);
	reached[0] = without != 0;
	while (more) {
		more = false;
		for (size_t i = 0; i < hand->pair_count; i++) {
			uint32_t from = hand->pairs[i].from, to = hand->pairs[i].to & EDGE_TARGET;
			bool guessed = hand->pairs[i].to & EDGE_GUESSED;
			if (!reached[from] || reached[to] || to == without || (precise && guessed))
				continue;
			if (sure && sure[to] && (guessed || !sure[from]))
				continue;
			reached[to] = more = true;
		}
	}
}

static inline void hand_dominators(struct hand_graph *hand)
{
	bool all[HAND_NODES], precise[HAND_NODES], left[HAND_NODES][HAND_NODES];
	uint32_t count = hand->graph.node_count;
	hand_reach(hand, UINT32_MAX, false, NULL, all);
	hand_reach(hand, UINT32_MAX, true, NULL, precise);
	for (uint32_t n = 0; n < count; n++) {
		hand->types[n] |= (all[n] ? NODE_REACHABLE : 0) | (precise[n] ? NODE_PRECISE : 0);
		hand->idom[n] = NODE_NONE;
		hand_reach(hand, n, false, precise, left[n]);
		for (uint32_t m = 0; m < count; m++)
			if (m == n || (all[n] && all[m] && !left[n][m]))
				hand->retained[n] += graph_node_size(&hand->graph, m);
	}
	// The immediate dominator is the one that all others dominate.
	for (uint32_t n = 1; n < count; n++) {
		for (uint32_t d = 0; d < count && all[n]; d++) {
			uint32_t best = hand->idom[n];
			if (d != n && all[d] && !left[d][n] &&
			    (best == NODE_NONE || !left[best][d]))
				hand->idom[n] = d;
		}
	}
}

/** Gives back what the graph's functions keep in it. */
static inline void hand_fini(struct hand_graph *hand)
{
	text_fini(&hand->graph.name_cache);
	text_fini(&hand->graph.type_cache);
	graph_referrers_forget(&hand->graph);
}

static inline void hand_summary(struct hand_graph *hand)
{
	struct strobe_graph_summary *all = &hand->graph.summary;
	*all = (struct strobe_graph_summary){.nodes = hand->graph.node_count};
	for (uint32_t n = 0; n < hand->graph.node_count; n++) {
		uint64_t size = graph_node_size(&hand->graph, n);
		if (n >= hand->graph.surrogate_begin)
			hand->graph
				.surrogate_counts[hand->reasons[n - hand->graph.surrogate_begin]]++;
		if (!(hand->types[n] & NODE_BLOCK))
			continue;
		all->allocated_blocks++;
		all->allocated_bytes += size;
		*(hand->types[n] & NODE_REACHABLE ? &all->reachable_blocks : &all->leaked_blocks) +=
			1;
		*(hand->types[n] & NODE_REACHABLE ? &all->reachable_bytes : &all->leaked_bytes) +=
			size;
		all->precise_bytes += hand->types[n] & NODE_PRECISE ? size : 0;
		*(hand->types[n] & NODE_TYPE_MASK ? &all->typed_blocks : &all->untyped_blocks) += 1;
	}
	all->surrogates = hand->graph.node_count - hand->graph.surrogate_begin;
	for (size_t i = 0; i < hand->pair_count; i++)
		all->guessed_edges += !!(hand->pairs[i].to & EDGE_GUESSED);
	all->edges = hand->pair_count;
	all->roots = hand->graph.root_count;
}

static inline struct strobe_graph *hand_finish(struct hand_graph *hand)
{
	struct strobe_graph *graph = &hand->graph;
	if (graph->type_count == 0)
		hand_type(hand, "unused", 0);
	if (!graph->surrogate_begin)
		graph->surrogate_begin = graph->node_count;
	for (uint32_t n = 0, at = 0; n < graph->node_count; n++) {
		hand->begin[n] = at;
		for (size_t i = 0; i < hand->pair_count; i++)
			if (hand->pairs[i].from == n)
				hand->edges[at++] = hand->pairs[i].to;
		hand->begin[n + 1] = at;
	}
	graph->edge_count = hand->pair_count;
	graph->addresses = hand->addresses;
	graph->sizes = hand->sizes;
	graph->types = hand->types;
	graph->edge_begin = hand->begin;
	graph->idom = hand->idom;
	graph->retained = hand->retained;
	graph->chunk_base = hand->chunk_base;
	graph->edges = hand->edges;
	graph->large_sizes = hand->large;
	graph->large_count = hand->large_count;
	graph->roots = hand->roots;
	graph->graph_types = hand->graph_types;
	graph->extents = hand->extents;
	graph->free_blocks = hand->free_blocks;
	graph->surrogate_reasons = hand->reasons;
	graph->strings = hand->strings;
	graph->strings_size = HAND_STRINGS;
	hand_dominators(hand);
	hand_summary(hand);
	return graph;
}

#endif
