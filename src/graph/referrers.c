// SPDX-License-Identifier: Apache-2.0
// The table of referrers, made when somebody asks.
#include "base/error.h"
#include "graph/graph.h"
#include "graph/reverse.h"
#include "graph/storage.h"

static size_t begin_size(const struct strobe_graph *graph)
{
	return ((size_t)graph->node_count + 1) * 4;
}

static size_t base_size(const struct strobe_graph *graph)
{
	return (((size_t)graph->node_count >> GRAPH_CHUNK_SHIFT) + 1) * 8;
}

void graph_referrers_forget(struct strobe_graph *graph)
{
	graph->referrer_begin = pages_free(graph->referrer_begin, begin_size(graph));
	graph->referrer_base = pages_free(graph->referrer_base, base_size(graph));
	graph->referrers = pages_free(graph->referrers, graph->edge_count * 4);
}

struct strobe_error *graph_referrers_make(struct strobe_graph *graph)
{
	struct strobe_error *error = NULL;
	if (graph->referrers)
		return NULL;
	const struct graph_arrays arrays = graph_arrays_of(graph);
	const struct graph_reverse reverse = {pages_new(begin_size(graph)),
					      pages_new(base_size(graph)),
					      pages_new(graph->edge_count * 4)};
	graph->referrer_begin = reverse.begin;
	graph->referrer_base = reverse.base;
	graph->referrers = reverse.sources;
	if (!reverse.begin || !reverse.base || !reverse.sources)
		error = error_no_memory();
	else if (!graph_reverse(&arrays, &reverse))
		error = error_new(STROBE_ERROR_LIMIT, "too many references lead to a few objects");
	if (error)
		graph_referrers_forget(graph);
	return error;
}

uint64_t graph_referrers_of(const struct strobe_graph *graph, uint32_t node, uint64_t *end)
{
	const struct graph_reverse reverse = {graph->referrer_begin, graph->referrer_base,
					      graph->referrers};
	*end = graph_reverse_at(&reverse, node + 1);
	return graph_reverse_at(&reverse, node);
}
