// SPDX-License-Identifier: Apache-2.0
// The object of a node as a value.

#include <strobe/graph_query.h>

#include "base/error.h"
#include "query/node_value.h"
#include "value/value.h"

struct type *node_value_type(struct strobe_graph *graph, uint32_t type)
{
	struct lens *lens = type ? graph_lens(graph) : NULL;
	uint32_t id = lens ? graph_lens_type(graph, type) : 0;
	return id ? lens_type(lens, id)->type : NULL;
}

struct strobe_error *strobe_graph_value(struct strobe_graph *graph, uint64_t node,
					struct strobe_value **ret)
{
	if (node >= graph->node_count)
		return error_new(STROBE_ERROR_INVALID, "the graph has no such node");
	uint32_t index = (uint32_t)node;
	struct type *type = node_value_type(graph, graph_node_type(graph, index));
	uint64_t elements = graph_element_count(graph, index);
	if (type && elements > 1)
		type = type_array_of(graph->symbols, type, elements);
	if (!type || !graph->addresses[index]) {
		*ret = NULL;
		return NULL;
	}
	struct strobe_value value = value_in_memory(graph->symbols, type, graph->addresses[index]);
	value.language = type->language;
	struct strobe_value *box = value_box(&value);
	if (!box)
		return error_no_memory();
	*ret = box;
	return NULL;
}
