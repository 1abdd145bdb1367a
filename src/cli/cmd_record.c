// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/record.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "progress.h"

static const struct option options[] = {
	{"output", 'o', "FILE", NULL,
	 "Write to FILE, replacing it. Default: PID.strobe-trace or PROGRAM.strobe-trace in the "
	 "current directory, which replaces nothing."},
	{"force", 0, NULL, NULL, "Replace the default file, too."},
	{"method", 'm', "METHOD", "auto|step|pt",
	 "How to record: step, every instruction is a stop, everywhere; pt, by the processor's "
	 "Intel PT. Default: auto, pt where there is one."},
	{"count", 'n', "N", NULL, "End after N instructions (step)."},
	{"time", 'T', "SECONDS", NULL, "End after so long."},
	{"only", 0, "FUNCTION", NULL,
	 "Record only while a thread is in FUNCTION itself, and run at full speed elsewhere "
	 "(step). "
	 "May be given twice."},
	{"range", 0, "RANGE", NULL,
	 "The same for the addresses START-END or START+SIZE. Counts with --only."},
	{"from", 0, "LOCATION", NULL,
	 "Begin when a thread comes to LOCATION: a function, FILE:LINE or an address; run at full "
	 "speed before (step)."},
	{"until", 0, "LOCATION", NULL, "End when a thread comes to LOCATION (step)."},
	{"thread", 't', "TID", NULL,
	 "Record only this thread of the process. Default: all, new ones too."},
	{"follow-forks", 'F', NULL, NULL,
	 "Record processes that it forks, too. Default: they are let go."},
	{"snapshot", 0, NULL, NULL,
	 "Keep only what the processor's buffer holds when the recording ends (pt)."},
	{"full", 0, NULL, NULL, "Keep everything (pt). This is the default."},
	{"buffer-size", 0, "SIZE", NULL,
	 "Size of each CPU's buffer, a power of 2 (pt). Default: 4M."},
};

/** One run. */
struct record {
	struct command *command;
	struct strobe_record_options options;
	struct strobe_record_result result;
	struct progress progress;
	bool has_names; // of options that need the target's modules
	char *path;
	const char **arguments; // of the program, ended by NULL
};

static bool read_seconds(const char *text, double *ret)
{
	char *end;
	*ret = strtod(text, &end);
	return isdigit((unsigned char)*text) && !*end && *ret > 0 && *ret < 1e9;
}

static int read_limits(struct record *record)
{
	struct command *command = record->command;
	struct strobe_record_limits *limits = &record->options.limits;
	const char *seconds = command_option(command, "time"), *text;
	uint64_t thread = 0;
	size_t at = 0;
	int status = command_number(command, "count", UINT64_MAX, &limits->instructions);
	if (!status)
		status = command_number(command, "thread", INT_MAX, &thread);
	if (status)
		return status;
	record->options.tid = (int)thread;
	if (command_has(command, "count") && !limits->instructions)
		return command_usage(command, "--count: the least is 1");
	if (seconds && !read_seconds(seconds, &limits->seconds))
		return command_usage(command, "--time: '%s' is no number of seconds", seconds);
	while ((text = command_option_next(command, "range", &at))) {
		unsigned i = limits->range_count;
		if (i == STROBE_RECORD_RANGES)
			return command_usage(command, "more than %d of --only and --range",
					     STROBE_RECORD_RANGES);
		if (!parse_range(text, &limits->range_starts[i], &limits->range_ends[i]) ||
		    limits->range_starts[i] >= limits->range_ends[i])
			return command_usage(command,
					     "--range: '%s' is neither START-END nor "
					     "START+SIZE",
					     text);
		limits->range_count++;
	}
	for (at = 0; command_option_next(command, "only", &at);)
		record->has_names = true;
	record->has_names =
		record->has_names || command_has(command, "from") || command_has(command, "until");
	return STATUS_DONE;
}

static int read_method(struct record *record)
{
	static const char *const of_step[] = {"count", "only", "range", "from", "until"};
	static const char *const of_pt[] = {"snapshot", "full", "buffer-size"};
	struct command *command = record->command;
	struct strobe_record_options *chosen = &record->options;
	const char *method = command_option(command, "method");
	const char *size = command_option(command, "buffer-size");
	bool step = method && strcmp(method, "step") == 0;
	bool pt = method && strcmp(method, "pt") == 0;
	chosen->method = step ? STROBE_RECORD_STEP
			 : pt ? STROBE_RECORD_INTEL_PT
			      : STROBE_RECORD_AUTO;
	for (size_t i = 0; i < sizeof(of_pt) / sizeof(of_pt[0]); i++)
		if (step && command_has(command, of_pt[i]))
			return command_usage(command, "--%s is for --method pt", of_pt[i]);
	for (size_t i = 0; i < sizeof(of_step) / sizeof(of_step[0]); i++) {
		if (pt && command_has(command, of_step[i]))
			return command_usage(command, "--%s is for --method step", of_step[i]);
		if (command_has(command, of_step[i]))
			chosen->method = STROBE_RECORD_STEP;
	}
	chosen->snapshot = command_has(command, "snapshot");
	if (chosen->snapshot && command_has(command, "full"))
		return command_usage(command, "--snapshot and --full exclude each other");
	if (size && (!parse_size(size, &chosen->buffer_bytes) || !chosen->buffer_bytes ||
		     chosen->buffer_bytes & (chosen->buffer_bytes - 1)))
		return command_usage(command, "--buffer-size: '%s' is no power of 2", size);
	return STATUS_DONE;
}

/** One argument that is a number is a process; all else is a program. */
static int read_target(struct record *record)
{
	struct command *command = record->command;
	uint64_t pid;
	const char *first = command->arguments[0];
	size_t count = command->argument_count;
	if (count == 1 && isdigit((unsigned char)*first) && parse_number(first, &pid)) {
		if (!pid || pid > INT_MAX)
			return command_usage(command, "'%s' is no process id", first);
		record->options.pid = (int)pid;
		return STATUS_DONE;
	}
	if (record->options.tid)
		return command_usage(command, "--thread is for a process that runs");
	record->arguments = calloc(count + 1, sizeof(*record->arguments));
	if (!record->arguments)
		return command_fail(command, "out of memory");
	memcpy(record->arguments, command->arguments, count * sizeof(*record->arguments));
	record->options.arguments = record->arguments;
	return STATUS_DONE;
}

static int choose_file(struct record *record)
{
	struct command *command = record->command;
	const char *output = command_option(command, "output"), *name = command->arguments[0];
	const char *slash = strrchr(name, '/');
	if (output && !*output)
		return command_usage(command, "-o: no file given");
	if (asprintf(&record->path, output ? "%s" : "%s.strobe-trace",
		     output  ? output
		     : slash ? slash + 1
			     : name) < 0)
		return command_fail(command, "out of memory");
	record->options.path = record->path;
	if (!output && !command_has(command, "force") && access(record->path, F_OK) == 0)
		return command_fail(command,
				    "%s exists; give --force to replace it, or another name by -o",
				    record->path);
	return STATUS_DONE;
}

/** Of a place in the program: its address. */
struct found_line {
	uint64_t address;
	bool found;
};

static bool take_first(void *context, uint64_t address, const struct strobe_line *line)
{
	struct found_line *found = context;
	(void)line;
	found->address = address;
	found->found = true;
	return false;
}

static struct strobe_error *find_place(struct strobe_symbols *symbols, const char *text,
				       uint64_t *ret)
{
	struct strobe_function function;
	struct found_line found = {0};
	uint64_t line;
	const char *colon = strrchr(text, ':');
	if (parse_number(text, ret))
		return NULL;
	if (colon && colon > text && colon[-1] != ':' && parse_number(colon + 1, &line) && line &&
	    line <= INT_MAX) {
		char file[4096];
		snprintf(file, sizeof(file), "%.*s", (int)(colon - text), text);
		struct strobe_error *error =
			strobe_line_find(symbols, file, (unsigned)line, take_first, &found);
		*ret = found.address;
		if (error || found.found)
			return error;
	}
	struct strobe_error *error = strobe_function_find(symbols, text, &function);
	if (!error)
		*ret = function.start;
	return error;
}

static struct strobe_error *find_functions(const struct command *command,
					   struct strobe_symbols *symbols,
					   struct strobe_record_limits *limits)
{
	const char *name;
	size_t at = 0;
	while ((name = command_option_next(command, "only", &at)) &&
	       limits->range_count < STROBE_RECORD_RANGES) {
		struct strobe_function function;
		struct strobe_error *error = strobe_function_find(symbols, name, &function);
		if (error)
			return error;
		limits->range_starts[limits->range_count] = function.start;
		limits->range_ends[limits->range_count++] =
			function.end > function.start ? function.end : function.start + 1;
	}
	return NULL;
}

/** In the recording process: names become addresses. */
static struct strobe_error *place(void *context, struct strobe_view *view,
				  struct strobe_record_limits *limits)
{
	const struct record *record = context;
	const struct command *command = record->command;
	const char *from = command_option(command, "from");
	const char *until = command_option(command, "until");
	struct strobe_symbols *symbols;
	struct strobe_error *error = strobe_symbols_open(view, &symbols);
	if (error)
		return error;
	if (from)
		error = find_place(symbols, from, &limits->from);
	if (!error && until)
		error = find_place(symbols, until, &limits->until);
	if (!error)
		error = find_functions(command, symbols, limits);
	strobe_symbols_close(symbols);
	return error;
}

static bool tell_progress(void *context, const struct strobe_record_progress *now)
{
	struct record *record = context;
	struct progress *progress = &record->progress;
	struct size_text size;
	if (progress->shown) {
		fprintf(stderr, "\r\033[K%s: ", progress->label);
		if (!now->started)
			fputs("waiting for the place where it begins", stderr);
		else if (now->instructions)
			fprintf(stderr, "%" PRIu64 " instructions, %" PRIu64 " threads, ",
				now->instructions, now->threads);
		fprintf(stderr, "%s", now->started ? size_text(now->bytes, &size) : "");
		fflush(stderr);
		progress->drawn = true;
	}
	return !progress_interrupted();
}

static const char *name_end(enum strobe_record_end end)
{
	switch (end) {
	case STROBE_RECORD_TARGET_ENDED:
		return "target ended";
	case STROBE_RECORD_INSTRUCTIONS:
		return "count";
	case STROBE_RECORD_SECONDS:
		return "time";
	case STROBE_RECORD_UNTIL:
		return "until";
	case STROBE_RECORD_STOPPED:
		break;
	}
	return "stopped";
}

static void result_json(const struct record *record)
{
	const struct strobe_record_result *result = &record->result;
	bool exited = !result->target_runs && record->arguments;
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_string(&json, "file", record->path);
	json_string(&json, "method", strobe_record_method_name(result->method));
	json_string(&json, "end", name_end(result->end));
	json_signed(&json, "pid", result->pid);
	json_unsigned(&json, "instructions", result->instructions);
	json_unsigned(&json, "threads", result->threads);
	json_unsigned(&json, "processes", result->processes);
	json_unsigned(&json, "events", result->events);
	json_unsigned(&json, "bytes", result->bytes);
	json_unsigned(&json, "lost_bytes", result->lost_bytes);
	json_unsigned(&json, "time_ns", (uint64_t)(result->seconds * 1e9));
	json_bool(&json, "target_runs", result->target_runs);
	if (exited && WIFEXITED(result->exit_status))
		json_signed(&json, "exit_status", WEXITSTATUS(result->exit_status));
	else
		json_null(&json, "exit_status");
	if (exited && WIFSIGNALED(result->exit_status))
		json_string(&json, "exit_signal",
			    strobe_signal_name(WTERMSIG(result->exit_status)));
	else
		json_null(&json, "exit_signal");
	json_object_end(&json);
	json_fini(&json);
}

static void result_text(const struct record *record)
{
	const struct strobe_record_result *result = &record->result;
	struct size_text size;
	put_safe(stdout, record->path);
	fputs(": ", stdout);
	if (result->instructions)
		printf("%" PRIu64 " instructions, ", result->instructions);
	printf("%" PRIu64 " thread%s, %" PRIu64 " events, %s in %.1f s; ", result->threads,
	       result->threads == 1 ? "" : "s", result->events, size_text(result->bytes, &size),
	       result->seconds);
	if (result->end == STROBE_RECORD_TARGET_ENDED && record->arguments &&
	    WIFSIGNALED(result->exit_status))
		printf("killed by %s\n", strobe_signal_name(WTERMSIG(result->exit_status)));
	else if (result->end == STROBE_RECORD_TARGET_ENDED && record->arguments)
		printf("exit status %d\n", WEXITSTATUS(result->exit_status));
	else
		printf("%s%s\n", name_end(result->end),
		       result->target_runs ? "; the process runs on" : "");
}

static int record_now(struct record *record)
{
	struct command *command = record->command;
	const char *problem = strobe_record_method_problem(STROBE_RECORD_AUTO);
	if (record->options.method == STROBE_RECORD_AUTO && problem)
		command_note(command, "by single steps: %s", problem);
	progress_begin(&record->progress, record->path, command->quiet);
	record->options.progress = tell_progress;
	record->options.context = record;
	record->options.place = record->has_names ? place : NULL;
	struct strobe_error *error = strobe_record_run(&record->options, &record->result);
	progress_end(&record->progress);
	progress_release();
	if (error)
		return command_error(command, NULL, error);
	if (command->json)
		result_json(record);
	else
		result_text(record);
	if (record->result.lost_bytes)
		command_warn(command, "%" PRIu64 " bytes of packets were lost",
			     record->result.lost_bytes);
	return STATUS_DONE;
}

static int run_record(struct command *command)
{
	struct record record = {.command = command, .options.size = sizeof(record.options)};
	record.options.follow_forks = command_has(command, "follow-forks");
	int status = read_limits(&record);
	if (!status)
		status = read_method(&record);
	if (!status)
		status = read_target(&record);
	if (!status)
		status = choose_file(&record);
	if (!status)
		status = record_now(&record);
	free(record.path);
	free(record.arguments);
	return status;
}

const struct verb verb_record = {
	.name = "record",
	.arguments = "PID|-- PROGRAM [ARGUMENT...]",
	.summary = "record what a process, or a program, executes",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = SIZE_MAX,
	.has_output = true,
	.run = run_record,
};
