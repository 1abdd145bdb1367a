// SPDX-License-Identifier: Apache-2.0
#include "query/leak_order.h"

#include <stdlib.h>

#include "base/error.h"
#include "query/groups.h"

enum { UNSEEN = UINT32_MAX };

bool leak_set_has(const struct strobe_graph *graph, enum leak_set set, uint32_t node)
{
	uint32_t reached = graph->types[node] & (NODE_BLOCK | NODE_REACHABLE | NODE_PRECISE);
	return reached == (set == LEAK_SET_SURE ? NODE_BLOCK : NODE_BLOCK | NODE_REACHABLE);
}

/** A search among the set. */
struct search {
	const struct strobe_graph *graph;
	enum leak_set set;
	struct leak_order *order;
	uint32_t *index_of; // by node, for those of the set; pages of others are never touched
	uint32_t *seen;	    // by index: from which index it was reached first
	uint32_t *stack;
	uint32_t height;
};

static void push_unseen(struct search *s, uint32_t index, uint32_t from)
{
	if (s->seen[index] != UNSEEN)
		return;
	s->seen[index] = from;
	s->stack[s->height++] = index;
}

// Marks what `from` leads to and was not seen. Each is on the stack once, so its size suffices.
static void spread(struct search *s, uint32_t from)
{
	push_unseen(s, from, from);
	while (s->height) {
		uint32_t node = s->order->nodes[s->stack[--s->height]];
		uint64_t end = graph_edges_end(s->graph, node);
		for (uint64_t i = graph_edges_begin(s->graph, node); i < end; i++) {
			uint32_t to = s->graph->edges[i] & EDGE_TARGET;
			if (to <= s->graph->memory_count && leak_set_has(s->graph, s->set, to))
				push_unseen(s, s->index_of[to], from);
		}
	}
}

static void forget(struct search *s)
{
	for (uint32_t i = 0; i < s->order->count; i++)
		s->seen[i] = UNSEEN;
}

// Going up, whoever was not reached by a lower one may be direct; none of these is reached by a lower one. So going
// down, whoever is not reached by a higher one of these is: it is first of what leads to it, or alone. At last, going up
// again, each direct one takes what it leads to.
static void find_owners(struct search *s, uint32_t *candidates)
{
	uint32_t count = 0, direct = 0;
	forget(s);
	for (uint32_t i = 0; i < s->order->count; i++) {
		if (s->seen[i] != UNSEEN)
			continue;
		candidates[count++] = i;
		spread(s, i);
	}
	forget(s);
	for (uint32_t i = count; i-- > 0;) {
		if (s->seen[candidates[i]] != UNSEEN)
			continue;
		spread(s, candidates[i]);
		candidates[count - 1 - direct++] = candidates[i];
	}
	forget(s);
	for (uint32_t i = count - direct; i < count; i++)
		spread(s, candidates[i]);
}

static uint32_t collect(const struct search *s, uint32_t *nodes)
{
	uint32_t count = 0;
	for (uint32_t node = 1; node <= s->graph->memory_count; node++) {
		if (!leak_set_has(s->graph, s->set, node))
			continue;
		if (nodes)
			nodes[count] = node;
		if (s->index_of)
			s->index_of[node] = count;
		count++;
	}
	return count;
}

struct strobe_error *leak_order_init(struct leak_order *order, const struct strobe_graph *graph,
				     enum leak_set set)
{
	struct search s = {.graph = graph, .set = set, .order = order};
	*order = (struct leak_order){0};
	order->count = collect(&s, NULL);
	size_t room = (size_t)order->count + 1;
	uint32_t *candidates = malloc(room * sizeof(*candidates));
	order->nodes = malloc(room * sizeof(*order->nodes));
	order->owner = malloc(room * sizeof(*order->owner));
	s.index_of = calloc((size_t)graph->memory_count + 1, sizeof(*s.index_of));
	s.stack = malloc(room * sizeof(*s.stack));
	s.seen = order->owner;
	bool good = candidates && order->nodes && order->owner && s.index_of && s.stack;
	if (good) {
		collect(&s, order->nodes);
		find_owners(&s, candidates);
	} else {
		leak_order_fini(order);
	}
	free(candidates);
	free(s.index_of);
	free(s.stack);
	return good ? NULL : error_no_memory();
}

void leak_order_fini(struct leak_order *order)
{
	free(order->nodes);
	free(order->owner);
	*order = (struct leak_order){0};
}
