// SPDX-License-Identifier: Apache-2.0
#include "query/heavy.h"

#include <stdlib.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/match.h"

/** The part of a node's weight that one child must have for the line to go on (in percent). */
enum { LINE_PERCENT = 70 };

static bool is_alike(const struct heavy *h, uint32_t a, uint32_t b)
{
	const struct strobe_graph *graph = h->tree->graph;
	return node_is_block(graph, a) && node_is_block(graph, b) &&
	       groups_of(graph, a) == groups_of(graph, b);
}

static uint32_t heaviest_child(const struct heavy *h, uint32_t node)
{
	uint32_t best = 0;
	for (uint32_t child = h->tree->first[node]; child; child = h->tree->sibling[child])
		if (!best || h->weights[child] > h->weights[best])
			best = child;
	return best;
}

static uint32_t follow_line(const struct heavy *h, uint32_t node)
{
	for (uint32_t i = 0; i < h->tree->graph->node_count; i++) { // a damaged tree may go round
		uint32_t child = heaviest_child(h, node);
		double part = (double)h->weights[node] / 100 * LINE_PERCENT;
		if (!child || (double)h->weights[child] < part || is_alike(h, node, child))
			break;
		node = child;
	}
	return node;
}

// Items are also what is still to be looked at: an item's own end adds those below it.
static struct strobe_error *explain(struct heavy *h, size_t index)
{
	struct heavy_item item = h->items.items[index];
	item.accumulation = follow_line(h, item.node);
	item.explained = item.weight;
	uint32_t child = h->tree->first[item.accumulation];
	for (; child; child = h->tree->sibling[child]) {
		uint64_t weight = h->weights[child];
		if (weight < h->least || is_alike(h, item.accumulation, child))
			continue;
		item.explained -= weight < item.explained ? weight : item.explained;
		if (!array_push(&h->items, (struct heavy_item){.node = child, .weight = weight}))
			return error_no_memory();
	}
	h->items.items[index] = item;
	return NULL;
}

static bool is_owner(const struct strobe_graph *graph, uint32_t node)
{
	return node == 0 || (!node_is_memory(graph, node) && node < graph->surrogate_begin);
}

// A memory node below threads, frames and groups: alone, or with its like.
static struct strobe_error *begin_at(struct heavy *h, uint32_t node)
{
	uint64_t weight = h->weights[node];
	if (weight >= h->least)
		return array_push(&h->items, (struct heavy_item){.node = node, .weight = weight})
			       ? NULL
			       : error_no_memory();
	struct heavy_group *group = &h->groups[groups_of(h->tree->graph, node)];
	uint32_t parent = h->tree->graph->idom[node];
	if (group->count == 0 || weight > h->weights[group->biggest])
		group->biggest = node;
	if (group->count > 0 && group->parent != parent)
		parent = NODE_NONE;
	group->parent = parent;
	group->count++;
	group->weight += weight;
	return NULL;
}

struct strobe_error *heavy_init(struct heavy *heavy, const struct tree *tree,
				const uint64_t *weights, uint64_t least)
{
	const struct strobe_graph *graph = tree->graph;
	*heavy = (struct heavy){.tree = tree, .weights = weights, .least = least ? least : 1};
	heavy->groups = calloc(groups_count(graph), sizeof(*heavy->groups));
	struct strobe_error *error = heavy->groups ? NULL : error_no_memory();
	for (uint32_t node = 1; !error && node <= graph->memory_count; node++)
		if (graph->idom[node] < graph->node_count && weights[node] &&
		    is_owner(graph, graph->idom[node]))
			error = begin_at(heavy, node);
	for (size_t i = 0; !error && i < heavy->items.count && i < graph->node_count; i++)
		error = explain(heavy, i);
	size_t kept = 0;
	for (size_t i = 0; i < heavy->items.count; i++)
		if (heavy->items.items[i].explained >= heavy->least)
			heavy->items.items[kept++] = heavy->items.items[i];
	heavy->items.count = kept;
	if (error)
		heavy_fini(heavy);
	return error;
}

void heavy_fini(struct heavy *heavy)
{
	array_fini(&heavy->items);
	free(heavy->groups);
	heavy->groups = NULL;
}

struct blocks {
	const struct strobe_graph *graph;
	uint64_t *bytes;
};

static void begin_blocks(void *context, uint32_t node)
{
	struct blocks *b = context;
	if (node_is_block(b->graph, node))
		b->bytes[node] = graph_node_size(b->graph, node);
}

static void end_blocks(void *context, uint32_t node)
{
	struct blocks *b = context;
	if (node)
		b->bytes[b->graph->idom[node]] += b->bytes[node];
}

struct strobe_error *heavy_blocks(const struct tree *tree, uint64_t **ret)
{
	struct blocks b = {tree->graph,
			   calloc((size_t)tree->graph->node_count + 1, sizeof(uint64_t))};
	if (!b.bytes)
		return error_no_memory();
	tree_walk(tree, 0, begin_blocks, end_blocks, &b);
	*ret = b.bytes;
	return NULL;
}

struct growth {
	const struct match *match;
	uint64_t *bytes;
};

static void begin_growth(void *context, uint32_t node)
{
	struct growth *g = context;
	if (g->match->before_of[node] == NODE_NONE && node_is_block(g->match->after, node))
		g->bytes[node] = graph_node_size(g->match->after, node);
}

static void end_growth(void *context, uint32_t node)
{
	struct growth *g = context;
	const struct strobe_graph *after = g->match->after;
	uint32_t old = g->match->before_of[node];
	uint64_t was = old == NODE_NONE ? 0 : g->match->before->retained[old];
	uint64_t more = after->retained[node] > was ? after->retained[node] - was : 0;
	if (node)
		g->bytes[after->idom[node]] += g->bytes[node];
	if (old != NODE_NONE && g->bytes[node] > more)
		g->bytes[node] = more;
}

struct strobe_error *heavy_growth(const struct match *match, const struct tree *tree,
				  uint64_t **ret)
{
	struct growth g = {match, calloc((size_t)match->after->node_count + 1, sizeof(uint64_t))};
	if (!g.bytes)
		return error_no_memory();
	tree_walk(tree, 0, begin_growth, end_growth, &g);
	*ret = g.bytes;
	return NULL;
}
