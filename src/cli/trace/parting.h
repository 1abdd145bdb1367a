// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_PARTING_H
#define CLI_TRACE_PARTING_H

#include <strobe/trace_diff.h>

#include "command.h"

/** One run of trace diff. */
struct parting {
	struct command *command;
	struct strobe_trace_diff_options options;
	uint64_t limit;		    // of differences told; 0 = all
	uint64_t context;	    // places shown of what each side did next
	struct strobe_trace *other; // B; `command` has A
	struct strobe_symbols *other_symbols;
	struct json json;
	uint64_t told;
	bool begun; // the JSON document
	// Of the pair of threads at hand.
	struct strobe_trace_side sides[2];
	struct strobe_cursor *cursors[2];
	struct strobe_trace_diff *diff;
};

/** What a step is called: "instructions", "calls and returns". */
const char *parting_unit(const struct parting *run);
void parting_begin_text(const struct parting *run);
void parting_text(struct parting *run, const struct strobe_trace_difference *difference);
void parting_end_text(const struct parting *run, bool more);
void parting_begin_json(struct parting *run);
void parting_json(struct parting *run, const struct strobe_trace_difference *difference);
void parting_end_json(struct parting *run, bool more);

/** Called for each place; returns false to end it. */
typedef bool (*parting_visit)(struct parting *run, int side);
/** Visits the next places (functions or lines) from item `id` on of `side`, at most `count` and none after
 *  `items` items: the side's cursor stands there. */
void parting_places(struct parting *run, int side, uint64_t id, uint64_t items, uint64_t count,
		    parting_visit visit);

#endif
