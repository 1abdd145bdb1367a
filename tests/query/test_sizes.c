// SPDX-License-Identifier: Apache-2.0
// Histogram, top, retained sets and the tree, on random graphs against trying everything, and where the answer is plain.

#include <strobe/graph_query.h>

#include "../graph/made_graph.h"
#include "brute.h"
#include "check.h"
#include "query/groups.h"
#include "query/largest.h"

enum { GRAPHS = 150 };

static struct strobe_graph *random_graph(uint64_t seed)
{
	uint64_t state = seed + 99;
	uint32_t nodes = 2 + made_below(&state, BRUTE_NODES - 2);
	struct made made = made_random(seed, nodes, 1 + made_below(&state, 3 * nodes));
	made.memory_count = nodes > 8 ? nodes - 4 : 0;
	made.surrogate_count = nodes > 8 ? 2 : 0;
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	return graph;
}

// Bytes of what the nodes of one group retain one by one, nothing twice; leaked ones count for themselves.
static void expect_row(const struct strobe_graph *graph, uint32_t group,
		       struct strobe_histogram_row *ret)
{
	node_set retained = 0;
	*ret = (struct strobe_histogram_row){0};
	for (uint32_t node = 1; node < graph->node_count; node++) {
		if (!node_is_block(graph, node) || groups_of(graph, node) != group)
			continue;
		ret->count++;
		ret->size_bytes += graph_node_size(graph, node);
		if (!node_is_reachable(graph, node))
			ret->retained_bytes += graph_node_size(graph, node);
		retained |= brute_retained(graph, UINT64_C(1) << node);
	}
	ret->retained_bytes += brute_bytes(graph, retained);
}

static void check_histogram(struct strobe_graph *graph)
{
	struct strobe_histogram_row *rows = NULL, expected;
	size_t count = 0, met = 0;
	CHECK_OK(strobe_graph_histogram(graph, NULL, &rows, &count));
	for (uint32_t group = 0; group < groups_count(graph); group++) {
		struct text name = {0};
		expect_row(graph, group, &expected);
		if (!expected.count)
			continue;
		groups_name(graph, group, &name);
		size_t row = 0;
		while (row < count && strcmp(rows[row].type, text_string(&name)) != 0)
			row++;
		text_fini(&name);
		CHECK(row < count);
		CHECK_EQUAL(rows[row].count, expected.count);
		CHECK_EQUAL(rows[row].size_bytes, expected.size_bytes);
		CHECK_EQUAL(rows[row].retained_bytes, expected.retained_bytes);
		met++;
	}
	CHECK_EQUAL(met, count);
	for (size_t i = 1; i < count; i++)
		CHECK(rows[i - 1].size_bytes >= rows[i].size_bytes);
	free(rows);
}

static void histogram_of_random_graphs(void)
{
	for (uint64_t seed = 0; seed < GRAPHS; seed++) {
		struct strobe_graph *graph = random_graph(seed);
		check_histogram(graph);
		strobe_graph_close(graph);
	}
}

static void check_choices(struct strobe_graph *graph)
{
	struct strobe_histogram_options leaked = {.size = sizeof(leaked), .leaked_only = true};
	struct strobe_histogram_options reachable = {.size = sizeof(reachable),
						     .reachable_only = true};
	struct strobe_histogram_options all = {.size = sizeof(all), .with_roots = true};
	const struct strobe_histogram_options *choices[] = {&leaked, &reachable, &all};
	uint64_t counts[3] = {0}, expected[3] = {0};
	for (int i = 0; i < 3; i++) {
		struct strobe_histogram_row *rows;
		size_t count;
		CHECK_OK(strobe_graph_histogram(graph, choices[i], &rows, &count));
		for (size_t row = 0; row < count; row++)
			counts[i] += rows[row].count;
		free(rows);
	}
	for (uint32_t node = 1; node <= graph->memory_count; node++) {
		bool block = node_is_block(graph, node), reached = node_is_reachable(graph, node);
		expected[0] += block && !reached;
		expected[1] += block && reached;
		expected[2]++;
	}
	for (int i = 0; i < 3; i++)
		CHECK_EQUAL(counts[i], expected[i]);
}

static void histogram_of_some(void)
{
	for (uint64_t seed = 0; seed < 30; seed++) {
		struct strobe_graph *graph = random_graph(seed);
		check_choices(graph);
		strobe_graph_close(graph);
	}
}

static uint64_t brute_node_bytes(const struct strobe_graph *graph, uint32_t node)
{
	if (!node_is_reachable(graph, node))
		return graph_node_size(graph, node);
	return brute_bytes(graph, brute_retained(graph, UINT64_C(1) << node));
}

static void check_top(struct strobe_graph *graph)
{
	struct strobe_top_options some = {.size = sizeof(some), .limit = 5};
	struct strobe_top_options blocks = {
		.size = sizeof(blocks), .limit = SIZE_MAX, .blocks_only = true, .type = "one"};
	uint64_t *nodes, last = UINT64_MAX;
	size_t count, expected = 0;
	CHECK_OK(strobe_graph_top(graph, &some, &nodes, &count));
	CHECK_EQUAL(count, graph->memory_count < 5 ? graph->memory_count : 5);
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = brute_node_bytes(graph, (uint32_t)nodes[i]);
		CHECK(bytes <= last);
		last = bytes;
	}
	for (uint32_t node = 1; node <= graph->memory_count; node++) // nothing bigger was left out
		if (brute_node_bytes(graph, node) > last)
			expected++;
	CHECK(expected < 5);
	free(nodes);
	CHECK_OK(strobe_graph_top(graph, &blocks, &nodes, &count));
	expected = 0;
	for (uint32_t node = 1; node <= graph->memory_count; node++)
		expected += node_is_block(graph, node) && node % 3 == 1;
	CHECK_EQUAL(count, expected);
	for (size_t i = 0; i < count; i++)
		CHECK(nodes[i] % 3 == 1 && nodes[i] % 2 == 0);
	free(nodes);
}

static void top_of_random_graphs(void)
{
	for (uint64_t seed = 0; seed < GRAPHS; seed++) {
		struct strobe_graph *graph = random_graph(seed);
		check_top(graph);
		strobe_graph_close(graph);
	}
}

static void check_retained(struct strobe_graph *graph, uint64_t seed)
{
	uint64_t nodes[8], state = seed, own = 0, leaked = 0;
	node_set set = 0;
	struct strobe_retained retained;
	for (int i = 0; i < 8; i++) { // some may come twice
		nodes[i] = 1 + made_below(&state, graph->node_count - 1);
		set |= UINT64_C(1) << nodes[i];
	}
	CHECK_OK(strobe_graph_retained_of(graph, nodes, 8, &retained));
	node_set reached = brute_reached(graph, 0);
	own = brute_bytes(graph, set);
	leaked = brute_bytes(graph, set & ~reached);
	node_set gone = brute_retained(graph, set);
	CHECK_EQUAL(retained.nodes, __builtin_popcountll(set));
	CHECK_EQUAL(retained.size_bytes, own);
	CHECK_EQUAL(retained.retained_bytes, brute_bytes(graph, gone) + leaked);
	CHECK_EQUAL(retained.retained_nodes,
		    __builtin_popcountll(gone) + __builtin_popcountll(set & ~reached));
}

static void retained_sets(void)
{
	struct strobe_retained retained;
	uint64_t wrong = 1000;
	for (uint64_t seed = 0; seed < GRAPHS; seed++) {
		struct strobe_graph *graph = random_graph(seed);
		check_retained(graph, seed);
		CHECK_ERROR(strobe_graph_retained_of(graph, &wrong, 1, &retained),
			    STROBE_ERROR_INVALID);
		strobe_graph_close(graph);
	}
}

/** What a tree's visitor has seen. */
struct shown {
	const struct strobe_graph *graph;
	struct strobe_tree_entry entries[256];
	size_t count, limit;
};

static bool keep(void *context, const struct strobe_tree_entry *entry)
{
	struct shown *shown = context;
	shown->entries[shown->count++] = *entry;
	return shown->count < shown->limit;
}

static void check_order(const struct shown *shown)
{
	uint64_t last[256]; // retained bytes of the last node at each depth
	uint32_t line[256]; // and the node
	for (size_t i = 0; i < shown->count; i++) {
		const struct strobe_tree_entry *entry = &shown->entries[i];
		CHECK(i ? entry->depth > 0 && entry->depth <= shown->entries[i - 1].depth + 1
			: entry->depth == 0);
		if (entry->depth) {
			uint32_t parent = line[entry->depth - 1];
			CHECK_EQUAL(shown->graph->idom[entry->node], parent);
			CHECK(entry->retained_bytes <= last[entry->depth]);
		}
		last[entry->depth] = entry->retained_bytes;
		last[entry->depth + 1] = UINT64_MAX;
		line[entry->depth] = (uint32_t)entry->node;
	}
}

static void whole_tree_of_random_graphs(void)
{
	for (uint64_t seed = 0; seed < GRAPHS; seed++) {
		struct strobe_graph *graph = random_graph(seed);
		struct shown shown = {.graph = graph, .limit = 256};
		struct strobe_tree_options options = {.size = sizeof(options),
						      .depth = 200,
						      .children = SIZE_MAX,
						      .whole_chains = true};
		CHECK_OK(strobe_graph_dominator_tree(graph, &options, keep, &shown));
		CHECK_EQUAL(shown.count, __builtin_popcountll(brute_reached(graph, 0)));
		check_order(&shown);
		for (size_t i = 0; i < shown.count; i++)
			CHECK(shown.entries[i].hidden == 0 && shown.entries[i].chain == 0);
		options.node = graph->node_count;
		CHECK_ERROR(strobe_graph_dominator_tree(graph, &options, keep, &shown),
			    STROBE_ERROR_INVALID);
		strobe_graph_close(graph);
	}
}

// 1 is a variable that holds 2 to 60, of which 4, 6, 8 ... hang off 2.
static struct strobe_graph *wide_graph(void)
{
	struct made made = {.node_count = 61};
	made_edge(&made, 0, 1);
	for (uint32_t i = 2; i < 61; i++)
		made_edge(&made, i > 2 && i % 2 == 0 ? 2 : 1, i);
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	return graph;
}

static void tree_within_limits(void)
{
	struct strobe_graph *graph = wide_graph();
	struct shown shown = {.graph = graph, .limit = 256};
	struct strobe_tree_options options = {.size = sizeof(options), .depth = 2, .children = 3};
	CHECK_OK(strobe_graph_dominator_tree(graph, &options, keep, &shown));
	CHECK_EQUAL(shown.count, 5); // 0, 1, and three of its children
	CHECK_EQUAL(shown.entries[1].node, 1);
	CHECK_EQUAL(shown.entries[1].children, 30);
	CHECK_EQUAL(shown.entries[1].hidden, 27);
	uint64_t kept = 0;
	for (size_t i = 2; i < 5; i++)
		kept += shown.entries[i].retained_bytes;
	CHECK_EQUAL(shown.entries[1].retained_bytes,
		    kept + shown.entries[1].hidden_bytes + graph_node_size(graph, 1));
	CHECK_EQUAL(shown.entries[2].node, 2);
	CHECK_EQUAL(shown.entries[2].hidden, 29); // too deep
	shown.count = 0;
	options.children = 0;
	options.min_share = 0.2;
	CHECK_OK(strobe_graph_dominator_tree(graph, &options, keep, &shown));
	CHECK_EQUAL(shown.count, 3); // 2 alone has a fifth of it
	shown.count = 0;
	shown.limit = 2;
	CHECK_OK(strobe_graph_dominator_tree(graph, &options, keep, &shown));
	CHECK_EQUAL(shown.count, 2); // the visitor had enough
	strobe_graph_close(graph);
}

// A list 2 -> 8 -> 14 -> ... of blocks of one type, each of which has one of another type.
static void a_list_is_one_line(void)
{
	enum { LENGTH = 200 };
	struct made made = {.node_count = 6 * LENGTH + 8};
	made_edge(&made, 0, 1);
	made_edge(&made, 1, 2);
	for (uint32_t i = 0; i < LENGTH; i++) {
		uint32_t node = 2 + 6 * i;
		if (i + 1 < LENGTH)
			made_edge(&made, node, node + 6);
		made_edge(&made, node, node + 2);
	}
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	struct shown shown = {.graph = graph, .limit = 256};
	struct strobe_tree_options options = {.size = sizeof(options)};
	CHECK_OK(strobe_graph_dominator_tree(graph, &options, keep, &shown));
	CHECK_EQUAL(shown.count, 4); // the root, the variable, the list, what its last one holds
	CHECK_EQUAL(shown.entries[2].node, 2);
	CHECK_EQUAL(shown.entries[2].chain, LENGTH - 1);
	CHECK_EQUAL(shown.entries[2].chain_end, 2 + 6 * (LENGTH - 1));
	CHECK_EQUAL(shown.entries[2].hidden, LENGTH - 1);
	CHECK_EQUAL(shown.entries[3].node, 4 + 6 * (LENGTH - 1));
	strobe_graph_close(graph);
}

static void largest_keeps_the_largest(void)
{
	uint64_t state = 5;
	for (size_t limit = 0; limit < 40; limit += 13) {
		struct largest some, all;
		largest_init(&some, limit);
		largest_init(&all, SIZE_MAX);
		for (uint32_t i = 0; i < 500; i++) {
			uint64_t bytes = made_below(&state, 100);
			largest_put(&some, bytes, i);
			largest_put(&all, bytes, i);
		}
		largest_sort(&some);
		largest_sort(&all);
		CHECK_EQUAL(all.count, 500);
		CHECK_EQUAL(some.count, limit);
		for (size_t i = 0; i < limit; i++)
			CHECK(some.items[i].node == all.items[i].node);
		for (size_t i = 1; i < 500; i++)
			CHECK(all.items[i - 1].bytes > all.items[i].bytes ||
			      (all.items[i - 1].bytes == all.items[i].bytes &&
			       all.items[i - 1].node < all.items[i].node));
		largest_fini(&some);
		largest_fini(&all);
	}
}

static void types_by_their_names(void)
{
	struct strobe_graph *graph = wide_graph();
	uint64_t *nodes;
	size_t count;
	static const char *const names[] = {"struct two", "two", "str*two"};
	for (int i = 0; i < 3; i++) {
		CHECK_OK(strobe_graph_nodes_of_type(graph, names[i], &nodes, &count));
		CHECK_EQUAL(count, 20); // 2, 5, 8, ..., 59
		for (size_t n = 0; n < count; n++)
			CHECK_EQUAL(nodes[n], 3 * n + 2);
		free(nodes);
	}
	CHECK_OK(strobe_graph_nodes_of_type(graph, "struct *", &nodes, &count));
	CHECK_EQUAL(count, 40);
	free(nodes);
	struct strobe_error *error = strobe_graph_nodes_of_type(graph, "tw", &nodes, &count);
	CHECK(error && strobe_error_code(error) == STROBE_ERROR_NOT_FOUND);
	CHECK(strstr(strobe_error_message(error), "did you mean \"struct two\""));
	strobe_error_free(error);
	strobe_graph_close(graph);
}

static void names_of_groups(void)
{
	static const struct {
		uint64_t bytes;
		const char *name;
	} cases[] = {{0, "(untyped, 0 bytes)"},
		     {24, "(untyped, 24 bytes)"},
		     {1024, "(untyped, 1024 bytes)"},
		     {1025, "(untyped, 1 KiB to 2 KiB)"},
		     {2048, "(untyped, 2 KiB to 4 KiB)"},
		     {(1 << 20) - 1, "(untyped, 512 KiB to 1 MiB)"},
		     {1 << 30, "(untyped, 1 GiB to 2 GiB)"}};
	struct strobe_graph *graph = wide_graph();
	uint32_t *sizes = (uint32_t *)graph->sizes;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text name = {0};
		sizes[3] = (uint32_t)cases[i].bytes; // node 3 has no type
		groups_name(graph, groups_of(graph, 3), &name);
		CHECK_STRING(text_string(&name), cases[i].name);
		text_fini(&name);
	}
	strobe_graph_close(graph);
}

static void holders(void)
{
	struct made made = {.node_count = 24, .memory_count = 20, .surrogate_count = 1};
	made_edge(&made, 0, 21); // a thread
	made_edge(&made, 21, 11);
	made_edge(&made, 11, 2);
	made_edge(&made, 2, 4);
	made_edge(&made, 0, 1);
	made_edge(&made, 1, 6);
	made_edge(&made, 11, 6);
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	char *holder = strobe_graph_holder(graph, 4);
	CHECK_STRING(holder, "thread 21 > variable 11");
	free(holder);
	holder = strobe_graph_holder(graph, 6);
	CHECK_STRING(holder, "(several roots)");
	free(holder);
	holder = strobe_graph_holder(graph, 1);
	CHECK_STRING(holder, "variable 1");
	free(holder);
	CHECK(!strobe_graph_holder(graph, 8));
	CHECK(!strobe_graph_holder(graph, 0));
	strobe_graph_close(graph);
}

CHECK_MAIN({"histograms of random graphs are what trying everything says",
	    histogram_of_random_graphs},
	   {"histograms of leaked, reachable and all nodes", histogram_of_some},
	   {"the biggest nodes of random graphs", top_of_random_graphs},
	   {"what sets of nodes retain", retained_sets},
	   {"the whole tree has each node once, below its dominator", whole_tree_of_random_graphs},
	   {"a tree that is cut off says what it hides", tree_within_limits},
	   {"a list is one line of the tree", a_list_is_one_line},
	   {"a bounded heap keeps the largest", largest_keeps_the_largest},
	   {"types by name, tag and pattern", types_by_their_names},
	   {"names of untyped sizes", names_of_groups}, {"who holds a node", holders})
