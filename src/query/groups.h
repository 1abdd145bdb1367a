// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_GROUPS_H
#define QUERY_GROUPS_H

// What nodes are counted by: their type, and untyped ones by their size. A group is a number; of types, their own.

#include "base/text.h"
#include "graph/graph.h"

/** Untyped nodes up to this size have a group for each size, larger ones for each power of two. */
enum { GROUPS_EXACT_BYTES = 1024, GROUPS_UNTYPED = GROUPS_EXACT_BYTES + 65 };

/** Groups are numbered below this. */
static inline uint32_t groups_count(const struct strobe_graph *graph)
{
	return (uint32_t)graph->type_count + GROUPS_UNTYPED;
}
uint32_t groups_of(const struct strobe_graph *graph, uint32_t node);
/** The type's name, NULL for untyped ones. */
const char *groups_type_name(const struct strobe_graph *graph, uint32_t group);
/** Its name as a row has it: "struct conn", "(untyped, 32 bytes)", "(untyped, 4 KiB to 8 KiB)". */
void groups_name(const struct strobe_graph *graph, uint32_t group, struct text *ret);

/** An allocation? */
static inline bool node_is_block(const struct strobe_graph *graph, uint32_t node)
{
	return graph->types[node] & NODE_BLOCK;
}
static inline bool node_is_reachable(const struct strobe_graph *graph, uint32_t node)
{
	return graph->types[node] & NODE_REACHABLE;
}
static inline bool node_is_leaked(const struct strobe_graph *graph, uint32_t node)
{
	return (graph->types[node] & (NODE_BLOCK | NODE_REACHABLE)) == NODE_BLOCK;
}
/** Blocks, variables, areas, mappings: no threads, frames, groups, surrogates, and no registers. */
static inline bool node_is_memory(const struct strobe_graph *graph, uint32_t node)
{
	return node > 0 && node <= graph->memory_count;
}

#endif
