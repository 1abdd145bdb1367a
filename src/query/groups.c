// SPDX-License-Identifier: Apache-2.0
#include "query/groups.h"

#include <inttypes.h>

static uint32_t size_class(uint64_t size)
{
	if (size <= GROUPS_EXACT_BYTES)
		return (uint32_t)size;
	return GROUPS_EXACT_BYTES + 64 - (uint32_t)__builtin_clzll(size);
}

uint32_t groups_of(const struct strobe_graph *graph, uint32_t node)
{
	uint32_t type = graph_node_type(graph, node);
	if (type)
		return type;
	return (uint32_t)graph->type_count + size_class(graph_node_size(graph, node));
}

const char *groups_type_name(const struct strobe_graph *graph, uint32_t group)
{
	if (group == 0 || group >= graph->type_count)
		return NULL;
	return graph_string(graph, graph->graph_types[group].name);
}

static void power_of_two(unsigned exponent, struct text *ret)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	text_printf(ret, "%u %s", 1u << exponent % 10, units[exponent / 10]);
}

void groups_name(const struct strobe_graph *graph, uint32_t group, struct text *ret)
{
	const char *name = groups_type_name(graph, group);
	if (name) {
		text_append(ret, name);
		return;
	}
	uint32_t class = group < graph->type_count ? 0 : group - (uint32_t)graph->type_count;
	if (class <= GROUPS_EXACT_BYTES) {
		text_printf(ret, "(untyped, %" PRIu32 " bytes)", class);
		return;
	}
	unsigned exponent = class - GROUPS_EXACT_BYTES - 1;
	text_append(ret, "(untyped, ");
	power_of_two(exponent, ret);
	if (exponent < 63) {
		text_append(ret, " to ");
		power_of_two(exponent + 1, ret);
	}
	text_append_char(ret, ')');
}
