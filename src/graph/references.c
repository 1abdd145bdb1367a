// SPDX-License-Identifier: Apache-2.0
// Edges with their names: the object is walked again, and what it refers to is laid beside its edges, which are in the same
// order. A reference that is no edge (it leads nowhere) is passed over.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/graph.h"
#include "graph/memory.h"
#include "graph/object.h"

/** What walks read with: a reader for each that is under way, as visitors may begin others. */
struct graph_walks {
	struct graph_memory *memory;
	ARRAY(struct graph_reader *) readers;
	size_t depth;
};

struct graph_walks *graph_walks_free(struct graph_walks *walks)
{
	if (!walks)
		return NULL;
	for (size_t i = 0; i < walks->readers.count; i++)
		graph_reader_free(walks->readers.items[i]);
	array_fini(&walks->readers);
	graph_memory_free(walks->memory);
	free(walks);
	return NULL;
}

static struct strobe_error *make_walks(struct strobe_graph *graph)
{
	struct graph_walks *walks = calloc(1, sizeof(*walks));
	if (!walks)
		return error_no_memory();
	struct strobe_error *error = graph_memory_new(graph->view, &walks->memory);
	if (error)
		graph_walks_free(walks);
	else
		graph->walks = walks;
	return error;
}

/** A reader that nobody uses; give it back by walks->depth--. */
static struct strobe_error *take_reader(struct strobe_graph *graph, struct graph_reader **ret)
{
	struct strobe_error *error = graph->walks ? NULL : make_walks(graph);
	if (error)
		return error;
	struct graph_walks *walks = graph->walks;
	if (walks->depth == walks->readers.count) {
		struct graph_reader *reader = graph_reader_new(walks->memory);
		if (!reader)
			return error_no_memory();
		if (!array_push(&walks->readers, reader)) {
			graph_reader_free(reader);
			return error_no_memory();
		}
	}
	*ret = walks->readers.items[walks->depth++];
	return NULL;
}

/** A node that is being walked. */
struct walk {
	struct strobe_graph *graph;
	uint32_t node;
	uint64_t edge, end; // that come next
	graph_walk_visit visit;
	void *context;
	bool stopped;
};

static uint32_t edge_target(const struct strobe_graph *graph, uint64_t edge)
{
	uint32_t to = graph->edges[edge] & EDGE_TARGET;
	return to < graph->node_count ? to : 0;
}

/** Is the next edge that of the reference? */
static bool is_edge(const struct walk *walk, const struct lens_reference *reference)
{
	const struct strobe_graph *graph = walk->graph;
	if (walk->edge == walk->end || reference->code || !reference->target)
		return false;
	if (reference->guessed && !(graph->edges[walk->edge] & EDGE_GUESSED))
		return false;
	uint32_t to = edge_target(graph, walk->edge);
	if (to >= graph->surrogate_begin) // that at no address stands for many
		return graph->addresses[to] == reference->target || graph->addresses[to] == 0;
	return graph_node_find(graph, reference->target) == to;
}

static void tell(struct walk *walk, const struct lens_reference *reference)
{
	uint64_t edge = walk->edge++;
	walk->stopped =
		!walk->visit(walk->context, reference, edge, edge_target(walk->graph, edge));
}

static bool visit_reference(void *context, const struct lens_reference *reference)
{
	struct walk *walk = context;
	if (is_edge(walk, reference))
		tell(walk, reference);
	return !walk->stopped && walk->edge < walk->end;
}

/** Edges that no reference was found for: those of groups have none. */
static void tell_rest(struct walk *walk, uint64_t offset)
{
	const struct strobe_graph *graph = walk->graph;
	while (!walk->stopped && walk->edge < walk->end) {
		const struct lens_reference reference = {
			.offset = offset,
			.target = graph->addresses[edge_target(graph, walk->edge)],
			.guessed = graph->edges[walk->edge] & EDGE_GUESSED,
		};
		tell(walk, &reference);
	}
}

static void walk_memory(struct walk *walk, const struct lens_memory *memory, uint32_t type)
{
	const struct strobe_graph *graph = walk->graph;
	uint32_t last = graph->memory_count;
	const struct graph_object object = {
		.type = type,
		.address = graph->addresses[walk->node],
		.size_bytes = graph_node_size(graph, walk->node),
		.count = graph_extent(graph, walk->node),
		.low = graph->addresses[1],
		.high = graph->addresses[last] + graph_node_size(graph, last),
		.precise = graph->precise,
		.words = true,
	};
	graph_object_walk(graph->lens, memory, &object, visit_reference, walk, NULL);
}

/** The root's values, if it is one that is in no memory. */
static const uint64_t *values_of(const struct strobe_graph *graph, uint32_t node, uint32_t *count)
{
	const struct graph_root *root = graph_root_of(graph, node);
	if (!root || !root->value_count || root->value_begin > graph->value_count ||
	    root->value_count > graph->value_count - root->value_begin)
		return NULL;
	*count = root->value_count;
	return graph->values + root->value_begin;
}

bool graph_has_values(const struct strobe_graph *graph, uint32_t node)
{
	uint32_t count;
	return values_of(graph, node, &count);
}

static struct strobe_error *walk_object(struct walk *walk, const uint64_t *values, uint32_t count)
{
	struct strobe_graph *graph = walk->graph;
	struct graph_reader *reader = NULL;
	uint32_t type = graph_node_type(graph, walk->node);
	if (type && !graph_lens(graph))
		return error_no_memory();
	struct strobe_error *error = take_reader(graph, &reader);
	if (error)
		return error;
	const struct lens_memory memory = graph_reader_memory(reader);
	type = type ? graph_lens_type(graph, type) : 0;
	if (type && !values)
		error = lens_learn_object(graph->lens, &memory, type, graph->addresses[walk->node],
					  graph_node_size(graph, walk->node),
					  graph_extent(graph, walk->node));
	if (values)
		graph_values_walk(graph->lens, &memory, values, count, type, graph->precise,
				  visit_reference, walk);
	else if (!error)
		walk_memory(walk, &memory, type);
	graph->walks->depth--;
	return error;
}

struct strobe_error *graph_walk_node(struct strobe_graph *graph, uint32_t node,
				     graph_walk_visit visit, void *context)
{
	struct walk walk = {.graph = graph,
			    .node = node,
			    .edge = graph_edges_begin(graph, node),
			    .end = graph_edges_end(graph, node),
			    .visit = visit,
			    .context = context};
	uint32_t count = 0;
	const uint64_t *values = values_of(graph, node, &count);
	bool holds = node == 0 || (node > graph->memory_count && !values);
	struct strobe_error *error = NULL;
	if (walk.edge >= walk.end)
		return NULL;
	if (!holds)
		error = walk_object(&walk, values, count);
	if (!error)
		tell_rest(&walk, holds ? 0 : UINT64_MAX);
	return error;
}

// In names that people read.

struct naming {
	struct strobe_graph *graph;
	uint32_t from;
	uint32_t only; // edges to this node alone; NODE_NONE: all
	strobe_edge_visit visit;
	void *context;
	bool stopped;
};

void graph_place_name(struct strobe_graph *graph, uint32_t node, uint64_t offset, struct text *ret)
{
	struct text place = {0};
	uint32_t type = graph_lens_type(graph, graph_node_type(graph, node));
	if (offset == UINT64_MAX)
		text_append(&place, "?");
	else if (type)
		lens_place_name(graph->lens, type, graph->addresses[node], offset, &place);
	else
		text_printf(&place, "+%#llx", (unsigned long long)offset);
	const char *name = text_string(&place);
	// One comes to a block by a pointer.
	if (*name == '.' && graph_node_kind(graph, node) == STROBE_NODE_BLOCK)
		text_printf(ret, "->%s", name + 1);
	else
		text_append(ret, name);
	ret->failed |= place.failed;
	text_fini(&place);
}

static bool name_edge(void *context, const struct lens_reference *reference, uint64_t edge,
		      uint32_t to)
{
	struct naming *naming = context;
	struct strobe_graph *graph = naming->graph;
	if (naming->only != NODE_NONE && to != naming->only)
		return true;
	struct strobe_edge told = {
		.from = naming->from,
		.to = to,
		.offset = reference->offset,
		.target = reference->target,
		.guessed = graph->edges[edge] & EDGE_GUESSED,
		.maybe = reference->maybe,
	};
	if (to && to <= graph->memory_count)
		told.target_offset = reference->target - graph->addresses[to];
	text_truncate(&graph->name_cache, 0);
	if (naming->from &&
	    (naming->from <= graph->memory_count || graph_has_values(graph, naming->from)))
		graph_place_name(graph, naming->from, reference->offset, &graph->name_cache);
	told.name = text_string(&graph->name_cache);
	naming->stopped = !naming->visit(naming->context, &told);
	return !naming->stopped;
}

static struct strobe_error *check_index(const struct strobe_graph *graph, uint64_t index)
{
	if (index < graph->node_count)
		return NULL;
	return error_new(STROBE_ERROR_INVALID, "object %llu: there are only %u",
			 (unsigned long long)index, graph->node_count);
}

struct strobe_error *strobe_graph_references(struct strobe_graph *graph, uint64_t index,
					     strobe_edge_visit visit, void *context)
{
	struct strobe_error *error = check_index(graph, index);
	struct naming naming = {graph, (uint32_t)index, NODE_NONE, visit, context, false};
	return error ? error : graph_walk_node(graph, naming.from, name_edge, &naming);
}

struct strobe_error *strobe_graph_referrers(struct strobe_graph *graph, uint64_t index,
					    strobe_edge_visit visit, void *context)
{
	struct strobe_error *error = check_index(graph, index);
	struct naming naming = {graph, 0, (uint32_t)index, visit, context, false};
	uint64_t end, i;
	if (!error)
		error = graph_referrers_make(graph);
	if (error)
		return error;
	i = graph_referrers_of(graph, naming.only, &end);
	for (uint32_t last = NODE_NONE; i < end && !naming.stopped && !error; i++) {
		naming.from = graph->referrers[i];
		if (naming.from != last) // its edges are told together
			error = graph_walk_node(graph, naming.from, name_edge, &naming);
		last = naming.from;
	}
	return error;
}
