// SPDX-License-Identifier: Apache-2.0
// The dominator tree as people look at it: big things first, small ones summed up, lists in one line.

#include <stdlib.h>
#include <strobe/graph_query.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/largest.h"
#include "query/options.h"
#include "query/tree.h"

enum { DEPTH_DEFAULT = 5, CHILDREN_DEFAULT = 10, CHAIN_LEAST = 3 };

/** Children of one node that are still to be shown. */
struct level {
	struct largest children;
	size_t next;
	unsigned depth; // theirs
};

struct shown_tree {
	const struct strobe_graph *graph;
	struct tree tree;
	struct strobe_tree_options options;
	uint64_t least_bytes; // what retains less is hidden
	uint64_t chain_slack; // what hangs off a chain and is smaller does not end it
	ARRAY(struct level) levels;
	strobe_tree_visit visit;
	void *context;
};

// The one child that continues a chain from `node`, 0 if it ends here.
static uint32_t chain_next(const struct shown_tree *t, uint32_t node)
{
	uint32_t group = groups_of(t->graph, node), next = 0;
	uint64_t heaviest_other = 0;
	if (!node_is_block(t->graph, node))
		return 0;
	for (uint32_t child = t->tree.first[node]; child; child = t->tree.sibling[child]) {
		if (node_is_block(t->graph, child) && groups_of(t->graph, child) == group) {
			if (next)
				return 0;
			next = child;
		} else if (t->graph->retained[child] > heaviest_other) {
			heaviest_other = t->graph->retained[child];
		}
	}
	if (!next || (heaviest_other > t->graph->retained[next] && heaviest_other > t->chain_slack))
		return 0;
	return next;
}

// Follows a chain, and counts what hangs off it.
static void follow_chain(const struct shown_tree *t, struct strobe_tree_entry *entry)
{
	uint32_t at = (uint32_t)entry->node, next;
	uint64_t length = 0, hidden = 0, hidden_bytes = 0;
	while (!t->options.whole_chains && length < t->graph->node_count &&
	       (next = chain_next(t, at))) {
		for (uint32_t child = t->tree.first[at]; child; child = t->tree.sibling[child]) {
			hidden += child != next;
			hidden_bytes += child != next ? t->graph->retained[child] : 0;
		}
		at = next;
		length++;
	}
	entry->chain_end = entry->node;
	if (length < CHAIN_LEAST)
		return;
	entry->chain = length;
	entry->chain_end = at;
	entry->hidden = hidden;
	entry->hidden_bytes = hidden_bytes;
}

// Which children of `entry` are shown next; the others are counted as hidden.
static void choose_children(const struct shown_tree *t, struct strobe_tree_entry *entry,
			    struct largest *ret)
{
	uint64_t all_bytes = 0, kept_bytes = 0;
	largest_init(ret, entry->depth < t->options.depth ? t->options.children : 0);
	uint32_t child = t->tree.first[entry->chain_end];
	for (; child; child = t->tree.sibling[child]) {
		uint64_t bytes = t->graph->retained[child];
		entry->children++;
		all_bytes += bytes;
		if (bytes >= t->least_bytes)
			largest_put(ret, bytes, child);
	}
	largest_sort(ret);
	for (size_t i = 0; i < ret->count; i++)
		kept_bytes += ret->items[i].bytes;
	entry->hidden += entry->children - ret->count;
	entry->hidden_bytes += all_bytes - kept_bytes;
}

// Shows `node`, and puts its children on the stack of levels. `*more` is false when the visitor has enough.
static struct strobe_error *show(struct shown_tree *t, uint32_t node, unsigned depth, bool *more)
{
	struct strobe_tree_entry entry = {
		.node = node, .retained_bytes = t->graph->retained[node], .depth = depth};
	struct level level = {.depth = depth + 1};
	follow_chain(t, &entry);
	choose_children(t, &entry, &level.children);
	if (level.children.failed || !array_push(&t->levels, level)) {
		largest_fini(&level.children);
		return error_no_memory();
	}
	*more = t->visit(t->context, &entry);
	return NULL;
}

static struct strobe_error *show_all(struct shown_tree *t)
{
	bool more = true;
	struct strobe_error *error = show(t, (uint32_t)t->options.node, 0, &more);
	while (!error && more && t->levels.count) {
		struct level *level = &t->levels.items[t->levels.count - 1];
		if (level->next < level->children.count) {
			uint32_t node = level->children.items[level->next++].node;
			error = show(t, node, level->depth, &more);
		} else {
			largest_fini(&level->children);
			t->levels.count--;
		}
	}
	return error;
}

struct strobe_error *strobe_graph_dominator_tree(struct strobe_graph *graph,
						 const struct strobe_tree_options *options,
						 strobe_tree_visit visit, void *context)
{
	struct shown_tree t = {.graph = graph, .visit = visit, .context = context};
	OPTIONS_TAKE(&t.options, options);
	if (t.options.node >= graph->node_count)
		return error_new(STROBE_ERROR_INVALID, "the graph has no such node");
	if (!t.options.depth)
		t.options.depth = DEPTH_DEFAULT;
	if (!t.options.children)
		t.options.children = CHILDREN_DEFAULT;
	double whole = (double)graph->retained[t.options.node];
	if (t.options.min_share > 0)
		t.least_bytes = (uint64_t)(t.options.min_share * whole + 0.5);
	t.chain_slack = (uint64_t)(whole / 100);
	struct strobe_error *error = tree_init(&t.tree, graph);
	if (!error)
		error = show_all(&t);
	for (size_t i = 0; i < t.levels.count; i++)
		largest_fini(&t.levels.items[i].children);
	array_fini(&t.levels);
	tree_fini(&t.tree);
	return error;
}
