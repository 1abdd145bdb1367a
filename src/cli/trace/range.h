// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_RANGE_H
#define CLI_TRACE_RANGE_H

#include <stdint.h>
#include <strobe/cursor.h>

#include "command.h"

// Places in a trace as they are written on the command line: an item's id, a position as strobe_cursor_tell()
// writes it, or a time since the trace's beginning: a number with ns, us, ms or s.

/** For the tables of verbs that can be told which part of a thread's trace to look at. */
#define OPTIONS_TRACE_RANGE                                                                        \
	{"from", 0, "PLACE", NULL,                                                                 \
	 "Begin at PLACE: an item's id, a position, or a time since the trace's beginning "        \
	 "(12.5us)."},                                                                             \
	{                                                                                          \
		"to", 0, "PLACE", NULL, "End at PLACE; its item is included."                      \
	}

/** A part of a thread's items: those from `first` to `last`, both included. */
struct trace_range {
	uint64_t first, last;
	bool empty; // there is no item in it; then the ids mean nothing
	bool whole; // neither end was given
};

/** "12.5us" as nanoseconds. */
bool parse_time(const char *text, double *ret_ns);
/**
 * Moves `cursor` to the item that `text` names: of a time the first at or after it. `*ret_found` is false, and the
 * cursor off the end, if nothing is that late. Fails for what is no place, or an id that is not there;
 * `option` ("--from") is whose value it is.
 */
int trace_place(const struct command *command, struct strobe_cursor *cursor, const char *option,
		const char *text, bool *ret_found) STROBE_MUST_CHECK;
/** Without --thread, the thread becomes that of the position "TID#ID..."; else, and for other texts, nothing happens. */
void trace_thread_of(struct command *command, const char *position);
/** The same for what --from and --to say. */
void trace_thread_of_range(struct command *command);
/** What --from and --to say of the thread `command->thread_index`. */
int trace_range(const struct command *command, struct trace_range *ret) STROBE_MUST_CHECK;

#endif
