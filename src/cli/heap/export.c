// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <string.h>

#include "heap/heap.h"
#include "heap/write_out.h"

static const struct option options[] = {
	{"format", 'F', "FORMAT", "sqlite|heapsnapshot|dot|jsonl|folded",
	 "sqlite: a database of objects, edges, types, roots. heapsnapshot: for the Memory panel "
	 "of Chrome's "
	 "DevTools. dot: for Graphviz, what is around an object. jsonl: an object a line. folded: "
	 "stacks of "
	 "dominators, for flame graphs."},
	{"output", 'o', "FILE", NULL, "Write to this file; '-' is standard output."},
	{"distance", 'd', "N", NULL,
	 "Of dot: so many references from the object, either way. Default: 2."},
	{"max-nodes", 0, "N", NULL,
	 "Of dot: at most so many objects, by default 200. Of folded: about so many lines, by "
	 "default 100000; "
	 "what is smaller is summed up."},
	{"leaked", 0, NULL, NULL,
	 "Of heapsnapshot and folded: leaked blocks too, below '(leaked)'. sqlite and jsonl always "
	 "have them."},
	OPTIONS_GRAPH,
	OPTIONS_HEAP_FRAME,
};

static const struct {
	const char *name;
	enum strobe_graph_format format;
	bool has_center;
} formats[] = {
	{"sqlite", STROBE_GRAPH_SQLITE, false}, {"heapsnapshot", STROBE_GRAPH_HEAPSNAPSHOT, false},
	{"dot", STROBE_GRAPH_DOT, true},	{"jsonl", STROBE_GRAPH_JSONL, false},
	{"folded", STROBE_GRAPH_FOLDED, true},
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

/** Index of --format, or of what the output's name ends with; FORMATS if neither tells. */
static size_t format_of(const struct command *command)
{
	const char *text = command_option(command, "format");
	const char *output = command_option(command, "output");
	const char *dot = output ? strrchr(output, '.') : NULL;
	size_t i = 0;
	if (!text && dot)
		text = strcmp(dot, ".db") == 0 ? "sqlite" : dot + 1;
	while (i < FORMATS && !(text && strcmp(text, formats[i].name) == 0))
		i++;
	return i;
}

static int read_options(const struct command *command, struct strobe_graph_export_options *ret)
{
	uint64_t distance = 0;
	size_t format = format_of(command);
	*ret = (struct strobe_graph_export_options){
		.size = sizeof(*ret), .with_unreachable = command_has(command, "leaked")};
	int status = heap_check_output(command);
	if (!status && format == FORMATS)
		status = command_usage(command, "say what to write with --format");
	if (!status)
		status = command_number(command, "distance", UINT32_MAX, &distance);
	if (!status)
		status = command_number(command, "max-nodes", UINT32_MAX, &ret->max_nodes);
	ret->distance = (unsigned)distance;
	if (status)
		return status;
	if (distance == 0 && command_has(command, "distance"))
		return command_usage(command, "--distance: at least 1");
	if (command_has(command, "distance") && formats[format].format != STROBE_GRAPH_DOT)
		return command_usage(command, "--distance goes with --format dot");
	if (command_has(command, "max-nodes") && !formats[format].has_center)
		return command_usage(command, "--max-nodes goes with --format dot or folded");
	if (command->argument_count > 1 && !formats[format].has_center)
		return command_usage(command, "an object goes with --format dot or folded");
	return STATUS_DONE;
}

static int run_heap_export(struct command *command)
{
	struct strobe_graph_export_options wanted;
	struct strobe_graph *graph = NULL;
	int status = read_options(command, &wanted);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status && command->argument_count > 1)
		status = heap_node(command, graph, command->arguments[1], &wanted.node);
	if (!status) {
		size_t format = format_of(command);
		status = heap_write_out(command, graph, formats[format].format,
					formats[format].name, &wanted);
	}
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_export = {
	.name = "heap export",
	.arguments = "[EXPRESSION]",
	.summary = "the object graph for other tools: SQLite, Chrome's DevTools, Graphviz, flame "
		   "graphs",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 2,
	.has_target = true,
	.target_first = true,
	.run = run_heap_export,
};
