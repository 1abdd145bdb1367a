// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_OVERLAY_H
#define VIEW_OVERLAY_H

// Writes on top of a view, and the file that keeps them.
//
// Invariants:
//  1. A page is in `pages` exactly while an entry in force touches it (`writes` counts them). Its
//     known bytes are the view's own that could be read, with the entries applied in order.
//  2. threads[i].writes counts the register entries of thread i; while it is not 0, the view's
//     registers[i] are those of threads[i].copy, else they are threads[i].original.
//  3. With a journal open, the file holds exactly the entries, in order, and each entry's
//     `file_offset` is where its record begins; `file_end` is the end of the last.

#include <strobe/overlay.h>

#include "base/array.h"
#include "view/overlay_pages.h"
#include "view/registers.h"

enum {
	OVERLAY_MAX_WRITE = 1 << 28, // bytes in one write
	OVERLAY_MAX_PAGES = 1 << 20, // of the overlay: 4 GiB
	OVERLAY_MAX_REGISTER = 1024, // a tile
	OVERLAY_ID_SIZE = 16,
};

struct overlay_entry {
	enum strobe_overlay_kind kind;
	bool read_only, executable;
	bool all_known;	  // before
	uint64_t address; // of memory
	size_t size;
	size_t thread_index;		  // of a register
	const struct register_spec *spec; // likewise
	uint64_t present;		  // likewise: XSAVE components that were not initial
	uint64_t file_offset;
	uint8_t *bytes; // one allocation: new, old, and where not all was known, which was
};

struct overlay_thread {
	size_t writes;
	struct register_blocks original;
	struct register_copy copy;
};

struct overlay {
	struct overlay_pages pages;
	ARRAY(struct overlay_entry) entries;
	struct overlay_thread *threads; // as many as the view has; NULL before the first is needed
	char *file_path;
	int file; // the journal, locked; -1 if none is open
	bool file_damaged;
	uint64_t file_end;
};

/** The view's overlay, made if need be. */
struct strobe_error *overlay_get(struct strobe_view *view, struct overlay **ret) STROBE_MUST_CHECK;

/** overlay_file.c: appends the record of `entry` to the open journal, and notes where it begins. */
struct strobe_error *overlay_file_append(struct strobe_view *view, struct overlay_entry *entry)
	STROBE_MUST_CHECK;
/** Cuts the journal at the record of entry `index` (count: at its end). */
struct strobe_error *overlay_file_cut(struct strobe_view *view, size_t index) STROBE_MUST_CHECK;
/** Unlocks it, and removes it if it holds nothing. */
void overlay_file_close(struct strobe_view *view);

#endif
