// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_NODE_NAME_H
#define QUERY_NODE_NAME_H

// Nodes in words.

#include "base/text.h"
#include "graph/graph.h"

/** A node that has a name, as a path has it: 'thread 12 "worker"', 'frame serve:120', 'req'; nothing for others. */
void node_name_append(enum strobe_node_kind kind, const char *name, struct text *ret);
/** The same, and ' > ' before it if something stands in `ret`. */
void node_name_step(struct strobe_graph *graph, uint32_t node, struct text *ret);

#endif
