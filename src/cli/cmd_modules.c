// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>

#include "command.h"
#include "table.h"

static const struct option options[] = {
	{"no-debug", 0, NULL, NULL, "Do not open the files: leave out what symbols they have."},
};

static void module_json(const struct command *command, struct json *json, size_t index)
{
	const struct strobe_module *module = strobe_view_module(command->view, index);
	struct strobe_module_debug debug = {0};
	if (!command_has(command, "no-debug"))
		strobe_symbols_module_debug(command->symbols, index, &debug);
	json_object(json, NULL);
	json_string(json, "name", module->name);
	json_string(json, "path", module->path);
	json_address(json, "base", module->start);
	json_address(json, "end", module->end);
	json_address(json, "bias", module->bias);
	json_string(json, "build_id", module->build_id);
	json_string(json, "debug", debug.kind_name);
	json_string(json, "debug_file", debug.file);
	json_string(json, "file", module->file);
	json_string(json, "problem", module->file_problem ? module->file_problem : debug.problem);
	json_object_end(json);
}

static void module_row(const struct command *command, struct table *table, size_t index)
{
	const struct strobe_module *module = strobe_view_module(command->view, index);
	struct strobe_module_debug debug = {0};
	if (!command_has(command, "no-debug"))
		strobe_symbols_module_debug(command->symbols, index, &debug);
	table_cell(table, "%016" PRIx64 "-%016" PRIx64, module->start, module->end);
	table_text(table, debug.kind_name);
	table_text(table, module->build_id);
	table_text(table, module->path ? module->path : module->name);
	table_text(table, module->file_problem ? module->file_problem
			  : debug.problem      ? debug.problem
					       : "");
}

static void modules_text(const struct command *command, size_t count)
{
	static const struct table_column columns[] = {
		{"RANGE", false, STYLE_ADDRESS},  {"DEBUG", false, STYLE_PLAIN},
		{"BUILD ID", false, STYLE_FAINT}, {"PATH", false, STYLE_FILE},
		{"PROBLEM", false, STYLE_ALERT},
	};
	struct table table;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++)
		module_row(command, &table, i);
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static int run_modules(struct command *command)
{
	size_t count = strobe_view_module_count(command->view);
	struct json json;
	if (!command->json) {
		modules_text(command, count);
		return STATUS_DONE;
	}
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "modules", true);
	for (size_t i = 0; i < count; i++)
		module_json(command, &json, i);
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
	return STATUS_DONE;
}

const struct verb verb_modules = {
	.name = "modules",
	.arguments = "TARGET",
	.summary = "the program and its libraries: build ids, files, and what symbols they have",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_modules,
};
