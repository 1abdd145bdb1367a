// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <string.h>

#include "command.h"
#include "describe.h"
#include "table.h"

static void descriptor_json(struct json *json, const struct strobe_descriptor *descriptor)
{
	json_object(json, NULL);
	json_signed(json, "fd", descriptor->fd);
	json_string(json, "type", descriptor->type);
	json_string(json, "path", descriptor->path);
	if (descriptor->flags < 0)
		json_null(json, "flags");
	else
		json_signed(json, "flags", descriptor->flags);
	if (descriptor->position < 0)
		json_null(json, "position");
	else
		json_signed(json, "position", descriptor->position);
	number_json(json, "mode", descriptor->mode, 0);
	json_string(json, "peer", descriptor->peer);
	json_string(json, "info", descriptor->info);
	json_object_end(json);
}

static void fds_json(const struct command *command, size_t count, bool known)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_bool(&json, "recorded", known);
	json_array(&json, "fds", true);
	for (size_t i = 0; i < count; i++)
		descriptor_json(&json, strobe_view_descriptor(command->view, i));
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

// open(2) flags as the kernel writes them for x86-64, which are not all those of the C library.
static void flags_cell(struct table *table, int64_t flags)
{
	static const struct {
		int64_t bits;
		const char *name;
	} names[] = {
		{02000, ",append"},	{04000, ",nonblock"},	 {04010000, ",sync"},
		{020000, ",async"},	{040000, ",direct"},	 {0200000, ",directory"},
		{0400000, ",nofollow"}, {01000000, ",noatime"},	 {02000000, ",cloexec"},
		{010000000, ",path"},	{020200000, ",tmpfile"},
	};
	static const char *const access[] = {"read", "write", "read-write", "none"};
	char text[128];
	if (flags < 0) {
		table_text(table, NULL);
		return;
	}
	snprintf(text, sizeof(text), "%s", access[flags & 3]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((flags & names[i].bits) == names[i].bits)
			strcat(text, names[i].name);
	table_text(table, text);
}

static void fds_text(const struct command *command, size_t count)
{
	static const struct table_column columns[] = {
		{"FD", true, STYLE_PLAIN},	 {"TYPE", false, STYLE_PLAIN},
		{"POSITION", true, STYLE_PLAIN}, {"FLAGS", false, STYLE_PLAIN},
		{"PATH", false, STYLE_FILE},	 {"PEER", false, STYLE_PLAIN},
	};
	struct table table;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++) {
		const struct strobe_descriptor *descriptor =
			strobe_view_descriptor(command->view, i);
		table_cell(&table, "%d", descriptor->fd);
		table_text(&table, descriptor->type);
		if (descriptor->position < 0)
			table_text(&table, NULL);
		else
			table_cell(&table, "%" PRId64, descriptor->position);
		flags_cell(&table, descriptor->flags);
		table_text(&table, descriptor->path);
		table_text(&table, descriptor->peer ? descriptor->peer : "");
	}
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static int run_fds(struct command *command)
{
	bool known = false;
	size_t count = strobe_view_descriptor_count(command->view, &known);
	if (command->json)
		fds_json(command, count, known);
	else if (known)
		fds_text(command, count);
	else
		printf("not recorded: a %s does not tell which descriptors were open\n",
		       strobe_view_process_info(command->view)->source_kind);
	return STATUS_DONE;
}

const struct verb verb_fds = {
	.name = "fds",
	.arguments = "TARGET",
	.summary = "the open file descriptors, where the source records them",
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_fds,
};
