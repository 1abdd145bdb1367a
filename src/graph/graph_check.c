// SPDX-License-Identifier: Apache-2.0
#include "graph/graph_check.h"

static const char *check_nodes(const struct strobe_graph *graph)
{
	if (graph->node_count == 0 || graph->memory_count >= graph->surrogate_begin ||
	    graph->surrogate_begin > graph->node_count)
		return "1: the root, memory, what is in no memory, surrogates";
	if (graph->addresses[0] || graph_node_size(graph, 0))
		return "1: node 0 is in memory";
	for (uint32_t node = 2; node <= graph->memory_count; node++) {
		uint64_t gap = graph->addresses[node] - graph->addresses[node - 1];
		if (graph->addresses[node] <= graph->addresses[node - 1] ||
		    gap < graph_node_size(graph, node - 1))
			return "1: memory is not sorted, or overlaps";
	}
	for (uint32_t node = graph->memory_count + 1; node < graph->surrogate_begin; node++)
		if (graph->addresses[node])
			return "1: what is in no memory has an address";
	for (uint32_t node = graph->surrogate_begin; node < graph->node_count; node++)
		if (graph_node_size(graph, node) ||
		    graph->surrogate_reasons[node - graph->surrogate_begin] >=
			    STROBE_SURROGATE_REASON_COUNT)
			return "1: a surrogate has a size, or no reason";
	return NULL;
}

static const char *check_edges(const struct strobe_graph *graph)
{
	uint64_t end = 0;
	for (uint32_t node = 0; node < graph->node_count; node++) {
		if (graph_edges_begin(graph, node) != end || graph_edges_end(graph, node) < end)
			return "2: edges do not follow each other";
		end = graph_edges_end(graph, node);
	}
	if (end != graph->edge_count || graph_edges_begin(graph, graph->node_count) != end)
		return "2: edges do not end where they should";
	for (uint64_t i = 0; i < end; i++)
		if ((graph->edges[i] & EDGE_TARGET) >= graph->node_count)
			return "2: an edge leads nowhere";
	for (uint32_t node = graph->surrogate_begin; node < graph->node_count; node++)
		if (graph_edges_begin(graph, node) != graph_edges_end(graph, node))
			return "2: a surrogate has edges";
	return NULL;
}

/** What is reached leads to what is reached. */
static const char *check_reached(const struct strobe_graph *graph)
{
	for (uint32_t node = 0; node < graph->node_count; node++) {
		if (!(graph->types[node] & NODE_REACHABLE))
			continue;
		for (uint64_t i = graph_edges_begin(graph, node); i < graph_edges_end(graph, node);
		     i++)
			if (!(graph->types[graph->edges[i] & EDGE_TARGET] & NODE_REACHABLE))
				return "3: what is reached is not marked";
	}
	return NULL;
}

static const char *check_dominators(const struct strobe_graph *graph)
{
	uint64_t reached = 0;
	for (uint32_t node = 0; node < graph->node_count; node++) {
		bool marked = graph->types[node] & NODE_REACHABLE;
		uint64_t size = graph_node_size(graph, node);
		uint32_t idom = graph->idom[node];
		reached += marked ? size : 0;
		if ((idom == NODE_NONE) != (node == 0 || !marked))
			return "3: a dominator too many, or too few";
		if (graph->retained[node] < size)
			return "3: a node retains less than its own size";
		if (idom == NODE_NONE)
			continue;
		if (idom >= graph->node_count || idom == node)
			return "3: a dominator is no other node";
		if (graph->retained[idom] < graph->retained[node] + graph_node_size(graph, idom))
			return "3: a dominator retains less than what it dominates";
	}
	return graph->retained[0] == reached ? NULL
					     : "3: the root does not retain all that is reached";
}

static const char *check_tables(const struct strobe_graph *graph)
{
	for (uint32_t node = 0; node < graph->node_count; node++)
		if ((graph->types[node] & NODE_TYPE_MASK) >= graph->type_count)
			return "1: a type that is none";
	for (size_t i = 0; i < graph->root_count; i++)
		if (graph->roots[i].node == 0 || graph->roots[i].node >= graph->surrogate_begin ||
		    graph->roots[i].parent >= graph->surrogate_begin ||
		    (i && graph->roots[i].node <= graph->roots[i - 1].node))
			return "1: roots are not sorted by their nodes";
	for (size_t i = 0; i < graph->extent_count; i++)
		if (graph->extents[i].node > graph->memory_count ||
		    (i && graph->extents[i].node <= graph->extents[i - 1].node))
			return "1: extents are not sorted by their nodes";
	return NULL;
}

const char *graph_check(const struct strobe_graph *graph)
{
	const char *wrong = check_nodes(graph);
	if (!wrong)
		wrong = check_edges(graph);
	if (!wrong)
		wrong = check_tables(graph);
	if (!wrong)
		wrong = check_reached(graph);
	return wrong ? wrong : check_dominators(graph);
}
