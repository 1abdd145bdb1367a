// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include "heap/heap.h"
#include "heap/write_out.h"

static const struct option options[] = {
	{"output", 'o', "FILE", NULL, "Write to this file; '-' is standard output."},
	{"title", 0, "TEXT", NULL, "What stands above it. Default: the program's name."},
	{"max-nodes", 0, "N", NULL,
	 "About so many areas of the map, by default 3000; what is smaller is summed up."},
	OPTIONS_GRAPH,
};

static int run_heap_report(struct command *command)
{
	struct strobe_graph_export_options wanted = {.size = sizeof(wanted),
						     .title = command_option(command, "title")};
	struct strobe_graph *graph = NULL;
	int status = heap_check_output(command);
	if (!status)
		status = command_number(command, "max-nodes", UINT32_MAX, &wanted.max_nodes);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status)
		status = heap_write_out(command, graph, STROBE_GRAPH_HTML, "html", &wanted);
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_report = {
	.name = "heap report",
	.arguments = "",
	.summary = "a page about the heap: a map of who holds it, types, suspects, leaks, "
		   "fragmentation",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_heap_report,
};
