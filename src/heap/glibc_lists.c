// SPDX-License-Identifier: Apache-2.0
// Lists of free chunks. Those of fast bins and of threads' caches have one direction, and since 2.32 links that are
// mangled with their own address; what is in them looks allocated to its neighbours.
#include "heap/glibc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "heap/glibc_cache.h"
#include "view/view.h"

// Named limit: of a list in a thread's cache.
enum { MAX_CACHED = 1 << 17 };

/** A list: its first link, which is never mangled, and what it holds. */
struct list {
	uint64_t head;	// what the program was given of the first one; 0 = empty
	uint64_t size;	// of its chunks; 0 = any
	size_t arena;	// of its chunks; SIZE_MAX = any
	uint64_t limit; // of its length
	enum strobe_heap_state state;
	uint64_t link_offset; // from what a link says to what the program was given
	const char *name;
};

/** So many free chunks can be: for ends to lists. */
static uint64_t count_places(const struct glibc *glibc)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < glibc->segments.count; i++)
		bytes += glibc->segments.items[i].end - glibc->segments.items[i].start;
	return bytes / CHUNK_MIN;
}

static bool can_be_free(const struct glibc *glibc, uint64_t memory)
{
	const struct glibc_segment *segment =
		memory % CHUNK_ALIGNMENT ? NULL : glibc_segment_at(glibc, memory - CHUNK_HEADER);
	return segment && segment->arena != SIZE_MAX && memory - CHUNK_HEADER >= segment->first;
}

static uint64_t reveal(bool mangled, uint64_t link_address, uint64_t link)
{
	return mangled ? link ^ link_address >> 12 : link;
}

/** Follows the list and adds its chunks to `listed`. */
static struct strobe_error *follow(struct glibc *glibc, const struct list *list, uint64_t *count)
{
	uint64_t at = list->head, from = 0, mark = 0, words[2]; // size and link
	for (*count = 0; at; ++*count) {
		const char *problem = NULL;
		if (!can_be_free(glibc, at) || !glibc_peek(glibc, at - 8, words))
			problem = "where no chunk is";
		else if (list->size && glibc_size(words[0]) != list->size)
			problem = "whose size is another";
		else if (list->arena != SIZE_MAX &&
			 glibc_segment_at(glibc, at - CHUNK_HEADER)->arena != list->arena)
			problem = "which is of another arena";
		else if (at == mark || *count >= list->limit || !glibc->links_left)
			problem = "and goes round in a circle";
		else
			glibc->links_left--;
		if (problem) {
			heap_damage(glibc->heap, from ? from : at, 0,
				    "%s of 0x%" PRIx64 " bytes leads to 0x%" PRIx64 ", %s",
				    list->name, list->size, at, problem);
			return NULL;
		}
		if ((*count & (*count - 1)) == 0) // Brent: a mark at each power of two
			mark = at;
		struct glibc_listed listed = {.chunk = at - CHUNK_HEADER, .state = list->state};
		if (!array_push(&glibc->listed, listed))
			return error_no_memory();
		from = at;
		at = reveal(glibc->mangled, at, words[1]);
		at += at ? list->link_offset : 0;
	}
	return NULL;
}

static struct strobe_error *read_cache(struct glibc *glibc, const struct glibc_cache *cache)
{
	struct glibc_listed books = {.chunk = cache->address - CHUNK_HEADER,
				     .state = STROBE_HEAP_BOOKS};
	struct strobe_error *error = array_push(&glibc->listed, books) ? NULL : error_no_memory();
	for (unsigned i = 0; !error && i < cache->layout->lists; i++) {
		uint64_t told, count;
		struct list list = {.size = glibc_cache_size(i),
				    .arena = SIZE_MAX,
				    .limit = MAX_CACHED,
				    .state = STROBE_HEAP_FREE_CACHED,
				    .name = "a thread's list of free blocks"};
		if (!glibc_cache_list(glibc, cache, i, &list.head, &told))
			continue;
		error = follow(glibc, &list, &count);
		if (!error && cache->layout->counts && count != told)
			heap_damage(glibc->heap, cache->address + i * cache->layout->count_bytes, 0,
				    "a thread's cache counts %" PRIu64 " free blocks of 0x%" PRIx64
				    " bytes, its list has %" PRIu64,
				    told, list.size, count);
	}
	return error;
}

static uint64_t fast_bin_at(const struct glibc_arena *arena, unsigned index)
{
	return arena->bins + (uint64_t)(int64_t)STATE_FAST_BINS_AT + index * 8;
}

static bool has_fast_bins(const struct glibc *glibc)
{
	return glibc->offset_of_bins == STATE_OFFSET_OF_BINS;
}

static struct strobe_error *read_fast_bins(struct glibc *glibc, size_t index)
{
	const struct glibc_arena *arena = &glibc->arenas.items[index];
	struct strobe_error *error = NULL;
	for (unsigned i = 0; !error && i < STATE_FAST_BINS; i++) {
		uint64_t chunk, count;
		struct list list = {.size = CHUNK_MIN + i * CHUNK_ALIGNMENT,
				    .arena = index,
				    .limit = UINT64_MAX,
				    .state = STROBE_HEAP_FREE_FASTBIN,
				    .link_offset = CHUNK_HEADER,
				    .name = "a fast bin"};
		if (!glibc_read_word(glibc->view, fast_bin_at(arena, i), &chunk) || !chunk)
			continue;
		list.head = chunk + CHUNK_HEADER;
		error = follow(glibc, &list, &count);
	}
	return error;
}

/** One vote for each first link of a list: is it mangled? */
static void vote(const struct glibc *glibc, uint64_t memory, uint64_t link_offset, int *votes)
{
	uint64_t link;
	if (!memory || !can_be_free(glibc, memory) || !glibc_read_word(glibc->view, memory, &link))
		return;
	uint64_t plain = link, revealed = reveal(true, memory, link);
	*votes += revealed == 0 || can_be_free(glibc, revealed + link_offset);
	*votes -= plain == 0 || can_be_free(glibc, plain + link_offset);
}

/** Follows the bins, and tells where they are not in order. */
static void follow_bins(struct glibc *glibc, const struct glibc_arena *arena)
{
	uint64_t left = count_places(glibc);
	for (unsigned i = 0; i < STATE_BINS; i++) {
		uint64_t bin = arena->bins + i * 16 - 16, at = bin, links[2];
		if (!glibc_peek(glibc, at + 16, links))
			continue;
		while (links[0] != bin && left) {
			uint64_t next = links[0];
			left--;
			bool good = can_be_free(glibc, next + CHUNK_HEADER) &&
				    glibc_peek(glibc, next + 16, links);
			if (!good || links[1] != at) {
				heap_damage(glibc->heap, at + 16, 0,
					    good ? "bin %u: 0x%" PRIx64
						   " does not lead back to the chunk before it"
						 : "bin %u leads to 0x%" PRIx64
						   ", where no chunk is",
					    i + 1, next);
				break;
			}
			at = next;
		}
	}
}

size_t glibc_listed_after(const struct glibc *glibc, uint64_t chunk)
{
	size_t low = 0, high = glibc->listed.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (glibc->listed.items[middle].chunk < chunk)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum strobe_heap_state glibc_listed_state(const struct glibc *glibc, uint64_t chunk)
{
	size_t index = glibc_listed_after(glibc, chunk);
	return index < glibc->listed.count && glibc->listed.items[index].chunk == chunk
		       ? glibc->listed.items[index].state
		       : STROBE_HEAP_ALLOCATED;
}

void glibc_check_bins(struct glibc *glibc, size_t index)
{
	const struct glibc_arena *arena = &glibc->arenas.items[index];
	uint64_t links[STATE_BINS][2], balance = 0;
	size_t got = strobe_memory_read(glibc->view, arena->bins, links, sizeof(links));
	for (size_t i = 0; i < got / 16; i++)
		balance += glibc_link_balance(arena->bins + i * 16 - 16, links[i]);
	balance += arena->balance;
	if (balance) // one of them, or a chunk on its way into or out of them
		follow_bins(glibc, arena);
}

enum { DIGITS = 3, DIGIT_BITS = 16 }; // of a chunk's address, without the last four bits

static unsigned digit(const struct glibc_listed *listed, unsigned which)
{
	return listed->chunk >> (4 + which * DIGIT_BITS) & ((1 << DIGIT_BITS) - 1);
}

/** Sorts by address, digit by digit: there may be as many as there are blocks. */
static struct strobe_error *sort_by_chunk(struct glibc_listed *items, size_t count)
{
	struct glibc_listed *others = malloc(count * sizeof(*others));
	size_t *places = malloc(sizeof(*places) << DIGIT_BITS);
	for (unsigned which = 0; others && places && which < DIGITS; which++) {
		memset(places, 0, sizeof(*places) << DIGIT_BITS);
		for (size_t i = 0; i < count; i++)
			places[digit(&items[i], which)]++;
		for (size_t i = 0, sum = 0; i < (size_t)1 << DIGIT_BITS; i++) {
			size_t here = places[i];
			places[i] = sum;
			sum += here;
		}
		for (size_t i = 0; i < count; i++)
			others[places[digit(&items[i], which)]++] = items[i];
		memcpy(items, others, count * sizeof(*items));
	}
	struct strobe_error *error = others && places ? NULL : error_no_memory();
	free(others);
	free(places);
	return error;
}

static struct strobe_error *sort_listed(struct glibc *glibc)
{
	size_t kept = 0;
	struct strobe_error *error =
		glibc->listed.count ? sort_by_chunk(glibc->listed.items, glibc->listed.count)
				    : NULL;
	if (error)
		return error;
	for (size_t i = 0; i < glibc->listed.count; i++) {
		struct glibc_listed listed = glibc->listed.items[i];
		if (kept && glibc->listed.items[kept - 1].chunk == listed.chunk) {
			heap_damage(glibc->heap, listed.chunk, 0,
				    "the chunk at 0x%" PRIx64 " is twice in lists of free blocks",
				    listed.chunk);
			continue;
		}
		glibc->listed.items[kept++] = listed;
	}
	glibc->listed.count = kept;
	return NULL;
}

static void decide_mangled(struct glibc *glibc, const struct glibc_caches *caches)
{
	int votes = 0;
	for (size_t i = 0; i < caches->count; i++)
		for (unsigned list = 0; list < caches->items[i].layout->lists; list++) {
			uint64_t head, told;
			if (glibc_cache_list(glibc, &caches->items[i], list, &head, &told))
				vote(glibc, head, 0, &votes);
		}
	for (size_t i = 0; has_fast_bins(glibc) && i < glibc->arenas.count; i++)
		for (unsigned list = 0; list < STATE_FAST_BINS; list++) {
			uint64_t chunk;
			if (glibc_read_word(glibc->view, fast_bin_at(&glibc->arenas.items[i], list),
					    &chunk) &&
			    chunk)
				vote(glibc, chunk + CHUNK_HEADER, CHUNK_HEADER, &votes);
		}
	glibc->mangled = votes >= 0;
}

struct strobe_error *glibc_read_lists(struct glibc *glibc)
{
	struct glibc_caches caches = {.items = NULL};
	glibc->links_left = count_places(glibc);
	struct strobe_error *error = glibc_find_caches(glibc, &caches);
	if (!error)
		decide_mangled(glibc, &caches);
	for (size_t i = 0; !error && i < caches.count; i++)
		error = read_cache(glibc, &caches.items[i]);
	for (size_t i = 0; !error && has_fast_bins(glibc) && i < glibc->arenas.count; i++)
		error = read_fast_bins(glibc, i);
	if (!error)
		error = sort_listed(glibc);
	array_fini(&caches);
	return error;
}
