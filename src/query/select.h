// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_SELECT_H
#define QUERY_SELECT_H

// Types by the names that people give.

#include "graph/graph.h"

/** Sets `mark[t]` for each type of the graph that `name` means: see strobe_graph_nodes_of_type(). `mark` has type_count entries, zeroed.
 *  Errors: NOT_FOUND, NO_MEMORY. */
struct strobe_error *select_types(struct strobe_graph *graph, const char *name, bool *mark)
	STROBE_MUST_CHECK;

#endif
