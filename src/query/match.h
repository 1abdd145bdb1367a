// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_MATCH_H
#define QUERY_MATCH_H

// Which nodes of two graphs are the same thing: blocks by address and type, or size where one has no type; others by
// their names and what these stand in. 4 bytes a node of the later graph, and of both sides' threads, frames and variables.

#include "graph/graph.h"

struct match {
	struct strobe_graph *before, *after;
	uint32_t *before_of; // by node of `after`; NODE_NONE where there was none
};

/** Errors: NO_MEMORY. */
struct strobe_error *match_init(struct match *match, struct strobe_graph *before,
				struct strobe_graph *after) STROBE_MUST_CHECK;
void match_fini(struct match *match);

#endif
