// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>

#include "heap/ranked.h"

static const struct option options[] = {
	OPTION_TYPE,
	{"owners", 0, NULL, NULL,
	 "Show threads, frames and modules, with all that they hold, too."},
	OPTION_LIMIT,
	OPTIONS_GRAPH,
};

// A root's holder ends with its own name; what stands before is where it is.
static char *place_of(struct strobe_graph *graph, uint64_t dominator)
{
	return dominator && dominator != UINT64_MAX ? strobe_graph_holder(graph, dominator) : NULL;
}

static void root_json(struct json *json, struct strobe_graph *graph, uint64_t index)
{
	struct strobe_node node;
	strobe_graph_node(graph, index, &node);
	char *place = place_of(graph, node.dominator);
	json_unsigned(json, "references", node.reference_count);
	json_string(json, "of", place);
	free(place);
}

static void row_text(struct table *table, struct strobe_graph *graph, uint64_t index,
		     uint64_t whole)
{
	struct strobe_node node;
	struct size_text size;
	(void)whole;
	strobe_graph_node(graph, index, &node);
	char *place = place_of(graph, node.dominator);
	table_text(table, size_text(node.retained_bytes, &size));
	table_text(table, size_text(node.size_bytes, &size));
	table_cell(table, "%" PRIu64, node.reference_count);
	ranked_object_cells(table, &node);
	table_text(table, place ? place : "");
	free(place);
}

static void tell_count(struct strobe_graph *graph, size_t shown)
{
	struct strobe_graph_summary summary;
	strobe_graph_summary(graph, &summary);
	printf("\n%" PRIu64 " roots", summary.roots);
	printf(shown < summary.roots ? "; %zu are shown\n" : "\n", shown);
}

static int run_roots(struct command *command)
{
	static const struct table_column columns[] = {
		{"retained", true, STYLE_PLAIN},   {"own", true, STYLE_PLAIN},
		{"references", true, STYLE_PLAIN}, {"address", false, STYLE_ADDRESS},
		{"root", false, STYLE_NAME},	   {"of", false, STYLE_PLAIN}};
	static const struct ranked shown = {"roots",  root_json,
					    columns,  sizeof(columns) / sizeof(columns[0]),
					    row_text, tell_count};
	struct strobe_top_options wanted = {.size = sizeof(wanted),
					    .type = command_option(command, "type"),
					    .with_owners = command_has(command, "owners"),
					    .roots_only = true};
	int status = heap_limit(command, &wanted.limit);
	return status ? status : ranked_run(command, &wanted, &shown);
}

const struct verb verb_heap_roots = {
	.name = "heap roots",
	.arguments = "",
	.summary = "where all begins: variables, registers, stacks, and what they retain",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_roots,
};
