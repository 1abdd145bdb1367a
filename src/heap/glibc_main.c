// SPDX-License-Identifier: Apache-2.0
// The main arena's memory: what sbrk gave, in pieces if somebody else called sbrk too, and what was mapped
// when sbrk gave no more.
#include "heap/glibc.h"

#include <string.h>

#include "base/error.h"
#include "view/view.h"

// Named limit.
enum { MAX_PIECES = 1 << 16 };

enum { MAIN = 0 }; // its index

/** Where the top ends, as its size tells; where that cannot be, the end of what is mapped. 0 without a top. */
static uint64_t find_top_end(const struct glibc *glibc, uint64_t top)
{
	uint64_t head, span = glibc_span_end(glibc->view, top);
	if (!top || !glibc_read_word(glibc->view, top + 8, &head))
		return top ? span : 0;
	uint64_t size = glibc_size(head);
	if (!(head & CHUNK_PREV_INUSE) || size < CHUNK_HEADER || size > span - top ||
	    (top + size) % PAGE_SIZE)
		return span;
	return top + size;
}

static struct strobe_error *add(struct glibc *glibc, uint64_t start, uint64_t end)
{
	return glibc_add_segment(
		glibc,
		(struct glibc_segment){.start = start, .end = end, .first = start, .arena = MAIN});
}

/** Pieces from `start` on, within the mappings that it is in. */
static struct strobe_error *add_pieces(struct glibc *glibc, uint64_t start, uint64_t top_end)
{
	uint64_t top = glibc->arenas.items[MAIN].top, span = glibc_span_end(glibc->view, start);
	for (unsigned i = 0; i < MAX_PIECES && start; i++) {
		uint64_t limit = top >= start && top < span ? top_end : span;
		const struct glibc_segment piece = {
			.start = start, .end = limit, .first = start, .arena = MAIN};
		struct glibc_walked walked = glibc_walk(glibc, &piece, glibc_note_cache, glibc);
		struct strobe_error *error = walked.how == GLIBC_END_STOPPED
						     ? error_no_memory()
						     : add(glibc, start, walked.end);
		if (error || walked.how != GLIBC_END_FENCE)
			return error;
		start = glibc_find_chunks(glibc, MAIN, walked.end, limit, limit, CHUNK_ALIGNMENT);
	}
	return NULL;
}

/** Where the first chunk that sbrk gave is; 0 if there is none. */
static uint64_t find_first(struct glibc *glibc, uint64_t top_end)
{
	uint64_t top = glibc->arenas.items[MAIN].top, base = glibc->parameters.sbrk_base;
	if (base)
		return (base + CHUNK_ALIGNMENT - 1) & ~(uint64_t)(CHUNK_ALIGNMENT - 1);
	if (glibc->parameters.address)
		return 0; // sbrk was never of use
	const struct strobe_mapping *mapping = NULL;
	size_t count = strobe_view_mapping_count(glibc->view);
	for (size_t i = 0; i < count && !mapping; i++) {
		mapping = strobe_view_mapping(glibc->view, i);
		if (!mapping->path || strcmp(mapping->path, "[heap]") != 0)
			mapping = NULL;
	}
	if (!mapping && top)
		mapping = strobe_view_mapping_at(glibc->view, top);
	if (!mapping)
		return 0;
	uint64_t end = glibc_span_end(glibc->view, mapping->start);
	if (top >= mapping->start && top < end)
		end = top_end;
	return glibc_find_chunks(glibc, MAIN, mapping->start, end, end, CHUNK_ALIGNMENT);
}

/** Pieces that begin at a page of the mappings in a row [start, end), and end with a top or a fence. */
static struct strobe_error *scan_span(struct glibc *glibc, uint64_t start, uint64_t end,
				      uint64_t top_end)
{
	uint64_t top = glibc->arenas.items[MAIN].top;
	for (uint64_t at = start; at < end;) {
		const struct glibc_segment *known = glibc_segment_at(glibc, at);
		uint64_t limit = top >= at && top < end ? top_end : end;
		if (known) {
			at = (known->end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
			continue;
		}
		if (!glibc_find_chunks(glibc, MAIN, at, at + PAGE_SIZE, limit, PAGE_SIZE)) {
			at += PAGE_SIZE;
			continue;
		}
		const struct glibc_segment piece = {
			.start = at, .end = limit, .first = at, .arena = MAIN};
		struct glibc_walked walked = glibc_walk(glibc, &piece, glibc_note_cache, glibc);
		if (walked.how == GLIBC_END_STOPPED)
			return error_no_memory();
		if (walked.how != GLIBC_END_TOP &&
		    (walked.how != GLIBC_END_FENCE || walked.end % PAGE_SIZE)) {
			at += PAGE_SIZE;
			continue;
		}
		struct strobe_error *error = add(glibc, at, walked.end);
		if (error)
			return error;
		at = walked.end;
	}
	return NULL;
}

static struct strobe_error *scan_all(struct glibc *glibc, uint64_t top_end)
{
	size_t count = strobe_view_mapping_count(glibc->view);
	uint64_t done = 0;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(glibc->view, i);
		if (mapping->start < done || !glibc_is_anonymous(mapping))
			continue;
		done = glibc_span_end(glibc->view, mapping->start);
		struct strobe_error *error = scan_span(glibc, mapping->start, done, top_end);
		if (error)
			return error;
	}
	return NULL;
}

struct strobe_error *glibc_find_main(struct glibc *glibc)
{
	if (!glibc->arenas.count || !glibc->arenas.items[MAIN].is_main)
		return NULL;
	const struct glibc_arena *main = &glibc->arenas.items[MAIN];
	uint64_t top = main->top, top_end = find_top_end(glibc, top), flags = 0;
	uint64_t first = find_first(glibc, top_end);
	struct strobe_error *error = NULL;
	glibc->heap->damage_is_told = true; // the visit will tell
	if (first && glibc_span_end(glibc->view, first))
		error = add_pieces(glibc, first, top_end);
	strobe_memory_read(glibc->view, main->bins - glibc->offset_of_bins + STATE_FLAGS_FROM_START,
			   &flags, 4);
	if (!error && ((flags & STATE_NONCONTIGUOUS) || (top && !glibc_segment_at(glibc, top))))
		error = scan_all(glibc, top_end);
	glibc->heap->damage_is_told = false;
	if (!error && top && !glibc_segment_at(glibc, top))
		heap_damage(glibc->heap, main->bins + STATE_TOP_AT, 0,
			    "no chunks were found that lead to the main arena's top");
	return error;
}
