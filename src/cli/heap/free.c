// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strobe/graph_arenas.h>

#include "heap/heap.h"
#include "table.h"

static const struct option options[] = {
	{"sizes", 's', NULL, NULL, "Show, for each arena, how large its free blocks are."},
	OPTION_LIMIT,
	OPTIONS_GRAPH,
};

static void use_json(struct json *json, const char *key, const struct strobe_arena_use *use)
{
	json_object(json, key);
	json_string(json, "arena", use->name);
	json_string(json, "allocator", use->allocator);
	json_unsigned(json, "mapped_bytes", use->mapped_bytes);
	json_unsigned(json, "allocated_bytes", use->allocated_bytes);
	json_unsigned(json, "allocated_blocks", use->allocated_blocks);
	json_unsigned(json, "free_bytes", use->free_bytes);
	json_unsigned(json, "free_blocks", use->free_blocks);
	json_unsigned(json, "cached_bytes", use->cached_bytes);
	json_unsigned(json, "cached_blocks", use->cached_blocks);
	json_unsigned(json, "fastbin_bytes", use->fastbin_bytes);
	json_unsigned(json, "fastbin_blocks", use->fastbin_blocks);
	json_unsigned(json, "top_bytes", use->top_bytes);
	json_unsigned(json, "book_bytes", use->book_bytes);
	json_unsigned(json, "lost_bytes", use->lost_bytes);
	json_unsigned(json, "largest_free_bytes", use->largest_free_bytes);
	json_decimal(json, "fragmentation", use->fragmentation);
	json_array(json, "free_sizes", true);
	for (unsigned i = 0; i < STROBE_ARENA_CLASSES; i++) {
		if (!use->class_blocks[i])
			continue;
		json_object(json, NULL);
		json_unsigned(json, "from_bytes", UINT64_C(1) << i);
		json_unsigned(json, "blocks", use->class_blocks[i]);
		json_unsigned(json, "size_bytes", use->class_bytes[i]);
		json_object_end(json);
	}
	json_array_end(json);
	json_object_end(json);
}

static void arenas_json(const struct strobe_arena_use *uses, size_t count, size_t shown)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "arenas", true);
	for (size_t i = 0; i < shown; i++)
		use_json(&json, NULL, &uses[i]);
	json_array_end(&json);
	use_json(&json, "all", &uses[count - 1]);
	json_object_end(&json);
	json_fini(&json);
}

static void row_text(struct table *table, const struct strobe_arena_use *use)
{
	struct size_text size;
	table_cell(table, "%s%s%s", use->allocator ? use->allocator : "", use->allocator ? " " : "",
		   use->name);
	table_text(table, size_text(use->mapped_bytes, &size));
	table_text(table, size_text(use->allocated_bytes, &size));
	table_text(table, size_text(use->free_bytes, &size));
	table_text(table, size_text(use->cached_bytes + use->fastbin_bytes, &size));
	table_text(table, size_text(use->top_bytes, &size));
	table_text(table, size_text(use->book_bytes, &size));
	table_text(table, size_text(use->lost_bytes, &size));
	table_text(table, size_text(use->largest_free_bytes, &size));
	table_cell(table, "%.0f %%", 100 * use->fragmentation);
}

static void sizes_text(const struct command *command, const struct strobe_arena_use *use)
{
	enum { BAR = 40 };
	uint64_t most = 0;
	struct size_text from, bytes;
	for (unsigned i = 0; i < STROBE_ARENA_CLASSES; i++)
		if (use->class_bytes[i] > most)
			most = use->class_bytes[i];
	printf("\nfree blocks of ");
	put_styled(stdout, command->color, STYLE_NAME, use->name);
	puts(most ? ":" : ": none");
	for (unsigned i = 0; i < STROBE_ARENA_CLASSES; i++) {
		if (!use->class_blocks[i])
			continue;
		int bar = (int)((double)use->class_bytes[i] / (double)most * BAR + 0.5);
		printf("  from %9s  %10" PRIu64 "  %11s  %.*s\n",
		       size_text(UINT64_C(1) << i, &from), use->class_blocks[i],
		       size_text(use->class_bytes[i], &bytes), bar,
		       "########################################");
	}
}

// The most used first would hide which is which: arenas stay in the heap's order.
static void arenas_text(const struct command *command, const struct strobe_arena_use *uses,
			size_t count, size_t shown)
{
	const struct table_column columns[] = {
		{"arena", false, STYLE_NAME},	     {"mapped", true, STYLE_PLAIN},
		{"allocated", true, STYLE_PLAIN},    {"free", true, STYLE_PLAIN},
		{"cached", true, STYLE_PLAIN},	     {"top", true, STYLE_PLAIN},
		{"books", true, STYLE_PLAIN},	     {"lost", true, STYLE_PLAIN},
		{"largest free", true, STYLE_PLAIN}, {"in crumbs", true, STYLE_PLAIN}};
	struct table table;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < shown; i++)
		row_text(&table, &uses[i]);
	if (count != 2)
		row_text(&table, &uses[count - 1]);
	table_write(&table, stdout, command->color);
	table_fini(&table);
	if (shown + 1 < count)
		printf("%zu of %zu arenas are shown\n", shown, count - 1);
	for (size_t i = 0; i < shown && command_has(command, "sizes"); i++)
		sizes_text(command, &uses[i]);
}

static int run_free(struct command *command)
{
	struct strobe_graph *graph = NULL;
	struct strobe_arena_use *uses = NULL;
	size_t count = 0, limit = 0;
	int status = heap_limit(command, &limit);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status) {
		struct strobe_error *error = strobe_graph_arenas(graph, &uses, &count);
		status = error ? command_error(command, NULL, error) : STATUS_DONE;
	}
	if (!status) {
		size_t shown = count - 1 < limit ? count - 1 : limit;
		if (command->json)
			arenas_json(uses, count, shown);
		else
			arenas_text(command, uses, count, shown);
	}
	free(uses);
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_free = {
	.name = "heap free",
	.arguments = "",
	.summary = "how each arena's memory is used, and how fragmented the free part is",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_free,
};
