// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_ARENAS_H
#define STROBE_GRAPH_ARENAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { STROBE_ARENA_CLASSES = 48 };

/** How an arena's memory is used. */
struct strobe_arena_use {
	size_t arena;		      /**< index in the heap; SIZE_MAX = all of them together */
	const char *name, *allocator; /**< borrowed from the graph; "all", NULL of them together */
	uint64_t mapped_bytes;
	uint64_t allocated_bytes, allocated_blocks;
	uint64_t free_bytes, free_blocks;     /**< in the arena's own lists */
	uint64_t cached_bytes, cached_blocks; /**< free in a thread's cache */
	uint64_t fastbin_bytes, fastbin_blocks;
	uint64_t top_bytes;  /**< never handed out */
	uint64_t book_bytes; /**< the allocator's own structures, headers of blocks included */
	uint64_t lost_bytes; /**< damaged: in no block */
	uint64_t largest_free_bytes; /**< the largest that one allocation could get: free or top */
	/** Part of what is free (all but books) that the largest piece is not: 0 = in one piece; 1 = all crumbs. */
	double fragmentation;
	/** Free blocks of 2^i to 2^(i+1) - 1 bytes: how many, and their bytes. Without top. */
	uint64_t class_blocks[STROBE_ARENA_CLASSES], class_bytes[STROBE_ARENA_CLASSES];
};
/** How each arena is used, in the heap's order, then all together. Errors: NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_graph_arenas(struct strobe_graph *graph,
						       struct strobe_arena_use **ret, size_t *count)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
