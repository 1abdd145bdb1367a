// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strobe/graph_leaks.h>

#include "heap/heap.h"
#include "heap/threshold.h"
#include "table.h"

static const struct option options[] = {
	{"guessed", 'g', NULL, NULL,
	 "Show blocks, too, that nothing but guesses reaches: possibly leaked."},
	{"addresses", 'a', NULL, NULL, "Show the address of each block."},
	OPTION_MAX_LEAKED,
	OPTION_LIMIT,
	OPTIONS_GRAPH,
};

static void group_json(struct json *json, struct strobe_graph *graph,
		       const struct strobe_leak_group *group)
{
	json_object(json, NULL);
	json_string(json, "type", group->type);
	json_string(json, "pattern", group->pattern);
	json_bool(json, "guessed", group->guessed);
	json_unsigned(json, "blocks", group->blocks);
	json_unsigned(json, "size_bytes", group->size_bytes);
	json_unsigned(json, "least_bytes", group->least_bytes);
	json_unsigned(json, "most_bytes", group->most_bytes);
	json_unsigned(json, "direct_blocks", group->direct_blocks);
	json_unsigned(json, "direct_bytes", group->direct_bytes);
	json_unsigned(json, "held_blocks", group->held_blocks);
	json_unsigned(json, "held_bytes", group->held_bytes);
	json_array(json, "addresses", false);
	for (uint64_t i = 0; i < group->blocks; i++) {
		struct strobe_node node;
		strobe_graph_node(graph, group->nodes[i], &node);
		json_address(json, NULL, node.address);
	}
	json_array_end(json);
	json_object_end(json);
}

static void leaks_json(struct strobe_graph *graph, const struct strobe_leaks *leaks,
		       const struct strobe_leak_total *total, size_t shown)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_unsigned(&json, "leaked_blocks", total->blocks);
	json_unsigned(&json, "leaked_bytes", total->size_bytes);
	json_unsigned(&json, "direct_blocks", total->direct_blocks);
	json_unsigned(&json, "direct_bytes", total->direct_bytes);
	json_unsigned(&json, "guessed_blocks", total->guessed_blocks);
	json_unsigned(&json, "guessed_bytes", total->guessed_bytes);
	json_array(&json, "groups", true);
	for (size_t i = 0; i < shown; i++)
		group_json(&json, graph, strobe_leaks_get(leaks, i));
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void type_cell(struct table *table, const struct strobe_leak_group *group)
{
	enum { USED_COLUMNS = 66 };
	char *label = NULL, *fit = NULL;
	int size;
	const char *mark = group->guessed ? " (reached by guesses)" : "";
	if (group->type)
		size = asprintf(&label, "%s%s", group->type, mark);
	else if (group->least_bytes == group->most_bytes)
		size = asprintf(&label, "(untyped, %" PRIu64 " bytes: %s)%s", group->most_bytes,
				group->pattern, mark);
	else
		size = asprintf(&label, "(untyped, %" PRIu64 " to %" PRIu64 " bytes: %s)%s",
				group->least_bytes, group->most_bytes, group->pattern, mark);
	if (size >= 0)
		fit = heap_fit(label, USED_COLUMNS);
	table_text(table, fit);
	free(fit);
	if (size >= 0)
		free(label);
}

static void put_addresses(const struct command *command, struct strobe_graph *graph,
			  const struct strobe_leak_group *group)
{
	enum { A_LINE = 4 };
	for (uint64_t i = 0; i < group->blocks; i++) {
		struct strobe_node node;
		strobe_graph_node(graph, group->nodes[i], &node);
		printf("%s%s0x%" PRIx64 "%s", i % A_LINE ? "  " : "    ",
		       style_start(command->color, STYLE_ADDRESS), node.address,
		       style_end(command->color));
		if (i == group->direct_blocks - 1 && group->direct_blocks < group->blocks)
			fputs("  and, held by leaked ones:", stdout);
		if (i % A_LINE == A_LINE - 1 || i + 1 == group->blocks)
			putchar('\n');
	}
}

static void put_total(const struct strobe_leak_total *total)
{
	struct size_text all, direct;
	if (total->blocks == 0)
		printf("nothing is leaked");
	else
		printf("%s in %" PRIu64 " block%s %s leaked; %s in %" PRIu64
		       " of them, which hold the others, directly",
		       size_text(total->size_bytes, &all), total->blocks,
		       total->blocks == 1 ? "" : "s", total->blocks == 1 ? "is" : "are",
		       size_text(total->direct_bytes, &direct), total->direct_blocks);
	if (total->guessed_blocks)
		printf("; %s in %" PRIu64 " reached by guesses alone",
		       size_text(total->guessed_bytes, &all), total->guessed_blocks);
	putchar('\n');
}

static void leaks_text(const struct command *command, struct strobe_graph *graph,
		       const struct strobe_leaks *leaks, size_t shown)
{
	const struct table_column columns[] = {
		{"blocks", true, STYLE_PLAIN},	   {"size", true, STYLE_PLAIN},
		{"direct", true, STYLE_PLAIN},	   {"size", true, STYLE_PLAIN},
		{"these hold", true, STYLE_PLAIN}, {"type", false, STYLE_NAME}};
	struct table table;
	struct size_text size;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < shown; i++) {
		const struct strobe_leak_group *group = strobe_leaks_get(leaks, i);
		table_cell(&table, "%" PRIu64, group->blocks);
		table_text(&table, size_text(group->size_bytes, &size));
		table_cell(&table, "%" PRIu64, group->direct_blocks);
		table_text(&table, size_text(group->direct_bytes, &size));
		table_text(&table, size_text(group->held_bytes, &size));
		type_cell(&table, group);
	}
	if (shown)
		table_write(&table, stdout, command->color);
	table_fini(&table);
	for (size_t i = 0; i < shown && command_has(command, "addresses"); i++) {
		const struct strobe_leak_group *group = strobe_leaks_get(leaks, i);
		putchar('\n');
		put_styled(stdout, command->color, STYLE_NAME,
			   group->type ? group->type : group->pattern);
		puts(":");
		put_addresses(command, graph, group);
	}
	if (shown)
		putchar('\n');
}

static int show(struct command *command, struct strobe_graph *graph, size_t limit, uint64_t most)
{
	struct strobe_leak_options wanted = {.size = sizeof(wanted),
					     .guessed = command_has(command, "guessed")};
	struct strobe_leaks *leaks = NULL;
	struct strobe_leak_total total;
	struct strobe_error *error = strobe_leaks_open(graph, &wanted, &leaks);
	if (error)
		return command_error(command, NULL, error);
	strobe_leaks_total(leaks, &total);
	size_t count = strobe_leaks_count(leaks), shown = count < limit ? count : limit;
	if (command->json) {
		leaks_json(graph, leaks, &total, shown);
	} else {
		leaks_text(command, graph, leaks, shown);
		put_total(&total);
		if (shown < count)
			printf("%zu of %zu groups are shown\n", shown, count);
	}
	strobe_leaks_close(leaks);
	return heap_check_leaked(command, total.size_bytes, most);
}

static int run_leaks(struct command *command)
{
	struct strobe_graph *graph = NULL;
	uint64_t most = UINT64_MAX;
	size_t limit = 0;
	int status = heap_bytes(command, "max-leaked", &most);
	if (!status)
		status = heap_limit(command, &limit);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status)
		status = show(command, graph, limit, most);
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_leaks = {
	.name = "heap leaks",
	.arguments = "",
	.summary = "allocated blocks that nothing reaches, by type, with what they hold",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_leaks,
};
