// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_RECORDED_H
#define VIEW_RECORDED_H

// A thread whose stack is known from elsewhere than its memory: from a trace of its calls.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

/** Of the innermost frame the pc is known; of callers, where they go on. */
struct recorded_frame {
	uint64_t pc;
	bool exact; // look it up as it is: no call stands before it
};

/** Frames of a thread, innermost first; at least one. */
struct recorded_stack {
	size_t thread_index;
	const struct recorded_frame *frames;
	size_t count;
	const char *end; // why there are no more, one line
};

/** Gives a finished `view` a thread `tid` of which `stack` (copied) is known, and no register but pc. */
struct strobe_error *view_add_recorded(struct strobe_view *view, int tid, const char *name,
				       const struct recorded_stack *stack) STROBE_MUST_CHECK;
/** That of thread `thread_index`; NULL = it is in memory, as usual. */
const struct recorded_stack *view_recorded_stack(const struct strobe_view *view,
						 size_t thread_index);

#endif
