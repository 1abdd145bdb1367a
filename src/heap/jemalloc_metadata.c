// SPDX-License-Identifier: Apache-2.0
// What jemalloc keeps its own structures in: blocks of its base allocator, which are in no tree. They are whole
// huge pages, begin at one, and open with their size, the next block, and a description of what is free in them. Those
// that descriptions and leaves lie in are found by going down from there to the first header that holds.
#include "heap/jemalloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "view/view.h"

enum { HEADER_WORDS = 5, MAX_STEPS = 1 << 12, MAX_FAILED = 1 << 8, PATIENCE = 1 << 20 };
#define HUGE_PAGE (UINT64_C(2) << 20)

/** Is there a block's header at `start`? Then its size and the next block. */
static bool header_at(const struct jemalloc *jemalloc, uint64_t start, uint64_t *size,
		      uint64_t *next)
{
	uint64_t words[HEADER_WORDS]; // size, next; description: bits, address, free bytes
	if (!jemalloc_read(jemalloc, start, words, HEADER_WORDS))
		return false;
	*size = words[0];
	*next = words[1];
	return *size && *size % HUGE_PAGE == 0 && *size <= JEMALLOC_USER_END - start &&
	       *next % HUGE_PAGE == 0 && words[3] > start && words[3] <= start + *size &&
	       words[4] <= start + *size - words[3];
}

bool jemalloc_is_metadata(const struct jemalloc *jemalloc, uint64_t address)
{
	size_t low = 0, high = jemalloc->metadata.count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (jemalloc->metadata.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < jemalloc->metadata.count && jemalloc->metadata.items[low].start <= address;
}

/** Adds one, keeping them sorted. There are few. */
static struct strobe_error *add_block(struct jemalloc *jemalloc, uint64_t start, uint64_t end,
				      bool *is_new)
{
	struct jemalloc_range range = {start, end};
	*is_new = false;
	if (jemalloc_is_metadata(jemalloc, start) || jemalloc_is_metadata(jemalloc, end - 1))
		return NULL;
	if (!array_push(&jemalloc->metadata, range))
		return error_no_memory();
	size_t i = jemalloc->metadata.count - 1;
	for (; i > 0 && jemalloc->metadata.items[i - 1].start > start; i--)
		jemalloc->metadata.items[i] = jemalloc->metadata.items[i - 1];
	jemalloc->metadata.items[i] = range;
	*is_new = true;
	return NULL;
}

/** Adds the block that begins at `start`, and those that it leads to. */
static struct strobe_error *add_chain(struct jemalloc *jemalloc, uint64_t start)
{
	uint64_t size, next;
	while (start && header_at(jemalloc, start, &size, &next)) {
		bool is_new;
		struct strobe_error *error = add_block(jemalloc, start, start + size, &is_new);
		if (error || !is_new)
			return error;
		start = next;
	}
	return NULL;
}

/** Adds the block that `address` is in. `failed`: huge pages that were found to be in none. */
static struct strobe_error *add_around(struct jemalloc *jemalloc, struct hash *failed,
				       uint64_t address)
{
	uint64_t start = address - address % HUGE_PAGE, size, next;
	if (jemalloc_is_metadata(jemalloc, address) || failed->count == MAX_FAILED ||
	    hash_get(failed, start))
		return NULL;
	for (size_t i = 0; i < MAX_STEPS && start; i++, start -= HUGE_PAGE)
		if (header_at(jemalloc, start, &size, &next) && address - start < size)
			return add_chain(jemalloc, start);
	if (!hash_put(failed, address - address % HUGE_PAGE, jemalloc))
		return error_no_memory();
	return NULL;
}

struct strobe_error *jemalloc_find_metadata(struct jemalloc *jemalloc)
{
	struct strobe_error *error = NULL;
	struct jemalloc_extent extent;
	struct hash failed = {0};
	uint64_t cursor = 0;
	jemalloc->patience = PATIENCE;
	for (size_t i = 0; !error && i < jemalloc->leaves.count; i++)
		error = add_around(jemalloc, &failed, jemalloc->leaves.items[i].address);
	while (!error && jemalloc_next_extent(jemalloc, &cursor, JEMALLOC_USER_END, false, &extent))
		error = add_around(jemalloc, &failed, extent.description);
	hash_fini(&failed);
	return error;
}
