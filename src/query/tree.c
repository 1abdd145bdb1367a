// SPDX-License-Identifier: Apache-2.0
#include "query/tree.h"

#include <stdlib.h>

#include "base/error.h"

struct strobe_error *tree_init(struct tree *tree, const struct strobe_graph *graph)
{
	*tree = (struct tree){.graph = graph};
	tree->first = calloc((size_t)graph->node_count + 1, sizeof(*tree->first));
	tree->sibling = calloc((size_t)graph->node_count + 1, sizeof(*tree->sibling));
	if (!tree->first || !tree->sibling) {
		tree_fini(tree);
		return error_no_memory();
	}
	for (uint32_t node = graph->node_count; node-- > 1;) {
		uint32_t parent = graph->idom[node];
		if (parent >= graph->node_count || parent == node)
			continue;
		tree->sibling[node] = tree->first[parent];
		tree->first[parent] = node;
	}
	return NULL;
}

void tree_fini(struct tree *tree)
{
	free(tree->first);
	free(tree->sibling);
	*tree = (struct tree){0};
}

void tree_walk(const struct tree *tree, uint32_t top, tree_visit enter, tree_visit leave,
	       void *context)
{
	uint32_t node = top;
	uint64_t left = 2 * (uint64_t)tree->graph->node_count; // a damaged tree may go round
	enter(context, node);
	while (left--) {
		if (tree->first[node]) {
			node = tree->first[node];
			enter(context, node);
			continue;
		}
		while (node != top && !tree->sibling[node]) {
			leave(context, node);
			node = tree->graph->idom[node];
		}
		leave(context, node);
		if (node == top)
			return;
		node = tree->sibling[node];
		enter(context, node);
	}
}
