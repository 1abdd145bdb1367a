// SPDX-License-Identifier: Apache-2.0
#include "graph_export/dominated.h"

#include <stdlib.h>

#include "base/error.h"

struct strobe_error *dominated_make(const struct strobe_graph *graph, struct dominated *ret)
{
	size_t count = graph->node_count;
	ret->begin = calloc(count + 2, sizeof(*ret->begin));
	ret->list = malloc((count + 1) * sizeof(*ret->list));
	if (!ret->begin || !ret->list) {
		dominated_fini(ret);
		return error_no_memory();
	}
	// Counted two places further on: filling the lists leaves each beginning where it belongs.
	for (size_t i = 0; i < count; i++)
		if (graph->idom[i] < count)
			ret->begin[graph->idom[i] + 2]++;
	for (size_t i = 2; i < count + 2; i++)
		ret->begin[i] += ret->begin[i - 1];
	for (size_t i = 0; i < count; i++)
		if (graph->idom[i] < count)
			ret->list[ret->begin[graph->idom[i] + 1]++] = (uint32_t)i;
	return NULL;
}

void dominated_fini(struct dominated *dominated)
{
	free(dominated->begin);
	free(dominated->list);
	*dominated = (struct dominated){0};
}
