// SPDX-License-Identifier: Apache-2.0
// Allocation number N fails, N = 1, 2, 3, ... until all goes well: each time there is an error or what must be there.
#include <unistd.h>

#define FAILING_MAPPINGS
#include "failing_malloc.h"
#include "base/error.h"
#include "check.h"
#include "graph/dominators.h"
#include "graph/store.h"
#include "made_graph.h"

static struct strobe_graph *graph;

static struct strobe_graph *make(void)
{
	struct made made = made_random(1, 3000, 9000);
	struct strobe_graph *ret = made_graph(&made);
	made_fini(&made);
	return ret;
}

static struct strobe_error *dominators(void)
{
	static uint32_t idom[3000];
	const struct graph_arrays arrays = graph_arrays_of(graph);
	struct strobe_error *error = graph_dominators_in_order(&arrays, 2, idom, NULL, NULL);
	CHECK(error || memcmp(idom, graph->idom, sizeof(idom)) == 0);
	return error;
}

static struct strobe_error *retained(void)
{
	uint32_t node = graph->edges[0] & EDGE_TARGET;
	uint64_t bytes, nodes;
	struct strobe_error *error = graph_retained_of(graph, &node, 1, &bytes, &nodes, NULL);
	CHECK(error || bytes == graph->retained[node]);
	return error;
}

static struct strobe_error *referrers(void)
{
	struct strobe_error *error = graph_referrers_make(graph);
	CHECK(!error == !!graph->referrers);
	graph_referrers_forget(graph);
	return error;
}

static bool is_target(void *context, uint32_t node)
{
	(void)context;
	return node % 500 == 499;
}

static bool count_path(void *context, const struct graph_path *path)
{
	CHECK(is_target(NULL, path->nodes.items[path->nodes.count - 1]));
	++*(unsigned *)context;
	return true;
}

static struct strobe_error *paths(void)
{
	const struct graph_path_options options = {.limit = 20};
	unsigned count = 0;
	struct strobe_error *error =
		graph_paths(graph, is_target, NULL, &options, count_path, &count);
	CHECK(error || count == 20);
	graph_referrers_forget(graph);
	return error;
}

static struct strobe_error *store(void)
{
	static const struct store_identity identity = {{1}};
	struct strobe_graph *stored = NULL;
	struct file *file;
	char path[] = "/tmp/strobe-test-XXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	close(fd);
	struct strobe_error *error = store_write(graph, &identity, path);
	if (!error)
		error = file_open(path, &file);
	if (!error)
		error = store_open(file, NULL, &identity, &stored);
	CHECK(!error == !!stored);
	CHECK(!stored || stored->edge_count == graph->edge_count);
	strobe_graph_close(stored);
	unlink(path);
	return error;
}

static void run_short(struct strobe_error *(*run)(void), long least)
{
	long runs = 0;
	graph = make();
	for (bool failed = true; failed; runs++) {
		allocations_left = runs + 1;
		struct strobe_error *error = run();
		failed = allocations_left == 0;
		allocations_left = 0;
		// Of a file that cannot be mapped, mmap() tells.
		if (error && strobe_error_code(error) != STROBE_ERROR_NO_MEMORY)
			CHECK_EQUAL(strobe_error_errno(error), ENOMEM);
		CHECK(failed || !error);
		strobe_error_free(error);
	}
	CHECK(runs > least);
	graph = strobe_graph_close(graph);
}

static void short_dominators(void)
{
	run_short(dominators, 5);
}

static void short_retained(void)
{
	run_short(retained, 1);
}

static void short_referrers(void)
{
	run_short(referrers, 3);
}

static void short_paths(void)
{
	run_short(paths, 20);
}

static void short_store(void)
{
	run_short(store, 4);
}

CHECK_MAIN({"dominators", short_dominators}, {"what a set retains", short_retained},
	   {"the table of referrers", short_referrers}, {"paths", short_paths},
	   {"a stored graph", short_store}, )
