// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_GRAPH_CHECK_H
#define GRAPH_GRAPH_CHECK_H

#include "graph/graph.h"

/** Which invariant of struct strobe_graph does not hold, as one line with its number; NULL if all do. Linear in nodes and
 *  edges. For tests. */
const char *graph_check(const struct strobe_graph *graph);

#endif
