// SPDX-License-Identifier: Apache-2.0
// jemalloc's caches of threads by the shape of their bins, in the threads' own static storage. A cache has a bin for
// every small class, and the stacks of all bins lie behind each other in one block of jemalloc's: that is a
// chain of three dozen equations.
#include "heap/jemalloc.h"

#include <string.h>

#include "base/error.h"
#include "view/view.h"

enum {
	STORAGE_WORDS = 8192, // of a thread that are looked through
	MAX_STACK_BYTES = 65536,
	MAX_GAP_WORDS = 32, // between small and large bins
};

/** 5.3: do the bins that begin here have stacks that follow each other? */
static bool are_packed_bins(const struct jemalloc *jemalloc, const uint64_t *words, unsigned count)
{
	uint64_t start;
	unsigned blocks;
	for (unsigned i = 0; i < count; i++, words += JEMALLOC_BIN_WORDS) {
		uint16_t full = words[2] >> 16 & 0xffff, empty = words[2] >> 32 & 0xffff;
		if (!jemalloc_stack_of_bin(jemalloc, words, &start, &blocks) || full == empty ||
		    words[2] >> 48)
			return false;
		if (i == 0)
			continue;
		const uint64_t *before = words - JEMALLOC_BIN_WORDS;
		if ((before[2] >> 32 & 0xffff) != full || words[0] < before[0] ||
		    words[0] - before[0] > MAX_STACK_BYTES)
			return false;
	}
	return true;
}

/** 5.1, 5.2: the same; a bin has the end of its stack. */
static bool are_plain_bins(const struct jemalloc *jemalloc, const uint64_t *words, unsigned count)
{
	uint64_t start;
	unsigned blocks;
	for (unsigned i = 0; i < count; i++, words += JEMALLOC_BIN_WORDS) {
		if (!jemalloc_stack_of_bin(jemalloc, words, &start, &blocks))
			return false;
		if (i == 0)
			continue;
		uint64_t before = words[2 - JEMALLOC_BIN_WORDS];
		if (words[2] <= before || words[2] - before > MAX_STACK_BYTES || start < before)
			return false;
	}
	return true;
}

/** Where the large bins are behind the small ones, which end at `end`; 0 if not there. */
static size_t find_large_bins(const struct jemalloc *jemalloc, const uint64_t *words, size_t end)
{
	uint64_t start, last = words[end - 1];
	unsigned blocks;
	for (size_t i = end; i < end + MAX_GAP_WORDS && i + JEMALLOC_BIN_WORDS <= STORAGE_WORDS;
	     i++)
		if (jemalloc_stack_of_bin(jemalloc, &words[i], &start, &blocks) &&
		    words[i + 2] > last && words[i + 2] - last <= MAX_STACK_BYTES && start >= last)
			return i;
	return 0;
}

/** Is a cache's first bin at word `at` of the storage that begins at `base`? */
static bool bins_at(struct jemalloc *jemalloc, const uint64_t *words, size_t at, uint64_t base,
		    struct jemalloc_cache *ret)
{
	unsigned small = jemalloc_small_classes(&jemalloc->layout);
	size_t end = at + (size_t)small * JEMALLOC_BIN_WORDS;
	uint64_t block, stack = words[at + (jemalloc->layout.packed_caches ? 0 : 2)];
	if (stack < JEMALLOC_PAGE || stack % 8 || stack >= JEMALLOC_USER_END)
		return false;
	bool good = jemalloc->layout.packed_caches ? are_packed_bins(jemalloc, &words[at], small)
						   : are_plain_bins(jemalloc, &words[at], small);
	if (!good || !jemalloc_block_around(jemalloc, stack, &block))
		return false;
	*ret = (struct jemalloc_cache){.bins = {base + at * 8}, .bin_counts = {JEMALLOC_BINS}};
	if (jemalloc->layout.packed_caches)
		return true;
	size_t large = find_large_bins(jemalloc, words, end);
	ret->bin_counts[0] = small;
	ret->bins[1] = base + large * 8;
	ret->bin_counts[1] = large ? JEMALLOC_BINS - small : 0;
	return true;
}

/** A thread's static storage, or its end if that is long. */
struct storage {
	uint64_t base;
	size_t count;
	uint64_t words[STORAGE_WORDS];
};

/** Reads the storage of thread `index`; false if there is none. */
static bool read_storage(const struct jemalloc *jemalloc, size_t index, struct storage *ret)
{
	struct strobe_register base;
	uint64_t end;
	if (!strobe_view_register_by_name(jemalloc->view, index, "fs_base", &base) ||
	    base.size_bytes != sizeof(end))
		return false;
	memcpy(&end, base.bytes, sizeof(end));
	const struct strobe_mapping *mapping = strobe_view_mapping_at(jemalloc->view, end - 8);
	if (end % 8 || !mapping)
		return false;
	ret->base = mapping->start;
	if (end - ret->base > sizeof(ret->words))
		ret->base = end - sizeof(ret->words);
	ret->count = strobe_memory_read(jemalloc->view, ret->base, ret->words, end - ret->base) / 8;
	return true;
}

struct strobe_error *jemalloc_find_thread_caches(struct jemalloc *jemalloc)
{
	struct strobe_error *error = NULL;
	struct storage storage = {0};
	size_t count = strobe_view_thread_count(jemalloc->view);
	size_t needed = (size_t)jemalloc_small_classes(&jemalloc->layout) * JEMALLOC_BIN_WORDS;
	for (size_t i = 0; !error && i < count; i++) {
		struct jemalloc_cache cache;
		bool found = false;
		if (!read_storage(jemalloc, i, &storage))
			continue;
		for (size_t j = 0; !found && j + needed <= storage.count; j++)
			found = bins_at(jemalloc, storage.words, j, storage.base, &cache);
		if (found)
			error = jemalloc_read_cache(jemalloc, &cache);
	}
	return error;
}

/** Storage has two pointers to arenas, then one to the data, a block of arena 0. */
struct strobe_error *jemalloc_find_thread_data(struct jemalloc *jemalloc)
{
	struct storage storage = {0};
	size_t count = strobe_view_thread_count(jemalloc->view);
	for (size_t i = 0; i < count; i++) {
		if (!read_storage(jemalloc, i, &storage))
			continue;
		for (size_t j = 0; j + 2 < storage.count; j++) {
			const uint64_t *words = &storage.words[j];
			struct jemalloc_extent extent;
			uint64_t block;
			if (words[0] % 64 || words[1] % 64 ||
			    !jemalloc_is_metadata(jemalloc, words[0]) ||
			    !jemalloc_is_metadata(jemalloc, words[1]) ||
			    !jemalloc_block_of(jemalloc, words[2], &extent, &block) ||
			    block != words[2] || extent.arena != 0)
				continue;
			if (!array_push(&jemalloc->own, block))
				return error_no_memory();
			break;
		}
	}
	return NULL;
}
