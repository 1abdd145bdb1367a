// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/graph_duplicates.h>

#include "heap/heap.h"
#include "progress.h"
#include "table.h"

static const struct option options[] = {
	{"strings", 's', NULL, NULL,
	 "Compare blocks that hold a text (UTF-8, ended by a zero byte), up to its end, also "
	 "behind a header."},
	{"min-size", 0, "SIZE", NULL, "Leave out content that is shorter. Default: 1."},
	{"addresses", 'a', NULL, NULL, "Show the addresses in JSON, too."},
	OPTION_LIMIT,
	OPTIONS_GRAPH,
};

static void addresses_json(struct json *json, struct strobe_graph *graph,
			   const struct strobe_duplicate_group *group)
{
	json_array(json, "addresses", false);
	for (uint64_t i = 0; i < group->count; i++) {
		struct strobe_node node;
		strobe_graph_node(graph, group->nodes[i], &node);
		json_address(json, NULL, node.address);
	}
	json_array_end(json);
}

static void duplicates_json(const struct command *command, struct strobe_graph *graph,
			    const struct strobe_duplicates *duplicates, size_t shown)
{
	struct json json;
	struct strobe_duplicate_total total;
	strobe_duplicates_total(duplicates, &total);
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_unsigned(&json, "compared_blocks", total.compared_blocks);
	json_unsigned(&json, "compared_bytes", total.compared_bytes);
	json_unsigned(&json, "unreadable_blocks", total.unreadable_blocks);
	json_unsigned(&json, "group_count", total.groups);
	json_unsigned(&json, "wasted_blocks", total.wasted_blocks);
	json_unsigned(&json, "wasted_bytes", total.wasted_bytes);
	json_array(&json, "groups", true);
	for (size_t i = 0; i < shown; i++) {
		const struct strobe_duplicate_group *group = strobe_duplicates_get(duplicates, i);
		json_object(&json, NULL);
		json_address(&json, "address", group->address);
		json_string(&json, "type", group->type);
		json_unsigned(&json, "count", group->count);
		json_unsigned(&json, "content_bytes", group->content_bytes);
		json_unsigned(&json, "wasted_bytes", group->wasted_bytes);
		json_string(&json, "text", group->text);
		json_unsigned(&json, "text_offset", group->text_offset);
		if (command_has(command, "addresses"))
			addresses_json(&json, graph, group);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void what_cell(struct table *table, const struct strobe_duplicate_group *group)
{
	enum { USED_COLUMNS = 50 };
	char *quoted = NULL;
	const char *what = group->type ? group->type : "(untyped)";
	if (group->text && asprintf(&quoted, "\"%s\"", group->text) < 0)
		quoted = NULL;
	char *fit = heap_fit(quoted ? quoted : what, USED_COLUMNS);
	table_text(table, fit);
	free(fit);
	free(quoted);
}

static void duplicates_text(const struct command *command,
			    const struct strobe_duplicates *duplicates, size_t shown)
{
	const struct table_column columns[] = {
		{"wasted", true, STYLE_PLAIN},
		{"blocks", true, STYLE_PLAIN},
		{"content", true, STYLE_PLAIN},
		{"first", false, STYLE_ADDRESS},
		{command_has(command, "strings") ? "text" : "type", false, STYLE_NAME}};
	struct strobe_duplicate_total total;
	struct table table;
	struct size_text size, wasted;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < shown; i++) {
		const struct strobe_duplicate_group *group = strobe_duplicates_get(duplicates, i);
		table_text(&table, size_text(group->wasted_bytes, &wasted));
		table_cell(&table, "%" PRIu64, group->count);
		table_text(&table, size_text(group->content_bytes, &size));
		table_cell(&table, "0x%" PRIx64, group->address);
		what_cell(&table, group);
	}
	if (shown)
		table_write(&table, stdout, command->color);
	table_fini(&table);
	strobe_duplicates_total(duplicates, &total);
	printf("%s%s wasted in %" PRIu64 " of %" PRIu64 " blocks, which repeat %" PRIu64
	       " contents",
	       shown ? "\n" : "", size_text(total.wasted_bytes, &wasted), total.wasted_blocks,
	       total.compared_blocks, total.groups);
	if (total.unreadable_blocks)
		printf("; %" PRIu64 " could not be read", total.unreadable_blocks);
	putchar('\n');
}

static int find_duplicates(struct command *command, struct strobe_graph *graph,
			   struct strobe_duplicate_options *wanted, struct strobe_duplicates **ret)
{
	struct progress progress;
	progress_begin(&progress, "blocks", command->quiet);
	wanted->progress = progress_tell_part;
	wanted->progress_context = &progress;
	struct strobe_error *error = strobe_duplicates_open(graph, wanted, ret);
	progress_end(&progress);
	progress_release();
	return error ? command_error(command, NULL, error) : STATUS_DONE;
}

static int run_duplicates(struct command *command)
{
	struct strobe_graph *graph = NULL;
	struct strobe_duplicates *duplicates = NULL;
	struct strobe_duplicate_options wanted = {.size = sizeof(wanted),
						  .strings = command_has(command, "strings")};
	size_t limit = 0;
	int status = heap_bytes(command, "min-size", &wanted.min_bytes);
	if (!status)
		status = heap_limit(command, &limit);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status)
		status = find_duplicates(command, graph, &wanted, &duplicates);
	if (!status) {
		size_t count = strobe_duplicates_count(duplicates);
		size_t shown = count < limit ? count : limit;
		if (command->json)
			duplicates_json(command, graph, duplicates, shown);
		else
			duplicates_text(command, duplicates, shown);
	}
	strobe_duplicates_close(duplicates);
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_duplicates = {
	.name = "heap duplicates",
	.arguments = "",
	.summary = "blocks, or texts, whose content is there more than once",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_duplicates,
};
