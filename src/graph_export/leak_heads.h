// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_LEAK_HEADS_H
#define GRAPH_EXPORT_LEAK_HEADS_H

#include "base/array.h"
#include "graph/graph.h"

struct leak_heads {
	ARRAY(uint32_t) nodes;
};

/** As few nodes that nothing reaches as it takes to reach all of these: those that none of them refers to, and the first of each
 *  cycle that is left. Errors: NO_MEMORY. */
struct strobe_error *leak_heads_find(const struct strobe_graph *graph, struct leak_heads *ret)
	STROBE_MUST_CHECK;
void leak_heads_fini(struct leak_heads *heads);

#endif
