// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_CALLS_OUTPUT_H
#define CLI_TRACE_CALLS_OUTPUT_H

#include <strobe/calls.h>

#include "command.h"

/** A call that is open, as text shows it. */
struct open_call {
	struct strobe_call call;
	// The stretch of its own code since it was entered, or came back from a call; the ids are
	// STROBE_NO_ID where there is none.
	uint64_t start_id, start_address;
	bool told; // a line of it was written
};

/** Writes a call tree as it is walked. */
struct calls_output {
	const struct command *command;
	struct strobe_calls_visitor visitor;
	struct json json;
	bool filtered; // instructions of calls that are not shown stand between those of shown ones
	bool no_memory;
	struct open_call *open;
	size_t open_count, open_capacity;
	uint64_t tree_count;
};

void calls_output_init(struct calls_output *output, const struct command *command,
		       const struct strobe_calls_options *options);
const struct strobe_calls_visitor *calls_output_visitor(const struct calls_output *output);
/** The walk is over, without an error. */
void calls_output_end(struct calls_output *output, const struct strobe_calls_summary *summary);
void calls_output_fini(struct calls_output *output);

#endif
