// SPDX-License-Identifier: Apache-2.0
#include "query/short_paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool may_use(const struct short_paths *search, uint32_t edge)
{
	return !search->precise || !(edge & EDGE_GUESSED);
}

static void spread(struct short_paths *search, uint32_t node)
{
	const struct strobe_graph *graph = search->graph;
	uint64_t end = graph_edges_end(graph, node);
	for (uint64_t i = graph_edges_begin(graph, node); i < end; i++) {
		uint32_t edge = graph->edges[i], to = edge & EDGE_TARGET;
		if (to >= graph->node_count || search->parent[to] != NODE_NONE ||
		    !may_use(search, edge))
			continue;
		search->parent[to] = node;
		search->queue[search->reached++] = to;
	}
}

struct strobe_error *short_paths_init(struct short_paths *search, const struct strobe_graph *graph,
				      bool precise)
{
	*search = (struct short_paths){.graph = graph, .precise = precise};
	search->parent = malloc((size_t)graph->node_count * sizeof(*search->parent));
	search->queue = malloc((size_t)graph->node_count * sizeof(*search->queue));
	if (!search->parent || !search->queue) {
		short_paths_fini(search);
		return error_no_memory();
	}
	memset(search->parent, 0xff, (size_t)graph->node_count * sizeof(*search->parent));
	search->parent[0] = 0;
	search->queue[search->reached++] = 0;
	for (uint32_t at = 0; at < search->reached; at++)
		spread(search, search->queue[at]);
	return NULL;
}

void short_paths_fini(struct short_paths *search)
{
	free(search->parent);
	free(search->queue);
	*search = (struct short_paths){0};
}

// The first edge between two nodes that the search may use; sure ones before guesses.
static uint64_t edge_between(const struct short_paths *search, uint32_t from, uint32_t to)
{
	const struct strobe_graph *graph = search->graph;
	uint64_t end = graph_edges_end(graph, from), guess = end;
	for (uint64_t i = graph_edges_begin(graph, from); i < end; i++) {
		if ((graph->edges[i] & EDGE_TARGET) != to)
			continue;
		if (!(graph->edges[i] & EDGE_GUESSED))
			return i;
		if (guess == end)
			guess = i;
	}
	return guess;
}

struct strobe_error *short_paths_path(const struct short_paths *search, uint32_t node,
				      struct graph_path *ret)
{
	size_t length = 0;
	for (uint32_t at = node; at; at = search->parent[at])
		length++;
	ret->nodes.count = ret->edges.count = 0;
	if (!array_reserve(&ret->nodes, length + 1) || !array_reserve(&ret->edges, length + 1))
		return error_no_memory();
	ret->nodes.count = length + 1;
	ret->edges.count = length;
	for (size_t i = length; i > 0; i--) {
		ret->nodes.items[i] = node;
		ret->edges.items[i - 1] = edge_between(search, search->parent[node], node);
		node = search->parent[node];
	}
	ret->nodes.items[0] = 0;
	return NULL;
}
