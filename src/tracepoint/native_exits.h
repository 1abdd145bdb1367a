// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_NATIVE_EXITS_H
#define TRACEPOINT_NATIVE_EXITS_H

// Where threads leave a line, a function or an inlined call: found once, in the code, so that no return address has to be changed
// for it (which unwinders of exceptions do not survive).

#include "base/array.h"
#include "tracepoint/native_scope.h"

/** A place that ends it. */
struct native_exit {
	uint64_t address;
	enum native_leave leave;
};
/** Invariant: each address once. */
struct native_exits {
	ARRAY(struct native_exit) items;
	bool repeats;	 // control can come back to the beginning on the way
	const char *why; // static: some could not be found; NULL
};
void native_exits_fini(struct native_exits *exits);

/** Of a call of the function with its entry at `entry`: its returns, and those of functions that it ends in by a jump. */
struct strobe_error *native_function_exits(struct native_program *program, uint64_t entry,
					   struct native_exits *ret) STROBE_MUST_CHECK;
/** Of the line that the code at `start` is of, in the function or inlined call that is innermost there. `whole`: of all of that. */
struct strobe_error *native_line_exits(struct native_program *program, uint64_t start, bool whole,
				       struct native_exits *ret) STROBE_MUST_CHECK;

#endif
