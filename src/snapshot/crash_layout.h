// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_CRASH_LAYOUT_H
#define SNAPSHOT_CRASH_LAYOUT_H

// The headers of a core that comes out of a pipe, and where each part of it goes in the file that
// has more notes.
//
// Invariants, where `plain` is NULL:
//  1. The notes are one run of bytes after the program headers, before all memory (the kernel's
//     cores) or after it (gdb's).
//  2. Memory moves by `shift` bytes, a multiple of a page; 0 where the notes are last.

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "snapshot/crash_input.h"
#include "snapshot/write_output.h"

enum {
	CRASH_SEGMENT_LIMIT = 1 << 20,
	CRASH_PREFIX_LIMIT = 128 << 20, // bytes before the notes
	CRASH_PAGE = 4096,
};

struct crash_layout {
	uint8_t *prefix; // all bytes before the notes, or before all memory, as they came
	size_t prefix_size;
	Elf64_Ehdr header;
	Elf64_Phdr *segments;
	uint32_t segment_count;
	const char *plain; // static: why it cannot get more notes; NULL = it can
	// In the input:
	uint64_t notes_start, notes_end, end;
	uint32_t notes_index;
	bool notes_last;
	// In the output, after crash_layout_settle():
	uint64_t new_notes; // ours, and then the core's
	uint64_t shift;
	uint64_t data_start, data_end; // of all memory; data_start is at a page, or both are 0
	uint64_t memory_bytes;	       // sum of what segments have in the file
};

/** Reads what comes before the notes. Errors: FORMAT, LIMIT, SYSTEM, NO_MEMORY. */
struct strobe_error *crash_layout_read(struct crash_layout *layout, struct crash_input *input)
	STROBE_MUST_CHECK;
void crash_layout_fini(struct crash_layout *layout);
/** Makes room for `size` bytes of notes. */
void crash_layout_settle(struct crash_layout *layout, uint64_t size);
/** The headers, up to where the notes or memory begin. */
struct strobe_error *crash_layout_write(const struct crash_layout *layout, struct output *output)
	STROBE_MUST_CHECK;

#endif
