// SPDX-License-Identifier: Apache-2.0
#ifndef HEAP_LOCAL_BLOCK_H
#define HEAP_LOCAL_BLOCK_H

// The block around an address, told from what stands near it: no region is gone through. For who looks at a few blocks of
// a large heap. glibc's chunks are known by their headers and those that follow, jemalloc's by its tree of pages.
// Less sure than strobe_heap_blocks(): a block that looks like one but is part of another may be told.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/symbols.h>

struct local_blocks;

struct local_block {
	uint64_t start, size_bytes; // what the program was given
	bool free;		    // as far as the headers tell: caches of threads keep theirs
	bool cache;		    // a thread's cache of free blocks: tcache_perthread_struct
};

/** Memory as lens_memory.at reads it. Errors: NO_MEMORY. */
struct strobe_error *local_blocks_open(struct strobe_symbols *symbols,
				       const uint8_t *(*at)(void *reader, uint64_t address,
							    size_t *available),
				       void *reader, struct local_blocks **ret) STROBE_MUST_CHECK;
struct local_blocks *local_blocks_close(struct local_blocks *blocks);
/** False if none can be told. */
bool local_block_at(struct local_blocks *blocks, uint64_t address, struct local_block *ret);

#endif
