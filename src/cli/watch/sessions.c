// SPDX-License-Identifier: Apache-2.0
#include "watch/sessions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/tracepoint_session.h>
#include <time.h>

#include "command.h"
#include "table.h"
#include "watch/points.h"

bool is_about_sessions(const struct command *command)
{
	return command_has(command, "list") || command_has(command, "add") ||
	       command_has(command, "remove") ||
	       // With nothing to watch for, --status asks.
	       (command_has(command, "status") && command->argument_count == 1 &&
		!command->has_dashes && !command_has(command, "file") &&
		!command_has(command, "deep"));
}

static uint64_t age_ns(const struct strobe_session_info *info)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - info->time_ns;
	return age > 0 ? (uint64_t)age : 0;
}

// JSON.

static void json_info(struct json *json, const struct strobe_session_info *info)
{
	char when[64] = "";
	time_t seconds = (time_t)(info->time_ns / 1000000000);
	struct tm broken;
	json_string(json, "session", info->name);
	json_string(json, "problem", info->problem);
	json_signed(json, "watcher", info->watcher_pid);
	json_unsigned(json, "user", info->user);
	if (info->problem)
		return;
	if (gmtime_r(&seconds, &broken))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &broken);
	json_signed(json, "pid", info->pid);
	json_string(json, "process", info->process_name);
	json_string(json, "time", when);
	json_unsigned(json, "tracepoints", info->tracepoint_count);
	json_unsigned(json, "armed", info->armed_count);
	json_unsigned(json, "hits", info->hits);
	json_unsigned(json, "fired", info->fired);
	json_unsigned(json, "dropped", info->dropped);
	json_unsigned(json, "cost_ns", info->cost_ns);
}

static void json_status(struct json *json, const struct strobe_tracepoint_status *status)
{
	json_object(json, NULL);
	json_string(json, "tracepoint", status->id);
	json_string(json, "path", status->path);
	json_unsigned(json, "line", status->line);
	json_string(json, "method_name", status->method_name);
	json_string(json, "state", status->state);
	json_array(json, "armed", false);
	for (size_t i = 0; i < status->armed_count; i++) {
		json_object(json, NULL);
		json_address(json, "address", status->armed[i].address);
		json_string(json, "method", status->armed[i].method);
		json_string(json, "inlined_in", status->armed[i].inlined_in);
		json_object_end(json);
	}
	json_array_end(json);
	if (status->moved_to)
		json_unsigned(json, "moved_to", status->moved_to);
	else
		json_null(json, "moved_to");
	json_string(json, "error", status->error);
	json_unsigned(json, "hits", status->hits);
	json_unsigned(json, "fired", status->fired);
	json_unsigned(json, "dropped", status->dropped);
	json_unsigned(json, "errors", status->errors);
	json_unsigned(json, "cost_ns", status->cost_ns);
	json_object_end(json);
}

/** With `statuses`, those too. */
static void json_sessions(struct strobe_session *const *sessions, size_t count, bool statuses)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "sessions", true);
	for (size_t i = 0; i < count; i++) {
		json_object(&json, NULL);
		json_info(&json, strobe_session_info(sessions[i]));
		if (statuses) {
			json_array(&json, "status", true);
			for (size_t j = 0; j < strobe_session_status_count(sessions[i]); j++) {
				struct strobe_tracepoint_status status;
				strobe_session_status(sessions[i], j, &status);
				json_status(&json, &status);
			}
			json_array_end(&json);
		}
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

// Text.

static void list_row(struct table *table, const struct strobe_session_info *info)
{
	enum { UNKNOWN = 7 };
	table_text(table, info->name);
	if (info->problem) {
		for (unsigned i = 0; i < UNKNOWN; i++)
			table_text(table, NULL);
		return;
	}
	table_cell(table, "%d", info->pid);
	table_text(table, info->process_name);
	table_age(table, age_ns(info));
	table_cell(table, "%" PRIu64, info->tracepoint_count);
	table_cell(table, "%" PRIu64, info->armed_count);
	table_cell(table, "%" PRIu64, info->hits);
	table_cell(table, "%" PRIu64, info->dropped);
}

static void list_text(const struct command *command, struct strobe_session *const *sessions,
		      size_t count)
{
	static const struct table_column columns[] = {
		{"SESSION", false, STYLE_NAME},	    {"PID", true, STYLE_PLAIN},
		{"PROCESS", false, STYLE_FUNCTION}, {"AGE", true, STYLE_PLAIN},
		{"TRACEPOINTS", true, STYLE_PLAIN}, {"ARMED", true, STYLE_PLAIN},
		{"HITS", true, STYLE_PLAIN},	    {"DROPPED", true, STYLE_PLAIN},
	};
	struct table table;
	if (!count)
		return;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++)
		list_row(&table, strobe_session_info(sessions[i]));
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static void status_text(const struct command *command,
			const struct strobe_tracepoint_status *status)
{
	fputs("  ", stdout);
	put_styled(stdout, command->color, STYLE_NAME, status->id);
	fputs(": ", stdout);
	put_safe(stdout, status->state);
	if (status->moved_to)
		printf(", moved to line %u", status->moved_to);
	printf(", %" PRIu64 " hits, fired %" PRIu64 ", %" PRIu64 " errors, %" PRIu64
	       " dropped, %.3f ms\n",
	       status->hits, status->fired, status->errors, status->dropped,
	       (double)status->cost_ns / 1e6);
	if (status->error) {
		fputs("    ", stdout);
		put_styled(stdout, command->color, STYLE_ALERT, status->error);
		putchar('\n');
	}
	for (size_t i = 0; i < status->armed_count; i++) {
		printf("    %s0x%" PRIx64 "%s ", style_start(command->color, STYLE_ADDRESS),
		       status->armed[i].address, style_end(command->color));
		put_safe(stdout, status->armed[i].method);
		if (status->armed[i].inlined_in) {
			fputs(", inlined in ", stdout);
			put_styled(stdout, command->color, STYLE_FUNCTION,
				   status->armed[i].inlined_in);
		}
		putchar('\n');
	}
}

static void session_text(const struct command *command, const struct strobe_session *session)
{
	const struct strobe_session_info *info = strobe_session_info(session);
	put_styled(stdout, command->color, STYLE_HEADING, info->name);
	printf(": process %d (", info->pid);
	put_safe(stdout, info->process_name);
	printf("), %" PRIu64 " tracepoints, %" PRIu64 " armed\n", info->tracepoint_count,
	       info->armed_count);
	for (size_t i = 0; i < strobe_session_status_count(session); i++) {
		struct strobe_tracepoint_status status;
		strobe_session_status(session, i, &status);
		status_text(command, &status);
	}
}

// The commands.

static void warn_of_silent(const struct command *command, struct strobe_session *const *sessions,
			   size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strobe_session_info(sessions[i])->problem)
			command_warn(command, "%s", strobe_session_info(sessions[i])->problem);
}

static int run_list(struct command *command)
{
	struct strobe_session **sessions;
	size_t count, kept = 0;
	uint64_t pid = 0;
	if (command->argument_count > 1 ||
	    (command->argument_count == 1 && !parse_number(command->arguments[0], &pid)))
		return command_usage(command, "--list takes a process id, or nothing");
	struct strobe_error *error = strobe_session_list(&sessions, &count);
	if (error)
		return command_error(command, NULL, error);
	for (size_t i = 0; i < count; i++) {
		const struct strobe_session_info *info = strobe_session_info(sessions[i]);
		if (pid && !info->problem && info->pid != (int)pid)
			continue;
		struct strobe_session *swap = sessions[kept];
		sessions[kept++] = sessions[i];
		sessions[i] = swap;
	}
	if (command->json)
		json_sessions(sessions, kept, false);
	else
		list_text(command, sessions, kept);
	warn_of_silent(command, sessions, kept);
	strobe_session_list_free(sessions, count);
	return STATUS_DONE;
}

static int show(struct command *command, struct strobe_session *const *sessions, size_t count)
{
	if (command->json) {
		json_sessions(sessions, count, true);
		return STATUS_DONE;
	}
	for (size_t i = 0; i < count; i++)
		session_text(command, sessions[i]);
	return STATUS_DONE;
}

static int run_status(struct command *command, struct strobe_session *const *sessions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct strobe_error *error = strobe_session_ask(sessions[i]);
		if (error)
			return command_error(command, NULL, error);
	}
	return show(command, sessions, count);
}

/** The other verbs' options say nothing here, but those of the tracepoint do. */
static int run_add(struct command *command, struct strobe_session *const *sessions, size_t count)
{
	if (count > 1)
		return command_fail(command,
				    "%zu sessions watch process %s: name the one that is meant "
				    "(strobe watch --list shows them)",
				    count, command->arguments[0]);
	if (command->argument_count < 2)
		return command_usage(command, "--add: no tracepoint: give FILE:LINE or FUNCTION");
	for (size_t i = 1; i < command->argument_count; i++) {
		struct point *point;
		int status = point_make(command, command->arguments[i], &point);
		if (status)
			return status;
		struct strobe_error *error = strobe_session_add(sessions[0], &point->tracepoint);
		point_free(point);
		if (error)
			return command_error(command, command->arguments[i], error);
		if (!command->quiet)
			show(command, sessions, 1);
	}
	return STATUS_DONE;
}

/** From all the sessions that have it. */
static int remove_one(struct command *command, struct strobe_session *const *sessions, size_t count,
		      const char *id)
{
	bool any = false;
	for (size_t i = 0; i < count; i++) {
		bool found = false;
		struct strobe_error *error = strobe_session_remove(sessions[i], id, &found);
		if (error)
			return command_error(command, NULL, error);
		any |= found;
	}
	return any ? STATUS_DONE : command_fail(command, "no tracepoint '%s' there", id);
}

static int run_remove(struct command *command, struct strobe_session *const *sessions, size_t count)
{
	int status = STATUS_DONE;
	for (size_t i = 1; i < command->argument_count; i++) {
		int one = remove_one(command, sessions, count, command->arguments[i]);
		status = one ? one : status;
	}
	if (command->argument_count > 1)
		return status;
	for (size_t i = 0; i < count; i++) {
		struct strobe_error *error = strobe_session_end(sessions[i]);
		// That it ended by itself meanwhile is what was wanted.
		if (error && strobe_error_code(error) != STROBE_ERROR_NOT_FOUND)
			status = command_error(command, NULL, error);
		else
			strobe_error_free(error);
	}
	return status;
}

/** Options that say how to watch mean nothing to a session that somebody else has. */
static int refuse_others(struct command *command)
{
	static const char *const watching[] = {"file", "output", "time",     "hits",
					       "deep", "otlp",	 "resource", "engine"};
	if (command->has_dashes)
		return command_usage(command, "a program behind -- is watched, and not asked of");
	for (size_t i = 0; i < sizeof(watching) / sizeof(watching[0]); i++)
		if (command_has(command, watching[i]))
			return command_usage(command, "--%s is of sessions that begin",
					     watching[i]);
	unsigned modes = (unsigned)command_has(command, "list") + command_has(command, "add") +
			 command_has(command, "remove");
	if (modes > 1)
		return command_usage(command, "--list, --add and --remove are three commands");
	return STATUS_DONE;
}

int run_on_sessions(struct command *command)
{
	struct strobe_session **sessions;
	size_t count;
	int status = refuse_others(command);
	if (status || command_has(command, "list"))
		return status ? status : run_list(command);
	if (command->argument_count == 0)
		return command_usage(command, "whose? Give a process id, or a session's name "
					      "(strobe watch --list shows them)");
	struct strobe_error *error = strobe_session_find(command->arguments[0], &sessions, &count);
	if (error)
		return command_error(command, NULL, error);
	if (command_has(command, "add"))
		status = run_add(command, sessions, count);
	else if (command_has(command, "remove"))
		status = run_remove(command, sessions, count);
	else
		status = run_status(command, sessions, count);
	strobe_session_list_free(sessions, count);
	return status;
}
