// SPDX-License-Identifier: Apache-2.0
#include "heap/local_block.h"

#include <string.h>

#include "base/error.h"
#include "heap/glibc.h"
#include "heap/jemalloc.h"
#include "view/view.h"

enum {
	CHAIN = 3,		  // chunks in a row that must hold together
	SEARCH_BYTES = 16 * 1024, // how far before an address its chunk's header is looked for
	SEARCH_PAGES =
		16 * 1024,	 // the same, in pages, for chunks that were mapped on their own ...
	PROBE_LIMIT = 1 << 18,	 // ... and for all addresses together
	CACHE_LISTS = 64,	 // of tcache_perthread_struct
	CACHE_CHUNK = 0x290,	 // its chunk since 2.30
	CACHE_CHUNK_OLD = 0x250, // before: counts of one byte
};

struct local_blocks {
	struct strobe_heap heap; // no more than jemalloc's functions look at
	struct jemalloc jemalloc;
	bool has_jemalloc;
	const uint8_t *(*at)(void *reader, uint64_t address, size_t *available);
	void *reader;
	uint64_t mapping_start, mapping_end; // anonymous memory in a row, looked at last
	unsigned page_probes;
};

struct strobe_error *local_blocks_open(struct strobe_symbols *symbols,
				       const uint8_t *(*at)(void *reader, uint64_t address,
							    size_t *available),
				       void *reader, struct local_blocks **ret)
{
	struct local_blocks *blocks = calloc(1, sizeof(*blocks));
	size_t module = 0;
	if (!blocks)
		return error_no_memory();
	blocks->at = at;
	blocks->reader = reader;
	blocks->heap.symbols = symbols;
	blocks->heap.view = strobe_symbols_view(symbols);
	blocks->jemalloc.heap = &blocks->heap;
	blocks->jemalloc.view = blocks->heap.view;
	struct strobe_error *error =
		jemalloc_find_root(&blocks->jemalloc, &module, &blocks->has_jemalloc);
	if (error)
		local_blocks_close(blocks);
	else
		*ret = blocks;
	return error;
}

struct local_blocks *local_blocks_close(struct local_blocks *blocks)
{
	if (!blocks)
		return NULL;
	array_fini(&blocks->jemalloc.leaves);
	array_fini(&blocks->heap.damages);
	arena_fini(&blocks->heap.arena);
	free(blocks);
	return NULL;
}

static bool read_word(const struct local_blocks *blocks, uint64_t address, uint64_t *ret)
{
	size_t available;
	const uint8_t *bytes = blocks->at(blocks->reader, address, &available);
	if (!bytes || available < sizeof(*ret))
		return false;
	memcpy(ret, bytes, sizeof(*ret));
	return true;
}

/** Finds the anonymous memory around `address`. */
static bool find_mapping(struct local_blocks *blocks, uint64_t address)
{
	const struct strobe_view *view = blocks->heap.view;
	if (address >= blocks->mapping_start && address < blocks->mapping_end)
		return true;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(view, address);
	if (!mapping || !glibc_is_anonymous(mapping))
		return false;
	blocks->mapping_start = mapping->start;
	blocks->mapping_end = glibc_span_end(view, address);
	if (blocks->mapping_end < mapping->end)
		blocks->mapping_end = mapping->end;
	return true;
}

/** The size of what may be a chunk of an arena at `chunk`; 0 if it is none. */
static uint64_t chunk_size(const struct local_blocks *blocks, uint64_t chunk, uint64_t *head)
{
	if (!read_word(blocks, chunk + 8, head) || *head & CHUNK_MMAPPED)
		return 0;
	uint64_t size = glibc_size(*head);
	bool good = size >= CHUNK_MIN && size % CHUNK_ALIGNMENT == 0 &&
		    size <= blocks->mapping_end - chunk;
	return good ? size : 0;
}

/** Do chunks follow at `chunk` that look like an arena's? */
static bool is_chain(const struct local_blocks *blocks, uint64_t chunk, struct local_block *ret)
{
	uint64_t head, next, size = chunk_size(blocks, chunk, &head), prev_size;
	uint64_t at = chunk;
	if (!size)
		return false;
	*ret = (struct local_block){chunk + CHUNK_HEADER, size - 8, false, false};
	for (unsigned i = 0; i < CHAIN; i++) {
		at += size;
		if (at + CHUNK_HEADER > blocks->mapping_end)
			return i > 0;
		uint64_t following = chunk_size(blocks, at, &next);
		bool fence = read_word(blocks, at + 8, &next) &&
			     (glibc_size(next) == CHUNK_FENCE || glibc_size(next) == 0);
		// Of what arena it is only chunks tell that are in use.
		if (!following && !fence)
			return false;
		if (!(next & CHUNK_PREV_INUSE) &&
		    (!read_word(blocks, at, &prev_size) || prev_size != size))
			return false;
		if (i == 0)
			ret->free = !(next & CHUNK_PREV_INUSE);
		if (fence)
			return true;
		size = following;
	}
	return true;
}

/** A chunk that was mapped on its own begins at a page, or a few words behind. */
static bool is_mapped(const struct local_blocks *blocks, uint64_t chunk, struct local_block *ret)
{
	uint64_t prev_size, head;
	if (!read_word(blocks, chunk, &prev_size) || !read_word(blocks, chunk + 8, &head) ||
	    (head & CHUNK_FLAGS) != CHUNK_MMAPPED)
		return false;
	uint64_t size = glibc_size(head);
	if ((chunk - prev_size) % PAGE_SIZE || (size + prev_size) % PAGE_SIZE || size < PAGE_SIZE ||
	    prev_size >= chunk || size > blocks->mapping_end - chunk)
		return false;
	*ret = (struct local_block){chunk + CHUNK_HEADER, size - CHUNK_HEADER, false, false};
	return true;
}

static bool holds(const struct local_block *block, uint64_t address)
{
	return address >= block->start && address - block->start < block->size_bytes;
}

/** Known by its chunk's size, and that lists are empty that have no counts. */
static bool is_cache(const struct local_blocks *blocks, const struct local_block *block)
{
	bool old = block->size_bytes == CACHE_CHUNK_OLD - 8;
	unsigned width = old ? 1 : 2;
	uint64_t head;
	size_t available;
	if (!old && block->size_bytes != CACHE_CHUNK - 8)
		return false;
	for (unsigned i = 0; i < CACHE_LISTS; i++) {
		uint64_t at = block->start + (uint64_t)CACHE_LISTS * width + i * 8u;
		unsigned count = 0;
		const uint8_t *bytes =
			blocks->at(blocks->reader, block->start + (uint64_t)i * width, &available);
		if (!bytes || available < width)
			return false;
		memcpy(&count, bytes, width);
		if (!read_word(blocks, at, &head) || (count == 0) != (head == 0) ||
		    (head &&
		     (head % CHUNK_ALIGNMENT || !strobe_view_mapping_at(blocks->heap.view, head))))
			return false;
	}
	return true;
}

static bool glibc_block(struct local_blocks *blocks, uint64_t address, struct local_block *ret)
{
	if (!find_mapping(blocks, address))
		return false;
	uint64_t first = (address & ~(uint64_t)(CHUNK_ALIGNMENT - 1)) - CHUNK_HEADER;
	for (uint64_t at = first; at >= blocks->mapping_start && first - at < SEARCH_BYTES;
	     at -= CHUNK_ALIGNMENT)
		if ((is_chain(blocks, at, ret) || is_mapped(blocks, at, ret)) &&
		    holds(ret, address))
			return true;
	uint64_t page = address & ~(uint64_t)(PAGE_SIZE - 1);
	for (unsigned i = 0;
	     i < SEARCH_PAGES && page >= blocks->mapping_start && blocks->page_probes < PROBE_LIMIT;
	     i++, page -= PAGE_SIZE, blocks->page_probes++)
		if (is_mapped(blocks, page, ret))
			return holds(ret, address);
	return false;
}

/** False if it is in no extent of jemalloc's. */
static bool jemalloc_block(struct local_blocks *blocks, uint64_t address, struct local_block *ret)
{
	struct jemalloc_extent extent = {0};
	uint64_t start = 0;
	bool taken = jemalloc_block_of(&blocks->jemalloc, address, &extent, &start);
	if (!taken && (!extent.active || !extent.slab || start < extent.start))
		return false;
	uint64_t size = jemalloc_class_size(&blocks->jemalloc.layout, extent.class);
	*ret = (struct local_block){start, size, !taken, false};
	return holds(ret, address) && start + size <= extent.start + extent.size_bytes;
}

bool local_block_at(struct local_blocks *blocks, uint64_t address, struct local_block *ret)
{
	if (blocks->has_jemalloc && jemalloc_block(blocks, address, ret))
		return true;
	if (!glibc_block(blocks, address, ret))
		return false;
	ret->cache = is_cache(blocks, ret);
	return true;
}
