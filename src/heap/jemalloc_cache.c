// SPDX-License-Identifier: Apache-2.0
// jemalloc's caches of threads: blocks that were freed, and that their slabs and extents still count as allocated.
//
// An arena has lists of the caches that use it. Arenas lie in jemalloc's own memory and the module's data points to
// them. There, any word that points to a cache's slow part is known by pointers that lead from there to the
// cache and back: that holds for nothing else. In 5.3:
//   slow part: list links +0 +8, links of a second list +16 +24, the cache's bins +32, arena +40 ... the cache
//   cache:     the slow part +0, bins +8, each 24 bytes: top of a stack that grows downward, requests, and the low 16
//              bits of low water mark, full and empty
// and in 5.1 and 5.2, one structure:
//   ticks +0 .. +16, small bins, list links, more links, pointers to the small and to the large bins, arena, next bin,
//   a byte a small bin, large bins; a bin is: low water mark, count, requests, end of a stack
// What a bin of class n holds is believed if it is the beginning of a block of class n that is not free.
#include "heap/jemalloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "view/view.h"

enum {
	ARENA_WORDS = 4096, // that an arena's lists lie within
	MAX_ARENAS = 4200,
	SLOW_BINS = 32,
	BIN_WORDS = JEMALLOC_BIN_WORDS,
	MAX_BINS = JEMALLOC_BINS,
	MAX_SLOW_WORDS = 64,
	MAX_CACHES = 1 << 16,
	MAX_CACHED = 1 << 24, // blocks in all of them
	MAX_CACHED_WORDS = 1 << 25,
	MAX_BIN_BLOCKS = 8192, // as many as the low 16 bits can count
	OLD_BINS = 16,
};

/** 5.3: is a cache's slow part at `address`? */
static bool packed_cache_at(const struct jemalloc *jemalloc, uint64_t address,
			    struct jemalloc_cache *ret)
{
	uint64_t bins, back, words[MAX_SLOW_WORDS];
	if (address % 8 || address >= JEMALLOC_USER_END ||
	    !jemalloc_read(jemalloc, address + SLOW_BINS, &bins, 1) || bins % 8 ||
	    bins >= JEMALLOC_USER_END || !jemalloc_read(jemalloc, bins - 8, &back, 1) ||
	    back != address || !jemalloc_read(jemalloc, address, words, MAX_SLOW_WORDS))
		return false;
	for (size_t i = SLOW_BINS / 8 + 1; i < MAX_SLOW_WORDS; i++)
		if (words[i] == bins - 8) {
			*ret = (struct jemalloc_cache){
				.links = address, .bins = {bins}, .bin_counts = {MAX_BINS}};
			return true;
		}
	return false;
}

/** 5.1, 5.2: is a cache at `address`? Between links and pointers the releases differ. */
static bool plain_cache_at(const struct jemalloc *jemalloc, uint64_t address,
			   struct jemalloc_cache *ret)
{
	enum { WORDS = 12, FIRST = 4, MAX_LARGE_OFFSET = 256 };
	uint64_t words[WORDS], small = jemalloc_small_classes(&jemalloc->layout);
	uint64_t links = address + OLD_BINS + small * BIN_WORDS * 8;
	if (address % 8 || address >= JEMALLOC_USER_END ||
	    !jemalloc_read(jemalloc, links, words, WORDS))
		return false;
	for (size_t i = FIRST; i + 1 < WORDS; i++) {
		uint64_t large = words[i + 1];
		if (words[i] != address + OLD_BINS || large % 8 || large <= links ||
		    large - links > MAX_LARGE_OFFSET)
			continue;
		*ret = (struct jemalloc_cache){
			.links = links,
			.bins = {address + OLD_BINS, large},
			.bin_counts = {(unsigned)small, MAX_BINS - (unsigned)small}};
		return true;
	}
	return false;
}

static bool cache_at(const struct jemalloc *jemalloc, uint64_t address, struct jemalloc_cache *ret)
{
	return jemalloc->layout.packed_caches ? packed_cache_at(jemalloc, address, ret)
					      : plain_cache_at(jemalloc, address, ret);
}

static struct strobe_error *add_own(struct jemalloc *jemalloc, uint64_t address)
{
	uint64_t block;
	if (jemalloc_block_around(jemalloc, address, &block) && !array_push(&jemalloc->own, block))
		return error_no_memory();
	return NULL;
}

bool jemalloc_stack_of_bin(const struct jemalloc *jemalloc, const uint64_t words[], uint64_t *start,
			   unsigned *count)
{
	if (!jemalloc->layout.packed_caches) {
		*count = (unsigned)(words[0] >> 32);
		*start = words[2] - (uint64_t)*count * 8;
		return words[2] && words[2] % 8 == 0 && *count <= MAX_BIN_BLOCKS;
	}
	uint16_t full = words[2] >> 16 & 0xffff, empty = words[2] >> 32 & 0xffff;
	uint16_t bytes = (uint16_t)(empty - (uint16_t)words[0]);
	*start = words[0];
	*count = bytes / 8;
	return words[0] && words[0] % 8 == 0 && bytes % 8 == 0 && bytes <= (uint16_t)(empty - full);
}

static struct strobe_error *read_bin(struct jemalloc *jemalloc, unsigned class, uint64_t start,
				     unsigned count)
{
	uint64_t words[JEMALLOC_WINDOW];
	while (count > 0 && jemalloc->cached.count < MAX_CACHED &&
	       jemalloc->cached_words < MAX_CACHED_WORDS) {
		unsigned some = count < JEMALLOC_WINDOW ? count : JEMALLOC_WINDOW;
		if (!jemalloc_read(jemalloc, start, words, some)) {
			heap_damage(jemalloc->heap, start, 0,
				    "jemalloc: expected %u cached blocks of class %u, which cannot "
				    "be read",
				    some, class);
			return NULL;
		}
		for (unsigned i = 0; i < some; i++) {
			struct jemalloc_extent extent;
			uint64_t block;
			if (!jemalloc_block_of(jemalloc, words[i], &extent, &block) ||
			    block != words[i] || extent.class != class)
				heap_damage(jemalloc->heap, start + i * 8, 0,
					    "jemalloc: expected a cached block of class %u, found "
					    "0x%llx",
					    class, (unsigned long long)words[i]);
			else if (!array_push(&jemalloc->cached, block))
				return error_no_memory();
		}
		start += (uint64_t)some * 8;
		count -= some;
		jemalloc->cached_words += some;
	}
	return NULL;
}

struct strobe_error *jemalloc_read_cache(struct jemalloc *jemalloc,
					 const struct jemalloc_cache *cache)
{
	uint64_t words[MAX_BINS * BIN_WORDS], start;
	unsigned class = 0, count;
	struct strobe_error *error = NULL;
	for (size_t part = 0; !error && part < 2 && cache->bin_counts[part]; part++) {
		size_t got = strobe_memory_read(jemalloc->view, cache->bins[part], words,
						(size_t)cache->bin_counts[part] * BIN_WORDS * 8);
		for (size_t i = 0; !error && i < got / (BIN_WORDS * 8); i++, class ++) {
			if (!jemalloc_stack_of_bin(jemalloc, &words[i * BIN_WORDS], &start, &count))
				return NULL; // behind the last
			if (class == 0)	     // all stacks of a cache are one block of arena 0
				error = add_own(jemalloc, start);
			if (!error)
				error = read_bin(jemalloc, class, start, count);
		}
	}
	return error;
}

/** Reads the caches of the list that `first` is in. */
static struct strobe_error *read_list(struct jemalloc *jemalloc, struct hash *seen, uint64_t first)
{
	struct jemalloc_cache cache;
	uint64_t address = first;
	while (seen->count < MAX_CACHES && !hash_get(seen, address)) {
		if (!cache_at(jemalloc, address, &cache)) {
			heap_damage(jemalloc->heap, address, 0,
				    "jemalloc: expected a thread's cache in its arena's list");
			return NULL;
		}
		if (!hash_put(seen, address, jemalloc))
			return error_no_memory();
		struct strobe_error *error = jemalloc_read_cache(jemalloc, &cache);
		if (error || !jemalloc_read(jemalloc, cache.links, &address, 1))
			return error;
	}
	return NULL;
}

/** Looks for lists of caches in the arena that may be at `arena`. */
static struct strobe_error *search_arena(struct jemalloc *jemalloc, struct hash *seen,
					 uint64_t arena)
{
	uint64_t words[JEMALLOC_WINDOW];
	struct jemalloc_cache cache;
	for (uint64_t i = 0; i < ARENA_WORDS; i += JEMALLOC_WINDOW) {
		size_t got =
			strobe_memory_read(jemalloc->view, arena + i * 8, words, sizeof(words));
		for (size_t j = 0; j < got / 8; j++) {
			if (!words[j] || hash_get(seen, words[j]) ||
			    !cache_at(jemalloc, words[j], &cache))
				continue;
			struct strobe_error *error = read_list(jemalloc, seen, words[j]);
			if (error)
				return error;
		}
		if (got < sizeof(words))
			break;
	}
	return NULL;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

static void sort(uint64_t *items, size_t *count)
{
	size_t kept = 0;
	if (*count)
		qsort(items, *count, sizeof(*items), compare_addresses);
	for (size_t i = 0; i < *count; i++)
		if (!kept || items[kept - 1] != items[i])
			items[kept++] = items[i];
	*count = kept;
}

/** Looks at all that a segment of data points to in jemalloc's own memory. */
static struct strobe_error *search_data(struct jemalloc *jemalloc, struct hash *seen,
					struct hash *arenas, uint64_t start, uint64_t end)
{
	uint64_t words[JEMALLOC_WINDOW];
	for (start = (start + 7) & ~UINT64_C(7); start < end; start += sizeof(words)) {
		uint64_t size = end - start < sizeof(words) ? end - start : sizeof(words);
		size_t got = strobe_memory_read(jemalloc->view, start, words, size);
		for (size_t i = 0; i < got / 8; i++) {
			if (words[i] % 8 || arenas->count == MAX_ARENAS ||
			    !jemalloc_is_metadata(jemalloc, words[i]) || hash_get(arenas, words[i]))
				continue;
			// The root's pointers to leaves lead to no arena.
			uint64_t at = start + i * 8 - jemalloc->root;
			if (at < jemalloc_root_bytes(&jemalloc->tree))
				continue;
			if (!hash_put(arenas, words[i], jemalloc))
				return error_no_memory();
			struct strobe_error *error = search_arena(jemalloc, seen, words[i]);
			if (error)
				return error;
		}
	}
	return NULL;
}

struct strobe_error *jemalloc_find_caches(struct jemalloc *jemalloc)
{
	struct hash seen = {0}, arenas = {0};
	struct strobe_error *error = NULL;
	uint64_t start, end;
	for (size_t i = 0;
	     !error && view_module_data(jemalloc->view, jemalloc->module_index, i, &start, &end);
	     i++)
		error = search_data(jemalloc, &seen, &arenas, start, end);
	// No lists are kept where jemalloc was built without statistics.
	if (!error && seen.count == 0)
		error = jemalloc_find_thread_caches(jemalloc);
	if (!error && !jemalloc->layout.packed_caches)
		error = jemalloc_find_thread_data(jemalloc);
	hash_fini(&seen);
	hash_fini(&arenas);
	sort(jemalloc->cached.items, &jemalloc->cached.count);
	sort(jemalloc->own.items, &jemalloc->own.count);
	return error;
}
