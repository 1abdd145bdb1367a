// SPDX-License-Identifier: Apache-2.0
#include "heap/ranked.h"

#include <inttypes.h>
#include <stdlib.h>

static void show_json(struct strobe_graph *graph, const uint64_t *nodes, size_t count,
		      const struct ranked *shown)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, shown->key, true);
	for (size_t i = 0; i < count; i++) {
		json_object(&json, NULL);
		heap_node_json(&json, graph, nodes[i]);
		shown->json(&json, graph, nodes[i]);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void show_text(const struct command *command, struct strobe_graph *graph,
		      const uint64_t *nodes, size_t count, const struct ranked *shown)
{
	struct strobe_graph_summary summary;
	struct table table;
	strobe_graph_summary(graph, &summary);
	table_init(&table, shown->columns, shown->column_count);
	for (size_t i = 0; i < count; i++)
		shown->row(&table, graph, nodes[i], summary.allocated_bytes);
	table_write(&table, stdout, command->color);
	table_fini(&table);
	if (shown->end)
		shown->end(graph, count);
}

int ranked_run(struct command *command, const struct strobe_top_options *wanted,
	       const struct ranked *shown)
{
	struct strobe_graph *graph = NULL;
	uint64_t *nodes = NULL;
	size_t count = 0;
	int status = heap_open(command, false, &graph);
	if (!status) {
		struct strobe_error *error = strobe_graph_top(graph, wanted, &nodes, &count);
		status = error ? command_error(command, NULL, error) : STATUS_DONE;
	}
	if (!status && command->json)
		show_json(graph, nodes, count, shown);
	else if (!status)
		show_text(command, graph, nodes, count, shown);
	free(nodes);
	strobe_graph_close(graph);
	return status;
}

void ranked_object_cells(struct table *table, const struct strobe_node *node)
{
	enum { LABEL_USED = 80 };
	char *label = heap_label(node), *fit = label ? heap_fit(label, LABEL_USED) : NULL;
	if (node->address)
		table_cell(table, "0x%" PRIx64, node->address);
	else
		table_text(table, NULL);
	table_text(table, fit);
	free(label);
	free(fit);
}
