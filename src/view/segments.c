// SPDX-License-Identifier: Apache-2.0
// The stretches of memory that a source holds.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "view/build.h"

struct strobe_error *view_own_source(struct strobe_view *view, const struct lazy_source *source,
				     const struct lazy_source **ret)
{
	struct lazy_source *copy = arena_alloc(&view->arena, sizeof(*copy));
	if (!copy || !array_push(&view->lazy_sources, copy)) {
		if (source->close)
			source->close(source->context);
		return error_no_memory();
	}
	*copy = *source;
	*ret = copy;
	return NULL;
}

struct strobe_error *view_add_lazy(struct strobe_view *view, uint64_t start, uint64_t end,
				   const struct lazy_source *source, uint64_t position)
{
	struct lazy_area *area = arena_alloc(&view->arena, sizeof(*area));
	if (!area || !array_push(&view->lazy_areas, area))
		return error_no_memory();
	lazy_init(area, source, start, end, position);
	if (!array_push(&view->segments, (struct segment){start, end, NULL, NULL, area}))
		return error_no_memory();
	return NULL;
}

static size_t read_zeros(void *context, uint64_t position, void *buffer, size_t size)
{
	memset(buffer, 0, size);
	return size;
}

static void run_of_zeros(void *context, uint64_t position, uint64_t limit, struct view_run *ret)
{
	*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_ZERO};
}

struct strobe_error *view_add_extents(struct strobe_view *view)
{
	static const struct lazy_source zeros = {.read = read_zeros, .run = run_of_zeros};
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < view->facts.extents.count; i++) {
		const struct strobe_note_extent *extent = &view->facts.extents.items[i];
		struct segment lost = {extent->start, extent->end, NULL,
				       "could not be read when it was captured", NULL};
		if (extent->kind == STROBE_EXTENT_ZERO)
			error = view_add_lazy(view, extent->start, extent->end, &zeros, 0);
		else if (extent->kind == STROBE_EXTENT_UNREADABLE &&
			 !array_push(&view->segments, lost))
			error = error_no_memory();
	}
	return error;
}

static int order(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end != y->end ? (x->end < y->end ? 1 : -1) : 0;
}

void view_sort_segments(struct strobe_view *view)
{
	size_t kept = 0;
	uint64_t top = 0;
	if (view->segments.count)
		qsort(view->segments.items, view->segments.count, sizeof(struct segment), order);
	// A later one begins where the earlier ends.
	for (size_t i = 0; i < view->segments.count; i++) {
		struct segment *segment = &view->segments.items[i];
		if (kept && segment->start < top) {
			uint64_t cut = segment->end < top ? segment->end : top;
			if (segment->data)
				segment->data += cut - segment->start;
			segment->start = cut;
		}
		if (segment->start >= segment->end)
			continue;
		top = segment->end;
		view->segments.items[kept++] = *segment;
	}
	view->segments.count = kept;
	view->last_segment = 0;
}

size_t view_segment_before(const struct strobe_view *view, uint64_t address)
{
	const struct segment *items = view->segments.items;
	size_t count = view->segments.count, last = view->last_segment;
	if (last < count && items[last].start <= address && address < items[last].end)
		return last;
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return SIZE_MAX;
	((struct strobe_view *)view)->last_segment = low - 1; // a cache
	return low - 1;
}

uint64_t view_next_segment(const struct strobe_view *view, uint64_t address, uint64_t limit)
{
	size_t index = view_segment_before(view, address);
	size_t next = index == SIZE_MAX ? 0 : index + 1;
	if (next < view->segments.count && view->segments.items[next].start < limit)
		return view->segments.items[next].start;
	return limit;
}
