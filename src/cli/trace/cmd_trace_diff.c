// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <string.h>
#include <strobe/trace_diff.h>

#include "command.h"
#include "trace/parting.h"
#include "trace/range.h"

static const struct option options[] = {
	{"functions", 0, NULL, NULL,
	 "Compare calls, by the names of functions, and returns; not what stands in between. For "
	 "two builds of a program, say."},
	{"events", 'e', NULL, NULL,
	 "Compare events, too, but for those of clocks, power, CPUs and PSBs."},
	{"other-thread", 0, "TID", NULL,
	 "The second trace's thread. Default: the one at the same place as the first's, or, "
	 "without "
	 "--thread either, all pairs."},
	{"limit", 'n', "N", NULL, "Tell at most N differences of a pair; 0 is all. Default: 10."},
	{"context", 0, "N", NULL,
	 "Show the next N lines (functions) of each side after a difference. Default: 4."},
	{"look-ahead", 0, "N", NULL,
	 "Look for a place where both are equal again in the next N steps of each. Default: "
	 "65536."},
	{"window", 0, "N", NULL,
	 "Equal steps in a row that make such a place. Default: 32; with --functions 8."},
};

enum { DEFAULT_LIMIT = 10, DEFAULT_CONTEXT = 4, CONTEXT_LIMIT = 1000 };

static int read_options(struct parting *run)
{
	struct command *command = run->command;
	uint64_t look_ahead = 0, window = 0;
	run->limit = DEFAULT_LIMIT;
	run->context = DEFAULT_CONTEXT;
	int status = command_number(command, "limit", UINT64_MAX, &run->limit);
	if (!status)
		status = command_number(command, "context", CONTEXT_LIMIT, &run->context);
	if (!status)
		status = command_number(command, "look-ahead", STROBE_TRACE_DIFF_LOOK_AHEAD_LIMIT,
					&look_ahead);
	if (!status)
		status = command_number(command, "window", UINT32_MAX, &window);
	run->options = (struct strobe_trace_diff_options){
		.size = sizeof(run->options),
		.functions = command_has(command, "functions"),
		.events = command_has(command, "events"),
		.look_ahead = (uint32_t)look_ahead,
		.window = (uint32_t)window,
	};
	return status;
}

static int tell_all(struct parting *run)
{
	struct strobe_trace_difference difference;
	bool found = true, more = false;
	struct strobe_error *error = NULL;
	run->told = 0;
	while (!more && !(error = strobe_trace_diff_next(run->diff, &difference, &found)) &&
	       found) {
		more = run->limit && run->told == run->limit;
		if (more)
			break;
		run->told++;
		if (run->command->json)
			parting_json(run, &difference);
		else
			parting_text(run, &difference);
	}
	if (error)
		return command_error(run->command, NULL, error);
	if (run->command->json)
		parting_end_json(run, more);
	else
		parting_end_text(run, more);
	return STATUS_DONE;
}

static struct strobe_error *open_pair(struct parting *run)
{
	struct strobe_error *error = NULL;
	for (int i = 0; i < 2 && !error; i++) {
		error = strobe_cursor_open(run->sides[i].trace, run->sides[i].thread_index,
					   &run->cursors[i]);
		if (!error)
			strobe_cursor_set_forwards(run->cursors[i], true);
	}
	if (!error)
		error = strobe_trace_diff_open(&run->sides[0], &run->sides[1], &run->options,
					       &run->diff);
	return error;
}

static int compare_pair(struct parting *run, size_t a, size_t b)
{
	struct command *command = run->command;
	run->sides[0] = (struct strobe_trace_side){
		.trace = command->trace, .symbols = command->symbols, .thread_index = a};
	run->sides[1] = (struct strobe_trace_side){
		.trace = run->other, .symbols = run->other_symbols, .thread_index = b};
	struct strobe_error *error = open_pair(run);
	int status = STATUS_DONE;
	if (error) {
		status = command_error(command, NULL, error);
	} else {
		if (command->json)
			parting_begin_json(run);
		else
			parting_begin_text(run);
		status = tell_all(run);
	}
	run->diff = strobe_trace_diff_close(run->diff);
	for (int i = 0; i < 2; i++)
		run->cursors[i] = strobe_cursor_close(run->cursors[i]);
	return status;
}

static int other_thread(struct parting *run, size_t *ret)
{
	struct command *command = run->command;
	uint64_t tid = 0;
	int status = command_number(command, "other-thread", INT32_MAX, &tid);
	if (status)
		return status;
	*ret = command->thread_index;
	if (command_has(command, "other-thread"))
		*ret = strobe_trace_thread_index(run->other, (int)tid);
	if (*ret >= strobe_trace_thread_count(run->other))
		return command_fail(command, "%s: has no such thread (see strobe trace info)",
				    command->arguments[1]);
	return STATUS_DONE;
}

static int compare(struct parting *run)
{
	struct command *command = run->command;
	size_t a = strobe_trace_thread_count(command->trace);
	size_t b = strobe_trace_thread_count(run->other), other;
	if (command_has(command, "thread") || command_has(command, "other-thread")) {
		int status = other_thread(run, &other);
		return status ? status : compare_pair(run, command->thread_index, other);
	}
	if (a == 0 || b == 0)
		return command_fail(command, "%s: no thread is in it",
				    command->arguments[a ? 1 : 0]);
	if (a != b)
		command_warn(command, "%s has %zu threads, %s has %zu: the first %zu are compared",
			     command->arguments[0], a, command->arguments[1], b, a < b ? a : b);
	int status = STATUS_DONE;
	for (size_t i = 0; i < a && i < b && !status; i++) {
		if (i && !command->json)
			putchar('\n');
		status = compare_pair(run, i, i);
	}
	return status;
}

static int run_trace_diff(struct command *command)
{
	struct parting run = {.command = command};
	int status = read_options(&run);
	if (!status)
		status = command_open_other_trace(command, command->arguments[1], &run.other,
						  &run.other_symbols);
	if (!status)
		status = compare(&run);
	if (run.begun) {
		json_array_end(&run.json);
		json_object_end(&run.json);
		json_fini(&run.json);
	}
	strobe_symbols_close(run.other_symbols);
	strobe_trace_close(run.other);
	return status;
}

const struct verb verb_trace_diff = {
	.name = "trace diff",
	.arguments = "FILE FILE",
	.summary = "where two executions of a program part, and meet again",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = 2,
	.has_trace = true,
	.run = run_trace_diff,
};
