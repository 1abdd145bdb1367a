// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_STEPPING_H
#define CLI_TRACE_STEPPING_H

#include <strobe/cursor.h>

#include "command.h"

// Motions through a trace as a debugger has them, both ways. Calls are followed by return addresses.

/** How far one step goes. */
enum step_unit {
	STEP_INSTRUCTION,
	STEP_LINE,   // into calls of functions whose lines are known
	STEP_OVER,   // a line of this frame
	STEP_OUT,    // forwards: behind the return to the caller; backwards: to the caller's call
	STEP_CALL,   // to a call instruction
	STEP_RETURN, // to a return
};

enum step_result {
	STEP_DONE,
	STEP_END, // the trace ends here: the cursor is at its last instruction in this direction
	STEP_GAP, // an error item: the cursor is at it
	STEP_INTERRUPTED, // by a signal: the cursor is where it came to
	STEP_NO_MEMORY,
};

/** Moves `cursor` by one step, in its own direction. */
enum step_result step_move(struct command *command, struct strobe_cursor *cursor,
			   enum step_unit unit);

#endif
