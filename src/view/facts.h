// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_FACTS_H
#define VIEW_FACTS_H

// What Strobe's own notes tell (elf/strobe_note.h), as a view keeps it. Text and bytes are
// borrowed from the source or the view's arena.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/view.h>

#include "base/array.h"
#include "elf/strobe_note.h"

/** A copy of a file of /proc/PID, or of the target of a link there. */
struct proc_file {
	const char *name;  // "maps", "task/12/stat", "ns/mnt"
	const char *bytes; // not NUL-terminated
	size_t size;
};

/** The snapshot that this one is relative to. */
struct snapshot_parent {
	bool known;
	uint8_t id[STROBE_ID_SIZE];
	const char *path; // as it was given when this one was written
};

/** A file that stands within the source. */
struct embedded_file {
	uint64_t offset, size; // in the source: checked to lie in it
	enum strobe_embedded_kind kind;
	const char *build_id; // lower-case hex; NULL = none
	const char *path;     // as mapped
};

struct view_facts {
	bool captured; // NT_STROBE_CAPTURE was there: `capture` is valid
	struct strobe_capture capture;
	uint8_t id[STROBE_ID_SIZE];		  // of the capture
	ARRAY(struct strobe_note_extent) extents; // sorted, disjoint, none empty
	struct snapshot_parent parent;
	struct strobe_note_page_hashes
		page_hashes; // page_count 0 = none; both tables lie in the source
	ARRAY(struct embedded_file) embedded;
	int frozen_pid; // 0 = none. To be believed in an image that we made, never in a file.

	ARRAY(struct proc_file) proc_files;
	ARRAY(struct strobe_not_atomic) not_atomic; // sorted by start
	ARRAY(struct strobe_queued_signal) queued_signals;

	bool credentials_known, signal_actions_known;
	struct strobe_credentials credentials;
	struct strobe_signal_actions signal_actions;
	ARRAY(struct strobe_limit) limits;
	ARRAY(struct strobe_namespace) namespaces;
	ARRAY(const char *) arguments;
	ARRAY(const char *) environment;
};

void view_facts_fini(struct view_facts *facts);
/** The copy of /proc/PID/`name`, NULL if there is none. */
const struct proc_file *view_facts_proc_file(const struct view_facts *facts, const char *name);
/** The extent that holds `address`, NULL if none does. O(log n). */
const struct strobe_note_extent *view_facts_extent(const struct view_facts *facts,
						   uint64_t address);
/** Its kind, 0 if there is none; `*end` is cut to where the answer changes. */
unsigned view_facts_extent_kind(const struct view_facts *facts, uint64_t address, uint64_t *end);

#endif
