// SPDX-License-Identifier: Apache-2.0
#include "synthetic_heap.h"

#include <stdlib.h>
#include <string.h>

#include "../core/core_writer.h"

// Where things are: libc's data, what sbrk gave, another arena's heap, mmapped chunks, thread-locals.
enum segment { DATA, SBRK, HEAP, MAPPED, LOCALS };
static const uint64_t starts[SYNTHETIC_SEGMENTS] = {0x7f1200000000, 0x555500001000, 0x7e0000000000,
						    0x7d0000000000, 0x7f1300000000};

enum { PREV_INUSE = 1, MMAPPED = 2, NON_MAIN = 4, PAGE = 4096 };
enum { BINS_SIZE = 127 * 16, STATE_AT = 0x100, PARAMETERS_AT = 0x4000, POINTER_AT = 0x8000 };
enum { CACHE_AT = 0x60, ARENA_AT = 0x50 }; // thread-locals, below the thread pointer
enum { FS_BASE = 21 };			   // in user_regs_struct

const struct synthetic_version synthetic_versions[] = {
	{"2.28", false, true, false, 0x20, 0x250, 64, 1, true, 40},
	{"2.30", false, true, false, 0x20, 0x290, 64, 2, true, 40},
	{"2.32", true, true, false, 0x20, 0x290, 64, 2, true, 40},
	{"2.35", true, true, false, 0x30, 0x290, 64, 2, true, 60},
	{"2.42", true, true, false, 0x30, 0x300, 76, 2, false, 60},
	{"2.43", true, false, true, 0x30, 0x310, 76, 2, false, 68},
};
const size_t synthetic_version_count = sizeof(synthetic_versions) / sizeof(synthetic_versions[0]);

static uint8_t *bytes_at(struct synthetic_heap *heap, uint64_t address)
{
	for (size_t i = 0; i < SYNTHETIC_SEGMENTS; i++) {
		uint64_t offset = address - heap->segments[i].start;
		if (offset <= SYNTHETIC_SEGMENT_SIZE - 8)
			return heap->segments[i].bytes + offset;
	}
	return NULL;
}

void synthetic_heap_put(struct synthetic_heap *heap, uint64_t address, uint64_t word)
{
	uint8_t *bytes = bytes_at(heap, address);
	if (bytes)
		memcpy(bytes, &word, sizeof(word));
}

uint64_t synthetic_heap_get(const struct synthetic_heap *heap, uint64_t address)
{
	const uint8_t *bytes = bytes_at((struct synthetic_heap *)heap, address);
	uint64_t word = 0;
	if (bytes)
		memcpy(&word, bytes, sizeof(word));
	return word;
}

static void add_block(struct synthetic_heap *heap, uint64_t address, uint64_t size,
		      enum strobe_heap_state state)
{
	if (heap->block_count == SYNTHETIC_BLOCKS)
		abort();
	heap->blocks[heap->block_count++] =
		(struct strobe_heap_block){.address = address, .size_bytes = size, .state = state};
}

/** An arena under construction. */
struct arena {
	struct synthetic_heap *heap;
	uint64_t state, bins, at, prev_size;
	bool is_main, prev_free;
	uint64_t cache; // address of the cache, once there is one
	uint64_t fast[10];
};

static void arena_init(struct arena *arena, struct synthetic_heap *heap, uint64_t state,
		       uint64_t first, bool is_main)
{
	*arena = (struct arena){.heap = heap,
				.state = state,
				.bins = state + (heap->version->fast_bins ? 112 : 24),
				.at = first,
				.is_main = is_main};
	for (unsigned i = 0; i < 127; i++) {
		synthetic_heap_put(heap, arena->bins + i * 16, arena->bins + i * 16 - 16);
		synthetic_heap_put(heap, arena->bins + i * 16 + 8, arena->bins + i * 16 - 16);
	}
	if (!is_main) // its flags: noncontiguous
		synthetic_heap_put(heap, state, UINT64_C(2) << 32);
}

/** The next chunk; its address. */
static uint64_t add_chunk(struct arena *arena, uint64_t size, enum strobe_heap_state state)
{
	uint64_t chunk = arena->at, flags = arena->prev_free ? 0 : PREV_INUSE;
	if (!arena->is_main && state != STROBE_HEAP_FREE && state != STROBE_HEAP_TOP)
		flags |= NON_MAIN;
	if (arena->prev_free)
		synthetic_heap_put(arena->heap, chunk, arena->prev_size);
	synthetic_heap_put(arena->heap, chunk + 8, size | flags);
	arena->at += size;
	arena->prev_free = state == STROBE_HEAP_FREE;
	arena->prev_size = size;
	add_block(arena->heap, chunk + 16, size - (state == STROBE_HEAP_TOP ? 16 : 8), state);
	return chunk;
}

static uint64_t protect(const struct arena *arena, uint64_t address, uint64_t link)
{
	return arena->heap->version->mangled ? link ^ address >> 12 : link;
}

/** A chunk in the cache's list for its size. */
static void add_cached(struct arena *arena, uint64_t size)
{
	struct synthetic_heap *heap = arena->heap;
	const struct synthetic_version *version = heap->version;
	uint64_t memory = add_chunk(arena, size, STROBE_HEAP_FREE_CACHED) + 16;
	unsigned index = (unsigned)(size / 16 - 2);
	uint64_t entry =
		arena->cache + version->cache_lists * version->cache_count_bytes + index * 8;
	uint8_t *count = bytes_at(heap, arena->cache) + index * version->cache_count_bytes;
	synthetic_heap_put(heap, memory, protect(arena, memory, synthetic_heap_get(heap, entry)));
	synthetic_heap_put(heap, memory + 8, 0x1234567890abcdef); // its key
	synthetic_heap_put(heap, entry, memory);
	*count = (uint8_t)(*count + (version->cache_counts ? 1 : -1));
}

static void add_fast(struct arena *arena, uint64_t size)
{
	if (!arena->heap->version->fast_bins) {
		add_chunk(arena, size, STROBE_HEAP_ALLOCATED);
		return;
	}
	uint64_t chunk = add_chunk(arena, size, STROBE_HEAP_FREE_FASTBIN);
	uint64_t bin = arena->bins - 96 + (size / 16 - 2) * 8;
	synthetic_heap_put(arena->heap, chunk + 16,
			   protect(arena, chunk + 16, synthetic_heap_get(arena->heap, bin)));
	synthetic_heap_put(arena->heap, bin, chunk);
}

/** A free chunk, in bin `number` (1 = unsorted), first. */
static void add_free(struct arena *arena, uint64_t size, unsigned number)
{
	struct synthetic_heap *heap = arena->heap;
	uint64_t bin = arena->bins + (number - 1) * 16 - 16;
	uint64_t chunk = add_chunk(arena, size, STROBE_HEAP_FREE);
	uint64_t next = synthetic_heap_get(heap, bin + 16);
	synthetic_heap_put(heap, chunk + 16, next);
	synthetic_heap_put(heap, chunk + 24, bin);
	synthetic_heap_put(heap, next + 24, chunk);
	synthetic_heap_put(heap, bin + 16, chunk);
}

static void add_cache(struct arena *arena)
{
	const struct synthetic_version *version = arena->heap->version;
	arena->cache = add_chunk(arena, version->cache_chunk, STROBE_HEAP_BOOKS) + 16;
	uint8_t *counts = bytes_at(arena->heap, arena->cache);
	for (unsigned i = 0; !version->cache_counts && i < version->cache_lists; i++)
		counts[2 * i] = 16;
}

static void add_some(struct arena *arena)
{
	static const uint64_t marks = 0x4141414141414141;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t chunk = add_chunk(arena, 0x20 + i * 0x30, STROBE_HEAP_ALLOCATED);
		synthetic_heap_put(arena->heap, chunk + 16, marks);
		add_cached(arena, 0x40);
		add_fast(arena, 0x30);
		add_free(arena, 0x90 + i * 0x100, i < 2 ? 1 : 10 + i);
		add_fast(arena, 0x20 + (i & 1) * 0x60);
		add_cached(arena, 0x40 + i * 0x80);
	}
	add_chunk(arena, 0x1230, STROBE_HEAP_ALLOCATED);
}

static void add_top(struct arena *arena, uint64_t end)
{
	uint64_t top = arena->at;
	add_chunk(arena, end - top, STROBE_HEAP_TOP);
	synthetic_heap_put(arena->heap, arena->bins - 16, top);
}

static void add_mapped(struct synthetic_heap *heap, uint64_t start, uint64_t size, uint64_t offset)
{
	uint64_t less = heap->version->trailing_header ? 16 : 0;
	synthetic_heap_put(heap, start + 8, (size - less) | MMAPPED);
	if (offset) {
		synthetic_heap_put(heap, start + offset, offset);
		synthetic_heap_put(heap, start + offset + 8, (size - offset - less) | MMAPPED);
	}
	add_block(heap, start + offset + 16, size - offset - 16 - less / 2, STROBE_HEAP_ALLOCATED);
}

static void add_parameters(struct synthetic_heap *heap, uint64_t count, uint64_t bytes)
{
	uint64_t at = starts[DATA] + PARAMETERS_AT, counts = at + heap->version->counts;
	const unsigned behind = heap->version->counts % 8 ? 20 : 16; // padding
	synthetic_heap_put(heap, at, 131072);
	synthetic_heap_put(heap, at + 8, 131072);
	synthetic_heap_put(heap, at + 16, 131072);
	synthetic_heap_put(heap, at + 24, 8);
	synthetic_heap_put(heap, counts, count | UINT64_C(65536) << 32);
	synthetic_heap_put(heap, counts + 8, count);
	synthetic_heap_put(heap, counts + behind, bytes);
	synthetic_heap_put(heap, counts + behind + 8, bytes);
	synthetic_heap_put(heap, counts + behind + 16, starts[SBRK]);
	synthetic_heap_put(heap, counts + behind + 24, 64);
	synthetic_heap_put(heap, counts + behind + 32, 1032);
	synthetic_heap_put(heap, counts + behind + 40, 7);
}

static void add_other_arena(struct synthetic_heap *heap, uint64_t cache, struct arena *ret)
{
	const struct synthetic_version *version = heap->version;
	uint64_t start = starts[HEAP], state = start + version->heap_info;
	uint64_t size = version->fast_bins ? 2200 : 2112;
	uint64_t first = (state + size + 15) & ~UINT64_C(15);
	synthetic_heap_put(heap, start, state);
	synthetic_heap_put(heap, start + 16, SYNTHETIC_SEGMENT_SIZE);
	synthetic_heap_put(heap, start + 24, SYNTHETIC_SEGMENT_SIZE);
	arena_init(ret, heap, state, first, false);
	add_block(heap, start, first - start, STROBE_HEAP_BOOKS);
	ret->cache = cache; // the one thread frees here too
	add_some(ret);
	add_top(ret, start + SYNTHETIC_SEGMENT_SIZE);
}

void synthetic_heap_make(struct synthetic_heap *heap, const struct synthetic_version *version)
{
	struct arena main, other;
	memset(heap, 0, sizeof(*heap));
	heap->version = version;
	for (size_t i = 0; i < SYNTHETIC_SEGMENTS; i++)
		heap->segments[i].start = starts[i];
	arena_init(&main, heap, starts[DATA] + STATE_AT, starts[SBRK], true);
	add_cache(&main);
	add_some(&main);
	add_top(&main, starts[SBRK] + SYNTHETIC_SEGMENT_SIZE);
	// Blocks are told in order of address.
	add_mapped(heap, starts[MAPPED], 5 * PAGE, 0);
	add_mapped(heap, starts[MAPPED] + 5 * PAGE, 2 * PAGE, 0x30);
	add_mapped(heap, starts[MAPPED] + 7 * PAGE, 4 * PAGE, PAGE - 16);
	add_parameters(heap, 3, 11 * PAGE);
	add_other_arena(heap, main.cache, &other);
	synthetic_heap_put(heap, main.bins + BINS_SIZE + 16, other.state);
	synthetic_heap_put(heap, other.bins + BINS_SIZE + 16, main.state);
	heap->thread_pointer = starts[LOCALS] + POINTER_AT;
	synthetic_heap_put(heap, heap->thread_pointer - CACHE_AT, main.cache);
	synthetic_heap_put(heap, heap->thread_pointer - ARENA_AT, main.state);
}

void synthetic_heap_save(struct synthetic_heap *heap, const char *path)
{
	struct core_writer writer;
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	registers[FS_BASE] = heap->thread_pointer;
	core_writer_init(&writer);
	core_writer_thread(&writer, 1, 6, registers);
	for (size_t i = 0; i < SYNTHETIC_SEGMENTS; i++)
		core_writer_segment(&writer, heap->segments[i].start, SYNTHETIC_SEGMENT_SIZE,
				    PF_R | PF_W, heap->segments[i].bytes, SYNTHETIC_SEGMENT_SIZE);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
}
