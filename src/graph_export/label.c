// SPDX-License-Identifier: Apache-2.0
#include "graph_export/label.h"

struct walk {
	const struct strobe_graph *graph;
	uint64_t at, end; // in graph->edges
	label_visit visit;
	void *context;
	bool stopped;
};

uint64_t labels_count(const struct strobe_graph *graph, uint32_t node)
{
	return graph_edges_end(graph, node) - graph_edges_begin(graph, node);
}

/** Tells the edge at walk->at, by the arrays alone where `named` is NULL. */
static void tell(struct walk *walk, const struct strobe_edge *named)
{
	uint32_t edge = walk->graph->edges[walk->at++];
	struct label label = {
		.to = edge & EDGE_TARGET,
		.guessed = edge & EDGE_GUESSED,
		.name = named && named->name ? named->name : "",
		.offset = named ? named->offset : 0,
		.maybe = named && named->maybe,
	};
	walk->stopped = !walk->visit(walk->context, &label);
}

static bool see(void *context, const struct strobe_edge *edge)
{
	struct walk *walk = context;
	// The arrays are the truth: what the object tells besides them is left out.
	if (walk->at < walk->end && (walk->graph->edges[walk->at] & EDGE_TARGET) == edge->to)
		tell(walk, edge);
	return !walk->stopped && walk->at < walk->end;
}

struct strobe_error *labels_visit(struct strobe_graph *graph, uint32_t node, label_visit visit,
				  void *context)
{
	struct walk walk = {
		.graph = graph,
		.at = graph_edges_begin(graph, node),
		.end = graph_edges_end(graph, node),
		.visit = visit,
		.context = context,
	};
	struct strobe_error *error = NULL;
	// A graph without symbols is one that was filled by hand.
	if (graph->symbols && walk.at < walk.end)
		error = strobe_graph_references(graph, node, see, &walk);
	while (!error && !walk.stopped && walk.at < walk.end)
		tell(&walk, NULL);
	return error;
}
