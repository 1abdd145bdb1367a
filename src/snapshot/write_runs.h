// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_RUNS_H
#define SNAPSHOT_WRITE_RUNS_H

#include "view/view.h"

/** What whole pages [address, limit) of a view begin with: view_run_at(), in pages. */
void run_of_pages(const struct strobe_view *view, uint64_t address, uint64_t limit,
		  struct view_run *ret);

/**
 * Copies whole pages; returns how many bytes there were before the first that cannot be read. Of a
 * page that was written to, what is not known reads as zeros: the file keeps whole pages alone.
 */
size_t read_of_pages(const struct strobe_view *view, uint64_t address, void *buffer, size_t size);

#endif
