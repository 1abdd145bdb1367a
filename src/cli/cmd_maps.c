// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>

#include "command.h"
#include "describe.h"
#include "table.h"

static void mapping_json(const struct command *command, struct json *json,
			 const struct strobe_mapping *mapping)
{
	char permissions[5];
	const char *build_id = NULL;
	if (mapping->module_index < strobe_view_module_count(command->view))
		build_id = strobe_view_module(command->view, mapping->module_index)->build_id;
	json_object(json, NULL);
	json_address(json, "start", mapping->start);
	json_address(json, "end", mapping->end);
	json_string(json, "permissions", permissions_text(mapping->permissions, permissions));
	json_unsigned(json, "offset", mapping->offset_bytes);
	json_string(json, "path", mapping->path);
	json_string(json, "build_id", build_id);
	json_unsigned(json, "present_bytes", mapping->present_bytes);
	json_object_end(json);
}

static void mapping_row(struct table *table, const struct strobe_mapping *mapping)
{
	char permissions[5];
	struct size_text size;
	uint64_t bytes = mapping->end - mapping->start;
	table_cell(table, "%016" PRIx64 "-%016" PRIx64, mapping->start, mapping->end);
	table_text(table, permissions_text(mapping->permissions, permissions));
	table_text(table, size_text(bytes, &size));
	if (mapping->present_bytes == bytes)
		table_text(table, "all");
	else if (mapping->present_bytes == 0)
		table_text(table, "none");
	else
		table_text(table, size_text(mapping->present_bytes, &size));
	table_cell(table, "%" PRIx64, mapping->offset_bytes);
	table_text(table, mapping->path ? mapping->path : "");
}

static void maps_text(const struct command *command, size_t count)
{
	static const struct table_column columns[] = {
		{"RANGE", false, STYLE_ADDRESS}, {"PERM", false, STYLE_PLAIN},
		{"SIZE", true, STYLE_PLAIN},	 {"HELD", true, STYLE_PLAIN},
		{"OFFSET", true, STYLE_PLAIN},	 {"PATH", false, STYLE_FILE},
	};
	struct table table;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++)
		mapping_row(&table, strobe_view_mapping(command->view, i));
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static int run_maps(struct command *command)
{
	size_t count = strobe_view_mapping_count(command->view);
	struct json json;
	if (!command->json) {
		maps_text(command, count);
		return STATUS_DONE;
	}
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "mappings", true);
	for (size_t i = 0; i < count; i++)
		mapping_json(command, &json, strobe_view_mapping(command->view, i));
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
	return STATUS_DONE;
}

const struct verb verb_maps = {
	.name = "maps",
	.arguments = "CORE",
	.summary = "the mappings: range, permissions, file, and how much of it the core holds",
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_maps,
};
