// SPDX-License-Identifier: Apache-2.0
// Dominators and retained sizes against what they mean: without its dominator a node is not reached.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "graph/dominators.h"
#include "made_graph.h"

enum { MOST_NODES = 60 };

/** What is reached from node 0 when `without` is not there. */
static void reach(const struct strobe_graph *graph, uint32_t without, bool *reached)
{
	uint32_t queue[MOST_NODES], first = 0, last = 0;
	memset(reached, 0, graph->node_count);
	if (without == 0)
		return;
	reached[0] = true;
	queue[last++] = 0;
	while (first < last) {
		uint32_t node = queue[first++];
		for (uint64_t i = graph_edges_begin(graph, node); i < graph_edges_end(graph, node);
		     i++) {
			uint32_t to = graph->edges[i] & EDGE_TARGET;
			if (to != without && !reached[to]) {
				reached[to] = true;
				queue[last++] = to;
			}
		}
	}
}

/** cut[d][n]: n is reached, but not without d. */
static bool cut[MOST_NODES][MOST_NODES], all[MOST_NODES];

static void cut_each(const struct strobe_graph *graph)
{
	bool reached[MOST_NODES];
	reach(graph, NODE_NONE, all);
	for (uint32_t d = 0; d < graph->node_count; d++) {
		reach(graph, d, reached);
		for (uint32_t n = 0; n < graph->node_count; n++)
			cut[d][n] = all[n] && !reached[n];
	}
}

static void check_node(const struct strobe_graph *graph, uint32_t node)
{
	uint64_t retained = 0;
	for (uint32_t n = 0; n < graph->node_count; n++)
		retained += cut[node][n] || n == node ? graph_node_size(graph, n) : 0;
	CHECK_EQUAL(graph->retained[node], retained);
	if (node == 0 || !all[node]) {
		CHECK_EQUAL(graph->idom[node], NODE_NONE);
		return;
	}
	// The nearest of those that dominate it is dominated by all the others.
	uint32_t idom = graph->idom[node];
	CHECK(idom < graph->node_count && idom != node && cut[idom][node]);
	for (uint32_t d = 0; d < graph->node_count; d++)
		CHECK(d == node || !cut[d][node] || cut[d][idom]);
}

static void check_graph(const struct made *made)
{
	struct strobe_graph *graph = made_graph(made);
	cut_each(graph);
	for (uint32_t node = 0; node < graph->node_count; node++)
		check_node(graph, node);
	strobe_graph_close(graph);
}

static void random_graphs(void)
{
	uint64_t state = 1;
	for (unsigned i = 0; i < 6000; i++) {
		uint32_t nodes = 1 + made_below(&state, MOST_NODES - 1);
		uint32_t edges = made_below(&state, nodes * (1 + i % 4) + 1);
		struct made made = made_random(i, nodes, edges);
		check_graph(&made);
		made_fini(&made);
	}
}

/** The graph of Lengauer and Tarjan's paper; R is 0, A is 1, ..., L is 12. */
static void the_paper(void)
{
	static const char *const edges[] = {"0A", "0B", "0C", "AD", "BA", "BD", "BE",
					    "CF", "CG", "DL", "EH", "FI", "GI", "GJ",
					    "HE", "HK", "IK", "JI", "KI", "K0", "LH"};
	struct made made = {.node_count = 13};
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		made_edge(&made, edges[i][0] == '0' ? 0 : (uint32_t)(edges[i][0] - 'A' + 1),
			  edges[i][1] == '0' ? 0 : (uint32_t)(edges[i][1] - 'A' + 1));
	struct strobe_graph *graph = made_graph(&made);
	static const uint32_t wanted[] = {NODE_NONE, 0, 0, 0, 0, 0, 3, 3, 0, 0, 7, 0, 4};
	for (uint32_t i = 0; i < 13; i++)
		CHECK_EQUAL(graph->idom[i], wanted[i]);
	strobe_graph_close(graph);
	made_fini(&made);
}

/** The order is a depth-first one: what dominates comes before. */
static void the_order(void)
{
	struct made made = made_random(5, 5000, 15000);
	struct strobe_graph *graph = made_graph(&made);
	const struct graph_arrays arrays = graph_arrays_of(graph);
	uint32_t *idom = malloc(5000 * 4), *order = malloc(5000 * 4), *place = calloc(5000, 4);
	uint32_t reached = 0;
	CHECK_OK(graph_dominators_in_order(&arrays, 1, idom, order, &reached));
	CHECK(reached > 1000 && reached <= 5000 && order[0] == 0);
	CHECK(memcmp(idom, graph->idom, 5000 * 4) == 0);
	for (uint32_t i = 0; i < reached; i++)
		place[order[i]] = i;
	for (uint32_t i = 1; i < reached; i++)
		CHECK(place[order[i]] == i && place[idom[order[i]]] < i);
	CHECK_OK(graph_dominators(5000, arrays.edge_begin, arrays.chunk_base, arrays.edges, idom));
	CHECK(memcmp(idom, graph->idom, 5000 * 4) == 0);
	free(idom);
	free(order);
	free(place);
	strobe_graph_close(graph);
	made_fini(&made);
}

/** By one thread and by several, the dominators are the same. */
static void threads(void)
{
	struct made made = made_random(9, 300000, 900000);
	struct strobe_graph *graph = made_graph(&made);
	const struct graph_arrays arrays = graph_arrays_of(graph);
	uint32_t *idom = malloc(300000 * 4);
	for (unsigned count = 1; count <= 5; count += 2) {
		uint32_t reached;
		CHECK_OK(graph_dominators_in_order(&arrays, count, idom, NULL, &reached));
		CHECK(reached > 200000);
		CHECK(memcmp(idom, graph->idom, 300000 * 4) == 0);
	}
	free(idom);
	strobe_graph_close(graph);
	made_fini(&made);
}

// Sizes that would betray recursion or a step that is not linear: on a small stack, each shape in seconds.

enum { LONG = 3000000 };

static struct strobe_graph *big_graph(struct made *made)
{
	struct strobe_graph *graph = made_graph(made);
	made_fini(made);
	return graph;
}

static void long_list(void)
{
	struct made made = {.node_count = LONG};
	for (uint32_t i = 0; i + 1 < LONG; i++) {
		made_edge(&made, i, i + 1);
		if (i)
			made_edge(&made, i, i - 1);
	}
	struct strobe_graph *graph = big_graph(&made);
	uint64_t sum = 0;
	for (uint32_t i = LONG; i-- > 0;) {
		CHECK_EQUAL(graph->idom[i], i ? i - 1 : NODE_NONE);
		sum += graph_node_size(graph, i);
		CHECK_EQUAL(graph->retained[i], sum);
	}
	strobe_graph_close(graph);
}

/** Every node leads to the last one, and the last one to all: it has the most referrers and references there can be. */
static void star(void)
{
	struct made made = {.node_count = LONG / 3};
	for (uint32_t i = 0; i + 1 < LONG / 3; i++) {
		made_edge(&made, i, LONG / 3 - 1);
		made_edge(&made, LONG / 3 - 1, i);
		made_edge(&made, 0, i);
	}
	struct strobe_graph *graph = big_graph(&made);
	for (uint32_t i = 1; i < LONG / 3; i++)
		CHECK_EQUAL(graph->idom[i], 0);
	strobe_graph_close(graph);
}

/** A list whose nodes lead back to nodes all the way up: long ways to be shortened. */
static void back_edges(void)
{
	struct made made = {.node_count = LONG / 3};
	uint64_t state = 3;
	for (uint32_t i = 0; i + 1 < LONG / 3; i++) {
		made_edge(&made, i, i + 1);
		made_edge(&made, i, made_below(&state, i + 1));
		made_edge(&made, i, i / 2);
	}
	struct strobe_graph *graph = big_graph(&made);
	for (uint32_t i = 1; i < LONG / 3; i++)
		CHECK_EQUAL(graph->idom[i], i - 1);
	strobe_graph_close(graph);
}

/** A ladder: two lists with rungs both ways, entered at the top by both: nobody dominates but the root. */
static void ladder(void)
{
	uint32_t rungs = LONG / 4;
	struct made made = {.node_count = 2 * rungs + 1};
	made_edge(&made, 0, 1);
	made_edge(&made, 0, 2);
	for (uint32_t i = 1; i <= 2 * rungs; i++) {
		if (i + 2 <= 2 * rungs)
			made_edge(&made, i, i + 2);
		made_edge(&made, i, i % 2 ? i + 1 : i - 1);
		if (i > 2)
			made_edge(&made, i, i - 2);
	}
	struct strobe_graph *graph = big_graph(&made);
	for (uint32_t i = 1; i <= 2 * rungs; i++)
		CHECK_EQUAL(graph->idom[i], 0);
	strobe_graph_close(graph);
}

static jmp_buf outer;

/** Runs a case on 64 KiB of stack. */
static void *run_small(void *context)
{
	void *volatile failed = context;
	if (setjmp(check_jump) == 0) {
		(*(void (**)(void))context)();
		failed = NULL;
	}
	return failed;
}

static void on_small_stack(void (*run)(void))
{
	pthread_attr_t attributes;
	pthread_t thread;
	void *failed;
	memcpy(&outer, &check_jump, sizeof(outer));
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
	CHECK(pthread_create(&thread, &attributes, run_small, &run) == 0);
	CHECK(pthread_join(thread, &failed) == 0);
	pthread_attr_destroy(&attributes);
	memcpy(&check_jump, &outer, sizeof(outer));
	CHECK(failed == NULL);
}

static void long_list_small(void)
{
	on_small_stack(long_list);
}

static void star_small(void)
{
	on_small_stack(star);
}

static void back_edges_small(void)
{
	on_small_stack(back_edges);
}

static void ladder_small(void)
{
	on_small_stack(ladder);
}

CHECK_MAIN({"random graphs, against what dominators mean", random_graphs},
	   {"the graph of Lengauer and Tarjan", the_paper}, {"the order", the_order},
	   {"one thread, several threads", threads},
	   {"a list of 3,000,000, both ways", long_list_small}, {"a star", star_small},
	   {"edges back all the way", back_edges_small}, {"a ladder", ladder_small}, )
