// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <string.h>
#include <strobe/hold.h>
#include <time.h>

#include "command.h"
#include "table.h"

static void held_json_one(struct json *json, const struct strobe_hold_info *info)
{
	char when[64] = "";
	time_t seconds = (time_t)(info->time_ns / 1000000000);
	struct tm broken;
	json_object(json, NULL);
	json_string(json, "name", info->name);
	json_bool(json, "gone", info->gone);
	json_string(json, "problem", info->problem);
	if (info->problem) {
		static const char *const unknown[] = {
			"pid",	    "process", "time",	       "age_ns",	"threads",
			"pause_ns", "method",  "memory_bytes", "private_bytes", "keeper"};
		for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
			json_null(json, unknown[i]);
		json_object_end(json);
		return;
	}
	if (gmtime_r(&seconds, &broken))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &broken);
	json_signed(json, "pid", info->snapshot.pid);
	json_string(json, "process", info->process_name);
	json_string(json, "time", when);
	json_unsigned(json, "age_ns", info->age_ns);
	json_unsigned(json, "threads", info->snapshot.thread_count);
	json_unsigned(json, "pause_ns", info->snapshot.pause_ns);
	json_string(json, "method",
		    info->snapshot.method == STROBE_SNAPSHOT_CLONE ? "clone" : "copy");
	json_unsigned(json, "memory_bytes", info->snapshot.memory_bytes);
	if (info->private_bytes == UINT64_MAX)
		json_null(json, "private_bytes");
	else
		json_unsigned(json, "private_bytes", info->private_bytes);
	json_signed(json, "keeper", info->keeper_pid);
	json_object_end(json);
}

static void held_json(struct strobe_hold *const *holds, size_t count)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "held", true);
	for (size_t i = 0; i < count; i++)
		held_json_one(&json, strobe_hold_info(holds[i]));
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void held_row(struct table *table, const struct strobe_hold_info *info)
{
	struct size_text size;
	table_cell(table, "@%s", info->name);
	if (info->problem) {
		for (unsigned i = 0; i < 3; i++)
			table_text(table, NULL);
		table_text(table, info->gone ? "gone" : "silent");
		table_text(table, NULL);
		if (info->gone)
			table_text(table, NULL);
		else
			table_cell(table, "%d", info->keeper_pid);
		return;
	}
	table_cell(table, "%d", info->snapshot.pid);
	table_text(table, info->process_name);
	table_age(table, info->age_ns);
	table_text(table, info->snapshot.method == STROBE_SNAPSHOT_CLONE ? "clone" : "copy");
	table_text(table, info->private_bytes == UINT64_MAX
				  ? NULL
				  : size_text(info->private_bytes, &size));
	table_cell(table, "%d", info->keeper_pid);
}

static int run_held(struct command *command)
{
	static const struct table_column columns[] = {
		{"NAME", false, STYLE_NAME},	    {"PID", true, STYLE_PLAIN},
		{"PROCESS", false, STYLE_FUNCTION}, {"AGE", true, STYLE_PLAIN},
		{"METHOD", false, STYLE_PLAIN},	    {"KEEPS", true, STYLE_PLAIN},
		{"KEEPER", true, STYLE_PLAIN},
	};
	struct strobe_hold **holds;
	size_t count;
	struct strobe_error *error = strobe_hold_list(&holds, &count);
	if (error)
		return command_error(command, NULL, error);
	if (command->json) {
		held_json(holds, count);
	} else if (count > 0) {
		struct table table;
		table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
		for (size_t i = 0; i < count; i++)
			held_row(&table, strobe_hold_info(holds[i]));
		table_write(&table, stdout, command->color);
		table_fini(&table);
	}
	for (size_t i = 0; i < count; i++) {
		const struct strobe_hold_info *info = strobe_hold_info(holds[i]);
		if (info->problem && !info->gone)
			command_warn(command, "%s", info->problem);
	}
	strobe_hold_list_free(holds, count);
	return STATUS_DONE;
}

static void told_dropped(const struct command *command, struct json *json, const char *name)
{
	if (command->json)
		json_string(json, NULL, name);
}

static int drop_one(const struct command *command, struct json *json, const char *name)
{
	if (*name == '@')
		name++;
	struct strobe_error *error = strobe_hold_drop(name);
	if (error)
		return command_error(command, NULL, error);
	told_dropped(command, json, name);
	return STATUS_DONE;
}

static int drop_all(const struct command *command, struct json *json)
{
	struct strobe_hold **holds;
	size_t count;
	int status = STATUS_DONE;
	struct strobe_error *error = strobe_hold_list(&holds, &count);
	if (error)
		return command_error(command, NULL, error);
	for (size_t i = 0; i < count; i++) {
		const char *name = strobe_hold_info(holds[i])->name;
		error = strobe_hold_drop(name);
		// Somebody else may have dropped it since it was listed: that is what was wanted.
		if (error && strobe_error_code(error) != STROBE_ERROR_NOT_FOUND) {
			status = command_error(command, NULL, error);
			continue;
		}
		strobe_error_free(error);
		told_dropped(command, json, name);
	}
	strobe_hold_list_free(holds, count);
	return status;
}

static int run_held_drop(struct command *command)
{
	struct json json;
	bool all = command_has(command, "all");
	int status = STATUS_DONE;
	if (all == (command->argument_count > 0))
		return command_usage(command, "give names, or --all");
	if (command->json) {
		json_init(&json, stdout);
		json_object(&json, NULL);
		json_array(&json, "dropped", false);
	}
	if (all)
		status = drop_all(command, &json);
	for (size_t i = 0; i < command->argument_count; i++) {
		int one = drop_one(command, &json, command->arguments[i]);
		status = one ? one : status;
	}
	if (command->json) {
		json_array_end(&json);
		json_object_end(&json);
		json_fini(&json);
	}
	return status;
}

const struct verb verb_held = {
	.name = "held",
	.arguments = "",
	.summary = "list the frozen copies that are held in memory",
	.max_arguments = 0,
	.has_output = true,
	.run = run_held,
};

static const struct option options[] = {
	{"all", 'a', NULL, NULL, "Drop all that strobe held lists."},
};

const struct verb verb_held_drop = {
	.name = "held drop",
	.arguments = "[NAME...]",
	.summary = "drop frozen copies, and give their memory and names back",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.max_arguments = 1000,
	.has_output = true,
	.run = run_held_drop,
};
