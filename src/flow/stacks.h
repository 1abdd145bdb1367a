// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_STACKS_H
#define FLOW_STACKS_H

#include <strobe/trace_state.h>

/** strobe_trace_stacks_at() by a walk, also where the index would do. */
struct strobe_error *stacks_walk_to(struct strobe_trace_stacks *stacks, uint64_t id,
				    const struct strobe_trace_frame **ret, size_t *ret_count)
	STROBE_MUST_CHECK;
/** Has a walk been needed so far? */
bool stacks_have_walked(const struct strobe_trace_stacks *stacks);

#endif
