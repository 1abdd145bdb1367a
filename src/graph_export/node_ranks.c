// SPDX-License-Identifier: Apache-2.0
#include "graph_export/node_ranks.h"

#include <stdlib.h>

#include "graph_export/member.h"

bool node_ranks_make(struct node_ranks *ranks, const struct strobe_graph *graph,
		     bool with_unreachable)
{
	size_t words = graph->node_count / 64 + 1;
	*ranks = (struct node_ranks){0};
	ranks->bits = calloc(words, sizeof(*ranks->bits));
	ranks->before = calloc(words, sizeof(*ranks->before));
	if (!ranks->bits || !ranks->before) {
		node_ranks_fini(ranks);
		return false;
	}
	for (uint32_t i = 0; i < graph->node_count; i++) {
		if (i % 64 == 0)
			ranks->before[i / 64] = ranks->count;
		if (!with_unreachable && !member_is_reachable(graph, i))
			continue;
		ranks->bits[i / 64] |= UINT64_C(1) << i % 64;
		ranks->count++;
	}
	return true;
}

bool node_ranks_has(const struct node_ranks *ranks, uint32_t node)
{
	return ranks->bits[node / 64] >> node % 64 & 1;
}

uint32_t node_ranks_get(const struct node_ranks *ranks, uint32_t node)
{
	uint64_t below = ranks->bits[node / 64] & ((UINT64_C(1) << node % 64) - 1);
	return ranks->before[node / 64] + (uint32_t)__builtin_popcountll(below);
}

void node_ranks_fini(struct node_ranks *ranks)
{
	free(ranks->bits);
	free(ranks->before);
	*ranks = (struct node_ranks){0};
}
