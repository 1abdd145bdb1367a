// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/tracepoint_server.h>
#include <strobe/tracepoint_session.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "progress.h"
#include "watch/live.h"
#include "watch/points.h"
#include "watch/servers.h"
#include "watch/sessions.h"

static const struct option options[] = {
	{"file", 'f', "FILE", NULL,
	 "Take the tracepoints of this YAML file, and take them again whenever it changes."},
	{"output", 'o', "FILE", NULL,
	 "Append results to FILE, one JSON object a line. Default: show them."},
	{"log", 'l', "TEXT", NULL,
	 "Write this for each hit, {EXPRESSION} replaced by its value, and collect nothing else."},
	{"watch", 'w', "EXPRESSION", NULL,
	 "Collect the value of EXPRESSION, too. May be given more than once."},
	{"snapshot", 0, NULL, NULL, "Collect frames and variables even with --log or --metric."},
	{"count", 'n', "N", NULL, "Fire N times; -1 without an end, which is the default."},
	{"period", 0, "MS", NULL, "Fire at most once in so many milliseconds. Default: 0."},
	{"metric", 0, "NAME[=EXPRESSION]", NULL,
	 "Count hits, or sum up EXPRESSION, under this name."},
	{"stage", 0, "STAGE", "line_start|method_start|method_end|method_capture",
	 "When to collect: at the line or the call, at the end of the call, or at both with what "
	 "it returned."},
	{"span", 0, NULL, NULL, "Time each call of the function."},
	{"set", 0, "ARGUMENT=VALUE", NULL,
	 "Set another argument of the tracepoints on the command line, as in the file: all_frame, "
	 "limits, hold, snap, ... "
	 "May be given more than once."},
	{"time", 'T', "SECONDS", NULL, "End after so long."},
	{"hits", 0, "N", NULL, "End after N results."},
	{"no-table", 0, NULL, NULL,
	 "On a terminal, show results alone, without the table of tracepoints below them."},
	{"status", 0, NULL, NULL,
	 "When it ends, tell how each tracepoint did, as JSON where results are. With a process id "
	 "or "
	 "a session's name and nothing else: how the tracepoints there do now."},
	{"list", 0, NULL, NULL,
	 "List sessions that watch processes (that process), of this user; of all users for root."},
	{"add", 0, NULL, NULL,
	 "Add the PLACEs, with --log and so on, to the session that is named, or that watches the "
	 "process."},
	{"remove", 0, NULL, NULL,
	 "Take the tracepoints whose ids follow away from the session that is named, or that "
	 "watches "
	 "the process; without ids, end it."},
	{"engine", 0, "ENGINE", "auto|agent|uprobe",
	 "How hits are made: uprobe, by the kernel, anywhere; agent, by jumps into code of "
	 "strobe's in the process, at nanoseconds, where an instruction allows it, and by uprobes "
	 "elsewhere; auto, which is the default, like agent, but without it where it is of no use, "
	 "or "
	 "not to be had."},
	{"budget", 0, "LIMIT=NUMBER", NULL,
	 "What all tracepoints together may cost: cpu_share (of one processor, 0.05 say), "
	 "latency_us "
	 "(that a hit adds on average), hits_per_second, bytes_per_second. Beyond it the dearest "
	 "is "
	 "only counted for a while, then off. May be given more than once."},
	{"resource", 0, "NAME=VALUE", NULL,
	 "Tell this with each result. May be given more than once."},
	{"deep", 0, "URL", NULL,
	 "Take tracepoints from this server in DEEP's protocol, and send it snapshots: "
	 "[http://|https://]HOST[:PORT]; TLS and port 43315 if nothing else is said."},
	{"deep-user", 0, "NAME", NULL, "Basic authorisation: the user."},
	{"deep-password-file", 0, "FILE", NULL,
	 "Basic authorisation: the password is the file's first line."},
	{"deep-percent-space", 0, NULL, NULL,
	 "Write the authorisation as DEEP's own agent for Python does: \"Basic%20...\"."},
	{"deep-header", 0, "NAME=VALUE", NULL,
	 "Send this with each call, such as x-scope-orgid. May be given more than once."},
	{"deep-interval", 0, "SECONDS", NULL, "Poll the server so often. Default: 10."},
	{"deep-allow-files", 0, NULL, NULL,
	 "Let the server's tracepoints hold, snap and record, which write files here."},
	{"otlp", 0, "URL", NULL,
	 "Send logs, snapshots, metrics and spans to this OpenTelemetry collector, by OTLP/HTTP: "
	 "http[s]://HOST:4318."},
	{"otlp-header", 0, "NAME=VALUE", NULL,
	 "Send this with each request to it. May be given more than once."},
	{"ca-file", 0, "FILE", NULL,
	 "Trust the certificates in FILE (PEM) in place of the system's."},
};

enum { PAIR_LIMIT = 64, POLL_MS = 200 };

/** One run. */
struct watch {
	struct command *command;
	struct strobe_watch *session;
	struct strobe_watch_options options;
	struct strobe_pair resource[PAIR_LIMIT];
	char *resource_copies[PAIR_LIMIT];
	FILE *output; // NULL = standard output, shown
	uint64_t results, limit;
	double seconds;
	bool program, write_failed, lacks_told;
	struct progress progress;
	struct live live;	// the table, if there is one
	const char **arguments; // of the program
};

static int take_limits(struct watch *watch)
{
	struct command *command = watch->command;
	const char *seconds = command_option(command, "time");
	char *end;
	if (seconds) {
		watch->seconds = strtod(seconds, &end);
		if (!isdigit((unsigned char)*seconds) || *end || watch->seconds <= 0)
			return command_usage(command, "--time: '%s' is no number of seconds",
					     seconds);
	}
	return command_number(command, "hits", UINT64_MAX, &watch->limit);
}

/** One --budget. */
static int take_limit(struct watch *watch, const char *text)
{
	static const char *const names[] = {"cpu_share", "latency_us", "hits_per_second",
					    "bytes_per_second"};
	struct strobe_watch_options *wanted = &watch->options;
	const char *equals = strchr(text, '=');
	char *end = NULL;
	double number = equals ? strtod(equals + 1, &end) : 0;
	size_t index = 0;
	while (index < 4 && equals && strncmp(names[index], text, (size_t)(equals - text)) != 0)
		index++;
	if (!equals || index == 4 || strlen(names[index]) != (size_t)(equals - text) ||
	    !isdigit((unsigned char)equals[1]) || *end || !(number > 0))
		return command_usage(watch->command,
				     "--budget: '%s' is none of cpu_share, latency_us, "
				     "hits_per_second and bytes_per_second, =NUMBER",
				     text);
	if (index == 0)
		wanted->cpu_share = number;
	else if (index == 1)
		wanted->latency_us = number;
	else if (index == 2)
		wanted->hits_per_second = number;
	else
		wanted->bytes_per_second = (uint64_t)(number < 1 ? 1 : number);
	return STATUS_DONE;
}

static int take_budget(struct watch *watch)
{
	const char *text;
	size_t at = 0;
	int status = STATUS_DONE;
	while (!status && (text = command_option_next(watch->command, "budget", &at)))
		status = take_limit(watch, text);
	return status;
}

static int take_resource(struct watch *watch)
{
	const char *text;
	size_t at = 0;
	watch->options.resource = watch->resource;
	while ((text = command_option_next(watch->command, "resource", &at))) {
		if (watch->options.resource_count == PAIR_LIMIT ||
		    !cut_pair(text, &watch->resource[watch->options.resource_count],
			      &watch->resource_copies[watch->options.resource_count]))
			return command_usage(watch->command, "--resource: '%s' is not NAME=VALUE",
					     text);
		watch->options.resource_count++;
	}
	return STATUS_DONE;
}

static int register_one(struct watch *watch, const char *text)
{
	struct point *point;
	int status = point_make(watch->command, text, &point);
	if (status)
		return status;
	struct strobe_error *error =
		strobe_watch_register(watch->session, &point->tracepoint, NULL);
	point_free(point);
	return error ? command_error(watch->command, NULL, error) : STATUS_DONE;
}

// The file.

static void report(void *context, unsigned line, const char *what)
{
	struct watch *watch = context;
	live_clear(&watch->live);
	fprintf(stderr, "strobe: watch: %s:%u: ", command_option(watch->command, "file"), line);
	put_safe(stderr, what);
	fputs(": not taken\n", stderr);
}

/** A file that went bad changes nothing, once it has been read. */
static int read_file(struct watch *watch, bool first)
{
	const char *path = command_option(watch->command, "file");
	bool changed;
	struct strobe_error *error =
		path ? strobe_watch_read_file(watch->session, path, report, watch, &changed) : NULL;
	if (!error)
		return STATUS_DONE;
	live_clear(&watch->live);
	if (first)
		return command_error(watch->command, NULL, error);
	fprintf(stderr, "strobe: watch: %s: the tracepoints stay as they were\n",
		strobe_error_message(error));
	strobe_error_free(error);
	return STATUS_DONE;
}

// Results.

static bool take(void *context, const char *kind, const char *json, size_t size, const char *text)
{
	struct watch *watch = context;
	FILE *out = watch->output ? watch->output : stdout;
	bool counts = strcmp(kind, "status") != 0;
	// Those that came with the last one wanted.
	if (counts && watch->limit && watch->results >= watch->limit)
		return true;
	watch->results += counts;
	live_clear(&watch->live);
	if (watch->output || watch->command->json) {
		fwrite(json, 1, size, out);
		fputc('\n', out);
	} else {
		put_safe_lines(out, text, 0);
		fputc('\n', out);
	}
	if (fflush(out) == 0)
		return true;
	watch->write_failed = true;
	return false;
}

static void show_status(struct watch *watch)
{
	if (watch->output || watch->command->json)
		strobe_error_free(strobe_watch_tell_status(watch->session));
	for (size_t i = 0; i < strobe_watch_count(watch->session); i++) {
		struct strobe_tracepoint_status status;
		strobe_watch_status(watch->session, i, &status);
		fputs("strobe: watch: ", stderr);
		put_safe(stderr, status.id);
		fprintf(stderr, ": %s at %zu place%s", status.state, status.armed_count,
			status.armed_count == 1 ? "" : "s");
		if (status.moved_to)
			fprintf(stderr, " of line %u", status.moved_to);
		fprintf(stderr, ", %" PRIu64 " hits, fired %" PRIu64, status.hits, status.fired);
		if (status.errors || status.dropped)
			fprintf(stderr, ", %" PRIu64 " errors, %" PRIu64 " dropped", status.errors,
				status.dropped);
		if (status.error) {
			fputs(": ", stderr);
			put_safe(stderr, status.error);
		}
		fputc('\n', stderr);
	}
}

/** Hits that nobody saw belong to no tracepoint. */
static void show_lost(const struct watch *watch)
{
	struct strobe_watch_totals totals;
	strobe_watch_totals(watch->session, &totals);
	if (totals.lost)
		command_warn(watch->command,
			     "%" PRIu64 " hits were lost: they came faster than they are handled",
			     totals.lost);
}

/** What cannot be armed is said at once; what may come later, too. */
static void tell_problems(struct watch *watch)
{
	for (size_t i = 0; i < strobe_watch_count(watch->session) && !watch->command->quiet; i++) {
		struct strobe_tracepoint_status status;
		strobe_watch_status(watch->session, i, &status);
		if (!status.error && !status.moved_to)
			continue;
		fputs("strobe: watch: ", stderr);
		put_safe(stderr, status.id);
		if (status.moved_to)
			fprintf(stderr, ": moved to line %u", status.moved_to);
		if (status.error) {
			fputs(": ", stderr);
			put_safe(stderr, status.error);
		}
		fputc('\n', stderr);
	}
}

/** What became of tracepoints that are over their budget. */
static void tell_notes(struct watch *watch)
{
	const char *note;
	while ((note = strobe_watch_note(watch->session))) {
		live_clear(&watch->live);
		command_note(watch->command, "%s", note);
	}
}

/** That there are no jumps, or no uprobes, and why; once. */
static void tell_lacks(struct watch *watch)
{
	const char *lacks = watch->lacks_told ? NULL : strobe_watch_lacks(watch->session);
	if (lacks) {
		live_clear(&watch->live);
		command_note(watch->command, "%s", lacks);
	}
	watch->lacks_told |= lacks != NULL;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int follow(struct watch *watch)
{
	double end = watch->seconds ? now() + watch->seconds : 0;
	// A program has the terminal to itself, and servers tell what they have to tell at any time.
	if (!watch->output && !command_has(watch->command, "no-table") && !watch->program &&
	    !watch->command->json && !watch->command->quiet &&
	    !strobe_watch_delivery_count(watch->session))
		live_begin(&watch->live, watch->command, watch->session);
	bool ended = false;
	while (!ended && !progress_interrupted() && !watch->write_failed && (!end || now() < end) &&
	       (!watch->limit || watch->results < watch->limit)) {
		struct strobe_error *error = strobe_watch_poll(watch->session, POLL_MS, &ended);
		if (error) {
			live_end(&watch->live);
			return command_error(watch->command, NULL, error);
		}
		read_file(watch, false);
		tell_lacks(watch);
		tell_notes(watch);
		live_draw(&watch->live);
	}
	live_end(&watch->live);
	if (strobe_watch_ended_by(watch->session))
		command_note(watch->command, "process %d asked the session to end",
			     strobe_watch_ended_by(watch->session));
	if (watch->write_failed)
		return command_fail(watch->command, "results cannot be written: %s",
				    strerror(errno));
	return STATUS_DONE;
}

static int begin(struct watch *watch)
{
	struct command *command = watch->command;
	uint64_t pid = 0;
	size_t before = command->arguments_before, first = 0;
	struct strobe_error *error;
	if (command->has_dashes) {
		watch->arguments = command->arguments + before;
		if (before == command->argument_count)
			return command_usage(command, "no program behind --");
		watch->program = true;
		error = strobe_watch_start(watch->arguments, &watch->options, &watch->session);
	} else {
		if (!before || !parse_number(command->arguments[0], &pid) || !pid || pid > INT_MAX)
			return command_usage(command,
					     "'%s' is no process id; a program is given behind --",
					     before ? command->arguments[0] : "");
		first = 1;
		error = strobe_watch_open((int)pid, &watch->options, &watch->session);
	}
	if (error)
		return command_error(command, NULL, error);
	if (first == before && !command_has(command, "file") && !command_has(command, "deep"))
		return command_usage(command,
				     "no tracepoint: give FILE:LINE, FUNCTION, a file by -f, or a "
				     "server by --deep");
	int status = STATUS_DONE;
	for (size_t i = first; i < before && !status; i++)
		status = register_one(watch, command->arguments[i]);
	if (!status)
		status = read_file(watch, true);
	if (!status)
		status = attach_servers(command, watch->session, watch->program);
	error = status ? NULL : strobe_watch_take(watch->session, take, watch);
	return error ? command_error(command, NULL, error) : status;
}

/** The program's exit status, as a shell tells it. */
static int await_program(int pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/** Others may ask the session; if they cannot, it goes on. */
static void publish(struct watch *watch)
{
	struct strobe_error *error = strobe_watch_publish(watch->session, NULL);
	if (error)
		command_warn(watch->command, "strobe watch --list will not find this session: %s",
			     strobe_error_message(error));
	strobe_error_free(error);
}

static int run(struct command *command)
{
	if (is_about_sessions(command))
		return run_on_sessions(command);
	struct watch watch = {.command = command, .options = {.size = sizeof(watch.options)}};
	const char *output = command_option(command, "output");
	int status = take_limits(&watch), program_status = 0, pid = 0;
	if (!status)
		status = take_resource(&watch);
	if (!status)
		status = take_budget(&watch);
	if (!status && output && !(watch.output = fopen(output, "ae")))
		status = command_fail(command, "%s: %s", output, strerror(errno));
	watch.options.engine = command_option(command, "engine");
	progress_begin(&watch.progress, "watch", true); // for its signals
	if (!status)
		status = begin(&watch);
	if (!status) {
		publish(&watch);
		tell_problems(&watch);
		tell_lacks(&watch);
		status = follow(&watch);
		if (command_has(command, "status"))
			show_status(&watch);
		show_lost(&watch);
		show_servers(watch.session, command_has(command, "status"));
	}
	if (watch.session)
		pid = strobe_watch_pid(watch.session);
	bool failed = status != STATUS_DONE;
	if (failed && watch.program && pid)
		kill(pid, SIGKILL); // what was to be watched was not
	strobe_watch_close(watch.session);
	if (watch.program && pid)
		program_status = await_program(pid);
	for (size_t i = 0; i < watch.options.resource_count; i++)
		free(watch.resource_copies[i]);
	if (watch.output && fclose(watch.output) != 0 && !failed)
		status = command_fail(command, "%s: %s", output, strerror(errno));
	return status ? status : program_status;
}

const struct verb verb_watch = {
	.name = "watch",
	.arguments = "PID|SESSION|-- PLACE|ID...",
	.summary = "Set tracepoints in a running process: logs, snapshots, metrics and spans, "
		   "without a stop",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 0,
	.max_arguments = SIZE_MAX,
	.has_output = true,
	.run = run,
};
