// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_EMBED_H
#define SNAPSHOT_WRITE_EMBED_H

// The files of --with-files: programs, libraries and where their debug information is.

#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

#include "base/array.h"
#include "snapshot/write_notes.h"
#include "snapshot/write_output.h"

/** A file to be embedded. */
struct embed_file {
	uint32_t kind; // enum strobe_embedded_kind
	uint64_t size;
	char *path;	  // as mapped; of debug files, where it was found
	char *build_id;	  // hex, "" = none
	char *local_path; // where it is
	int fd;		  // borrowed from the view, or -1 = to be opened
	size_t note;	  // index of its note
};

struct embed {
	const struct strobe_view *view;
	ARRAY(struct embed_file) files;
	bool short_of_memory;
};

/** Finds them. What cannot be had is a warning of the view. Errors: NO_MEMORY, what symbols fail
 *  with. */
struct strobe_error *embed_find(struct embed *embed, const struct strobe_view *view)
	STROBE_MUST_CHECK;
void embed_fini(struct embed *embed);
/** Adds their notes. */
struct strobe_error *embed_add_notes(struct embed *embed, struct notes *notes) STROBE_MUST_CHECK;
/** Fills in where they stand, from `offset` on; returns where the last one ends. */
uint64_t embed_settle(const struct embed *embed, struct notes *notes, uint64_t offset);
/** Writes them. Errors: SYSTEM, FORMAT (one that changed meanwhile). */
struct strobe_error *embed_write(const struct embed *embed, const struct notes *notes,
				 struct output *output) STROBE_MUST_CHECK;

#endif
