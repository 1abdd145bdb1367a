// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <stdlib.h>
#include <strobe/calls.h>

#include "command.h"
#include "trace/calls_output.h"
#include "trace/range.h"

static const struct option options[] = {
	{"thread", 't', "TID", NULL, "Show this thread's calls. Default: the first thread."},
	OPTIONS_TRACE_RANGE,
	{"function", 'f', "PATTERN", NULL,
	 "Show only calls of functions whose name matches, and what is called from them; the "
	 "pattern "
	 "is one as the shell's."},
	{"regex", 'r', NULL, NULL, "The pattern of --function is a regular expression."},
	{"module", 'm', "NAME", NULL, "Show only functions of the module NAME."},
	{"min-instructions", 'n', "N", NULL,
	 "Show only calls with at least N instructions, what they call included."},
	{"depth", 'd', "N", NULL, "Show N levels; instructions of deeper ones are counted."},
	{"limit", 'l', "N", NULL, "End after N calls."},
	{"no-inlined", 0, NULL, NULL, "Show no inlined calls."},
	{"no-times", 0, NULL, NULL, "Show no times; it is a little faster."},
};

static int read_options(const struct command *command, struct strobe_calls_options *ret)
{
	uint64_t depth = 0;
	*ret = (struct strobe_calls_options){
		.size = sizeof(*ret),
		.times = !command_has(command, "no-times"),
		.no_inlined = command_has(command, "no-inlined"),
		.match = command_has(command, "regex") ? STROBE_MATCH_REGEX : STROBE_MATCH_GLOB,
		.function = command_option(command, "function"),
		.module = command_option(command, "module"),
	};
	if (command_has(command, "regex") && !ret->function)
		return command_usage(command, "--regex says how --function is meant: give it, too");
	int status =
		command_number(command, "min-instructions", UINT64_MAX, &ret->min_instructions);
	if (!status)
		status = command_number(command, "depth", UINT32_MAX, &depth);
	if (!status && command_has(command, "depth") && !depth)
		status = command_usage(command, "--depth: at least 1");
	if (!status)
		status = command_number(command, "limit", UINT64_MAX, &ret->max_calls);
	if (!status && command_has(command, "limit") && !ret->max_calls)
		status = command_usage(command, "--limit: at least 1");
	ret->max_depth = (uint32_t)depth;
	return status;
}

static int run_trace_calls(struct command *command)
{
	struct calls_output output;
	struct strobe_calls_options what;
	struct strobe_calls_summary summary = {0};
	struct trace_range range;
	int status = read_options(command, &what);
	if (!status)
		status = trace_range(command, &range);
	if (status)
		return status;
	what.first_id = range.first;
	what.end_id = range.last + 1;
	calls_output_init(&output, command, &what);
	struct strobe_error *error = NULL;
	if (!range.empty)
		error = strobe_calls_walk(command->trace, command->thread_index, command->symbols,
					  &what, calls_output_visitor(&output), &summary);
	if (error)
		status = command_error(command, NULL, error);
	else if (output.no_memory)
		status = command_fail(command, "out of memory");
	else
		calls_output_end(&output, &summary);
	calls_output_fini(&output);
	return status;
}

const struct verb verb_trace_calls = {
	.name = "trace calls",
	.arguments = "FILE",
	.summary = "the calls that a thread made, as a tree",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_trace = true,
	.run = run_trace_calls,
};
