// SPDX-License-Identifier: Apache-2.0
// How long it takes to open a stored graph: graph_reopen SNAPSHOT STORE [ROUNDS]. The first opening builds and stores it.
//
// One line: seconds of the first opening, of the fastest of the others, and of the processors' time of that one.
#include <stdio.h>
#include <stdlib.h>
#include <strobe/graph.h>
#include <strobe/symbols.h>
#include <strobe/view.h>
#include <time.h>
#include <unistd.h>

static double seconds(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void must(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "graph_reopen: %s\n", strobe_error_message(error));
	exit(1);
}

/** Opens it once; seconds, and of processors. */
static double open_once(struct strobe_symbols *symbols, const char *store, bool stored,
			double *processors)
{
	const struct strobe_graph_options options = {.size = sizeof(options), .store = store};
	struct strobe_graph *graph;
	double start = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);
	must(strobe_graph_open(symbols, &options, &graph));
	double taken = seconds(CLOCK_MONOTONIC) - start;
	*processors = seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
	if (strobe_graph_was_stored(graph) != stored) {
		fprintf(stderr, "graph_reopen: the graph was %sstored\n", stored ? "not " : "");
		exit(1);
	}
	strobe_graph_close(graph);
	return taken;
}

int main(int argc, char **argv)
{
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	double best = 1e9, best_used = 0, used;
	if (argc < 3)
		return 2;
	unlink(argv[2]);
	must(strobe_view_open(argv[1], NULL, &view));
	must(strobe_symbols_open(view, &symbols));
	double first = open_once(symbols, argv[2], false, &used);
	for (int i = 0; i < (argc > 3 ? atoi(argv[3]) : 20); i++) {
		double taken = open_once(symbols, argv[2], true, &used);
		best_used = taken < best ? used : best_used;
		best = taken < best ? taken : best;
	}
	printf("%.6f %.6f %.6f\n", first, best, best_used);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	unlink(argv[2]);
	return 0;
}
