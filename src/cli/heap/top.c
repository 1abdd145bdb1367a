// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

#include "heap/ranked.h"

static const struct option options[] = {
	OPTION_TYPE,
	{"blocks", 0, NULL, NULL, "Show allocations alone, no variables."},
	{"owners", 0, NULL, NULL, "Show threads, frames and modules, too."},
	{"each", 0, NULL, NULL,
	 "Show each node of a list or tree, not its first alone. That is so in JSON."},
	{"limit", 'l', "N", NULL, "Show the N biggest; 0 is all. Default: 20."},
	OPTIONS_GRAPH,
};

static void object_json(struct json *json, struct strobe_graph *graph, uint64_t index)
{
	char *holder = strobe_graph_holder(graph, index);
	json_string(json, "root", holder);
	free(holder);
}

// What is held by itself says no more than its name.
static const char *holder_cell(const char *holder, const struct strobe_node *node)
{
	if (!node->reachable)
		return "(leaked)";
	return node->name && holder && strcmp(node->name, holder) == 0 ? "" : holder;
}

static void row_text(struct table *table, struct strobe_graph *graph, uint64_t index,
		     uint64_t whole)
{
	struct strobe_node node;
	struct size_text size;
	struct share_text share;
	char *holder = strobe_graph_holder(graph, index);
	strobe_graph_node(graph, index, &node);
	table_text(table, size_text(node.retained_bytes, &size));
	table_text(table, heap_share_text(node.retained_bytes, whole, &share));
	table_text(table, size_text(node.size_bytes, &size));
	ranked_object_cells(table, &node);
	table_text(table, holder_cell(holder, &node));
	free(holder);
}

static int run_top(struct command *command)
{
	static const struct table_column columns[] = {
		{"retained", true, STYLE_PLAIN}, {"of heap", true, STYLE_FAINT},
		{"own", true, STYLE_PLAIN},	 {"address", false, STYLE_ADDRESS},
		{"object", false, STYLE_NAME},	 {"held by", false, STYLE_PLAIN}};
	static const struct ranked shown = {"objects", object_json,
					    columns,   sizeof(columns) / sizeof(columns[0]),
					    row_text,  NULL};
	struct strobe_top_options wanted = {.size = sizeof(wanted),
					    .type = command_option(command, "type"),
					    .blocks_only = command_has(command, "blocks"),
					    .with_owners = command_has(command, "owners"),
					    .heads_only = !command->json &&
							  !command_has(command, "each")};
	if (wanted.blocks_only && wanted.with_owners)
		return command_usage(command, "--blocks and --owners: nothing is both");
	int status = heap_limit(command, &wanted.limit);
	if (!command_has(command, "limit"))
		wanted.limit = HEAP_ROWS; // in JSON, too
	return status ? status : ranked_run(command, &wanted, &shown);
}

const struct verb verb_heap_top = {
	.name = "heap top",
	.arguments = "",
	.summary = "the objects that retain most, and who holds them",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_top,
};
