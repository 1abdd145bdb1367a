// SPDX-License-Identifier: Apache-2.0
#include "query/edge_name.h"

#include "base/error.h"
#include "query/groups.h"

struct search {
	uint64_t at, wanted; // edges of the node: met, and the one that is looked for
	struct edge_name *ret;
};

static bool match(void *context, const struct strobe_edge *edge)
{
	struct search *s = context;
	if (s->at++ != s->wanted)
		return true;
	text_append(&s->ret->text, edge->name ? edge->name : "");
	s->ret->maybe = edge->maybe;
	return false;
}

// Threads, frames and groups hold theirs without a name.
static bool has_names(const struct strobe_graph *graph, uint32_t node)
{
	if (node_is_memory(graph, node))
		return true;
	enum strobe_node_kind kind = graph_node_kind(graph, node);
	return kind != STROBE_NODE_ROOT && kind != STROBE_NODE_GROUP &&
	       kind != STROBE_NODE_THREAD && kind != STROBE_NODE_FRAME;
}

struct strobe_error *edge_name_find(struct strobe_graph *graph, uint32_t from, uint64_t edge,
				    struct edge_name *ret)
{
	*ret = (struct edge_name){.guessed = graph->edges[edge] & EDGE_GUESSED};
	struct search search = {.wanted = edge - graph_edges_begin(graph, from), .ret = ret};
	struct strobe_error *error = NULL;
	if (has_names(graph, from))
		error = strobe_graph_references(graph, from, match, &search);
	if (!error && ret->text.failed)
		error = error_no_memory();
	if (error)
		edge_name_fini(ret);
	return error;
}

void edge_name_fini(struct edge_name *name)
{
	text_fini(&name->text);
}
