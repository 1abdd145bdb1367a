// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_runs.h"

#include <inttypes.h>
#include <string.h>

#include "snapshot/write_layout.h"
#include "view/build.h"

void run_of_pages(const struct strobe_view *view, uint64_t address, uint64_t limit,
		  struct view_run *ret)
{
	struct view_run next;
	uint64_t change;
	bool written = view_is_written(view, address, &change);
	if (change - 1 < limit - 1) // 0 is 2^64
		limit = change;
	if (written) { // it stands in no other file
		*ret = (struct view_run){limit, VIEW_RUN_DATA};
		return;
	}
	view_run_at(view, address, limit, ret);
	uint64_t whole = ret->end & ~(uint64_t)(PAGE_SIZE_BYTES - 1);
	if (ret->end == limit || ret->end == whole)
		return;
	if (whole > address) {
		ret->end = whole;
		return;
	}
	// A page of several kinds: data if all of it can be read.
	uint64_t end = address + PAGE_SIZE_BYTES;
	enum view_run_kind kind = VIEW_RUN_DATA;
	if (ret->kind == VIEW_RUN_MISSING)
		kind = VIEW_RUN_MISSING;
	for (uint64_t at = ret->end; at < end; at = next.end) {
		view_run_at(view, at, end, &next);
		if (next.kind == VIEW_RUN_MISSING || next.end <= at) {
			kind = VIEW_RUN_MISSING;
			break;
		}
	}
	*ret = (struct view_run){end, kind};
}

size_t read_of_pages(const struct strobe_view *view, uint64_t address, void *buffer, size_t size)
{
	size_t done = 0;
	while ((done += view_read_through(view, address + done, (char *)buffer + done,
					  size - done)) < size) {
		uint64_t at = address + done, end;
		struct strobe_memory_extent extent;
		if (!view_is_written(view, at, &end))
			break;
		strobe_memory_extent(view, at, &extent);
		if (extent.end - 1 < end - 1)
			end = extent.end;
		view_warn(view,
			  "0x%" PRIx64 ": nothing but what was written to this page is known; the "
			  "rest of it is stored as zeros",
			  at & ~(uint64_t)(PAGE_SIZE_BYTES - 1));
		size_t gap = end - at < size - done ? (size_t)(end - at) : size - done;
		memset((char *)buffer + done, 0, gap);
		done += gap;
	}
	return done;
}
