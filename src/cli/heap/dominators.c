// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strobe/graph_query.h>

#include "heap/heap.h"

static const struct option options[] = {
	{"depth", 'd', "N", NULL, "Show N levels. Default: 5."},
	{"min-share", 0, "PART", NULL,
	 "Leave out what retains less than this part of the first node, as 5% or 0.05. Default: "
	 "1%."},
	{"children", 0, "N", NULL, "Show at most N nodes that one holds. Default: 10."},
	{"whole-chains", 0, NULL, NULL, "Show each node of a list, not the list in one line."},
	OPTIONS_HEAP_FRAME,
	OPTIONS_GRAPH,
};

enum { DEPTH_LIMIT = 100000, NUMBERS = 22 };

/** The output. JSON is a tree: nodes are closed when one comes that is no deeper. */
struct output {
	const struct command *command;
	struct strobe_graph *graph;
	uint64_t whole;
	struct json json;
	unsigned open; // objects in JSON, lines in `pending`
	struct pending {
		uint64_t hidden, hidden_bytes;
	} * pending; // what is not shown of the nodes that the last one is below of, and of it
};

// Says what is hidden of the nodes that are done: those at `depth` and below.
static void close_text(struct output *output, unsigned depth)
{
	struct size_text size;
	bool color = output->command->color;
	while (output->open > depth) {
		const struct pending *pending = &output->pending[--output->open];
		if (pending->hidden)
			printf("%*s%s... %" PRIu64 " more, %s%s\n",
			       (int)(NUMBERS + output->open * 2 + 2), "",
			       style_start(color, STYLE_FAINT), pending->hidden,
			       size_text(pending->hidden_bytes, &size), style_end(color));
	}
}

static void entry_text(struct output *output, const struct strobe_tree_entry *entry)
{
	struct size_text size;
	struct share_text share;
	struct strobe_node node;
	bool color = output->command->color;
	unsigned indent = entry->depth * 2;
	close_text(output, entry->depth);
	strobe_graph_node(output->graph, entry->node, &node);
	char *label = heap_label(&node), *fit;
	fit = label ? heap_fit(label, NUMBERS + indent + 20) : NULL;
	printf("%11s  %7s  %*s", size_text(entry->retained_bytes, &size),
	       heap_share_text(entry->retained_bytes, output->whole, &share), (int)indent, "");
	put_styled(stdout, color, STYLE_NAME, fit);
	if (!node.name && node.address) {
		printf(" %s0x%" PRIx64 "%s", style_start(color, STYLE_ADDRESS), node.address,
		       style_end(color));
	}
	if (entry->chain)
		printf(" and %" PRIu64 " more in a row", entry->chain);
	putchar('\n');
	output->pending[entry->depth] = (struct pending){entry->hidden, entry->hidden_bytes};
	output->open = entry->depth + 1;
	free(label);
	free(fit);
}

static void close_json(struct output *output, unsigned depth)
{
	for (; output->open > depth; output->open--) {
		json_array_end(&output->json);
		json_object_end(&output->json);
	}
}

static void entry_json(struct output *output, const struct strobe_tree_entry *entry)
{
	struct json *json = &output->json;
	close_json(output, entry->depth);
	if (entry->depth == 0)
		json_object(json, NULL); // the document
	json_object(json, entry->depth ? NULL : "tree");
	heap_node_json(json, output->graph, entry->node);
	json_unsigned(json, "chain", entry->chain);
	json_unsigned(json, "child_count", entry->children);
	json_unsigned(json, "hidden", entry->hidden);
	json_unsigned(json, "hidden_bytes", entry->hidden_bytes);
	json_array(json, "children", true);
	output->open = entry->depth + 1;
}

static bool visit(void *context, const struct strobe_tree_entry *entry)
{
	struct output *output = context;
	if (entry->depth == 0)
		output->whole = entry->retained_bytes;
	if (output->command->json)
		entry_json(output, entry);
	else
		entry_text(output, entry);
	return true;
}

static int read_options(const struct command *command, struct strobe_tree_options *ret)
{
	uint64_t depth = 0, children = 0;
	*ret = (struct strobe_tree_options){.size = sizeof(*ret),
					    .min_share = 0.01,
					    .whole_chains = command_has(command, "whole-chains")};
	int status = command_number(command, "depth", DEPTH_LIMIT, &depth);
	if (!status)
		status = command_number(command, "children", SIZE_MAX, &children);
	if (!status)
		status = heap_share(command, "min-share", &ret->min_share);
	ret->depth = (unsigned)depth;
	ret->children = (size_t)children;
	return status;
}

static int show(struct command *command, struct strobe_graph *graph,
		const struct strobe_tree_options *wanted)
{
	struct output output = {.command = command,
				.graph = graph,
				.pending =
					calloc((size_t)DEPTH_LIMIT + 1, sizeof(*output.pending))};
	if (!output.pending)
		return command_fail(command, "out of memory");
	json_init(&output.json, stdout);
	struct strobe_error *error = strobe_graph_dominator_tree(graph, wanted, visit, &output);
	if (!error && command->json) {
		close_json(&output, 0);
		json_object_end(&output.json);
		json_fini(&output.json);
	} else if (!error) {
		close_text(&output, 0);
	}
	free(output.pending);
	return error ? command_error(command, NULL, error) : STATUS_DONE;
}

static int run_dominators(struct command *command)
{
	struct strobe_tree_options wanted;
	struct strobe_graph *graph = NULL;
	int status = read_options(command, &wanted);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status && command->argument_count > 1)
		status = heap_node(command, graph, command->arguments[1], &wanted.node);
	if (!status)
		status = show(command, graph, &wanted);
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_dominators = {
	.name = "heap dominators",
	.arguments = "[ADDRESS|EXPRESSION]",
	.summary = "who holds what: the dominator tree, biggest first",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 2,
	.has_target = true,
	.target_first = true,
	.run = run_dominators,
};
