// SPDX-License-Identifier: Apache-2.0
#ifndef HEAP_PYMALLOC_H
#define HEAP_PYMALLOC_H

// CPython's allocator of small objects ("pymalloc", Objects/obmalloc.c), releases 3.8 to 3.13.
//
// Arenas are mapped; an array of descriptions, which itself is a block of the C library's, has one an arena. An arena is
// divided into pools, a pool into blocks of one size, and each pool's header has its arena's number in the array.
// Until 3.9 pools are 4 KiB and arenas 256 KiB, then 16 KiB and 1 MiB.

#include "heap/allocator.h"

enum {
	PYMALLOC_POOLS = 64, // an arena at most
	PYMALLOC_MAX_POOL = 16384,
	PYMALLOC_HEADER = 48,
	PYMALLOC_UNIT = 16,
	PYMALLOC_CLASSES = 32,
};

/** An arena that is in use. */
struct pymalloc_arena {
	uint64_t start, end; // of what was mapped
	uint64_t pools;	     // the first one
	uint64_t never_used; // from here on no pool has been made
	uint64_t free_pools; // bit = pool is in the list of free ones
	uint32_t number;     // in the array
};

struct pymalloc {
	struct strobe_heap *heap;
	const struct strobe_view *view;
	size_t module_index;
	uint64_t array;
	uint64_t pool_bytes;
	size_t tries;			     // descriptions whose pools were looked at
	ARRAY(struct pymalloc_arena) arenas; // ascending
};

/** What a pool's header says. */
struct pymalloc_pool {
	uint32_t count; // of allocated blocks
	uint64_t free_list;
	uint32_t arena, size_bytes; // size: of its blocks
	uint64_t used_end;	    // offset behind the last block that was ever handed out
};

// pymalloc_pool.c
/** Reads the header of the pool at `address`; NULL if it holds together, else what does not. */
const char *pymalloc_read_pool(const struct pymalloc *pymalloc, uint64_t address,
			       struct pymalloc_pool *ret);
/** Visits what lies in the arena, before `end`; false when the visitor had enough. */
bool pymalloc_visit_arena(struct pymalloc *pymalloc, const struct pymalloc_arena *arena,
			  uint64_t end, size_t heap_arena, strobe_heap_visit visit, void *context);

// pymalloc_arena.c
/** Looks in the data of all modules from `*module` on for arrays of arenas. If there is one, `array`, pools' size and arenas
 *  are set, and `*module` is where to look on. */
struct strobe_error *pymalloc_find_arenas(struct pymalloc *pymalloc, size_t *module, bool *found)
	STROBE_MUST_CHECK;

#endif
