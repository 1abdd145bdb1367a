// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_NOTES_H
#define SNAPSHOT_WRITE_NOTES_H

// The notes of a snapshot: the source's, copied, and those that say what this file holds.

#include <stdint.h>
#include <strobe/error.h>

#include "base/arena.h"
#include "base/array.h"
#include "snapshot/write_output.h"
#include "view/build.h"

/** A note to be written. Borrows its bytes, from the view or the arena. */
struct out_note {
	uint32_t type, name_size, size;
	const char *name;
	const uint8_t *data;
	const uint8_t *registers; // NULL, or what stands at `registers_at` of the data instead
	uint32_t registers_at, registers_size;
};

struct notes {
	struct arena arena;
	ARRAY(struct out_note) items;
	uint64_t size; // of all, in the file
};

/** The source's first note of Strobe's with this type and at least so much data; NULL if none. */
const struct raw_note *notes_find(const struct strobe_view *view, uint32_t type, uint32_t size);

void notes_fini(struct notes *notes);
/** Takes over what the source holds and does not change with the file. Errors: UNSUPPORTED (there
 *  is nothing to copy), NO_MEMORY. */
struct strobe_error *notes_copy(struct notes *notes, const struct strobe_view *view)
	STROBE_MUST_CHECK;
/** Adds one of Strobe's: `size` bytes at `data` (copied) and then `tail_size` at `tail` (may be
 *  NULL). Errors: NO_MEMORY, LIMIT (4 GiB). */
struct strobe_error *notes_add(struct notes *notes, uint32_t type, const void *data, uint64_t size,
			       const void *tail, uint64_t tail_size) STROBE_MUST_CHECK;
/** The data of note `index`, which notes_add() added, to be filled in before notes_write(). */
void *notes_data(const struct notes *notes, size_t index);
struct strobe_error *notes_write(const struct notes *notes, struct output *output)
	STROBE_MUST_CHECK;

#endif
