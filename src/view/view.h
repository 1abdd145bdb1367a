// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_VIEW_H
#define VIEW_VIEW_H

// What libstrobe's own layers need of a view beyond <strobe/view.h> and <strobe/memory.h>.

#include <strobe/memory.h>
#include <strobe/view.h>

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
 * The first stretch among the `size` bytes at `bytes`, which view_pointer() gave, that is zero
 * because the source's file has a hole there: its size, and in `*before` how many bytes come before
 * it. 0 where there is none, or nobody can tell. Touches no page.
 */
uint64_t view_hole(const struct strobe_view *view, const uint8_t *bytes, uint64_t size,
		   uint64_t *before);

/** Says that `size` bytes at `bytes`, which view_pointer() gave, are not needed soon: their pages
 *  are unmapped, and mapped again when they are read after all. */
void view_release(const struct strobe_view *view, const uint8_t *bytes, size_t size);

/** What a stretch of memory is, as far as that can be told without reading it. */
enum view_run_kind {
	VIEW_RUN_DATA,	   // to be read
	VIEW_RUN_ZERO,	   // never touched, or a hole: reads as zeros
	VIEW_RUN_FILE,	   // private and unchanged, or shared: as the mapped file has it
	VIEW_RUN_MISSING,  // not captured, or unreadable
};
struct view_run {
	uint64_t end;
	enum view_run_kind kind;
};

/** Reads a little-endian unsigned integer of 1, 2, 4 or 8 bytes; false if unreadable. */
bool view_read_unsigned(const struct strobe_view *view, uint64_t address, unsigned size_bytes,
			uint64_t *ret);

/**
 * The local file of module `module_index`, found and checked (build id) at first use; NULL if none
 * (strobe_module.file_problem says why). Borrowed.
 */
struct file *view_module_file(const struct strobe_view *view, size_t module_index);

/** The finder of files that this view was opened with. */
struct files *view_files(const struct strobe_view *view);

#endif
