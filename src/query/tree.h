// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_TREE_H
#define QUERY_TREE_H

// The dominator tree from its top down: the graph itself knows each node's parent alone. 8 bytes a node.

#include "graph/graph.h"

/** Invariant: children of a node are linked ascending; 0 ends a list, as node 0 is nobody's child. */
struct tree {
	const struct strobe_graph *graph;
	uint32_t *first, *sibling; // by node
};

struct strobe_error *tree_init(struct tree *tree, const struct strobe_graph *graph)
	STROBE_MUST_CHECK;
void tree_fini(struct tree *tree);

/** Called when a node is entered, before its children, and when it is left, behind them. */
typedef void (*tree_visit)(void *context, uint32_t node);
/** Visits `top` and all below it. No recursion, no stack. */
void tree_walk(const struct tree *tree, uint32_t top, tree_visit enter, tree_visit leave,
	       void *context);

#endif
