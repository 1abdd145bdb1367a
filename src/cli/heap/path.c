// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "heap/heap.h"

static const struct option options[] = {
	OPTION_TYPE,
	{"count", 'c', "N", NULL, "Show the N shortest paths. Default: 1."},
	{"each", 0, NULL, NULL, "Show a shortest path to each of the objects, not to any of them."},
	OPTION_LIMIT,
	OPTIONS_HEAP_FRAME,
	OPTIONS_GRAPH,
};

enum { COUNT_LIMIT = 1000000 };

struct output {
	const struct command *command;
	struct json json;
	uint64_t shown, limit;
};

static void path_text(const struct output *output, const struct strobe_path *path)
{
	const struct strobe_path_step *last = &path->steps[path->count - 1];
	bool color = output->command->color;
	char *text = strobe_path_text(path);
	put_safe(stdout, text);
	free(text);
	if (last->address)
		printf("  %s0x%" PRIx64 "%s", style_start(color, STYLE_ADDRESS), last->address,
		       style_end(color));
	if (last->type_name) {
		fputs("  ", stdout);
		put_styled(stdout, color, STYLE_NAME, last->type_name);
	}
	fputs(path->guessed ? "  (guessed)\n" : "\n", stdout);
}

// The document begins when something can be said: after an error there is none.
static void begin_json(struct output *output)
{
	if (output->json.depth)
		return;
	json_object(&output->json, NULL);
	json_array(&output->json, "paths", true);
}

static bool visit(void *context, const struct strobe_path *path)
{
	struct output *output = context;
	if (path->count == 0)
		return true;
	if (output->command->json)
		begin_json(output);
	if (output->command->json)
		heap_path_json(&output->json, NULL, path);
	else
		path_text(output, path);
	output->shown++;
	return output->shown < output->limit;
}

static struct strobe_error *find_paths(struct output *output, struct strobe_graph *graph,
				       const uint64_t *nodes, size_t node_count, uint64_t count)
{
	struct strobe_path_options wanted = {.size = sizeof(wanted),
					     .precise = command_has(output->command, "precise"),
					     .count = (size_t)count};
	if (command_has(output->command, "each"))
		return strobe_graph_path_each(graph, nodes, node_count, &wanted, visit, output);
	output->limit = UINT64_MAX;
	return strobe_graph_paths(graph, nodes, node_count, &wanted, visit, output);
}

// Nothing leads there: that is an answer, and a failure for who asked for a path.
static int tell_none(const struct command *command, struct strobe_graph *graph, uint64_t node)
{
	struct strobe_node found;
	strobe_graph_node(graph, node, &found);
	if (found.reachable && !found.precise && command_has(command, "precise"))
		return command_fail(command, "only guesses lead there");
	if (found.reachable && command_has(command, "precise"))
		return command_fail(command, "no path without guesses leads there");
	return command_fail(command, "nothing leads there: it is leaked");
}

static int show(struct command *command, struct strobe_graph *graph, uint64_t count, uint64_t limit)
{
	struct output output = {.command = command, .limit = limit};
	uint64_t *nodes = NULL;
	size_t node_count = 0;
	int status = heap_nodes(command, graph, 1, &nodes, &node_count);
	if (status)
		return status;
	json_init(&output.json, stdout);
	struct strobe_error *error = find_paths(&output, graph, nodes, node_count, count);
	if (error) {
		status = command_error(command, NULL, error);
	} else if (command->json) {
		begin_json(&output);
		json_array_end(&output.json);
		json_object_end(&output.json);
		json_fini(&output.json);
	}
	if (!status && output.shown == 0)
		status = tell_none(command, graph, nodes[0]);
	free(nodes);
	return status;
}

static int run_path(struct command *command)
{
	struct strobe_graph *graph = NULL;
	uint64_t count = 1;
	size_t limit = 0;
	int status = command_number(command, "count", COUNT_LIMIT, &count);
	if (!status && count == 0)
		status = command_usage(command, "--count: at least 1");
	if (!status && command_has(command, "count") && command_has(command, "each"))
		status = command_usage(command, "--count and --each: one path is shown to each");
	if (!status)
		status = heap_limit(command, &limit);
	if (!status)
		status = heap_open(command, true, &graph);
	if (!status)
		status = show(command, graph, count, limit);
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_path = {
	.name = "heap path",
	.arguments = "[ADDRESS|EXPRESSION...]",
	.summary = "how objects are reached: the shortest paths from threads, frames and globals",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = SIZE_MAX,
	.has_target = true,
	.target_first = true,
	.run = run_path,
};
