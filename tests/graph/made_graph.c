// SPDX-License-Identifier: Apache-2.0
#include "made_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/dominators.h"
#include "graph/storage.h"

enum { NODES_STEP = 0x1000, VARIABLES = 10, TYPES = 3 };

static void must(bool good)
{
	if (!good)
		abort();
}

uint32_t made_below(uint64_t *state, uint32_t limit)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((*state >> 32) * limit >> 32);
}

void made_edge(struct made *made, uint32_t from, uint32_t to)
{
	must(array_push(&made->edges, (struct made_edge){from, to}));
}

void made_fini(struct made *made)
{
	array_fini(&made->edges);
}

struct made made_random(uint64_t seed, uint32_t node_count, uint32_t edge_count)
{
	struct made made = {.node_count = node_count};
	uint64_t state = seed * 2654435761 + 12345;
	for (uint32_t i = 0; i < edge_count; i++) {
		uint32_t from = made_below(&state, node_count), to = made_below(&state, node_count);
		if (i == 0)
			from = 0;
		switch (made_below(&state, 8)) {
		case 0:
			to = from;
			break;
		case 1:
			made_edge(&made, from, to);
			break;
		case 2:
			to |= EDGE_GUESSED;
			break;
		case 3: // near
			to = from + 1 < node_count ? from + 1 : 0;
			break;
		}
		made_edge(&made, from, to);
	}
	return made;
}

/** Memory that the graph's storage owns. */
static void *own(struct strobe_graph *graph, size_t size)
{
	void *memory = pages_new(size);
	must(memory && graph_storage_add(graph->storage, memory, size));
	return memory;
}

static void put_edges(struct strobe_graph *graph, const struct made *made)
{
	uint32_t count = graph->node_count;
	uint64_t *next = calloc((size_t)count + 1, sizeof(*next)), base = 0;
	uint32_t *begin = own(graph, ((size_t)count + 1) * 4);
	uint32_t *edges = own(graph, made->edges.count * 4);
	uint64_t *chunks = own(graph, (((size_t)count >> GRAPH_CHUNK_SHIFT) + 1) * 8);
	must(next);
	for (size_t i = 0; i < made->edges.count; i++)
		next[made->edges.items[i].from + 1]++;
	for (uint32_t i = 1; i <= count; i++)
		next[i] += next[i - 1];
	for (uint32_t i = 0; i <= count; i++) {
		if (i % (1u << GRAPH_CHUNK_SHIFT) == 0)
			chunks[i >> GRAPH_CHUNK_SHIFT] = base = next[i];
		begin[i] = (uint32_t)(next[i] - base);
	}
	for (size_t i = 0; i < made->edges.count; i++)
		edges[next[made->edges.items[i].from]++] = made->edges.items[i].to;
	free(next);
	graph->edge_count = made->edges.count;
	graph->edge_begin = begin;
	graph->chunk_base = chunks;
	graph->edges = edges;
}

static bool is_variable(const struct strobe_graph *graph, uint32_t node)
{
	return node > 0 && node <= graph->memory_count && node % VARIABLES == 1;
}

static void put_nodes(struct strobe_graph *graph)
{
	uint32_t count = graph->node_count;
	uint64_t *addresses = own(graph, (size_t)count * 8);
	uint32_t *sizes = own(graph, (size_t)count * 4), *types = own(graph, (size_t)count * 4);
	for (uint32_t i = 1; i < count; i++) {
		bool memory = i <= graph->memory_count;
		addresses[i] = memory || i >= graph->surrogate_begin ? (uint64_t)i * NODES_STEP : 0;
		sizes[i] = memory ? i % 7 * 8 + 8 : 0;
		types[i] = memory ? i % TYPES : 0;
		if (types[i])
			types[i] |= (uint32_t)STROBE_EVIDENCE_POINTER << NODE_EVIDENCE_SHIFT;
		if (memory && !is_variable(graph, i) && i % 2 == 0)
			types[i] |= NODE_BLOCK;
	}
	graph->addresses = addresses;
	graph->sizes = sizes;
	graph->types = types;
}

static uint32_t put_string(struct strobe_graph *graph, char *strings, const char *string)
{
	uint32_t offset = (uint32_t)graph->strings_size;
	strcpy(strings + offset, string);
	graph->strings_size += strlen(string) + 1;
	return offset;
}

static void put_roots(struct strobe_graph *graph, struct graph_root *roots, char *strings)
{
	char name[40];
	for (uint32_t i = 1; i < graph->surrogate_begin; i++) {
		bool variable = is_variable(graph, i);
		if (!variable && i <= graph->memory_count)
			continue;
		snprintf(name, sizeof(name), variable ? "variable %u" : "thread %u", i);
		roots[graph->root_count++] = (struct graph_root){
			.node = i,
			.name = put_string(graph, strings, name),
			.kind = variable ? ROOT_GLOBAL : ROOT_KIND_NODE + STROBE_NODE_THREAD,
			.thread = UINT32_MAX,
			.frame = UINT32_MAX,
			.module = UINT32_MAX};
	}
}

static void put_types(struct strobe_graph *graph, char *strings)
{
	static const char *const names[TYPES] = {"", "struct one", "struct two"};
	struct graph_type *types = own(graph, TYPES * sizeof(*types));
	uint32_t language = put_string(graph, strings, "C");
	for (unsigned i = 0; i < TYPES; i++)
		types[i] = (struct graph_type){.name = put_string(graph, strings, names[i]),
					       .language = language,
					       .size_bytes = i * 8,
					       .module = UINT32_MAX};
	for (uint32_t i = 1; i < graph->node_count; i++) {
		struct graph_type *type = &types[graph->types[i] & NODE_TYPE_MASK];
		type->count++;
		type->total_bytes += graph->sizes[i];
	}
	graph->graph_types = types;
	graph->type_count = TYPES;
}

void made_measure(struct strobe_graph *graph)
{
	size_t count = graph->node_count;
	uint32_t *idom = own(graph, count * 4), *order = malloc(count * 4), reached;
	uint64_t *retained = own(graph, count * 8);
	uint32_t *types = (uint32_t *)graph->types;
	const struct graph_arrays arrays = graph_arrays_of(graph);
	must(order && !graph_dominators_in_order(&arrays, 0, idom, order, &reached));
	for (uint32_t i = 0; i < count; i++) {
		retained[i] = graph_node_size(graph, i);
		types[i] &= ~(uint32_t)NODE_REACHABLE;
	}
	for (uint32_t i = 0; i < reached; i++)
		types[order[i]] |= NODE_REACHABLE;
	graph_retained(order, reached, idom, retained);
	free(order);
	graph->idom = idom;
	graph->retained = retained;
}

struct strobe_graph *made_graph(const struct made *made)
{
	struct strobe_graph *graph = calloc(1, sizeof(*graph));
	must(graph && (graph->storage = graph_storage_new()));
	graph->node_count = made->node_count;
	graph->surrogate_begin = made->node_count - made->surrogate_count;
	graph->memory_count = made->memory_count ? made->memory_count : graph->surrogate_begin - 1;
	size_t names = ((size_t)graph->node_count + 4) * 24;
	char *strings = own(graph, names);
	struct graph_root *roots = own(graph, graph->node_count * sizeof(*roots));
	graph->strings = strings;
	put_string(graph, strings, "");
	put_nodes(graph);
	put_edges(graph, made);
	put_types(graph, strings);
	put_roots(graph, roots, strings);
	graph->roots = roots;
	uint8_t *reasons = own(graph, made->surrogate_count);
	for (uint32_t i = 0; i < made->surrogate_count; i++)
		reasons[i] = (uint8_t)(i % STROBE_SURROGATE_REASON_COUNT);
	graph->surrogate_reasons = reasons;
	made_measure(graph);
	graph->summary.nodes = graph->node_count;
	graph->summary.edges = graph->edge_count;
	graph->summary.objects = graph->memory_count;
	graph->summary.roots = graph->root_count;
	return graph;
}
