// SPDX-License-Identifier: Apache-2.0
#include "graph_export/member.h"

#include <strobe/view.h>

#include "query/groups.h"

const char *member_kind_name(enum strobe_node_kind kind)
{
	static const char *const names[] = {
		[STROBE_NODE_ROOT] = "root",	     [STROBE_NODE_GROUP] = "group",
		[STROBE_NODE_THREAD] = "thread",     [STROBE_NODE_FRAME] = "frame",
		[STROBE_NODE_VARIABLE] = "variable", [STROBE_NODE_AREA] = "area",
		[STROBE_NODE_BLOCK] = "block",	     [STROBE_NODE_SURROGATE] = "surrogate",
	};
	return names[kind];
}

const char *member_state_name(enum strobe_heap_state state)
{
	static const char *const names[] = {
		[STROBE_HEAP_ALLOCATED] = "allocated",
		[STROBE_HEAP_FREE] = "free",
		[STROBE_HEAP_FREE_CACHED] = "cached",
		[STROBE_HEAP_FREE_FASTBIN] = "fastbin",
		[STROBE_HEAP_TOP] = "top",
		[STROBE_HEAP_BOOKS] = "books",
	};
	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

bool member_is_reachable(const struct strobe_graph *graph, uint32_t node)
{
	return node == 0 || (graph->types[node] & NODE_REACHABLE);
}

const char *member_target_name(const struct strobe_graph *graph)
{
	const struct strobe_process_info *info =
		graph->view ? strobe_view_process_info(graph->view) : NULL;
	if (info && info->executable)
		return info->executable;
	return info && info->name ? info->name : "a process";
}

const char *member_process_name(const struct strobe_graph *graph)
{
	const struct strobe_process_info *info =
		graph->view ? strobe_view_process_info(graph->view) : NULL;
	return info && info->name && *info->name ? info->name : member_target_name(graph);
}

/** What only roots, threads, frames and the like have: their names. */
static void get_name(struct strobe_graph *graph, struct member *ret)
{
	struct strobe_node node;
	if (ret->kind == STROBE_NODE_BLOCK || ret->kind == STROBE_NODE_SURROGATE)
		return;
	strobe_graph_node(graph, ret->node, &node);
	ret->name = node.name;
}

void member_get(struct strobe_graph *graph, uint32_t node, struct member *ret)
{
	uint32_t word = graph->types[node];
	*ret = (struct member){
		.node = node,
		.kind = word & NODE_BLOCK ? STROBE_NODE_BLOCK : graph_node_kind(graph, node),
		.address = graph->addresses[node],
		.size_bytes = graph_node_size(graph, node),
		.retained_bytes = graph->retained[node],
		.type = graph_node_type(graph, node),
		.element_count = 1,
		.evidence = (word & NODE_EVIDENCE_MASK) >> NODE_EVIDENCE_SHIFT,
		.reachable = member_is_reachable(graph, node),
		.precise = node == 0 || (word & NODE_PRECISE),
		.dominator = graph->idom[node],
	};
	if (ret->type) {
		ret->type_name = graph_string(graph, graph->graph_types[ret->type].name);
		ret->element_count = graph_element_count(graph, node);
	}
	if (ret->kind == STROBE_NODE_SURROGATE)
		ret->reason = graph->surrogate_reasons[node - graph->surrogate_begin];
	get_name(graph, ret);
}

const char *member_label(const struct strobe_graph *graph, const struct member *member,
			 struct text *scratch)
{
	text_truncate(scratch, 0);
	if (member->name)
		return member->name;
	if (member->type_name && member->element_count == 1)
		return member->type_name;
	if (member->type_name) {
		text_append(scratch, member->type_name);
		text_append(scratch, " []");
	} else if (member->kind == STROBE_NODE_SURROGATE) {
		text_printf(scratch, "(%s)", strobe_surrogate_reason_name(member->reason));
	} else {
		groups_name(graph, groups_of(graph, member->node), scratch);
	}
	return text_string(scratch);
}
