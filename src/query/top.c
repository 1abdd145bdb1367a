// SPDX-License-Identifier: Apache-2.0
// The nodes that retain most.

#include <stdlib.h>
#include <strobe/graph_query.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/largest.h"
#include "query/options.h"
#include "query/select.h"

enum { TOP_DEFAULT = 20 };

// Held by a block of its own type?
static bool is_inside(const struct strobe_graph *graph, uint32_t node)
{
	uint32_t holder = graph->idom[node];
	return holder < graph->node_count && node_is_block(graph, holder) &&
	       groups_of(graph, holder) == groups_of(graph, node);
}

static bool is_wanted(const struct strobe_graph *graph, const struct strobe_top_options *options,
		      const bool *types, uint32_t node)
{
	if (types && !types[graph_node_type(graph, node)])
		return false;
	if (node_is_block(graph, node))
		return !options->roots_only && !(options->heads_only && is_inside(graph, node));
	if (options->blocks_only)
		return false;
	enum strobe_node_kind kind = graph_node_kind(graph, node);
	bool is_owner = kind == STROBE_NODE_THREAD || kind == STROBE_NODE_FRAME ||
			kind == STROBE_NODE_GROUP;
	return is_owner ? options->with_owners : options->roots_only || node_is_memory(graph, node);
}

static struct strobe_error *take(struct largest *largest, uint64_t **ret, size_t *count)
{
	largest_sort(largest);
	uint64_t *nodes = largest->failed ? NULL : malloc((largest->count + 1) * sizeof(*nodes));
	if (!nodes)
		return error_no_memory();
	for (size_t i = 0; i < largest->count; i++)
		nodes[i] = largest->items[i].node;
	*ret = nodes;
	*count = largest->count;
	return NULL;
}

struct strobe_error *strobe_graph_top(struct strobe_graph *graph,
				      const struct strobe_top_options *options, uint64_t **ret,
				      size_t *count)
{
	struct strobe_top_options wanted = {0};
	struct largest largest;
	bool *types = NULL;
	struct strobe_error *error = NULL;
	OPTIONS_TAKE(&wanted, options);
	if (wanted.type) {
		types = calloc(graph->type_count + 1, sizeof(*types));
		error = types ? select_types(graph, wanted.type, types) : error_no_memory();
	}
	largest_init(&largest, wanted.limit ? wanted.limit : TOP_DEFAULT);
	for (uint32_t node = 1; !error && node < graph->surrogate_begin; node++)
		if (is_wanted(graph, &wanted, types, node))
			largest_put(&largest, graph->retained[node], node);
	if (!error)
		error = take(&largest, ret, count);
	largest_fini(&largest);
	free(types);
	return error;
}
