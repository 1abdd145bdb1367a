// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_NODE_VALUE_H
#define QUERY_NODE_VALUE_H

#include "graph/graph.h"

struct type;

/** The description of a type of the graph; NULL if there is none. */
struct type *node_value_type(struct strobe_graph *graph, uint32_t type);

#endif
