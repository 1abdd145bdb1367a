// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_MEMBER_H
#define GRAPH_EXPORT_MEMBER_H

// A node as exports tell of it. Unlike strobe_graph_node() nothing is formatted: millions of blocks are cheap.

#include "base/text.h"
#include "graph/graph.h"

struct member {
	uint32_t node;
	enum strobe_node_kind kind;
	uint64_t address, size_bytes, retained_bytes;
	uint32_t type;		// in graph_types; 0 = untyped
	const char *type_name;	// of one element; NULL = untyped
	uint64_t element_count; // 1 for most
	enum strobe_evidence evidence;
	bool reachable, precise;
	uint32_t dominator;		     // NODE_NONE = it has none
	const char *name;		     // of what is no block; else NULL; valid until the next
	enum strobe_surrogate_reason reason; // of a surrogate
};

void member_get(struct strobe_graph *graph, uint32_t node, struct member *ret);
/** What it is called among its like: its name, its type ("struct conn", "struct conn []"), "(untyped, 32 bytes)", "(freed)". Written
 *  into `scratch` where it is not at hand; valid as long as both. */
const char *member_label(const struct strobe_graph *graph, const struct member *member,
			 struct text *scratch);
/** The process's name, or its program's. */
const char *member_process_name(const struct strobe_graph *graph);
/** "root", "group", "thread", "frame", "variable", "area", "block", "surrogate". */
const char *member_kind_name(enum strobe_node_kind kind);
/** "free", "cached", "fastbin", "top", "books", "allocated". */
const char *member_state_name(enum strobe_heap_state state);
bool member_is_reachable(const struct strobe_graph *graph, uint32_t node);
/** The target's name: of its program, or where that is not known of its file. */
const char *member_target_name(const struct strobe_graph *graph);

#endif
