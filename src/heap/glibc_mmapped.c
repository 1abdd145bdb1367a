// SPDX-License-Identifier: Apache-2.0
// Chunks that have a mapping of their own. The kernel joins mappings that touch, so that they are looked for at
// every page, if malloc's count says that there are more than stand where they mostly do.
#include "heap/glibc.h"

#include <inttypes.h>

#include "base/error.h"
#include "view/view.h"

/** A chunk of pages. */
struct found {
	uint64_t start, end, chunk;
};

struct search {
	struct glibc *glibc;
	bool every_page;
	ARRAY(struct found) found;
	uint64_t bytes;
};

static bool is_mmapped(const uint64_t pair[2])
{
	return (pair[1] & (CHUNK_FLAGS | 8)) == CHUNK_MMAPPED;
}

/** The end of the pages of the chunk at `chunk`, which begin at `start`; 0 if they are no pages. */
static uint64_t pages_end(const struct glibc *glibc, uint64_t start, uint64_t chunk,
			  uint64_t span_end, const uint64_t pair[2])
{
	uint64_t size = glibc_size(pair[1]) + (glibc->trailing_header ? CHUNK_HEADER : 0);
	uint64_t offset = pair[0];
	if (glibc->trailing_header)
		offset &= ~UINT64_C(1); // says that its pages are huge
	if (!is_mmapped(pair) || offset != chunk - start || (offset + size) % PAGE_SIZE ||
	    size <= CHUNK_MIN || size > span_end - chunk)
		return 0;
	return chunk + size;
}

/** What memalign() made of a mapped chunk at `start`: one further on, that knows how far. */
static bool find_aligned(struct glibc *glibc, uint64_t start, uint64_t span_end, struct found *ret)
{
	for (uint64_t alignment = CHUNK_MIN; alignment; alignment <<= 1) {
		uint64_t chunk =
			((start + CHUNK_HEADER + alignment - 1) & ~(alignment - 1)) - CHUNK_HEADER;
		uint64_t pair[2], end;
		if (!glibc->trailing_header && chunk > start && chunk - start < CHUNK_MIN)
			chunk += alignment;
		if (chunk < start || chunk >= span_end - CHUNK_HEADER)
			return false;
		if (chunk == start || !glibc_window_pair(&glibc->ahead, chunk, pair))
			continue;
		end = pages_end(glibc, start, chunk, span_end, pair);
		if (!end)
			continue;
		*ret = (struct found){.start = start, .end = end, .chunk = chunk};
		return true;
	}
	return false;
}

static bool chunk_at(struct glibc *glibc, uint64_t start, uint64_t span_end, struct found *ret)
{
	uint64_t pair[2];
	// What memalign() left at the start may tell of a size that it had once: not `span_end`.
	if (!glibc_window_pair(&glibc->ahead, start, pair) ||
	    !pages_end(glibc, start, start, UINT64_MAX, pair))
		return false;
	if (find_aligned(glibc, start, span_end, ret))
		return true;
	*ret = (struct found){.start = start,
			      .end = pages_end(glibc, start, start, span_end, pair),
			      .chunk = start};
	return ret->end != 0;
}

/** The next page worth looking at. */
static uint64_t next_page(const struct search *search, uint64_t at, uint64_t end)
{
	struct view_run run;
	at += PAGE_SIZE;
	while (at < end) {
		view_run_at(search->glibc->view, at, end, &run);
		if (run.kind == VIEW_RUN_DATA)
			return at;
		at = (run.end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
	}
	return end;
}

/** Where the first segment that ends behind `at` ends; `end` if it does not begin before that. */
static uint64_t behind_segment(const struct glibc *glibc, uint64_t at, uint64_t end)
{
	size_t index = glibc_segment_after(glibc, at);
	if (index == glibc->segments.count || glibc->segments.items[index].start >= end)
		return end;
	return (glibc->segments.items[index].end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
}

static struct strobe_error *search_span(struct search *search, uint64_t start, uint64_t end)
{
	struct glibc *glibc = search->glibc;
	for (uint64_t at = start; at < end;) {
		struct found found;
		if (glibc_segment_at(glibc, at)) {
			at = behind_segment(glibc, at, end);
		} else if (chunk_at(glibc, at, end, &found)) {
			if (!array_push(&search->found, found))
				return error_no_memory();
			search->bytes += found.end - found.start;
			at = found.end;
		} else {
			at = search->every_page ? next_page(search, at, end)
						: behind_segment(glibc, at, end);
		}
	}
	return NULL;
}

static struct strobe_error *search_all(struct search *search, bool every_page)
{
	const struct strobe_view *view = search->glibc->view;
	size_t count = strobe_view_mapping_count(view);
	uint64_t done = 0;
	search->every_page = every_page;
	search->found.count = 0;
	search->bytes = 0;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		if (mapping->start < done || !glibc_is_anonymous(mapping))
			continue;
		done = glibc_span_end(view, mapping->start);
		struct strobe_error *error = search_span(search, mapping->start, done);
		if (error)
			return error;
	}
	return NULL;
}

static bool count_is_right(const struct search *search)
{
	const struct glibc_parameters *parameters = &search->glibc->parameters;
	return parameters->address && search->found.count == parameters->mmapped_count &&
	       search->bytes == parameters->mmapped_bytes;
}

// Named limits: so many that only look like chunks are told from others by their sizes, trying so often.
enum { MAX_SURPLUS = 8, MAX_TRIES = 1 << 20 };

static uint64_t size_of(const struct search *search, size_t index)
{
	return search->found.items[index].end - search->found.items[index].start;
}

/** Fills `chosen` with the indexes of `count` that have `bytes` together, those found last first; false if there
 *  are none. */
static bool choose(const struct search *search, size_t count, uint64_t bytes,
		   size_t chosen[MAX_SURPLUS])
{
	size_t below[MAX_SURPLUS + 1], depth = 0; // what is left to try, at each depth
	below[0] = search->found.count;
	for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
		size_t at = depth < count ? below[depth] : 0;
		if (depth == count && bytes == 0)
			return true;
		for (; at > 0 && size_of(search, at - 1) > bytes; tries++)
			at--;
		if (at > 0) {
			chosen[depth] = below[depth] = --at;
			bytes -= size_of(search, at);
			below[++depth] = at;
		} else if (depth > 0) {
			bytes += size_of(search, chosen[--depth]);
		} else {
			return false;
		}
	}
	return false;
}

/** Drops what only looks like chunks, where malloc counts fewer of fewer bytes. */
static void drop_surplus(struct search *search)
{
	const struct glibc_parameters *parameters = &search->glibc->parameters;
	size_t chosen[MAX_SURPLUS], kept = 0, dropped = 0;
	size_t surplus = search->found.count - parameters->mmapped_count;
	uint64_t bytes = search->bytes - parameters->mmapped_bytes;
	if (surplus > MAX_SURPLUS || search->bytes < parameters->mmapped_bytes ||
	    !choose(search, surplus, bytes, chosen))
		return; // nobody knows which
	for (size_t i = 0; i < search->found.count; i++)
		if (dropped < surplus && i == chosen[surplus - 1 - dropped])
			dropped++;
		else
			search->found.items[kept++] = search->found.items[i];
	search->found.count = kept;
	search->bytes = parameters->mmapped_bytes;
}

static struct strobe_error *take(struct search *search)
{
	struct glibc *glibc = search->glibc;
	for (size_t i = 0; i < search->found.count; i++) {
		const struct found *found = &search->found.items[i];
		struct strobe_error *error =
			glibc_add_segment(glibc, (struct glibc_segment){.start = found->start,
									.end = found->end,
									.first = found->chunk,
									.arena = SIZE_MAX});
		if (error)
			return error;
	}
	return NULL;
}

struct strobe_error *glibc_find_mmapped(struct glibc *glibc)
{
	struct search search = {.glibc = glibc};
	const struct glibc_parameters *parameters = &glibc->parameters;
	if (parameters->address && parameters->mmapped_count == 0)
		return NULL;
	struct strobe_error *error = search_all(&search, false);
	if (!error && !count_is_right(&search))
		error = search_all(&search, true);
	if (!error && parameters->address && search.found.count > parameters->mmapped_count)
		drop_surplus(&search);
	if (!error && parameters->address && !count_is_right(&search))
		heap_damage(glibc->heap, parameters->address, 0,
			    "malloc counts %" PRIu64 " mmapped chunks of %" PRIu64
			    " bytes, %zu of %" PRIu64 " were found",
			    parameters->mmapped_count, parameters->mmapped_bytes,
			    search.found.count, search.bytes);
	if (!error)
		error = take(&search);
	array_fini(&search.found);
	return error;
}
