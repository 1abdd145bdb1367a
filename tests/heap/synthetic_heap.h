// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_SYNTHETIC_HEAP_H
#define TESTS_SYNTHETIC_HEAP_H

// A heap as glibc of some version leaves it, byte by byte, and what is in it. Two arenas, a thread with a cache, fast
// bins, bins, mmapped chunks; in the last but one version no mapping is a module's.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/heap.h>

enum { SYNTHETIC_SEGMENTS = 5, SYNTHETIC_SEGMENT_SIZE = 65536, SYNTHETIC_BLOCKS = 128 };

/** What differs from version to version. */
struct synthetic_version {
	const char *name;
	bool mangled;	      // links of caches and fast bins
	bool fast_bins;	      // else malloc_state has none
	bool trailing_header; // of mmapped chunks
	unsigned heap_info;   // size
	unsigned cache_chunk; // size
	unsigned cache_lists, cache_count_bytes;
	bool cache_counts; // else it counts what would still go in
	unsigned counts;   // offset in malloc_par of n_mmaps; five words before sbrk_base
};
extern const struct synthetic_version synthetic_versions[];
extern const size_t synthetic_version_count;

struct synthetic_heap {
	const struct synthetic_version *version;
	struct {
		uint64_t start;
		uint8_t bytes[SYNTHETIC_SEGMENT_SIZE];
	} segments[SYNTHETIC_SEGMENTS];
	uint64_t thread_pointer;
	struct strobe_heap_block blocks[SYNTHETIC_BLOCKS]; // `arena` is not filled in
	size_t block_count;
};

void synthetic_heap_make(struct synthetic_heap *heap, const struct synthetic_version *version);
/** Changes a word of it, wherever that is; nothing where nothing is. */
void synthetic_heap_put(struct synthetic_heap *heap, uint64_t address, uint64_t word);
uint64_t synthetic_heap_get(const struct synthetic_heap *heap, uint64_t address);
/** Writes a core with it. */
void synthetic_heap_save(struct synthetic_heap *heap, const char *path);

#endif
