// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <pwd.h>
#include <strobe/process.h>
#include <unistd.h>

#include "command.h"
#include "describe.h"
#include "table.h"

static const char *user_name(int64_t uid)
{
	const struct passwd *user = uid >= 0 ? getpwuid((uid_t)uid) : NULL;
	return user ? user->pw_name : NULL;
}

/** Threads of the kernel's are shown on demand; this very process never is. */
static bool is_shown(const struct command *command, const struct strobe_process *process)
{
	if (process->pid == getpid() || (process->kernel && !command_has(command, "all")))
		return false;
	return !process->refused || !command_has(command, "ready");
}

static void process_json(struct json *json, const struct strobe_process *process)
{
	char state[2] = {process->state, '\0'};
	json_object(json, NULL);
	json_signed(json, "pid", process->pid);
	json_signed(json, "ppid", process->ppid);
	number_json(json, "uid", process->uid, -1);
	json_string(json, "user", user_name(process->uid));
	json_signed(json, "threads", process->thread_count);
	json_signed(json, "resident_bytes", process->resident_bytes);
	json_string(json, "state", process->state ? state : NULL);
	json_string(json, "name", process->name);
	json_string(json, "command", process->command);
	json_bool(json, "kernel", process->kernel);
	json_string(json, "refused", process->refused);
	json_object_end(json);
}

static void ps_json(const struct command *command, const struct strobe_process_list *list)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "processes", true);
	for (size_t i = 0; i < strobe_process_list_count(list); i++)
		if (is_shown(command, strobe_process_list_get(list, i)))
			process_json(&json, strobe_process_list_get(list, i));
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void process_row(struct table *table, const struct strobe_process *process, int room)
{
	struct size_text size;
	const char *user = user_name(process->uid);
	table_cell(table, "%d", process->pid);
	if (user)
		table_text(table, user);
	else
		table_cell(table, "%" PRId64, process->uid);
	table_cell(table, "%" PRId64, process->thread_count);
	table_text(table, size_text((uint64_t)process->resident_bytes, &size));
	table_text(table, state_text(process->state));
	table_text(table, process->name);
	// A reason is a sentence: it stands in the command's place, where it is all that matters.
	if (process->refused)
		table_cell(table, "cannot be inspected: %s", process->refused);
	else
		table_cell(table, "%.*s", room, process->command ? process->command : "");
}

static void ps_text(const struct command *command, const struct strobe_process_list *list)
{
	enum { OTHER_COLUMNS = 58, LEAST = 40 };
	static const struct table_column columns[] = {
		{"PID", true, STYLE_PLAIN},	 {"USER", false, STYLE_PLAIN},
		{"THREADS", true, STYLE_PLAIN},	 {"MEMORY", true, STYLE_PLAIN},
		{"STATE", false, STYLE_PLAIN},	 {"NAME", false, STYLE_NAME},
		{"COMMAND", false, STYLE_PLAIN},
	};
	struct table table;
	int room = (int)output_width() - OTHER_COLUMNS;
	room = !isatty(STDOUT_FILENO) ? INT_MAX : room < LEAST ? LEAST : room;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < strobe_process_list_count(list); i++)
		if (is_shown(command, strobe_process_list_get(list, i)))
			process_row(&table, strobe_process_list_get(list, i), room);
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static int run_ps(struct command *command)
{
	struct strobe_process_list *list;
	struct strobe_error *error = strobe_process_list_take(&list);
	if (error)
		return command_error(command, NULL, error);
	if (command->json)
		ps_json(command, list);
	else
		ps_text(command, list);
	strobe_process_list_close(list);
	return STATUS_DONE;
}

static const struct option options[] = {
	{"all", 'a', NULL, NULL, "Show the kernel's own threads, too, which nobody can inspect."},
	{"ready", 'r', NULL, NULL, "Show only processes that can be inspected."},
};

const struct verb verb_ps = {
	.name = "ps",
	.arguments = "",
	.summary = "the processes that can be inspected, and why others cannot",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.has_output = true,
	.run = run_ps,
};
