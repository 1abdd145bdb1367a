// SPDX-License-Identifier: Apache-2.0
#ifndef HEAP_GLIBC_CACHE_H
#define HEAP_GLIBC_CACHE_H

// Threads' caches: tcache_perthread_struct, of which each thread has one in a chunk of its own.

#include "heap/glibc.h"

/** Layouts, known by the size of the chunk. */
struct glibc_cache_layout {
	uint64_t chunk_size;
	unsigned lists, count_bytes, lists_at;
	bool counts; // else what is counted is how many more would go in
};

struct glibc_cache {
	uint64_t address; // of the structure
	const struct glibc_cache_layout *layout;
};
struct glibc_caches {
	struct glibc_cache *items;
	size_t count, capacity;
};

/** Finds them by the threads' own pointers, and those of threads that a fork lost. */
struct strobe_error *glibc_find_caches(struct glibc *glibc, struct glibc_caches *ret)
	STROBE_MUST_CHECK;
/** The first of list `index` (0 = it is empty), and how many there are; false if unreadable. */
bool glibc_cache_list(const struct glibc *glibc, const struct glibc_cache *cache, unsigned index,
		      uint64_t *head, uint64_t *count);
/** The size of chunks in list `index`; 0: it varies. */
uint64_t glibc_cache_size(unsigned index);

#endif
