// SPDX-License-Identifier: Apache-2.0
// Allocation number N of building a graph fails, N = 1, 2, 3, ...: there is an error, or the whole graph.
#define FAILING_MAPPINGS
#include "failing_malloc.h"
#include "graph/build.h"
#include "graph/graph_check.h"
#include "symbols/program.h"

static const char small_program[] =
	"#include <stdlib.h>\n"
	"struct node { struct node *next; void *any; struct node *wild; };\n"
	"struct link { struct link *next; }; struct job { long id; struct link link; long more[7]; "
	"};\n"
	"struct node *head; struct link *jobs;\n"
	"int main(void) { void *n; for (int i = 0; i < 100; i++) { struct node *n = calloc(1, "
	"sizeof *n);\n"
	"  n->next = head; n->any = malloc(100); n->wild = (void *)(i * 4096L + 64); head = n;\n"
	"  struct job *j = calloc(1, sizeof *j); j->link.next = jobs; jobs = &j->link; }\n"
	"  n = malloc(70); free(malloc(2000)); abort(); }\n";

/** All of `program` anew: what one run has found is kept by its symbols. */
static struct strobe_error *build(const char *core, struct strobe_graph_summary *ret)
{
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct strobe_graph *graph = NULL;
	struct strobe_graph_options options = {
		.size = sizeof(options), .threads = 2, .no_store = true};
	long armed = atomic_exchange(&allocations_left, 0);
	CHECK_OK(strobe_view_open(core, NULL, &view));
	CHECK_OK(strobe_symbols_open(view, &symbols));
	atomic_store(&allocations_seen, 0);
	atomic_store(&allocations_left, armed);
	struct strobe_error *error = graph_build(symbols, &options, &graph);
	atomic_store(&allocations_left, 0);
	if (!error) {
		strobe_graph_summary(graph, ret);
		CHECK(graph_check(graph) == NULL);
	}
	strobe_graph_close(graph);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return error;
}

/** Most allocations are those of debug information, which others test: some of them, and more of the first and last, which are
 *  the graph's own. */
static long next_failure(long n, long total)
{
	enum { FIRST = 300, LAST = 60 };
	if (n < FIRST || n >= total - LAST)
		return n + (n < FIRST ? 3 : 1);
	n += total / 40 + 1;
	return n < total - LAST ? n : total - LAST;
}

static void test_short(void)
{
	struct program program;
	char core[400];
	struct strobe_graph_summary whole, summary;
	program_open(&program, "gcc -g -O0", "c", small_program);
	CHECK(program_core(&program, core, sizeof(core)));
	CHECK_OK(build(core, &whole));
	long total = atomic_load(&allocations_seen);
	unsigned failed = 0, less = 0;
	for (long n = 1; n <= total + 10; n = next_failure(n, total)) {
		atomic_store(&allocations_left, n);
		struct strobe_error *error = build(core, &summary);
		if (error) {
			CHECK(strobe_error_code(error) == STROBE_ERROR_NO_MEMORY);
			strobe_error_free(error);
			failed++;
		} else if (summary.allocated_blocks == whole.allocated_blocks &&
			   summary.edges != whole.edges) {
			less++; // a cache was not made, debug information not found
		}
	}
	printf("# %ld allocations; failed %u times, %u graphs were smaller\n", total, failed, less);
	CHECK(failed > 10);
	program_close(&program);
}

CHECK_MAIN({"memory is short while a graph is built", test_short}, )
