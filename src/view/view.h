// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_VIEW_H
#define VIEW_VIEW_H

// What libstrobe's own layers need of a view beyond <strobe/view.h> and <strobe/memory.h>.

#include <strobe/memory.h>
#include <strobe/view.h>

#include "view/run.h"

struct file;
struct files;

/** Adds a warning (formatted, one line; an equal one is kept once). The log is the one mutable
 *  part of a view. */
void view_warn(const struct strobe_view *view, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * Bytes at `address` without a copy, `*available` of them in a row, or NULL if unreadable.
 * Borrowed from the view. May be slower than it looks when the bytes come from a module's file
 * for the first time.
 */
const uint8_t *view_pointer(const struct strobe_view *view, uint64_t address, size_t *available);

/**
 * For who walks through memory: as view_pointer(), but bytes that would have to be fetched go into
 * `buffer` (of `size` bytes) and nowhere else, valid until the next call.
 */
const uint8_t *view_stream(const struct strobe_view *view, uint64_t address, void *buffer,
			   size_t size, size_t *available);

/** As strobe_memory_read(), but what has to be fetched is kept nowhere: for views that others are
 *  read through. */
size_t view_read_through(const struct strobe_view *view, uint64_t address, void *buffer,
			 size_t size);

/** Says that `size` bytes at `bytes`, which view_pointer() gave, are not needed soon: their pages
 *  are unmapped, and mapped again when they are read after all. Fetched memory that others may
 *  have pointers to stays. */
void view_release(const struct strobe_view *view, const uint8_t *bytes, size_t size);

/**
 * The run that begins at `address`, cut at `limit` > `address`: its end is greater than `address`.
 * The next run may be of the same kind. Where nothing is mapped is MISSING, too. Ends lie at whole
 * pages, except where the source's own stretches end between them. DATA may turn out not to be
 * readable when it is read.
 */
void view_run_at(const struct strobe_view *view, uint64_t address, uint64_t limit,
		 struct view_run *ret);

/** Reads a little-endian unsigned integer of 1, 2, 4 or 8 bytes; false if unreadable. */
bool view_read_unsigned(const struct strobe_view *view, uint64_t address, unsigned size_bytes,
			uint64_t *ret);

/**
 * The local file of module `module_index`, found and checked (build id) at first use; NULL if none
 * (strobe_module.file_problem says why). Borrowed.
 */
struct file *view_module_file(const struct strobe_view *view, size_t module_index);

/** Data segment `index` (from 0) of a module, which the program may have written to, as [start, end);
 *  false past the last. */
bool view_module_data(const struct strobe_view *view, size_t module_index, size_t index,
		      uint64_t *start, uint64_t *end);

/** The finder of files that this view was opened with. */
struct files *view_files(const struct strobe_view *view);

#endif
