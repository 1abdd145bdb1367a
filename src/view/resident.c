// SPDX-License-Identifier: Apache-2.0
// Gives pages of the source back: a core is often larger than memory, and each page of it that was
// looked at counts as ours until it is unmapped. They are clean, so that the next access gets them
// again, mostly from the page cache.

#include <stdint.h>
#include <sys/mman.h>

#include "view/build.h"
#include "view/view.h"

enum { HOST_PAGE = 4096 };

static void drop(const uint8_t *start, const uint8_t *end)
{
	uintptr_t from = ((uintptr_t)start + HOST_PAGE - 1) & ~(uintptr_t)(HOST_PAGE - 1);
	uintptr_t to = (uintptr_t)end & ~(uintptr_t)(HOST_PAGE - 1);
	if (from < to)
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
}

/** True if all of it is in the file's mapping: other memory would lose its contents. */
static bool holds(const struct file *file, const uint8_t *bytes, size_t size)
{
	return file && file->data && bytes >= file->data && size <= file->size &&
	       (size_t)(bytes - file->data) <= file->size - size;
}

void view_release(const struct strobe_view *view, const uint8_t *bytes, size_t size)
{
	bool ours = holds(view->source, bytes, size);
	for (size_t i = 0; i < view->backings.count && !ours; i++)
		ours = holds(view->backings.items[i].file, bytes, size);
	if (ours)
		drop(bytes, bytes + size);
	for (size_t i = 0; i < view->lazy_areas.count && !ours; i++)
		ours = lazy_release(view->lazy_areas.items[i], bytes, size);
}

void view_touched(struct strobe_view *view, const uint8_t *bytes, size_t size)
{
	const struct file *source = view->source;
	if (!size || !holds(source, bytes, size))
		return;
	// The kernel maps what is around a page, too, in windows of this size.
	uint64_t first = (uint64_t)(bytes - source->data) / VIEW_WINDOW_SIZE;
	uint64_t last = ((uint64_t)(bytes - source->data) + size - 1) / VIEW_WINDOW_SIZE;
	if (last - first >= VIEW_WINDOWS) {
		view->window_count = VIEW_WINDOWS;
		first = last;
	}
	for (uint64_t window = first; window <= last; window++) {
		uint64_t *slot = &view->windows[window % VIEW_WINDOWS];
		if (*slot != window + 1)
			view->window_count++;
		*slot = window + 1;
	}
	if (view->window_count < VIEW_WINDOWS)
		return;
	drop(source->data, source->data + source->size);
	view->window_count = 0;
	for (size_t i = 0; i < VIEW_WINDOWS; i++)
		view->windows[i] = 0;
}
