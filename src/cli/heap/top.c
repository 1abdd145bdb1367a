// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/graph_query.h>

#include "heap/heap.h"
#include "table.h"

static const struct option options[] = {
	OPTION_TYPE,
	{"blocks", 0, NULL, NULL, "Show allocations alone, no variables."},
	{"owners", 0, NULL, NULL, "Show threads, frames and modules, too."},
	{"each", 0, NULL, NULL,
	 "Show each node of a list or tree, not its first alone. That is so in JSON."},
	{"limit", 'l', "N", NULL, "Show the N biggest; 0 is all. Default: 20."},
	OPTIONS_GRAPH,
};

static void top_json(struct strobe_graph *graph, const uint64_t *nodes, size_t count)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "objects", true);
	for (size_t i = 0; i < count; i++) {
		char *holder = strobe_graph_holder(graph, nodes[i]);
		json_object(&json, NULL);
		heap_node_json(&json, graph, nodes[i]);
		json_string(&json, "root", holder);
		json_object_end(&json);
		free(holder);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void address_cell(struct table *table, uint64_t address)
{
	if (address)
		table_cell(table, "0x%" PRIx64, address);
	else
		table_text(table, NULL);
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
	enum { LABEL_USED = 80 };
	struct strobe_node node;
	struct size_text size;
	struct share_text share;
	char *holder = strobe_graph_holder(graph, index);
	strobe_graph_node(graph, index, &node);
	char *label = heap_label(&node), *fit = label ? heap_fit(label, LABEL_USED) : NULL;
	table_text(table, size_text(node.retained_bytes, &size));
	table_text(table, heap_share_text(node.retained_bytes, whole, &share));
	table_text(table, size_text(node.size_bytes, &size));
	address_cell(table, node.address);
	table_text(table, fit);
	table_text(table, holder_cell(holder, &node));
	free(holder);
	free(label);
	free(fit);
}

static void top_text(const struct command *command, struct strobe_graph *graph,
		     const uint64_t *nodes, size_t count)
{
	const struct table_column columns[] = {
		{"retained", true, STYLE_PLAIN}, {"of heap", true, STYLE_FAINT},
		{"own", true, STYLE_PLAIN},	 {"address", false, STYLE_ADDRESS},
		{"object", false, STYLE_NAME},	 {"held by", false, STYLE_PLAIN}};
	struct strobe_graph_summary summary;
	struct table table;
	strobe_graph_summary(graph, &summary);
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++)
		row_text(&table, graph, nodes[i], summary.allocated_bytes);
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static int run_top(struct command *command)
{
	struct strobe_graph *graph = NULL;
	uint64_t *nodes = NULL;
	size_t count = 0;
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
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status) {
		struct strobe_error *error = strobe_graph_top(graph, &wanted, &nodes, &count);
		status = error ? command_error(command, NULL, error) : STATUS_DONE;
	}
	if (!status && command->json)
		top_json(graph, nodes, count);
	else if (!status)
		top_text(command, graph, nodes, count);
	free(nodes);
	strobe_graph_close(graph);
	return status;
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
