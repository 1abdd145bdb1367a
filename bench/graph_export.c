// SPDX-License-Identifier: Apache-2.0
// Writes the graph of a snapshot in every format and tells what each took, in JSON, a line a format: bench/graph_export.py runs it.
// usage: graph_export SNAPSHOT FOLDER
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <strobe/graph_export.h>
#include <strobe/view.h>

static double clock_s(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "graph_export: %s\n", strobe_error_message(error));
	exit(1);
}

static long peak_kib(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void measure(struct strobe_graph *graph, const char *folder, const char *name,
		    enum strobe_graph_format format)
{
	const struct strobe_graph_export_options options = {.size = sizeof(options)};
	char path[4096];
	struct stat status;
	snprintf(path, sizeof(path), "%s/out.%s", folder, name);
	double wall = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
	check(strobe_graph_export(graph, format, path, &options));
	printf("{\"format\": \"%s\", \"wall_s\": %.2f, \"cpu_s\": %.2f, \"bytes\": %lld, "
	       "\"peak_kib\": %ld}\n",
	       name, clock_s(CLOCK_MONOTONIC) - wall, clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu,
	       stat(path, &status) == 0 ? (long long)status.st_size : -1, peak_kib());
	remove(path);
}

int main(int argc, char **argv)
{
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_graph *graph;
	struct strobe_graph_summary summary;
	const struct strobe_graph_options options = {.size = sizeof(options), .no_store = true};
	if (argc != 3)
		return 2;
	check(strobe_view_open(argv[1], NULL, &view));
	check(strobe_symbols_open(view, &symbols));
	check(strobe_graph_open(symbols, &options, &graph));
	strobe_graph_summary(graph, &summary);
	printf("{\"nodes\": %llu, \"edges\": %llu, \"peak_kib\": %ld}\n",
	       (unsigned long long)summary.nodes, (unsigned long long)summary.edges, peak_kib());
	measure(graph, argv[2], "folded", STROBE_GRAPH_FOLDED);
	measure(graph, argv[2], "dot", STROBE_GRAPH_DOT);
	measure(graph, argv[2], "heapsnapshot", STROBE_GRAPH_HEAPSNAPSHOT);
	measure(graph, argv[2], "jsonl", STROBE_GRAPH_JSONL);
	measure(graph, argv[2], "db", STROBE_GRAPH_SQLITE);
	measure(graph, argv[2], "html", STROBE_GRAPH_HTML);
	strobe_graph_close(graph);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return 0;
}
