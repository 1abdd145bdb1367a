// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/graph_query.h>

#include "heap/heap.h"
#include "table.h"

static const struct option options[] = {
	{"by", 'b', "WHAT", "type|module",
	 "What to count together: the objects' types, or the modules that these are known from. Default: "
	 "type."},
	{"sort", 's', "KEY", "size|retained|count|type",
	 "What comes first: own bytes (the default), retained bytes, the number, or the name."},
	{"leaked", 0, NULL, NULL, "Count leaked blocks alone."},
	{"reachable", 0, NULL, NULL, "Count reachable blocks alone."},
	{"roots", 0, NULL, NULL, "Count variables, and what is between them, too."},
	OPTION_LIMIT,
	OPTIONS_GRAPH,
};

typedef int (*row_order)(const void *first, const void *second);

static int by_retained(const void *first, const void *second)
{
	const struct strobe_histogram_row *a = first, *b = second;
	if (a->retained_bytes != b->retained_bytes)
		return a->retained_bytes < b->retained_bytes ? 1 : -1;
	return strcmp(a->type, b->type);
}

static int by_count(const void *first, const void *second)
{
	const struct strobe_histogram_row *a = first, *b = second;
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return strcmp(a->type, b->type);
}

static int by_type(const void *first, const void *second)
{
	const struct strobe_histogram_row *a = first, *b = second;
	return strcmp(a->type, b->type);
}

static void sort_rows(const struct command *command, struct strobe_histogram_row *rows,
		      size_t count)
{
	const char *key = command_option(command, "sort");
	row_order order = !key				 ? NULL
			  : strcmp(key, "retained") == 0 ? by_retained
			  : strcmp(key, "count") == 0	 ? by_count
			  : strcmp(key, "type") == 0	 ? by_type
							 : NULL;
	if (order && count)
		qsort(rows, count, sizeof(*rows), order);
}

static bool is_by_module(const struct command *command)
{
	const char *by = command_option(command, "by");
	return by && strcmp(by, "module") == 0;
}

static void rows_json(const struct command *command, const struct strobe_histogram_row *rows,
		      size_t count, size_t shown)
{
	struct json json;
	bool by_module = is_by_module(command);
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_unsigned(&json, "row_count", count);
	json_array(&json, by_module ? "modules" : "types", true);
	for (size_t i = 0; i < shown; i++) {
		json_object(&json, NULL);
		json_string(&json, by_module ? "module" : "type", rows[i].type);
		json_unsigned(&json, "count", rows[i].count);
		json_unsigned(&json, "size_bytes", rows[i].size_bytes);
		json_unsigned(&json, "retained_bytes", rows[i].retained_bytes);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void row_text(struct table *table, const struct strobe_histogram_row *row, uint64_t whole)
{
	enum { USED_COLUMNS = 50 };
	struct size_text size;
	struct share_text share;
	char *name = heap_fit(row->type, USED_COLUMNS);
	table_cell(table, "%" PRIu64, row->count);
	table_text(table, size_text(row->size_bytes, &size));
	table_text(table, heap_share_text(row->size_bytes, whole, &share));
	table_text(table, size_text(row->retained_bytes, &size));
	table_text(table, name);
	free(name);
}

static void rows_text(const struct command *command, const struct strobe_histogram_row *rows,
		      size_t count, size_t shown)
{
	const struct table_column columns[] = {
		{"count", true, STYLE_PLAIN},
		{"size", true, STYLE_PLAIN},
		{"share", true, STYLE_FAINT},
		{"retained", true, STYLE_PLAIN},
		{is_by_module(command) ? "module" : "type", false, STYLE_NAME}};
	struct table table;
	struct size_text size;
	uint64_t whole = 0, blocks = 0;
	for (size_t i = 0; i < count; i++) {
		whole += rows[i].size_bytes;
		blocks += rows[i].count;
	}
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < shown; i++)
		row_text(&table, &rows[i], whole);
	table_write(&table, stdout, command->color);
	table_fini(&table);
	printf("\n%" PRIu64 " objects, %s, in %zu row%s", blocks, size_text(whole, &size), count,
	       count == 1 ? "" : "s");
	printf(shown < count ? "; %zu shown\n" : "\n", shown);
}

static int run_histogram(struct command *command)
{
	struct strobe_graph *graph = NULL;
	struct strobe_histogram_row *rows = NULL;
	size_t count = 0, limit;
	struct strobe_histogram_options wanted = {
		.size = sizeof(wanted),
		.with_roots = command_has(command, "roots"),
		.leaked_only = command_has(command, "leaked"),
		.reachable_only = command_has(command, "reachable"),
		.by_module = is_by_module(command),
	};
	if (wanted.leaked_only && wanted.reachable_only)
		return command_usage(command, "--leaked and --reachable: nothing is both");
	int status = heap_limit(command, &limit);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status) {
		struct strobe_error *error = strobe_graph_histogram(graph, &wanted, &rows, &count);
		status = error ? command_error(command, NULL, error) : STATUS_DONE;
	}
	if (!status) {
		size_t shown = count < limit ? count : limit;
		sort_rows(command, rows, count);
		if (command->json)
			rows_json(command, rows, count, shown);
		else
			rows_text(command, rows, count, shown);
	}
	free(rows);
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_histogram = {
	.name = "heap histogram",
	.arguments = "",
	.summary = "how many objects of each type, their bytes, and what they retain",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_histogram,
};
