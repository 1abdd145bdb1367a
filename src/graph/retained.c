// SPDX-License-Identifier: Apache-2.0
#include "graph/dominators.h"

enum { AHEAD = 24 };

void graph_retained(const uint32_t *order, uint32_t reached, const uint32_t *idom,
		    uint64_t *retained)
{
	for (uint32_t i = reached; i-- > 1;) {
		if (i > 2 * AHEAD) {
			uint32_t soon = order[i - AHEAD], later = order[i - 2 * AHEAD];
			__builtin_prefetch(&idom[later]);
			__builtin_prefetch(&retained[later]);
			__builtin_prefetch(&retained[idom[soon]], 1);
		}
		retained[idom[order[i]]] += retained[order[i]];
	}
}
