// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_ARENAS_H
#define QUERY_ARENAS_H

#include <strobe/graph_arenas.h>

#include "graph/graph.h"

/** Regions of a heap, sorted, and its arenas: what strobe_graph_arenas() counts by. */
struct arenas_books {
	const struct strobe_heap_region *regions;
	size_t region_count, arena_count;
};
/** Counts blocks into `uses`, arena_count + 1 zeroed entries, the last for all together; names are the caller's to set. */
void arenas_count(const struct strobe_graph *graph, const struct arenas_books *books,
		  struct strobe_arena_use *uses);

#endif
