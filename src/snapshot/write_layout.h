// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_LAYOUT_H
#define SNAPSHOT_WRITE_LAYOUT_H

// What of a process's memory goes to which place of the file: the program headers in the making.
//
// Invariants:
//  1. Loads are sorted by address, do not overlap, lie in one mapping each, and are whole pages.
//  2. A load of kind 0 is in the file, whole; one of LAYOUT_ZEROS, which packing makes, leads to a hole
//     that such loads share; any other kind is enum strobe_extent_kind.
//  3. Between two stored loads of a mapping lie `gap_pages` or more, or pages nobody can read.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/array.h"
#include "elf/strobe_note.h"
#include "view/view.h"

enum { PAGE_SIZE_BYTES = 4096 };

enum { LAYOUT_STORED = 0, LAYOUT_ZEROS = 1 << 30 };

struct load {
	uint64_t start, end;
	uint32_t mapping; // index in the view
	uint32_t kind;	  // LAYOUT_STORED, LAYOUT_ZEROS or enum strobe_extent_kind
};

struct layout {
	ARRAY(struct load) loads;
	uint64_t gap_pages;    // fewer left out in a row are stored after all; 0 = as init
	size_t limit;	       // of loads, before gap_pages grows
	size_t spare;	       // program headers there is room for beyond those of the loads
	uint64_t stored_bytes; // sum of the stored loads, after layout_settle()
	uint64_t notes_offset, data_offset;
	uint64_t zeros_offset; // of the hole that LAYOUT_ZEROS lead to
};

enum { LAYOUT_GAP_PAGES = 16, LAYOUT_LOADS = 60000 };

void layout_init(struct layout *layout, uint64_t gap_pages);
void layout_fini(struct layout *layout);
/** The next stretch, in ascending order. */
struct strobe_error *layout_add(struct layout *layout, uint32_t mapping, uint64_t start,
				uint64_t end, uint32_t kind) STROBE_MUST_CHECK;
/** Sums of left-out bytes of one kind. */
uint64_t layout_left_out(const struct layout *layout, uint32_t kind);
/** Sets offsets from the size of the notes and `spare`. */
void layout_settle(struct layout *layout, uint64_t notes_size);
/** The data of NT_STROBE_EXTENTS, malloc'ed; `*count` of them. */
struct strobe_error *layout_extents(const struct layout *layout, struct strobe_note_extent **ret,
				    size_t *count) STROBE_MUST_CHECK;
/** What the file begins with, malloc'ed: ELF header, program headers, and section header 0 if there
 *  must be one. */
struct strobe_error *layout_headers(const struct layout *layout, const struct strobe_view *view,
				    uint64_t notes_size, void **ret, size_t *size)
	STROBE_MUST_CHECK;

#endif
