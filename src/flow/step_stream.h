// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_STEP_STREAM_H
#define FLOW_STEP_STREAM_H

// A thread's execution as steps that can be compared with another process's.

#include <strobe/cursor.h>
#include <strobe/symbols.h>
#include <strobe/trace_diff.h>

#include "base/array.h"
#include "base/hash.h"

/** Equal steps have equal `what`. */
struct step {
	uint64_t what;
	uint64_t id, address;
};

/** How steps are made. */
struct step_options {
	bool functions, events;
};

/**
 * Invariants:
 *  1. `ahead` holds steps [ahead_at, ahead.count) that were read and not yet taken.
 *  2. With `has_run`, instruction `index` of `run` at `address` is the next one; the cursor is in that run.
 */
struct step_stream {
	struct strobe_symbols *symbols;
	struct strobe_cursor *cursor;
	struct step_options options;
	uint64_t end_id;
	ARRAY(struct step) ahead;
	size_t ahead_at;
	bool has_run, ended;
	struct strobe_run run;
	uint32_t index;
	uint64_t address;
	uint64_t base; // what the instruction at address 0 would be, were it in the run's module
	// The module that was met last.
	uint64_t module_start, module_end, module_base;
	// Of functions.
	bool entering;	   // what comes next is a function's first instruction
	bool returning;	   // the run at hand ends in a return that was not told yet
	struct hash names; // address -> what, | 1
};

struct strobe_error *step_stream_init(struct step_stream *stream,
				      const struct strobe_trace_side *side,
				      const struct step_options *options) STROBE_MUST_CHECK;
void step_stream_fini(struct step_stream *stream);
/** Takes the next step; false at the end. */
bool step_stream_next(struct step_stream *stream, struct step *ret);
/** Reads until `count` steps are ahead, or to the end. False when memory is short. */
bool step_stream_look_ahead(struct step_stream *stream, size_t count);
/** Steps ahead; borrowed until the next call. */
const struct step *step_stream_ahead(const struct step_stream *stream, size_t *count);
/** Takes `count` of what is ahead. */
void step_stream_drop(struct step_stream *stream, size_t count);
/** Takes as many steps from both as are equal and can be compared at once: maybe none. Returns how many,
 *  the last of which are in `last`. */
uint32_t step_stream_skip_equal(struct step_stream *a, struct step_stream *b, struct step last[2]);

#endif
