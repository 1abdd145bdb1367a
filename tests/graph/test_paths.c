// SPDX-License-Identifier: Apache-2.0
// Paths against all that there are, and what sets retain against what is reached without them.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "made_graph.h"

enum { MOST_NODES = 9, MOST_PATHS = 60000 };

struct list {
	uint8_t count, nodes[MOST_NODES];
};

static struct list truth[MOST_PATHS];
static size_t truth_count;
static uint32_t targets; // a bit a node

static bool is_target(void *context, uint32_t node)
{
	(void)context;
	return targets >> node & 1;
}

static bool has_edge(const struct strobe_graph *graph, uint32_t from, uint32_t to, bool precise)
{
	for (uint64_t i = graph_edges_begin(graph, from); i < graph_edges_end(graph, from); i++)
		if ((graph->edges[i] & EDGE_TARGET) == to &&
		    !(precise && graph->edges[i] & EDGE_GUESSED))
			return true;
	return false;
}

/** All paths without a node twice. */
static void enumerate(const struct strobe_graph *graph, bool precise, struct list *path)
{
	uint32_t last = path->nodes[path->count - 1];
	if (is_target(NULL, last)) {
		CHECK(truth_count < MOST_PATHS);
		truth[truth_count++] = *path;
	}
	for (uint32_t to = 0; to < graph->node_count; to++) {
		if (memchr(path->nodes, (int)to, path->count) ||
		    !has_edge(graph, last, to, precise))
			continue;
		path->nodes[path->count++] = (uint8_t)to;
		enumerate(graph, precise, path);
		path->count--;
	}
}

static int order(const void *a, const void *b)
{
	const struct list *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	return memcmp(x->nodes, y->nodes, x->count);
}

/** What graph_paths() told so far. */
struct told {
	const struct strobe_graph *graph;
	bool precise;
	size_t count, stop;
};

static bool visit(void *context, const struct graph_path *path)
{
	struct told *told = context;
	CHECK(told->count < truth_count);
	const struct list *wanted = &truth[told->count++];
	CHECK_EQUAL(path->nodes.count, wanted->count);
	CHECK_EQUAL(path->edges.count, wanted->count - 1);
	for (size_t i = 0; i < wanted->count; i++)
		CHECK_EQUAL(path->nodes.items[i], wanted->nodes[i]);
	for (size_t i = 0; i + 1 < wanted->count; i++) {
		uint64_t edge = path->edges.items[i];
		CHECK(edge >= graph_edges_begin(told->graph, wanted->nodes[i]) &&
		      edge < graph_edges_end(told->graph, wanted->nodes[i]));
		CHECK_EQUAL(told->graph->edges[edge] & EDGE_TARGET, wanted->nodes[i + 1]);
		CHECK(!told->precise || !(told->graph->edges[edge] & EDGE_GUESSED));
	}
	return told->count != told->stop;
}

static void check_paths(struct strobe_graph *graph, bool precise, size_t limit, size_t stop)
{
	struct list path = {.count = 1};
	struct told told = {.graph = graph, .precise = precise, .stop = stop};
	const struct graph_path_options options = {.precise = precise, .limit = limit};
	truth_count = 0;
	enumerate(graph, precise, &path);
	qsort(truth, truth_count, sizeof(*truth), order);
	CHECK_OK(graph_paths(graph, is_target, NULL, &options, visit, &told));
	size_t wanted = limit < truth_count ? limit : truth_count;
	CHECK_EQUAL(told.count, stop && stop < wanted ? stop : wanted);
}

static void all_paths(void)
{
	uint64_t state = 7;
	size_t most = 0;
	for (unsigned i = 0; i < 3000; i++) {
		uint32_t nodes = 1 + made_below(&state, i % 10 ? MOST_NODES - 2 : MOST_NODES);
		struct made made =
			made_random(i, nodes, made_below(&state, nodes * (i % 50 ? 4 : 16) + 1));
		struct strobe_graph *graph = made_graph(&made);
		targets = 1u << made_below(&state, nodes);
		if (i % 3 == 0)
			targets |= made_below(&state, 1u << nodes);
		check_paths(graph, false, SIZE_MAX, 0);
		most = truth_count > most ? truth_count : most;
		check_paths(graph, true, SIZE_MAX, 0);
		check_paths(graph, i % 2, 1 + i % 4, 0);
		check_paths(graph, false, SIZE_MAX, 2);
		strobe_graph_close(graph);
		made_fini(&made);
	}
	CHECK(most > 500);
}

static bool is_last(void *context, uint32_t node)
{
	return node == *(const uint32_t *)context;
}

/** Told lengths. */
struct lengths {
	size_t count;
	size_t lengths[16];
};

static bool note(void *context, const struct graph_path *path)
{
	struct lengths *lengths = context;
	lengths->lengths[lengths->count++] = path->edges.count;
	return true;
}

/** A list both ways, with some shortcuts: what is long is not quadratic. */
static void long_paths(void)
{
	enum { LENGTH = 400000 };
	struct made made = {.node_count = LENGTH};
	for (uint32_t i = 0; i + 1 < LENGTH; i++) {
		made_edge(&made, i, i + 1);
		if (i)
			made_edge(&made, i, i - 1);
		if (i % 100000 == 50)
			made_edge(&made, i, i + 10);
	}
	struct strobe_graph *graph = made_graph(&made);
	uint32_t last = LENGTH - 1;
	struct lengths lengths = {0};
	const struct graph_path_options options = {.limit = 8, .max_work = 400 * (uint64_t)LENGTH};
	CHECK_OK(graph_paths(graph, is_last, &last, &options, note, &lengths));
	CHECK_EQUAL(lengths.count, 8);
	for (size_t i = 0; i < 8; i++)
		CHECK_EQUAL(lengths.lengths[i], last - 36 + 9 * (i == 0 ? 0 : i < 5 ? 1 : 2));
	strobe_graph_close(graph);
	made_fini(&made);
}

/** A mesh has more paths than there is time for; work is bounded. */
static void bounded_work(void)
{
	enum { SIDE = 300 };
	struct made made = {.node_count = SIDE * SIDE};
	for (uint32_t i = 0; i < SIDE * SIDE; i++) {
		if ((i + 1) % SIDE)
			made_edge(&made, i, i + 1);
		if (i + SIDE < SIDE * SIDE)
			made_edge(&made, i, i + SIDE);
	}
	struct strobe_graph *graph = made_graph(&made);
	uint32_t last = SIDE * SIDE - 1;
	struct lengths lengths = {0};
	struct graph_path_options options = {.limit = 10, .max_work = 10000000};
	CHECK_OK(graph_paths(graph, is_last, &last, &options, note, &lengths));
	CHECK_EQUAL(lengths.count, 10);
	options.max_work = 1000;
	CHECK_ERROR(graph_paths(graph, is_last, &last, &options, note, &lengths),
		    STROBE_ERROR_LIMIT);
	CHECK_EQUAL(lengths.count, 10);
	strobe_graph_close(graph);
	made_fini(&made);
}

/** Bits of the nodes that are reached from `from` without entering `without`. */
static uint64_t reach(const struct strobe_graph *graph, uint64_t from, uint64_t without)
{
	uint64_t reached = from & ~without;
	for (bool more = true; more;) {
		more = false;
		for (uint32_t n = 0; n < graph->node_count; n++)
			for (uint64_t i = graph_edges_begin(graph, n);
			     reached >> n & 1 && i < graph_edges_end(graph, n); i++) {
				uint64_t to = UINT64_C(1) << (graph->edges[i] & EDGE_TARGET);
				more |= !(reached & to) && !(without & to);
				reached |= to & ~without;
			}
	}
	return reached;
}

static void sets(void)
{
	uint64_t state = 11;
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t count = 1 + made_below(&state, 60);
		struct made made = made_random(i + 77, count, made_below(&state, count * 3));
		struct strobe_graph *graph = made_graph(&made);
		uint32_t set[8], size = made_below(&state, 8);
		uint64_t bits = 0, bytes = 0, nodes = 0, mark = ~UINT64_C(0), wanted_bytes = 0;
		for (uint32_t k = 0; k < size; k++) {
			set[k] = made_below(&state, count); // one may come twice
			bits |= UINT64_C(1) << set[k];
		}
		uint64_t others = reach(graph, 1, bits), wanted = reach(graph, bits, others);
		for (uint32_t n = 0; n < count; n++)
			wanted_bytes += wanted >> n & 1 ? graph_node_size(graph, n) : 0;
		CHECK_OK(graph_retained_of(graph, set, size, &bytes, &nodes, i % 2 ? &mark : NULL));
		CHECK_EQUAL(bytes, wanted_bytes);
		CHECK_EQUAL(nodes, __builtin_popcountll(wanted));
		CHECK(i % 2 == 0 || mark == wanted);
		if (size == 1 && graph->types[set[0]] & NODE_REACHABLE)
			CHECK_EQUAL(bytes, graph->retained[set[0]]);
		strobe_graph_close(graph);
		made_fini(&made);
	}
}

static void referrers(void)
{
	struct made made = made_random(3, 70000, 200000);
	struct strobe_graph *graph = made_graph(&made);
	uint64_t count = 0;
	CHECK_OK(graph_referrers_make(graph));
	CHECK_OK(graph_referrers_make(graph));
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint64_t end, i = graph_referrers_of(graph, node, &end);
		CHECK_EQUAL(i, count);
		count = end;
		for (; i < end; i++) {
			CHECK(has_edge(graph, graph->referrers[i], node, false));
			CHECK(i + 1 == end || graph->referrers[i] <= graph->referrers[i + 1]);
		}
	}
	CHECK_EQUAL(count, graph->edge_count);
	graph_referrers_forget(graph);
	CHECK(!graph->referrers);
	strobe_graph_close(graph);
	made_fini(&made);
}

CHECK_MAIN({"all paths of small graphs, shortest first", all_paths},
	   {"paths of 400,000 nodes", long_paths}, {"work is bounded", bounded_work},
	   {"what sets retain", sets}, {"the table of referrers", referrers}, )
