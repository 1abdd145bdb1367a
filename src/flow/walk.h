// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_WALK_H
#define FLOW_WALK_H

// Drives a shadow stack along a cursor, run by run. Used twice for a walk: once to plan what goes on behind
// gaps and who called what was running at the beginning, once to tell.

#include <strobe/calls.h>

#include "flow/places.h"
#include "flow/shadow.h"

/** Instructions [first_id, first_id + count) of a run, which all belong to one real function. */
struct walk_piece {
	uint64_t first_id;
	uint32_t count;
	uint64_t address;
	uint64_t last_address; // of the run's last instruction, also if the piece ends before it
	const struct place *place;
	uint32_t segment, segment_end; // of place->segments
	uint32_t skip;		       // instructions of the run before the piece
};

/** What is told. All may be NULL; return false to end the walk. */
struct walk_ops {
	/** Before the piece that the step leads to: frames are as they are now. `id` and `address`: of its
	 *  first instruction. */
	bool (*step)(void *context, const struct shadow_step *step, uint64_t id, uint64_t address);
	bool (*piece)(void *context, const struct walk_piece *piece);
	/** Error items, one behind the other; `text` of the first. */
	bool (*gap)(void *context, uint64_t first_id, uint64_t last_id, const char *text);
	void *context;
};

struct walk {
	struct strobe_cursor *cursor;
	struct places *places;
	struct shadow shadow;
	struct walk_ops ops;
	uint64_t end_id;
	// Errors that are collected.
	uint64_t error_first, error_last; // first is STROBE_NO_ID: none
	char *error_text;
};

/** Walks items [first_id, end_id) of the cursor's thread. Errors: out of memory. */
struct strobe_error *walk_items(struct walk *walk, uint64_t first_id, uint64_t end_id)
	STROBE_MUST_CHECK;
/** Makes `plan` for these items: `plan` is empty before. */
struct strobe_error *walk_plan(struct strobe_cursor *cursor, struct places *places,
			       uint64_t first_id, uint64_t end_id, struct shadow_plan *plan)
	STROBE_MUST_CHECK;

#endif
