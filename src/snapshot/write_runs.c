// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_runs.h"

#include "snapshot/write_layout.h"

void run_of_pages(const struct strobe_view *view, uint64_t address, uint64_t limit,
		  struct view_run *ret)
{
	struct view_run next;
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
