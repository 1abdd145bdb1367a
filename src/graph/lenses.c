// SPDX-License-Identifier: Apache-2.0
// The lens of a graph. One that was built has its own still; one that was stored knows its types by name and place.
#include <stdlib.h>

#include "base/error.h"
#include "graph/graph.h"

/** Those that were not found before. */
static struct strobe_error *find_rest(const struct strobe_graph *graph, struct lens *lens,
				      uint32_t *ids)
{
	for (size_t i = 1; i < graph->type_count; i++) {
		const struct graph_type *type = &graph->graph_types[i];
		if (ids[i])
			continue;
		size_t module = type->module == UINT32_MAX ? SIZE_MAX : type->module;
		ids[i] = lens_type_find(lens, graph_string(graph, type->name), module, type->place,
					type->flags & GRAPH_TYPE_IN_TYPES);
	}
	return lens_compile(lens);
}

/** Finds the types again, as far as the debug information is there; then those that the lens makes itself, for others. */
static struct strobe_error *find_types(const struct strobe_graph *graph, struct lens *lens,
				       uint32_t *ids)
{
	struct strobe_error *error = find_rest(graph, lens, ids);
	return error ? error : find_rest(graph, lens, ids);
}

static struct strobe_error *make_lens(struct strobe_graph *graph)
{
	struct lens *lens = NULL;
	uint32_t *ids = calloc(graph->type_count + 1, sizeof(*ids));
	if (!ids)
		return error_no_memory();
	struct strobe_error *error = lens_new(graph->symbols, &lens);
	if (!error)
		error = find_types(graph, lens, ids);
	if (error) {
		lens_free(lens);
		free(ids);
		return error;
	}
	graph->lens = lens;
	graph->lens_types = ids;
	return NULL;
}

struct lens *graph_lens(struct strobe_graph *graph)
{
	if (!graph->lens)
		strobe_error_free(make_lens(graph)); // memory is short: NULL says so
	return graph->lens;
}

uint32_t graph_lens_type(struct strobe_graph *graph, uint32_t type)
{
	return type && type < graph->type_count && graph_lens(graph) ? graph->lens_types[type] : 0;
}
