// SPDX-License-Identifier: Apache-2.0
// Suspects and differences, on graphs whose answers are plain.

#include <strobe/graph_diff.h>
#include <strobe/graph_suspects.h>

#include "../graph/made_graph.h"
#include "check.h"
#include "query/match.h"

// A graph in which node n (even: a block) has the size and type that are set here.
static void set_node(struct strobe_graph *graph, uint32_t node, uint32_t size, uint32_t type)
{
	uint32_t *sizes = (uint32_t *)graph->sizes, *types = (uint32_t *)graph->types;
	sizes[node] = size;
	types[node] = (types[node] & ~(uint32_t)NODE_TYPE_MASK) | type;
}

static void sum_up(struct strobe_graph *graph)
{
	made_measure(graph);
	graph->summary.allocated_bytes = graph->summary.leaked_bytes = 0;
	for (uint32_t node = 1; node <= graph->memory_count; node++) {
		if (!(graph->types[node] & NODE_BLOCK))
			continue;
		graph->summary.allocated_bytes += graph->sizes[node];
		if (!(graph->types[node] & NODE_REACHABLE))
			graph->summary.leaked_bytes += graph->sizes[node];
	}
}

// Variable 1 holds block 2 (a table), which holds `entries` blocks 4, 6, ... of 100 bytes. Variable 11, and all odd ones behind,
// hold a small block each; block `leaked` is not held.
static struct strobe_graph *table_graph(uint32_t entries)
{
	enum { NODES = 402 };
	struct made made = {.node_count = NODES};
	made_edge(&made, 0, 1);
	made_edge(&made, 1, 2);
	for (uint32_t i = 0; i < entries; i++)
		made_edge(&made, 2, 4 + 2 * i);
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	uint32_t *types = (uint32_t *)graph->types;
	for (uint32_t node = 2; node < NODES; node += 2) {
		bool there = node < 4 + 2 * entries;
		set_node(graph, node, there ? 100 : 0, 2);
		if (!there)
			types[node] &= ~(uint32_t)NODE_BLOCK;
	}
	set_node(graph, 2, 1600, 1);
	sum_up(graph);
	return graph;
}

static void one_object_is_suspect(void)
{
	struct strobe_graph *graph = table_graph(100);
	struct strobe_suspects *suspects = NULL;
	CHECK_OK(strobe_suspects_open(graph, NULL, &suspects));
	CHECK_EQUAL(strobe_suspects_count(suspects), 1);
	const struct strobe_suspect *suspect = strobe_suspects_get(suspects, 0);
	CHECK_EQUAL(suspect->kind, STROBE_SUSPECT_OBJECT);
	CHECK_EQUAL(suspect->node, 1);
	CHECK_EQUAL(suspect->accumulation, 2);
	CHECK_EQUAL(suspect->children, 100);
	CHECK_EQUAL(suspect->child_type_count, 100);
	CHECK_STRING(suspect->child_type, "struct two");
	CHECK_STRING(suspect->name, "variable 1");
	CHECK_EQUAL(suspect->retained_bytes, 11600);
	CHECK(suspect->share > 0.99);
	CHECK(strstr(suspect->text, "variable 1 retains 11.3 KiB") == suspect->text);
	CHECK(strstr(suspect->text, "it gathers in struct one") &&
	      strstr(suspect->text, "100 nodes directly"));
	strobe_suspects_close(suspects);
	strobe_graph_close(graph);
}

// Two branches below one variable are told by themselves, the variable is not.
static void branches_are_told_apart(void)
{
	struct made made = {.node_count = 402};
	made_edge(&made, 0, 1);
	for (uint32_t i = 0; i < 198; i++) {
		uint32_t node = 4 + 2 * i;
		made_edge(&made, i < 2 ? 1 : 4 + 2 * (i % 2), node);
	}
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	uint32_t *types = (uint32_t *)graph->types;
	types[2] &= ~(uint32_t)NODE_BLOCK;
	for (uint32_t i = 0; i < 198; i++)
		set_node(graph, 4 + 2 * i, i % 2 ? 200 : 100, i < 2 ? 1 : 2);
	types[400] &= ~(uint32_t)NODE_BLOCK;
	sum_up(graph);
	struct strobe_suspects *suspects = NULL;
	CHECK_OK(strobe_suspects_open(graph, NULL, &suspects));
	CHECK_EQUAL(strobe_suspects_count(suspects), 2);
	CHECK_EQUAL(strobe_suspects_get(suspects, 0)->node, 6);
	CHECK_EQUAL(strobe_suspects_get(suspects, 1)->node, 4);
	double sum =
		strobe_suspects_get(suspects, 0)->share + strobe_suspects_get(suspects, 1)->share;
	CHECK(sum > 0.99 && sum <= 1);
	strobe_suspects_close(suspects);
	strobe_graph_close(graph);
}

// A list is one suspect, however long; many small ones of a type are one together; so are leaks.
static void lists_types_and_leaks(void)
{
	enum { NODES = 1002 };
	struct made made = {.node_count = NODES};
	made_edge(&made, 0, 1);
	made_edge(&made, 1, 2);
	for (uint32_t node = 2; node < 400; node += 2) // a list
		made_edge(&made, node, node + 2);
	for (uint32_t node = 402; node <= 800; node += 2) // alone
		made_edge(&made, 0, node);
	for (uint32_t node = 802; node < 1000; node += 2) // leaked
		made_edge(&made, node, node + 2);
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	for (uint32_t node = 2; node < NODES - 1; node += 2)
		set_node(graph, node, 64, node <= 400 ? 1 : 2);
	sum_up(graph);
	struct strobe_suspects *suspects = NULL;
	CHECK_OK(strobe_suspects_open(graph, NULL, &suspects));
	CHECK_EQUAL(strobe_suspects_count(suspects), 3);
	const struct strobe_suspect *list = strobe_suspects_get(suspects, 0);
	CHECK_EQUAL(list->kind, STROBE_SUSPECT_OBJECT);
	CHECK_EQUAL(list->accumulation, 2);
	CHECK_EQUAL(list->children, 200);
	CHECK(strstr(list->text, "a list or tree of 200 struct one"));
	const struct strobe_suspect *many = strobe_suspects_get(suspects, 1);
	CHECK_EQUAL(many->kind, STROBE_SUSPECT_TYPE);
	CHECK_EQUAL(many->count, 200);
	CHECK_EQUAL(many->accumulation, UINT64_MAX);
	const struct strobe_suspect *leak = strobe_suspects_get(suspects, 2);
	CHECK_EQUAL(leak->kind, STROBE_SUSPECT_LEAK);
	CHECK_EQUAL(leak->count, 1);
	CHECK_EQUAL(leak->retained_bytes, 100 * 64);
	strobe_suspects_close(suspects);
	struct strobe_suspect_options options = {
		.size = sizeof(options), .min_share = 0.3, .limit = 1};
	CHECK_OK(strobe_suspects_open(graph, &options, &suspects));
	CHECK_EQUAL(strobe_suspects_count(suspects), 1);
	strobe_suspects_close(suspects);
	strobe_graph_close(graph);
}

static void growth_is_suspect(void)
{
	struct strobe_graph *before = table_graph(50), *after = table_graph(150);
	struct strobe_suspect_options options = {.size = sizeof(options), .before = before};
	struct strobe_suspects *suspects = NULL;
	CHECK_OK(strobe_suspects_open(after, &options, &suspects));
	CHECK_EQUAL(strobe_suspects_count(suspects), 1);
	const struct strobe_suspect *suspect = strobe_suspects_get(suspects, 0);
	CHECK_EQUAL(suspect->explained_bytes, 10000);
	CHECK_EQUAL(suspect->before_bytes, before->retained[1]);
	CHECK(suspect->share == 1);
	strobe_suspects_close(suspects);
	options.before = after; // it shrank
	CHECK_OK(strobe_suspects_open(before, &options, &suspects));
	CHECK_EQUAL(strobe_suspects_count(suspects), 0);
	strobe_suspects_close(suspects);
	strobe_graph_close(before);
	strobe_graph_close(after);
}

static void what_changed(void)
{
	struct strobe_graph *before = table_graph(60), *after = table_graph(150);
	set_node(after, 10, 100, 1); // another type at the same address: gone and new
	sum_up(after);
	struct strobe_graph_diff *diff = NULL;
	CHECK_OK(strobe_graph_diff_open(before, after, NULL, &diff));
	CHECK_EQUAL(strobe_graph_diff_row_count(diff), 2);
	const struct strobe_diff_row *two = strobe_graph_diff_row(diff, 0);
	CHECK_STRING(two->type, "struct two");
	CHECK_EQUAL(two->count_before, 60);
	CHECK_EQUAL(two->count_after, 149);
	CHECK_EQUAL(two->bytes_after - two->bytes_before, 8900);
	CHECK_EQUAL(two->new_count, 90);
	CHECK_EQUAL(two->gone_count, 1);
	const struct strobe_diff_row *one = strobe_graph_diff_row(diff, 1);
	CHECK_EQUAL(one->new_count, 1);
	CHECK_EQUAL(one->gone_count, 0);
	CHECK_EQUAL(strobe_graph_diff_grown_count(diff), 1);
	const struct strobe_diff_grown *grown = strobe_graph_diff_grown(diff, 0);
	CHECK_EQUAL(grown->node, 2);
	CHECK(!grown->is_new);
	CHECK_EQUAL(grown->retained_after - grown->retained_before, 9000);
	strobe_graph_diff_close(diff);
	CHECK_OK(strobe_graph_diff_open(before, before, NULL, &diff)); // nothing did
	for (size_t i = 0; i < strobe_graph_diff_row_count(diff); i++) {
		const struct strobe_diff_row *row = strobe_graph_diff_row(diff, i);
		CHECK(!row->new_count && !row->gone_count && row->bytes_before == row->bytes_after);
	}
	CHECK_EQUAL(strobe_graph_diff_grown_count(diff), 0);
	strobe_graph_diff_close(diff);
	strobe_graph_close(before);
	strobe_graph_close(after);
}

static void roots_match_by_their_names(void)
{
	struct made made = {.node_count = 30, .memory_count = 22, .surrogate_count = 2};
	made_edge(&made, 0, 1);
	struct strobe_graph *before = made_graph(&made), *after = made_graph(&made);
	made_fini(&made);
	// As if the later process had its variables elsewhere.
	uint64_t *addresses = (uint64_t *)after->addresses;
	for (uint32_t i = 1; i < 30; i++)
		addresses[i] += 0x100000;
	struct match match;
	CHECK_OK(match_init(&match, before, after));
	CHECK_EQUAL(match.before_of[0], 0);
	CHECK_EQUAL(match.before_of[1], 1);
	CHECK_EQUAL(match.before_of[11], 11);
	CHECK_EQUAL(match.before_of[23], 23); // a thread
	CHECK_EQUAL(match.before_of[2], NODE_NONE);
	CHECK_EQUAL(match.before_of[28], NODE_NONE); // a surrogate
	match_fini(&match);
	strobe_graph_close(before);
	strobe_graph_close(after);
}

CHECK_MAIN({"one object that holds all", one_object_is_suspect},
	   {"two branches of one variable", branches_are_told_apart},
	   {"a list, many of a type, and leaks", lists_types_and_leaks},
	   {"what grew is suspect", growth_is_suspect}, {"what changed between two", what_changed},
	   {"roots are the same by their names", roots_match_by_their_names})
