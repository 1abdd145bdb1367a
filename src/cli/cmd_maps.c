// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>

#include "command.h"
#include "describe.h"
#include "table.h"

/** Does a range that may have changed while it was copied lie in [start, end)? `*next` is the first
 *  that may, of mappings that come in order. */
static bool is_not_atomic(const struct command *command, const struct strobe_mapping *mapping,
			  size_t *next)
{
	const struct strobe_not_atomic *range;
	while ((range = strobe_view_not_atomic(command->view, *next)) &&
	       range->end <= mapping->start)
		++*next;
	return range && range->start < mapping->end;
}

static void mapping_json(const struct command *command, struct json *json,
			 const struct strobe_mapping *mapping, size_t *next)
{
	char permissions[5], device[32];
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
	snprintf(device, sizeof(device), "%02x:%02x", mapping->device_major, mapping->device_minor);
	json_string(json, "device", mapping->inode ? device : NULL);
	if (mapping->inode)
		json_unsigned(json, "inode", mapping->inode);
	else
		json_null(json, "inode");
	json_bool(json, "deleted", mapping->deleted);
	json_bool(json, "not_atomic", is_not_atomic(command, mapping, next));
	json_object_end(json);
}

static void mapping_row(const struct command *command, struct table *table,
			const struct strobe_mapping *mapping, bool inodes, size_t *next)
{
	char permissions[5];
	struct size_text size;
	uint64_t bytes = mapping->end - mapping->start;
	bool changing = is_not_atomic(command, mapping, next);
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
	if (inodes && mapping->inode)
		table_cell(table, "%02x:%02x %" PRIu64, mapping->device_major,
			   mapping->device_minor, mapping->inode);
	else if (inodes)
		table_text(table, "");
	table_cell(table, "%s%s%s", mapping->path ? mapping->path : "",
		   mapping->path && changing ? " " : "", changing ? "(not atomic)" : "");
}

static void maps_text(const struct command *command, size_t count)
{
	static const struct table_column all[] = {
		{"RANGE", false, STYLE_ADDRESS}, {"PERM", false, STYLE_PLAIN},
		{"SIZE", true, STYLE_PLAIN},	 {"HELD", true, STYLE_PLAIN},
		{"OFFSET", true, STYLE_PLAIN},	 {"INODE", true, STYLE_PLAIN},
		{"PATH", false, STYLE_FILE},
	};
	enum { COUNT = sizeof(all) / sizeof(all[0]), INODE = 5 };
	struct table_column columns[COUNT];
	struct table table;
	size_t next = 0, column_count = 0;
	bool inodes = false;
	for (size_t i = 0; i < count && !inodes; i++)
		inodes = strobe_view_mapping(command->view, i)->inode;
	for (size_t i = 0; i < COUNT; i++)
		if (i != INODE || inodes)
			columns[column_count++] = all[i];
	table_init(&table, columns, column_count);
	for (size_t i = 0; i < count; i++)
		mapping_row(command, &table, strobe_view_mapping(command->view, i), inodes, &next);
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static int run_maps(struct command *command)
{
	size_t count = strobe_view_mapping_count(command->view);
	struct json json;
	size_t next = 0;
	if (!command->json) {
		maps_text(command, count);
		return STATUS_DONE;
	}
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "mappings", true);
	for (size_t i = 0; i < count; i++)
		mapping_json(command, &json, strobe_view_mapping(command->view, i), &next);
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
	return STATUS_DONE;
}

const struct verb verb_maps = {
	.name = "maps",
	.arguments = "TARGET",
	.summary = "the mappings: range, permissions, file, and how much of it the core holds",
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_maps,
};
