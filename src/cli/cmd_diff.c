// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "difference.h"

static const struct option options[] = {
	{"threads", 0, NULL, NULL,
	 "Show threads come and gone, and those at another place. Without any of these options, "
	 "everything is shown."},
	{"registers", 0, NULL, NULL, "Show registers of threads that are in both."},
	{"maps", 0, NULL, NULL, "Show mappings added, removed, grown, moved, changed."},
	{"fds", 0, NULL, NULL, "Show descriptors opened, closed, changed."},
	{"memory", 0, NULL, NULL, "Show ranges of bytes that differ."},
	{"globals", 0, NULL, NULL,
	 "Show global, static and thread-local variables that differ, with their members."},
	{"process", 0, NULL, NULL, "Show facts of the process: its ids, name, command, signal."},
	{"range", 0, "START-END", NULL,
	 "Compare memory and globals only there. START+SIZE will do, too."},
	{"thread", 't', "TID", NULL,
	 "Compare threads, registers and thread-locals of this thread only."},
	{"limit", 'n', "N", NULL,
	 "Show at most N changes of each section; all are counted. Default: 40, with --json all; 0 "
	 "is all."},
	{"max-elements", 0, "N", NULL,
	 "Show at most N elements of an array and N characters of a string. Default: 32."},
	{"depth", 0, "N", NULL, "Show structures nested at most N deep. Default: 4."},
};

enum { DEFAULT_LIMIT = 40, DEFAULT_ELEMENTS = 32, DEFAULT_DEPTH = 4 };

void difference_erase_progress(struct difference *difference)
{
	if (difference->progress_shown)
		fputs("\r\033[K", stderr);
	difference->progress_shown = false;
}

static bool on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	enum { WORTH_IT = 1 << 30 };
	struct difference *difference = context;
	if (total_bytes < WORTH_IT || difference->command->quiet || !isatty(STDERR_FILENO))
		return true;
	unsigned percent = (unsigned)((double)done_bytes * 100.0 / (double)total_bytes);
	if (!difference->progress_shown || percent != difference->percent)
		fprintf(stderr, "\rcomparing: %u%%", percent);
	difference->percent = percent;
	difference->progress_shown = true;
	return true;
}

static int parse_sections(struct difference *difference)
{
	static const struct {
		const char *name;
		unsigned section;
	} names[] = {
		{"threads", STROBE_DIFF_THREADS}, {"registers", STROBE_DIFF_REGISTERS},
		{"maps", STROBE_DIFF_MAPPINGS},	  {"fds", STROBE_DIFF_DESCRIPTORS},
		{"memory", STROBE_DIFF_MEMORY},	  {"globals", STROBE_DIFF_GLOBALS},
		{"process", STROBE_DIFF_PROCESS},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (command_has(difference->command, names[i].name))
			difference->sections |= names[i].section;
	if (!difference->sections)
		difference->sections = STROBE_DIFF_ALL;
	return STATUS_DONE;
}

// Value options; 0 = all, which the formatter spells as the largest number.
static int parse_format(struct difference *difference)
{
	uint64_t elements = DEFAULT_ELEMENTS, depth = DEFAULT_DEPTH;
	int status = command_number(difference->command, "max-elements", UINT32_MAX, &elements);
	if (!status)
		status = command_number(difference->command, "depth", UINT32_MAX, &depth);
	difference->format = (struct strobe_format){
		.size = sizeof(difference->format),
		.max_elements = elements ? (unsigned)elements : UINT32_MAX,
		.max_depth = depth ? (unsigned)depth : UINT32_MAX,
	};
	return status;
}

static int parse_options(struct difference *difference, struct strobe_diff_options *ret)
{
	struct command *command = difference->command;
	const char *range = command_option(command, "range");
	uint64_t tid = 0;
	difference->limit = command->json ? 0 : DEFAULT_LIMIT;
	*ret = (struct strobe_diff_options){
		.size = sizeof(*ret), .progress = on_progress, .context = difference};
	if (range && !parse_range(range, &ret->start, &ret->end))
		return command_usage(command, "--range: '%s' is not START-END", range);
	int status = command_number(command, "thread", INT32_MAX, &tid);
	if (!status)
		status = command_number(command, "limit", UINT64_MAX, &difference->limit);
	if (!status)
		status = parse_sections(difference);
	if (!status)
		status = parse_format(difference);
	ret->tid = (int)tid;
	return status;
}

static void tell_warnings(struct difference *difference)
{
	if (!difference->view)
		return;
	size_t count = strobe_view_warning_count(difference->view);
	for (; difference->warnings_told < count; difference->warnings_told++)
		command_warn(difference->command, "%s: %s", difference->command->arguments[1],
			     strobe_view_warning(difference->view, difference->warnings_told));
}

static int open_second(struct difference *difference)
{
	struct command *command = difference->command;
	struct strobe_view_options opening = command_view_options(command);
	struct strobe_error *error =
		strobe_view_open(command->arguments[1], &opening, &difference->view);
	if (error)
		return command_error(command, NULL, error);
	int status = command_open_overlay(command, difference->view);
	if (status)
		return status;
	error = strobe_symbols_open(difference->view, &difference->symbols);
	return error ? command_error(command, command->arguments[1], error) : STATUS_DONE;
}

static int check_thread(const struct difference *difference, int tid)
{
	if (tid && strobe_view_thread_index(difference->command->view, tid) == SIZE_MAX &&
	    strobe_view_thread_index(difference->view, tid) == SIZE_MAX)
		return command_fail(difference->command, "no thread %d in either", tid);
	return STATUS_DONE;
}

static int compare(struct difference *difference)
{
	struct command *command = difference->command;
	struct strobe_diff_options wanted;
	int status = parse_options(difference, &wanted);
	if (!status)
		status = open_second(difference);
	tell_warnings(difference);
	if (!status)
		status = check_thread(difference, wanted.tid);
	if (status)
		return status;
	struct strobe_error *error =
		strobe_diff_open(command->symbols, difference->symbols, &wanted, &difference->diff);
	if (error)
		return command_error(command, NULL, error);
	if (!strobe_diff_totals(difference->diff)->same_program)
		command_warn(command, "these are different programs: %s and %s",
			     command->arguments[0], command->arguments[1]);
	return command->json ? difference_json(difference) : difference_text(difference);
}

static int run_diff(struct command *command)
{
	struct difference difference = {.command = command};
	int status = compare(&difference);
	difference_erase_progress(&difference);
	strobe_diff_close(difference.diff);
	tell_warnings(&difference);
	strobe_symbols_close(difference.symbols);
	strobe_view_close(difference.view);
	return status;
}

const struct verb verb_diff = {
	.name = "diff",
	.arguments = "CORE CORE",
	.summary = "what changed between two views: threads, registers, memory, globals, ...",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = 2,
	.has_target = true,
	.run = run_diff,
};
