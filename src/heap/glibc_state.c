// SPDX-License-Identifier: Apache-2.0
// Arenas: malloc_state is known by its bins, the others by the ring that leads through all, and by what
// stands at the start of their heaps.
#include "heap/glibc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "view/view.h"

// Named limits: how often self-pointers are tried before what is scanned counts as made of them, heaps of
// all arenas, and addresses where one could begin.
enum { MAX_TRIED = 1000, MAX_HEAPS = 1 << 16, MAX_HEAP_PLACES = 1 << 22 };

// struct heap_info, at a heap's start. The last member is of 2.35 on; so is the larger offset.
struct heap_info {
	uint64_t arena, prev, size, writable_size;
};
static const uint64_t state_offsets[] = {0x20, 0x30};

// Of bins in malloc_state.
static const uint64_t bins_offsets[] = {STATE_OFFSET_OF_BINS, STATE_OFFSET_WITHOUT_FAST_BINS};

/** Is the bin whose links are at `address` in order? */
static bool bin_is_good(const struct strobe_view *view, uint64_t address, const uint64_t links[2])
{
	uint64_t bin = address - 16, back;
	if (links[0] == bin && links[1] == bin)
		return true;
	if (links[0] == bin || links[1] == bin || (links[0] | links[1]) % 16 || !links[0] ||
	    !links[1])
		return false;
	return glibc_read_word(view, links[0] + 24, &back) && back == bin &&
	       glibc_read_word(view, links[1] + 16, &back) && back == bin;
}

unsigned glibc_good_bins(const struct strobe_view *view, uint64_t bins)
{
	uint64_t links[STATE_BINS][2];
	unsigned good = 0;
	size_t got = strobe_memory_read(view, bins, links, sizeof(links));
	for (unsigned i = 0; i < got / 16; i++)
		good += bin_is_good(view, bins + i * 16, links[i]);
	return good;
}

/** Where the bins begin of which one, empty, is at `address`; 0 if these are no bins. */
static uint64_t bins_around(const struct strobe_view *view, uint64_t address, unsigned *good)
{
	bool in_order[2 * STATE_BINS - 1] = {false};
	unsigned sum = 0, best = 0;
	uint64_t first = address - (STATE_BINS - 1) * 16, ret = 0;
	for (unsigned i = 0; i < 2 * STATE_BINS - 1; i++) {
		uint64_t links[2], next;
		if (strobe_memory_read(view, first + i * 16, links, 16) == 16)
			in_order[i] = bin_is_good(view, first + i * 16, links);
		sum += in_order[i];
		if (i + 1 < STATE_BINS)
			continue;
		uint64_t start = first + (i + 1 - STATE_BINS) * 16;
		// Of several as good, the one that is followed by an address.
		if (sum >= best && sum >= STATE_GOOD_BINS &&
		    glibc_read_word(view, start + STATE_NEXT_AT, &next) && next % 8 == 0 &&
		    strobe_view_mapping_at(view, next)) {
			if (sum > best || !ret)
				ret = start;
			best = sum;
		}
		sum -= in_order[i + 1 - STATE_BINS];
	}
	*good = best;
	return ret;
}

struct strobe_error *glibc_scan_bins(struct glibc_window *window, uint64_t start, uint64_t end,
				     glibc_bins_found found, void *context)
{
	unsigned tried = 0;
	for (uint64_t at = (start + 7) & ~UINT64_C(7); at + 16 <= end && tried < MAX_TRIED;) {
		uint64_t links[2];
		if (!glibc_window_pair(window, at, links)) {
			at = (at | (PAGE_SIZE - 1)) + 1;
			continue;
		}
		if (links[0] != at - 16 || links[1] != links[0]) {
			at += 8;
			continue;
		}
		unsigned good;
		uint64_t bins = bins_around(window->view, at, &good);
		tried++;
		at += 16;
		if (!bins)
			continue;
		struct strobe_error *error = found(context, bins);
		if (error)
			return error;
		at = bins + STATE_BINS_SIZE;
	}
	return NULL;
}

static bool read_heap_info(const struct strobe_view *view, uint64_t heap, struct heap_info *ret)
{
	return strobe_memory_read(view, heap, ret, sizeof(*ret)) == sizeof(*ret);
}

/** Is the malloc_state at `state` at the start of a heap, as all but the main one are? */
static bool is_in_heap(const struct strobe_view *view, uint64_t state)
{
	uint64_t heap = state & ~(uint64_t)(HEAP_ALIGNMENT - 1), arena;
	for (size_t i = 0; i < sizeof(state_offsets) / sizeof(state_offsets[0]); i++)
		if (state - heap == state_offsets[i])
			return glibc_read_word(view, heap, &arena) && arena == state;
	return false;
}

/** Where the ring comes to that is no heap's: the main arena; 0 if nowhere, or `*steps` are used up. */
static uint64_t ring_leaves_heaps(const struct strobe_view *view, uint64_t state, uint64_t offset,
				  unsigned *steps)
{
	for (unsigned i = 0; i < MAX_ARENAS && *steps; i++, --*steps) {
		uint64_t next;
		if (!is_in_heap(view, state))
			return state;
		if (!glibc_read_word(view, state + offset + STATE_NEXT_AT, &next) || next % 8)
			return 0;
		state = next;
	}
	return 0;
}

bool glibc_bins_are_in_heap(const struct strobe_view *view, uint64_t bins)
{
	for (size_t i = 0; i < sizeof(bins_offsets) / sizeof(bins_offsets[0]); i++)
		if (is_in_heap(view, bins - bins_offsets[i]))
			return true;
	return false;
}

/** Where `bins` begin in their malloc_state: so that the ring closes. */
static uint64_t find_offset(struct glibc *glibc, uint64_t bins)
{
	uint64_t next;
	if (!glibc_read_word(glibc->view, bins + STATE_NEXT_AT, &next))
		return STATE_OFFSET_OF_BINS;
	for (size_t i = 0; i < sizeof(bins_offsets) / sizeof(bins_offsets[0]); i++)
		if (ring_leaves_heaps(glibc->view, next, bins_offsets[i], &glibc->ring_steps) ==
		    bins - bins_offsets[i])
			return bins_offsets[i];
	return STATE_OFFSET_OF_BINS;
}

static const struct glibc_arena *arena_of(const struct glibc *glibc, uint64_t state)
{
	for (size_t i = 0; i < glibc->arenas.count; i++)
		if (glibc->arenas.items[i].bins - glibc->offset_of_bins == state)
			return &glibc->arenas.items[i];
	return NULL;
}

static struct strobe_error *add_arena(struct glibc *glibc, uint64_t bins, bool is_main)
{
	struct glibc_arena arena = {.bins = bins, .is_main = is_main};
	uint64_t state = bins - glibc->offset_of_bins;
	char name[32];
	snprintf(name, sizeof(name), is_main ? "main" : "arena %zu", glibc->arenas.count);
	if (!glibc_read_word(glibc->view, bins + STATE_TOP_AT, &arena.top))
		heap_damage(glibc->heap, bins + STATE_TOP_AT, 0, "%s: its top is not readable",
			    name);
	if (arena.top == bins - 16) // initial_top(): it has no memory yet
		arena.top = 0;
	else if (arena.top % CHUNK_ALIGNMENT || !glibc_span_end(glibc->view, arena.top)) {
		heap_damage(glibc->heap, bins + STATE_TOP_AT, 0,
			    "%s: its top is 0x%" PRIx64 ", where no chunk can be", name, arena.top);
		arena.top = 0;
	}
	struct strobe_error *error = heap_add_arena(glibc->heap, glibc->heap->allocators.count - 1,
						    name, state, &arena.index);
	if (error)
		return error;
	glibc->heap->arenas.items[arena.index].size_bytes =
		glibc->offset_of_bins + STATE_SYSTEM_MEM_AT + 16;
	return array_push(&glibc->arenas, arena) ? NULL : error_no_memory();
}

struct strobe_error *glibc_follow_ring(struct glibc *glibc, uint64_t main_bins)
{
	glibc->offset_of_bins = find_offset(glibc, main_bins);
	glibc->trailing_header = glibc->offset_of_bins == STATE_OFFSET_WITHOUT_FAST_BINS;
	struct strobe_error *error = add_arena(glibc, main_bins, true);
	uint64_t start = main_bins - glibc->offset_of_bins, at = start;
	while (!error && glibc->arenas.count <= MAX_ARENAS) {
		uint64_t next, from = at + glibc->offset_of_bins + STATE_NEXT_AT;
		bool readable = glibc_read_word(glibc->view, from, &next);
		if (readable && next == start)
			return NULL;
		// Going back to another one than the first, it would go round for ever.
		if (!readable || !is_in_heap(glibc->view, next) || arena_of(glibc, next)) {
			heap_damage(glibc->heap, from, 0,
				    readable ? "the ring of arenas leads to 0x%" PRIx64
					       ", where none is"
					     : "the ring of arenas is not readable here",
				    next);
			return NULL;
		}
		at = next;
		error = add_arena(glibc, at + glibc->offset_of_bins, false);
	}
	return error;
}

/** Is there a heap at `heap`? */
static bool is_heap(const struct strobe_view *view, uint64_t heap, struct heap_info *info)
{
	if (!read_heap_info(view, heap, info) || !info->arena || info->arena % 16)
		return false;
	if (is_in_heap(view, info->arena))
		return info->prev % HEAP_ALIGNMENT == 0 && info->prev != heap;
	return false;
}

typedef struct strobe_error *(*heap_found)(void *context, uint64_t heap,
					   const struct heap_info *info);

/** All that look like heaps, ascending. */
static struct strobe_error *each_heap(const struct strobe_view *view, heap_found found,
				      void *context)
{
	size_t count = strobe_view_mapping_count(view);
	unsigned places = 0, heaps = 0;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		if (!glibc_is_anonymous(mapping))
			continue;
		uint64_t heap =
			(mapping->start + HEAP_ALIGNMENT - 1) & ~(uint64_t)(HEAP_ALIGNMENT - 1);
		for (; heap >= mapping->start && heap < mapping->end && places < MAX_HEAP_PLACES &&
		       heaps < MAX_HEAPS;
		     heap += HEAP_ALIGNMENT, places++) {
			struct heap_info info;
			if (!is_heap(view, heap, &info))
				continue;
			struct strobe_error *error = found(context, heap, &info);
			heaps++;
			if (error)
				return error;
		}
	}
	return NULL;
}

/** Adds an arena that the ring does not lead to, if it is this malloc's; `*ret` is NULL if not. */
static struct strobe_error *take_arena(struct glibc *glibc, uint64_t state,
				       const struct glibc_arena **ret)
{
	uint64_t offset = glibc->offset_of_bins, main_state = 0, theirs;
	*ret = NULL;
	if (glibc_good_bins(glibc->view, state + offset) < STATE_GOOD_BINS)
		return NULL;
	if (glibc->arenas.count && glibc->arenas.items[0].is_main)
		main_state = glibc->arenas.items[0].bins - offset;
	theirs = ring_leaves_heaps(glibc->view, state, offset, &glibc->ring_steps);
	if (theirs && main_state && theirs != main_state)
		return NULL; // another malloc's
	if (main_state)
		heap_damage(glibc->heap, state, 0, "the ring of arenas does not lead to this one");
	struct strobe_error *error = add_arena(glibc, state + offset, false);
	if (!error)
		*ret = arena_of(glibc, state);
	return error;
}

/** The end of what a heap uses, or of what it could where that is damaged. */
static uint64_t heap_end(struct glibc *glibc, uint64_t heap, const struct heap_info *info)
{
	uint64_t there = glibc_span_end(glibc->view, heap) - heap;
	if (info->size % PAGE_SIZE == 0 && info->size && info->size <= there)
		return heap + info->size;
	heap_damage(glibc->heap, heap + 16, 0,
		    "a heap's size is 0x%" PRIx64 ", of 0x%" PRIx64 " bytes there", info->size,
		    there);
	if (info->writable_size % PAGE_SIZE == 0 && info->writable_size &&
	    info->writable_size <= there)
		return heap + info->writable_size;
	return heap + there;
}

/** Adds the segment of a heap of one of this malloc's arenas. */
static struct strobe_error *take_heap(void *context, uint64_t heap, const struct heap_info *info)
{
	struct glibc *glibc = context;
	const struct glibc_arena *arena = arena_of(glibc, info->arena);
	struct strobe_error *error = arena ? NULL : take_arena(glibc, info->arena, &arena);
	if (error || !arena)
		return error;
	uint64_t first = heap + (info->arena & (HEAP_ALIGNMENT - 1)); // behind the header
	if (info->arena == first)
		first += glibc->offset_of_bins + STATE_SYSTEM_MEM_AT + 16; // and the malloc_state
	first = (first + CHUNK_ALIGNMENT - 1) & ~(uint64_t)(CHUNK_ALIGNMENT - 1);
	return glibc_add_segment(glibc,
				 (struct glibc_segment){.start = heap,
							.end = heap_end(glibc, heap, info),
							.first = first,
							.arena = arena - glibc->arenas.items});
}

struct strobe_error *glibc_find_heaps(struct glibc *glibc)
{
	return each_heap(glibc->view, take_heap, glibc);
}

struct main_search {
	const struct strobe_view *view;
	uint64_t bins;
	unsigned steps;
};

static struct strobe_error *ask_for_main(void *context, uint64_t heap, const struct heap_info *info)
{
	struct main_search *search = context;
	for (size_t i = 0; !search->bins && i < sizeof(bins_offsets) / sizeof(bins_offsets[0]);
	     i++) {
		uint64_t offset = bins_offsets[i];
		uint64_t state =
			ring_leaves_heaps(search->view, info->arena, offset, &search->steps);
		if (state &&
		    glibc_good_bins(search->view, info->arena + offset) >= STATE_GOOD_BINS &&
		    strobe_view_mapping_at(search->view, state))
			search->bins = state + offset;
	}
	return NULL;
}

uint64_t glibc_main_from_heaps(const struct strobe_view *view)
{
	struct main_search search = {.view = view, .steps = MAX_RING_STEPS};
	strobe_error_free(each_heap(view, ask_for_main, &search));
	return search.bins;
}
