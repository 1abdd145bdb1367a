// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_UNIT_STACK_H
#define FLOW_UNIT_STACK_H

// A stack from the index: units that neither call nor return across a position are stepped over, and only those that
// hold a call that encloses it are decoded. Where more happened than calls and returns (signals, jumps further
// out, gaps), the index cannot say what that did to the stack: then a walk has to.

#include <strobe/cursor.h>

#include "base/array.h"
#include "flow/places.h"

enum { UNIT_STACK_BUDGET = 64 }; // units decoded for one stack

/** Return addresses, innermost first; callers from before the trace last. */
struct unit_stack {
	ARRAY(uint64_t) returns;
	size_t caller_count; // the last so many are of calls from before the trace
	bool is_known;	     // else it is not told by the index, and `returns` mean nothing
};

/** The stack at instruction `id`. `cursor` is moved. Errors: out of memory. */
struct strobe_error *unit_stack_at(struct strobe_cursor *cursor, struct places *places, uint64_t id,
				   struct unit_stack *ret) STROBE_MUST_CHECK;

#endif
