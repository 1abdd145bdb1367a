// SPDX-License-Identifier: Apache-2.0
#include "query/node_name.h"

#include <strobe/graph_query.h>

#include "query/groups.h"

/** Nodes above the first one in memory: root, group, thread, frame, variable, and some to spare. */
enum { OWNERS_LIMIT = 8 };

void node_name_append(enum strobe_node_kind kind, const char *name, struct text *ret)
{
	if (!name)
		return;
	if (kind == STROBE_NODE_FRAME)
		text_append(ret, "frame ");
	text_append(ret, name);
}

void node_name_step(struct strobe_graph *graph, uint32_t node, struct text *ret)
{
	struct strobe_node found;
	strobe_graph_node(graph, node, &found);
	if (!found.name || found.kind == STROBE_NODE_ROOT)
		return;
	if (ret->size)
		text_append(ret, " > ");
	node_name_append(found.kind, found.name, ret);
}

char *strobe_graph_holder(struct strobe_graph *graph, uint64_t node)
{
	uint32_t above[OWNERS_LIMIT]; // a ring: the last ones are the outermost
	struct text text = {0};
	size_t count = 0, node_count = graph->node_count;
	if (node == 0 || node >= graph->node_count || graph->idom[node] == NODE_NONE)
		return NULL;
	for (uint32_t at = (uint32_t)node; at && at < graph->node_count && count <= node_count;
	     at = graph->idom[at])
		above[count++ % OWNERS_LIMIT] = at;
	for (size_t i = 0; i < OWNERS_LIMIT && i < count; i++) {
		uint32_t at = above[(count - 1 - i) % OWNERS_LIMIT];
		if (node_is_block(graph, at))
			break;
		node_name_step(graph, at, &text);
		if (node_is_memory(graph, at))
			break;
	}
	if (!text.size)
		text_append(&text, "(several roots)");
	return text_steal(&text);
}
