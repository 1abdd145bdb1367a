// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strobe/graph_suspects.h>

#include "heap/heap.h"
#include "heap/node_paths.h"
#include "heap/threshold.h"

static const struct option options[] = {
	{"before", 'b', "EARLIER", NULL,
	 "An earlier view of the same program: what grew most is suspect, not what is biggest."},
	{"min-share", 0, "PART", NULL,
	 "Show what explains this part of the heap, or of its growth, or more. Default: 10%."},
	OPTION_MAX_SHARE,
	OPTION_MAX_LEAKED,
	OPTION_MAX_GROWTH,
	OPTION_LIMIT,
	OPTIONS_GRAPH,
};

struct output {
	struct command *command;
	struct strobe_graph *graph;
	struct heap_other before;
	const struct strobe_suspects *suspects;
	struct node_paths paths;
	double max_share;
	uint64_t max_leaked, max_growth;
};

static const char *const kinds[] = {[STROBE_SUSPECT_OBJECT] = "object",
				    [STROBE_SUSPECT_TYPE] = "type",
				    [STROBE_SUSPECT_LEAK] = "leak"};

static void node_json(struct json *json, struct strobe_graph *graph, const char *key, uint64_t node)
{
	if (node == UINT64_MAX) {
		json_null(json, key);
		return;
	}
	json_object(json, key);
	heap_node_json(json, graph, node);
	json_object_end(json);
}

static void suspect_json(struct json *json, const struct output *output, size_t index)
{
	const struct strobe_suspect *suspect = strobe_suspects_get(output->suspects, index);
	json_object(json, NULL);
	json_string(json, "kind", kinds[suspect->kind]);
	json_string(json, "text", suspect->text);
	json_decimal(json, "share", suspect->share);
	json_string(json, "type", suspect->type);
	json_unsigned(json, "count", suspect->count);
	json_unsigned(json, "retained_bytes", suspect->retained_bytes);
	json_unsigned(json, "explained_bytes", suspect->explained_bytes);
	json_unsigned(json, "before_bytes", suspect->before_bytes);
	node_json(json, output->graph, "object", suspect->node);
	node_json(json, output->graph, "accumulation", suspect->accumulation);
	json_unsigned(json, "children", suspect->children);
	json_string(json, "child_type", suspect->child_type);
	json_unsigned(json, "child_type_count", suspect->child_type_count);
	json_string(json, "path", output->paths.texts[index]);
	json_object_end(json);
}

static void suspects_json(const struct output *output)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "suspects", true);
	for (size_t i = 0; i < strobe_suspects_count(output->suspects); i++)
		suspect_json(&json, output, i);
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void suspects_text(const struct output *output)
{
	enum { INDENT = 3 };
	size_t count = strobe_suspects_count(output->suspects);
	if (count == 0)
		puts(output->before.graph ? "nothing explains much of the growth, or there is none"
					  : "nothing explains much of the heap by itself");
	for (size_t i = 0; i < count; i++) {
		const struct strobe_suspect *suspect = strobe_suspects_get(output->suspects, i);
		printf("%s%zu. ", i ? "\n" : "", i + 1);
		put_safe(stdout, suspect->text);
		putchar('\n');
		if (!output->paths.texts[i])
			continue;
		printf("%*spath: ", INDENT, "");
		put_safe(stdout, output->paths.texts[i]);
		putchar('\n');
	}
}

// Where a suspect is reached: at the point where it gathers.
static int find_paths(struct output *output, uint64_t **ret)
{
	size_t count = strobe_suspects_count(output->suspects);
	uint64_t *nodes = calloc(count + 1, sizeof(*nodes));
	if (!nodes)
		return command_fail(output->command, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct strobe_suspect *suspect = strobe_suspects_get(output->suspects, i);
		bool gathers = suspect->kind == STROBE_SUSPECT_OBJECT &&
			       suspect->accumulation != UINT64_MAX;
		nodes[i] = gathers ? suspect->accumulation : suspect->node;
	}
	*ret = nodes;
	return node_paths_init(&output->paths, output->command, output->graph, nodes, count);
}

static int check(const struct output *output)
{
	const struct command *command = output->command;
	struct strobe_graph_summary now, old = {0};
	strobe_graph_summary(output->graph, &now);
	if (output->before.graph)
		strobe_graph_summary(output->before.graph, &old);
	int status = heap_check_leaked(command, now.leaked_bytes, output->max_leaked);
	if (output->before.graph)
		status |= heap_check_growth(command, old.allocated_bytes, now.allocated_bytes,
					    output->max_growth);
	if (strobe_suspects_count(output->suspects)) {
		const struct strobe_suspect *first = strobe_suspects_get(output->suspects, 0);
		status |= heap_check_share(command, first->share, output->max_share, first->text);
	}
	return status;
}

static int show(struct output *output, struct strobe_suspect_options *wanted)
{
	struct strobe_suspects *suspects = NULL;
	uint64_t *nodes = NULL;
	wanted->before = output->before.graph;
	struct strobe_error *error = strobe_suspects_open(output->graph, wanted, &suspects);
	if (error)
		return command_error(output->command, NULL, error);
	output->suspects = suspects;
	int status = find_paths(output, &nodes);
	if (!status && output->command->json)
		suspects_json(output);
	else if (!status)
		suspects_text(output);
	if (!status)
		status = check(output);
	node_paths_fini(&output->paths);
	strobe_suspects_close(suspects);
	free(nodes);
	return status;
}

static int read_options(struct output *output, struct strobe_suspect_options *ret)
{
	const struct command *command = output->command;
	uint64_t limit = 0;
	*ret = (struct strobe_suspect_options){.size = sizeof(*ret)};
	if (command_has(command, "max-growth") && !command_has(command, "before"))
		return command_usage(command, "--max-growth goes with --before");
	int status = heap_share(command, "min-share", &ret->min_share);
	if (!status)
		status = heap_share(command, "max-share", &output->max_share);
	if (!status)
		status = heap_bytes(command, "max-leaked", &output->max_leaked);
	if (!status)
		status = heap_bytes(command, "max-growth", &output->max_growth);
	if (!status)
		status = command_number(command, "limit", SIZE_MAX, &limit);
	if (command_has(command, "limit"))
		ret->limit = limit ? (size_t)limit : SIZE_MAX;
	return status;
}

static int run_suspects(struct command *command)
{
	struct output output = {.command = command,
				.max_share = 1,
				.max_leaked = UINT64_MAX,
				.max_growth = UINT64_MAX};
	struct strobe_suspect_options wanted;
	const char *before = command_option(command, "before");
	int status = read_options(&output, &wanted);
	if (!status)
		status = heap_open(command, false, &output.graph);
	if (!status && before)
		status = heap_open_other(command, before, &output.before);
	if (!status)
		status = show(&output, &wanted);
	strobe_graph_close(output.graph);
	heap_close_other(&output.before);
	return status;
}

const struct verb verb_heap_suspects = {
	.name = "heap suspects",
	.arguments = "",
	.summary = "the few objects or types that explain most of the heap, or of its growth",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_suspects,
};
