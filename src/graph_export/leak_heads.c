// SPDX-License-Identifier: Apache-2.0
#include "graph_export/leak_heads.h"

#include <stdlib.h>

#include "base/error.h"
#include "graph_export/member.h"

struct search {
	const struct strobe_graph *graph;
	struct leak_heads *heads;
	uint8_t *marks; // by node: HELD, SEEN
	ARRAY(uint32_t) stack;
};
enum { HELD = 1, SEEN = 2 };

/** Marks all that `node` leads to. */
static bool follow(struct search *search, uint32_t node)
{
	const struct strobe_graph *graph = search->graph;
	search->marks[node] |= SEEN;
	if (!array_push(&search->stack, node))
		return false;
	while (search->stack.count) {
		uint32_t from = search->stack.items[--search->stack.count];
		uint64_t end = graph_edges_end(graph, from);
		for (uint64_t e = graph_edges_begin(graph, from); e < end; e++) {
			uint32_t to = graph->edges[e] & EDGE_TARGET;
			if (member_is_reachable(graph, to) || (search->marks[to] & SEEN))
				continue;
			search->marks[to] |= SEEN;
			if (!array_push(&search->stack, to))
				return false;
		}
	}
	return true;
}

static void mark_held(struct search *search)
{
	const struct strobe_graph *graph = search->graph;
	for (uint32_t node = 1; node < graph->node_count; node++) {
		if (member_is_reachable(graph, node))
			continue;
		uint64_t end = graph_edges_end(graph, node);
		for (uint64_t e = graph_edges_begin(graph, node); e < end; e++)
			if ((graph->edges[e] & EDGE_TARGET) != node)
				search->marks[graph->edges[e] & EDGE_TARGET] |= HELD;
	}
}

/** Makes heads of what was not seen: with any of `marks` only of what has none of them. */
static bool take_heads(struct search *search, uint8_t marks)
{
	const struct strobe_graph *graph = search->graph;
	for (uint32_t node = 1; node < graph->node_count; node++) {
		if (member_is_reachable(graph, node) || (search->marks[node] & (SEEN | marks)))
			continue;
		if (!array_push(&search->heads->nodes, node) || !follow(search, node))
			return false;
	}
	return true;
}

struct strobe_error *leak_heads_find(const struct strobe_graph *graph, struct leak_heads *ret)
{
	struct search search = {.graph = graph, .heads = ret};
	*ret = (struct leak_heads){0};
	search.marks = calloc(graph->node_count, 1);
	bool done = search.marks;
	if (done)
		mark_held(&search);
	done = done && take_heads(&search, HELD) && take_heads(&search, 0);
	free(search.marks);
	array_fini(&search.stack);
	return done ? NULL : error_no_memory();
}

void leak_heads_fini(struct leak_heads *heads)
{
	array_fini(&heads->nodes);
}
