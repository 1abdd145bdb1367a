// SPDX-License-Identifier: Apache-2.0
// Which leaked blocks hold which, on random graphs against trying everything, and where the answer is plain.

#include <strobe/graph_leaks.h>

#include "../graph/made_graph.h"
#include "brute.h"
#include "check.h"
#include "query/leak_order.h"

enum { GRAPHS = 400 };

// All memory is blocks, few of which are reached.
static struct strobe_graph *random_graph(uint64_t seed)
{
	uint64_t state = seed + 7;
	uint32_t nodes = 4 + made_below(&state, BRUTE_NODES - 4);
	struct made made = {.node_count = nodes};
	for (uint32_t i = 0; i < nodes + made_below(&state, nodes); i++)
		made_edge(&made, 1 + made_below(&state, nodes - 1),
			  1 + made_below(&state, nodes - 1));
	made_edge(&made, 0, 1 + made_below(&state, nodes - 1));
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	uint32_t *types = (uint32_t *)graph->types;
	for (uint32_t i = 1; i < nodes; i++)
		types[i] |= NODE_BLOCK;
	return graph;
}

// A block of `set` is direct iff all that lead to it are led to by it, and it is the lowest of these.
static bool is_direct(const struct strobe_graph *graph, node_set set, uint32_t node)
{
	node_set reach = brute_spread(graph, node, set);
	for (uint32_t other = 1; other < graph->node_count; other++) {
		if (!(set >> other & 1) || other == node ||
		    !(brute_spread(graph, other, set) >> node & 1))
			continue;
		if (!(reach >> other & 1) || other < node)
			return false;
	}
	return true;
}

static void check_order(const struct strobe_graph *graph, enum leak_set which)
{
	struct leak_order order;
	node_set set = 0;
	uint32_t expected = 0;
	for (uint32_t node = 1; node < graph->node_count; node++)
		if (leak_set_has(graph, which, node))
			set |= UINT64_C(1) << node;
	CHECK_OK(leak_order_init(&order, graph, which));
	CHECK_EQUAL(order.count, __builtin_popcountll(set));
	for (uint32_t node = 1; node < graph->node_count; node++) {
		if (!(set >> node & 1))
			continue;
		CHECK_EQUAL(order.nodes[expected], node);
		CHECK_EQUAL(order.owner[expected] == expected, is_direct(graph, set, node));
		uint32_t owner = 1; // the lowest direct one that leads to it
		while (!(set >> owner & 1) || !is_direct(graph, set, owner) ||
		       !(brute_spread(graph, owner, set) >> node & 1))
			owner++;
		CHECK_EQUAL(order.nodes[order.owner[expected]], owner);
		expected++;
	}
	leak_order_fini(&order);
}

static void random_graphs(void)
{
	for (uint64_t seed = 0; seed < GRAPHS; seed++) {
		struct strobe_graph *graph = random_graph(seed);
		check_order(graph, LEAK_SET_SURE);
		check_order(graph, LEAK_SET_GUESSED); // none is precise in these
		strobe_graph_close(graph);
	}
}

// 2 holds 4, which holds 2 back and 6; 8 leads into the middle of that; 10 is alone; 12 is reached.
static void groups_of_a_few(void)
{
	struct made made = {.node_count = 16};
	made_edge(&made, 2, 4);
	made_edge(&made, 4, 2);
	made_edge(&made, 4, 6);
	made_edge(&made, 8, 4);
	made_edge(&made, 0, 12);
	made_edge(&made, 0, 14);
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	uint32_t *types = (uint32_t *)graph->types;
	types[14] |= NODE_PRECISE;
	for (int i = 2; i < 16; i += 2) // two types
		types[i] = (types[i] & ~(uint32_t)NODE_TYPE_MASK) | (i == 6 || i == 10 ? 2u : 1u);
	struct strobe_leak_options options = {.size = sizeof(options), .guessed = true};
	struct strobe_leaks *leaks = NULL;
	struct strobe_leak_total total;
	CHECK_OK(strobe_leaks_open(graph, &options, &leaks));
	strobe_leaks_total(leaks, &total);
	CHECK_EQUAL(total.blocks, 5);
	CHECK_EQUAL(total.direct_blocks, 2); // 8 and 10
	CHECK_EQUAL(total.guessed_blocks, 1);
	CHECK_EQUAL(strobe_leaks_count(leaks), 3);
	const struct strobe_leak_group *one = strobe_leaks_get(leaks, 0);
	CHECK_STRING(one->type, "struct one");
	CHECK_EQUAL(one->blocks, 3);
	CHECK_EQUAL(one->direct_blocks, 1);
	CHECK_EQUAL(one->held_blocks, 3); // 2, 4 and, of the other group, 6
	CHECK_EQUAL(one->held_bytes, brute_bytes(graph, 1 << 2 | 1 << 4 | 1 << 6));
	CHECK(one->nodes[0] == 8 && one->nodes[1] == 2 && one->nodes[2] == 4);
	const struct strobe_leak_group *two = strobe_leaks_get(leaks, 1);
	CHECK_EQUAL(two->blocks, 2);
	CHECK(two->nodes[0] == 10 && two->nodes[1] == 6);
	CHECK_EQUAL(two->held_blocks, 0);
	CHECK_EQUAL(two->least_bytes + two->most_bytes, two->size_bytes);
	const struct strobe_leak_group *guessed = strobe_leaks_get(leaks, 2);
	CHECK(guessed->guessed && guessed->blocks == 1 && guessed->nodes[0] == 12);
	strobe_leaks_close(leaks);
	strobe_graph_close(graph);
}

static void nothing_leaks(void)
{
	struct made made = {.node_count = 3};
	made_edge(&made, 0, 2);
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	struct strobe_leaks *leaks = NULL;
	CHECK_OK(strobe_leaks_open(graph, NULL, &leaks));
	CHECK_EQUAL(strobe_leaks_count(leaks), 0);
	strobe_leaks_close(leaks);
	strobe_graph_close(graph);
}

// A million blocks, each held by the one before: no stack may grow with it.
static void a_long_list_leaks(void)
{
	enum { LENGTH = 1000000 };
	struct made made = {.node_count = LENGTH + 2};
	for (uint32_t i = 2; i <= LENGTH; i++)
		made_edge(&made, i, i + 1);
	made_edge(&made, LENGTH + 1, 2); // a ring
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	uint32_t *types = (uint32_t *)graph->types;
	for (uint32_t i = 2; i < LENGTH + 2; i++)
		types[i] = NODE_BLOCK | 1;
	struct strobe_leaks *leaks = NULL;
	CHECK_OK(strobe_leaks_open(graph, NULL, &leaks));
	CHECK_EQUAL(strobe_leaks_count(leaks), 1);
	const struct strobe_leak_group *group = strobe_leaks_get(leaks, 0);
	CHECK_EQUAL(group->blocks, LENGTH);
	CHECK_EQUAL(group->direct_blocks, 1);
	CHECK_EQUAL(group->held_blocks, LENGTH - 1);
	CHECK_EQUAL(group->nodes[0], 2);
	strobe_leaks_close(leaks);
	strobe_graph_close(graph);
}

CHECK_MAIN({"direct blocks and owners of random graphs", random_graphs},
	   {"groups of a few blocks", groups_of_a_few}, {"nothing leaks", nothing_leaks},
	   {"a ring of a million blocks", a_long_list_leaks})
