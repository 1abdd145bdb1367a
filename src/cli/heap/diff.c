// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strobe/graph_diff.h>

#include "heap/heap.h"
#include "heap/node_paths.h"
#include "heap/threshold.h"
#include "table.h"

static const struct option options[] = {
	{"all", 0, NULL, NULL, "Show types, too, of which nothing came and nothing went."},
	{"grown", 0, "N", NULL,
	 "Show at most N objects that retain more than before. Default: 10."},
	OPTION_MAX_GROWTH,
	OPTION_LIMIT,
	OPTIONS_GRAPH,
};

enum { GROWN_SHOWN = 10, GROWN_LIMIT = 100000 };

struct output {
	struct command *command;
	struct strobe_graph *before, *after;
	struct strobe_graph_diff *diff;
	struct node_paths paths; // of what grew
	size_t limit;
};

static bool is_shown(const struct output *output, const struct strobe_diff_row *row)
{
	return row->new_count || row->gone_count || row->bytes_before != row->bytes_after ||
	       command_has(output->command, "all");
}

static uint64_t allocated(struct strobe_graph *graph)
{
	struct strobe_graph_summary summary;
	strobe_graph_summary(graph, &summary);
	return summary.allocated_bytes;
}

static void row_json(struct json *json, const struct strobe_diff_row *row)
{
	json_object(json, NULL);
	json_string(json, "type", row->type);
	json_unsigned(json, "count_before", row->count_before);
	json_unsigned(json, "count_after", row->count_after);
	json_unsigned(json, "bytes_before", row->bytes_before);
	json_unsigned(json, "bytes_after", row->bytes_after);
	json_unsigned(json, "retained_before", row->retained_before);
	json_unsigned(json, "retained_after", row->retained_after);
	json_unsigned(json, "new_count", row->new_count);
	json_unsigned(json, "new_bytes", row->new_bytes);
	json_unsigned(json, "gone_count", row->gone_count);
	json_unsigned(json, "gone_bytes", row->gone_bytes);
	json_object_end(json);
}

static void grown_json(struct json *json, struct output *output, size_t index)
{
	const struct strobe_diff_grown *grown = strobe_graph_diff_grown(output->diff, index);
	json_object(json, NULL);
	heap_node_json(json, output->after, grown->node);
	json_unsigned(json, "retained_before", grown->retained_before);
	json_unsigned(json, "retained_after", grown->retained_after);
	json_bool(json, "new", grown->is_new);
	json_string(json, "path", output->paths.texts[index]);
	json_object_end(json);
}

static void diff_json(struct output *output)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_unsigned(&json, "allocated_before", allocated(output->before));
	json_unsigned(&json, "allocated_after", allocated(output->after));
	json_array(&json, "types", true);
	size_t count = strobe_graph_diff_row_count(output->diff), shown = 0;
	for (size_t i = 0; i < count && shown < output->limit; i++) {
		const struct strobe_diff_row *row = strobe_graph_diff_row(output->diff, i);
		if (!is_shown(output, row))
			continue;
		row_json(&json, row);
		shown++;
	}
	json_array_end(&json);
	json_array(&json, "grown", true);
	for (size_t i = 0; i < output->paths.count; i++)
		grown_json(&json, output, i);
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

// "+1.5 MiB", "-24 B", "0 B"
static void change_cell(struct table *table, uint64_t before, uint64_t after)
{
	struct size_text size;
	table_cell(table, "%s%s",
		   after > before   ? "+"
		   : after < before ? "-"
				    : "",
		   size_text(after > before ? after - before : before - after, &size));
}

static void row_text(struct table *table, const struct strobe_diff_row *row)
{
	enum { USED_COLUMNS = 72 };
	struct size_text size;
	char *fit = heap_fit(row->type, USED_COLUMNS);
	change_cell(table, row->bytes_before, row->bytes_after);
	table_text(table, size_text(row->bytes_after, &size));
	table_cell(table, "%+" PRId64, (int64_t)(row->count_after - row->count_before));
	table_cell(table, "%" PRIu64, row->count_after);
	table_cell(table, "%" PRIu64, row->new_count);
	table_cell(table, "%" PRIu64, row->gone_count);
	change_cell(table, row->retained_before, row->retained_after);
	table_text(table, fit);
	free(fit);
}

static void rows_text(const struct output *output)
{
	const struct table_column columns[] = {
		{"grown by", true, STYLE_PLAIN}, {"size", true, STYLE_PLAIN},
		{"more", true, STYLE_PLAIN},	 {"count", true, STYLE_PLAIN},
		{"new", true, STYLE_PLAIN},	 {"gone", true, STYLE_PLAIN},
		{"retained", true, STYLE_PLAIN}, {"type", false, STYLE_NAME}};
	struct table table;
	size_t count = strobe_graph_diff_row_count(output->diff), shown = 0, left_out = 0;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++) {
		const struct strobe_diff_row *row = strobe_graph_diff_row(output->diff, i);
		if (!is_shown(output, row))
			continue;
		if (shown == output->limit) {
			left_out++;
			continue;
		}
		row_text(&table, row);
		shown++;
	}
	if (shown)
		table_write(&table, stdout, output->command->color);
	else
		puts("no block came and none went");
	table_fini(&table);
	if (left_out)
		printf("... %zu types more\n", left_out);
}

static void grown_text(struct output *output)
{
	struct size_text more, all;
	if (output->paths.count)
		puts("\nwhere it gathers:");
	for (size_t i = 0; i < output->paths.count; i++) {
		const struct strobe_diff_grown *grown = strobe_graph_diff_grown(output->diff, i);
		struct strobe_node node;
		strobe_graph_node(output->after, grown->node, &node);
		char *label = heap_label(&node);
		printf("  +%s to %s  ",
		       size_text(grown->retained_after - grown->retained_before, &more),
		       size_text(grown->retained_after, &all));
		put_styled(stdout, output->command->color, STYLE_NAME, label);
		printf("%s\n      ", grown->is_new ? " (new)" : "");
		put_safe(stdout, output->paths.texts[i] ? output->paths.texts[i] : "(leaked)");
		putchar('\n');
		free(label);
	}
}

static int show(struct output *output)
{
	size_t count = strobe_graph_diff_grown_count(output->diff);
	uint64_t *nodes = calloc(count + 1, sizeof(*nodes));
	if (!nodes)
		return command_fail(output->command, "out of memory");
	for (size_t i = 0; i < count; i++)
		nodes[i] = strobe_graph_diff_grown(output->diff, i)->node;
	int status = node_paths_init(&output->paths, output->command, output->after, nodes, count);
	if (!status && output->command->json) {
		diff_json(output);
	} else if (!status) {
		struct size_text before, after;
		printf("allocated: %s before, %s after\n\n",
		       size_text(allocated(output->before), &before),
		       size_text(allocated(output->after), &after));
		rows_text(output);
		grown_text(output);
	}
	node_paths_fini(&output->paths);
	free(nodes);
	return status;
}

static int compare(struct output *output, struct heap_other *other, size_t grown)
{
	struct command *command = output->command;
	struct strobe_graph_diff_options wanted = {.size = sizeof(wanted), .grown_limit = grown};
	int status = heap_open(command, false, &output->before);
	if (!status)
		status = heap_open_other(command, command->arguments[1], other);
	if (status)
		return status;
	output->after = other->graph;
	struct strobe_error *error =
		strobe_graph_diff_open(output->before, output->after, &wanted, &output->diff);
	return error ? command_error(command, NULL, error) : show(output);
}

static int run_diff(struct command *command)
{
	struct output output = {.command = command};
	struct heap_other other = {0};
	uint64_t most = UINT64_MAX, grown = GROWN_SHOWN;
	int status = heap_bytes(command, "max-growth", &most);
	if (!status)
		status = command_number(command, "grown", GROWN_LIMIT, &grown);
	if (!status)
		status = heap_limit(command, &output.limit);
	if (!status)
		status = compare(&output, &other, (size_t)grown);
	if (!status)
		status = heap_check_growth(command, allocated(output.before),
					   allocated(output.after), most);
	strobe_graph_diff_close(output.diff);
	strobe_graph_close(output.before);
	heap_close_other(&other);
	return status;
}

const struct verb verb_heap_diff = {
	.name = "heap diff",
	.arguments = "LATER",
	.summary = "what grew between two views of a program: types, and where it gathers",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = 2,
	.has_target = true,
	.target_first = true,
	.run = run_diff,
};
