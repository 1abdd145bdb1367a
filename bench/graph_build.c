// SPDX-License-Identifier: Apache-2.0
// Builds the graph of a core file and tells what that took, in JSON: bench/graph.py runs it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <strobe/graph.h>

static double begun_s;
static char phase[64];
static double phase_s, phase_cpu_s;

static double clock_s(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool tell(void *context, const char *what, double done)
{
	(void)context;
	(void)done;
	if (strcmp(what, phase) != 0) {
		double at = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
		if (*phase)
			printf("\"%s\": {\"wall_s\": %.4f, \"cpu_s\": %.4f}, ", phase, at - phase_s,
			       cpu - phase_cpu_s);
		snprintf(phase, sizeof(phase), "%s", what);
		phase_s = at;
		phase_cpu_s = cpu;
	}
	return true;
}

/** A number of /proc/self/status, in KiB. */
static long status_kib(const char *name)
{
	char line[256];
	long value = -1;
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name) + 1, NULL, 10);
	if (file)
		fclose(file);
	return value;
}

static int fail(struct strobe_error *error)
{
	fprintf(stderr, "graph_build: %s\n", strobe_error_message(error));
	return 1;
}

int main(int argc, char **argv)
{
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_graph *graph;
	struct strobe_graph_options options = {
		.size = sizeof(options), .progress = tell, .no_store = true};
	if (argc < 2) {
		fprintf(stderr, "usage: graph_build CORE [THREADS]\n");
		return 2;
	}
	if (argc > 2)
		options.threads = (unsigned)strtoul(argv[2], NULL, 10);
	begun_s = clock_s(CLOCK_MONOTONIC);
	struct strobe_error *error = strobe_view_open(argv[1], NULL, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (error)
		return fail(error);
	printf("{");
	if ((error = strobe_graph_open(symbols, &options, &graph)))
		return fail(error);
	tell(NULL, "end", 1);
	struct strobe_graph_summary summary;
	strobe_graph_summary(graph, &summary);
	printf("\"total_s\": %.4f, \"cpu_s\": %.4f, \"nodes\": %lu, \"edges\": %lu, \"guessed\": "
	       "%lu, ",
	       clock_s(CLOCK_MONOTONIC) - begun_s, clock_s(CLOCK_PROCESS_CPUTIME_ID),
	       (unsigned long)summary.nodes, (unsigned long)summary.edges,
	       (unsigned long)summary.guessed_edges);
	printf("\"blocks\": %lu, \"reachable\": %lu, \"precise\": %lu, \"leaked\": %lu, \"free\": "
	       "%lu, \"typed\": "
	       "%lu, \"surrogates\": %lu, ",
	       (unsigned long)summary.allocated_blocks, (unsigned long)summary.reachable_blocks,
	       (unsigned long)summary.precise_blocks, (unsigned long)summary.leaked_blocks,
	       (unsigned long)summary.free_blocks, (unsigned long)summary.typed_blocks,
	       (unsigned long)summary.surrogates);
	printf("\"peak_kib\": %ld, \"file_kib\": %ld, \"anonymous_kib\": %ld}\n",
	       status_kib("VmHWM"), status_kib("RssFile"), status_kib("RssAnon"));
	strobe_graph_close(graph);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return 0;
}
