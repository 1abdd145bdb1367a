// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_EDGE_NAME_H
#define QUERY_EDGE_NAME_H

// What one edge is called. The graph does not keep it: the object is walked again.

#include "base/text.h"
#include "graph/graph.h"

struct edge_name {
	struct text text;
	bool guessed, maybe;
};

/** The name of edge number `edge` of the graph, which is one of `from`. Errors: NO_MEMORY. */
struct strobe_error *edge_name_find(struct strobe_graph *graph, uint32_t from, uint64_t edge,
				    struct edge_name *ret) STROBE_MUST_CHECK;
void edge_name_fini(struct edge_name *name);

#endif
