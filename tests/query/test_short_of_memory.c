// SPDX-License-Identifier: Apache-2.0
// Allocation number N fails, N = 1, 2, 3, ... until all goes well: each time there is an error or the whole answer, and nothing
// is left behind (the sanitizers tell).

#include <strobe/graph_diff.h>
#include <strobe/graph_duplicates.h>
#include <strobe/graph_leaks.h>
#include <strobe/graph_paths.h>
#include <strobe/graph_query.h>
#include <strobe/graph_suspects.h>

#include "../graph/made_graph.h"
#include "check.h"
#include "failing_malloc.h"

// Threads (in no memory) hold variables, which hold a table, lists and blocks alone; some blocks are lost.
static struct strobe_graph *graph_of(uint32_t blocks)
{
	enum { NODES = 300 };
	struct made made = {
		.node_count = NODES + 4, .memory_count = NODES - 1, .surrogate_count = 2};
	made_edge(&made, 0, NODES + 1);
	made_edge(&made, NODES + 1, 1);
	made_edge(&made, NODES + 1, 11);
	made_edge(&made, 1, 2);
	for (uint32_t node = 4; node < 2 * blocks; node += 2)
		made_edge(&made, node % 3 ? 2 : 11, node);
	for (uint32_t node = 2 * blocks; node + 6 < NODES; node += 6)
		made_edge(&made, node, node + 6);
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	for (uint32_t node = 1; node < NODES; node++)
		if (graph->types[node] & NODE_BLOCK) {
			graph->summary.allocated_bytes += graph->sizes[node];
			graph->summary.leaked_bytes +=
				graph->types[node] & NODE_REACHABLE ? 0 : graph->sizes[node];
		}
	return graph;
}

struct work {
	struct strobe_graph *graph, *later;
};

static struct strobe_error *ask_histogram(const struct work *work)
{
	struct strobe_histogram_row *rows = NULL;
	size_t count = 0;
	struct strobe_error *error = strobe_graph_histogram(work->graph, NULL, &rows, &count);
	CHECK(error || count >= 3);
	free(rows);
	return error;
}

static struct strobe_error *ask_nodes(const struct work *work)
{
	uint64_t *nodes = NULL;
	size_t count = 0;
	struct strobe_retained retained = {0};
	struct strobe_error *error = strobe_graph_nodes_of_type(work->graph, "one", &nodes, &count);
	CHECK(error || count == 100);
	if (!error)
		error = strobe_graph_retained_of(work->graph, nodes, count, &retained);
	CHECK(error || retained.nodes == 100);
	free(nodes);
	return error;
}

static struct strobe_error *ask_top(const struct work *work)
{
	struct strobe_top_options options = {
		.size = sizeof(options), .limit = 30, .type = "struct *"};
	uint64_t *nodes = NULL;
	size_t count = 0;
	struct strobe_error *error = strobe_graph_top(work->graph, &options, &nodes, &count);
	CHECK(error || count == 30);
	free(nodes);
	return error;
}

static bool count_entry(void *context, const struct strobe_tree_entry *entry)
{
	*(size_t *)context += entry->retained_bytes > 0;
	return true;
}

static struct strobe_error *ask_tree(const struct work *work)
{
	size_t count = 0;
	struct strobe_error *error =
		strobe_graph_dominator_tree(work->graph, NULL, count_entry, &count);
	CHECK(error || count > 10);
	return error;
}

static struct strobe_error *ask_leaks(const struct work *work)
{
	struct strobe_leak_options options = {.size = sizeof(options), .guessed = true};
	struct strobe_leaks *leaks = NULL;
	struct strobe_error *error = strobe_leaks_open(work->graph, &options, &leaks);
	CHECK(error || strobe_leaks_count(leaks) >= 3);
	if (!error)
		strobe_leaks_close(leaks);
	return error;
}

static struct strobe_error *ask_suspects(const struct work *work)
{
	struct strobe_suspect_options options = {.size = sizeof(options), .min_share = 0.01};
	struct strobe_suspects *suspects = NULL;
	struct strobe_error *error = strobe_suspects_open(work->graph, &options, &suspects);
	CHECK(error || strobe_suspects_count(suspects) > 2);
	if (!error)
		strobe_suspects_close(suspects);
	if (error)
		return error;
	options.before = work->graph;
	error = strobe_suspects_open(work->later, &options, &suspects);
	CHECK(error || strobe_suspects_count(suspects) > 0);
	if (!error)
		strobe_suspects_close(suspects);
	return error;
}

static struct strobe_error *ask_diff(const struct work *work)
{
	struct strobe_graph_diff *diff = NULL;
	struct strobe_error *error = strobe_graph_diff_open(work->graph, work->later, NULL, &diff);
	CHECK(error || strobe_graph_diff_row_count(diff) >= 3);
	if (!error)
		strobe_graph_diff_close(diff);
	return error;
}

static bool count_path(void *context, const struct strobe_path *path)
{
	char *text = strobe_path_text(path);
	*(size_t *)context += path->count;
	free(text);
	return true;
}

static struct strobe_error *ask_paths(const struct work *work)
{
	const uint64_t nodes[] = {301, 1}; // edges from threads have no names to be read
	struct strobe_path_options options = {
		.size = sizeof(options), .count = 3, .prefer_precise = true};
	size_t steps = 0;
	struct strobe_error *error =
		strobe_graph_paths(work->graph, nodes, 2, &options, count_path, &steps);
	if (!error)
		error = strobe_graph_path_each(work->graph, nodes, 2, &options, count_path, &steps);
	CHECK(error || steps >= 5);
	char *holder = error ? NULL : strobe_graph_holder(work->graph, 1);
	free(holder);
	return error;
}

static void run_short(struct strobe_error *(*ask)(const struct work *work), long least)
{
	struct work work = {graph_of(60), graph_of(100)};
	work.later->summary.allocated_bytes = work.graph->summary.allocated_bytes + 4000;
	uint32_t *types = (uint32_t *)work.graph->types;
	for (uint32_t node = 60; node < 300; node += 2) // what comes later was not there
		types[node] &= node % 4 ? ~(uint32_t)NODE_BLOCK : ~(uint32_t)0;
	long runs = 0;
	for (bool failed = true; failed; runs++) {
		allocations_left = runs + 1;
		struct strobe_error *error = ask(&work);
		failed = allocations_left == 0;
		allocations_left = 0;
		CHECK(!error || strobe_error_code(error) == STROBE_ERROR_NO_MEMORY);
		CHECK(!error || failed);
		strobe_error_free(error);
	}
	printf("# %ld allocations\n", runs - 1);
	CHECK(runs - 1 >= least);
	strobe_graph_close(work.graph);
	strobe_graph_close(work.later);
}

static void histogram(void)
{
	run_short(ask_histogram, 5);
}
static void nodes(void)
{
	run_short(ask_nodes, 5);
}
static void top(void)
{
	run_short(ask_top, 3);
}
static void tree(void)
{
	run_short(ask_tree, 5);
}
static void leaks(void)
{
	run_short(ask_leaks, 10);
}
static void suspects(void)
{
	run_short(ask_suspects, 15);
}
static void differences(void)
{
	run_short(ask_diff, 15);
}
static void paths(void)
{
	run_short(ask_paths, 8);
}

CHECK_MAIN({"a histogram", histogram}, {"nodes of a type, and what they retain", nodes},
	   {"the biggest", top}, {"the dominator tree", tree}, {"leaks", leaks},
	   {"suspects, of size and of growth", suspects}, {"differences", differences},
	   {"paths", paths})
