// SPDX-License-Identifier: Apache-2.0
// What a set of nodes retains together.

#include <stdlib.h>
#include <strobe/graph_query.h>

#include "base/error.h"
#include "query/groups.h"

static int ascending(const void *first, const void *second)
{
	uint32_t a = *(const uint32_t *)first, b = *(const uint32_t *)second;
	return (a > b) - (a < b);
}

// The set as the graph's own numbers, ascending, each once.
static struct strobe_error *take(const struct strobe_graph *graph, const uint64_t *nodes,
				 size_t count, uint32_t **ret, size_t *ret_count)
{
	uint32_t *set = malloc((count + 1) * sizeof(*set));
	size_t used = 0;
	if (!set)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		if (nodes[i] >= graph->node_count) {
			free(set);
			return error_new(STROBE_ERROR_INVALID, "the graph has no such node");
		}
		set[i] = (uint32_t)nodes[i];
	}
	qsort(set, count, sizeof(*set), ascending);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || set[i] != set[used - 1])
			set[used++] = set[i];
	*ret = set;
	*ret_count = used;
	return NULL;
}

struct strobe_error *strobe_graph_retained_of(struct strobe_graph *graph, const uint64_t *nodes,
					      size_t count, struct strobe_retained *ret)
{
	uint32_t *set = NULL;
	size_t used = 0;
	struct strobe_error *error = take(graph, nodes, count, &set, &used);
	if (error)
		return error;
	struct strobe_retained found = {.nodes = used};
	size_t reached = 0;
	for (size_t i = 0; i < used; i++) {
		uint64_t size = graph_node_size(graph, set[i]);
		found.size_bytes += size;
		if (set[i] == 0 || graph->idom[set[i]] != NODE_NONE) {
			set[reached++] = set[i];
			continue;
		}
		found.retained_nodes++; // leaked: nothing but itself can be said to go with it
		found.retained_bytes += size;
	}
	uint64_t bytes = 0, with = 0;
	error = graph_retained_of(graph, set, reached, &bytes, &with, NULL);
	free(set);
	if (error)
		return error;
	found.retained_bytes += bytes;
	found.retained_nodes += with;
	*ret = found;
	return NULL;
}
