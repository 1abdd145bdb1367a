// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strobe/graph_query.h>

#include "heap/heap.h"
#include "table.h"

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

static void roots_json(struct strobe_graph *graph, const uint64_t *nodes, size_t count)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "roots", true);
	for (size_t i = 0; i < count; i++) {
		struct strobe_node node;
		strobe_graph_node(graph, nodes[i], &node);
		char *place = place_of(graph, node.dominator);
		json_object(&json, NULL);
		heap_node_json(&json, graph, nodes[i]);
		json_unsigned(&json, "references", node.reference_count);
		json_string(&json, "of", place);
		json_object_end(&json);
		free(place);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void row_text(struct table *table, struct strobe_graph *graph, uint64_t index)
{
	enum { LABEL_USED = 80 };
	struct strobe_node node;
	struct size_text size;
	strobe_graph_node(graph, index, &node);
	char *label = heap_label(&node), *fit = label ? heap_fit(label, LABEL_USED) : NULL;
	char *place = place_of(graph, node.dominator);
	table_text(table, size_text(node.retained_bytes, &size));
	table_text(table, size_text(node.size_bytes, &size));
	table_cell(table, "%" PRIu64, node.reference_count);
	if (node.address)
		table_cell(table, "0x%" PRIx64, node.address);
	else
		table_text(table, NULL);
	table_text(table, fit);
	table_text(table, place ? place : "");
	free(place);
	free(label);
	free(fit);
}

static void roots_text(const struct command *command, struct strobe_graph *graph,
		       const uint64_t *nodes, size_t count)
{
	const struct table_column columns[] = {
		{"retained", true, STYLE_PLAIN},   {"own", true, STYLE_PLAIN},
		{"references", true, STYLE_PLAIN}, {"address", false, STYLE_ADDRESS},
		{"root", false, STYLE_NAME},	   {"of", false, STYLE_PLAIN}};
	struct strobe_graph_summary summary;
	struct table table;
	strobe_graph_summary(graph, &summary);
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++)
		row_text(&table, graph, nodes[i]);
	table_write(&table, stdout, command->color);
	table_fini(&table);
	printf("\n%" PRIu64 " roots", summary.roots);
	printf(count < summary.roots ? "; %zu are shown\n" : "\n", count);
}

static int run_roots(struct command *command)
{
	struct strobe_graph *graph = NULL;
	uint64_t *nodes = NULL;
	size_t count = 0;
	struct strobe_top_options wanted = {.size = sizeof(wanted),
					    .type = command_option(command, "type"),
					    .with_owners = command_has(command, "owners"),
					    .roots_only = true};
	int status = heap_limit(command, &wanted.limit);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status) {
		struct strobe_error *error = strobe_graph_top(graph, &wanted, &nodes, &count);
		status = error ? command_error(command, NULL, error) : STATUS_DONE;
	}
	if (!status && command->json)
		roots_json(graph, nodes, count);
	else if (!status)
		roots_text(command, graph, nodes, count);
	free(nodes);
	strobe_graph_close(graph);
	return status;
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
