// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_HEAP_NODE_PATHS_H
#define CLI_HEAP_NODE_PATHS_H

// A shortest path in words to each of a few nodes.

#include "heap/heap.h"

struct node_paths {
	const uint64_t *nodes;
	size_t count, at;
	char **texts; // by place in `nodes`; NULL where nothing leads there
};

/** `nodes` are borrowed. */
int node_paths_init(struct node_paths *paths, const struct command *command,
		    struct strobe_graph *graph, const uint64_t *nodes, size_t count)
	STROBE_MUST_CHECK;
void node_paths_fini(struct node_paths *paths);

#endif
