// SPDX-License-Identifier: Apache-2.0
// Writes graphs that were filled by hand, in all formats, and what is true of them as NAME.truth: a line a node ("n": index, reachable,
// dominator or -1, size, retained, type or "-", name or "-", both as hex), a line an edge ("e": from, to, guessed).
// usage: hand_exports FOLDER

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/graph_export.h>

#include "graph_export/hand_graph.h"

enum { THREAD = ROOT_KIND_NODE + STROBE_NODE_THREAD, FRAME = ROOT_KIND_NODE + STROBE_NODE_FRAME };
enum { GROUP = ROOT_KIND_NODE + STROBE_NODE_GROUP };

/** All kinds of nodes, and what nothing reaches: a chain, a cycle, and a block that refers to one in use. */
static void fill_small(struct hand_graph *hand)
{
	uint32_t list = hand_type(hand, "struct list", 16),
		 pair = hand_type(hand, "struct pair", 8);
	uint32_t root = hand_node(hand, 0, 0, 0);
	uint32_t global = hand_root(hand, 0x404000, 8, list, ROOT_GLOBAL, 15, "head");
	uint32_t data = hand_root(hand, 0x404008, 24, 0, ROOT_DATA, 15, ".bss");
	uint32_t items[3], array, untyped, shared, leaked[4];
	for (uint64_t i = 0; i < 3; i++)
		items[i] = hand_block(hand, 0x1000000 + i * 32, 24, list);
	array = hand_block(hand, 0x1000100, 80, pair);
	untyped = hand_block(hand, 0x1000200, 40, 0);
	shared = hand_block(hand, 0x1000300, 56, 0);
	for (uint64_t i = 0; i < 4; i++)
		leaked[i] = hand_block(hand, 0x1001000 + i * 32, 24, list);
	uint32_t thread = hand_root(hand, 0, 0, 0, THREAD, root, "thread 12 \"worker\"");
	uint32_t frame = hand_root(hand, 0, 0, 0, FRAME, thread, "serve:120");
	uint32_t group = hand_root(hand, 0, 0, 0, GROUP, root, "prog");
	uint32_t gone = hand_surrogate(hand, 0xdead0000, STROBE_SURROGATE_UNMAPPED);
	uint32_t freed = hand_surrogate(hand, 0x1002000, STROBE_SURROGATE_FREED);
	const uint32_t edges[][3] = {
		{root, thread, 0},	   {root, group, 0},	      {thread, frame, 0},
		{group, global, 0},	   {group, data, 0},	      {global, items[0], 0},
		{items[0], items[1], 0},   {items[1], items[2], 0},   {items[2], gone, 0},
		{data, array, 1},	   {array, untyped, 0},	      {array, shared, 0},
		{frame, shared, 0},	   {shared, items[2], 1},     {untyped, freed, 0},
		{leaked[0], leaked[1], 0}, {leaked[2], leaked[3], 0}, {leaked[3], leaked[2], 1},
		{leaked[1], shared, 0},	   {leaked[0], leaked[0], 0},
	};
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		hand_edge(hand, edges[i][0], edges[i][1], edges[i][2]);
	hand->free_blocks[0] = (struct graph_free_block){0x1003000, 64, 0, STROBE_HEAP_FREE};
	hand->free_blocks[1] = (struct graph_free_block){0x1003100, 24, 1, STROBE_HEAP_FREE_CACHED};
	hand->graph.free_count = 2;
}

/** Names that a target may have chosen to do harm. */
static void fill_hostile(struct hand_graph *hand)
{
	static const char *const names[] = {
		"</script><script>document.title='harmed'</script>",
		"<img src=x onerror=\"document.title='harmed'\">",
		"a\"b\\c\nd\te;f g|h\\N\\\"",
		"\xff\xfe\xc3(\xed\xa0\x80 \xf0\x9f\x98\x80",
		"&lt;b&gt; &amp; <!-- --> ]]>",
		"\xe2\x80\xa8 \xe2\x80\xa9 '); DROP TABLE objects; --",
		"__proto__",
		"",
	};
	uint32_t types[8];
	for (size_t i = 0; i < 8; i++)
		types[i] = hand_type(hand, names[i], 16);
	hand_node(hand, 0, 0, 0);
	for (uint64_t i = 0; i < 8; i++)
		hand_root(hand, 0x404000 + i * 16, 8, 0, ROOT_GLOBAL, 0, names[i]);
	for (uint64_t i = 0; i < 8; i++)
		hand_block(hand, 0x1000000 + i * 32, i % 2 ? 32 : 16, types[i]);
	hand_root(hand, 0, 0, 0, THREAD, 0, "thread 7 \"</script><script>alert(1)\"");
	for (uint32_t i = 1; i <= 8; i++) {
		hand_edge(hand, 0, i, false);
		hand_edge(hand, i, i + 8, i % 2);
	}
	hand_edge(hand, 0, 17, false);
}

/** Sizes of more than 32 bits. */
static void fill_huge(struct hand_graph *hand)
{
	uint32_t type = hand_type(hand, "struct huge", 1);
	hand_node(hand, 0, 0, 0);
	hand_root(hand, 0x404000, 8, type, ROOT_GLOBAL, 0, "huge");
	hand_block(hand, 0x100000000000, UINT64_C(0xffffffff), type);
	hand_block(hand, 0x200000000000, UINT64_C(0x100000000), type);
	hand_block(hand, 0x300000000000, UINT64_C(0x312345678), type);
	hand_edge(hand, 0, 1, false);
	for (uint32_t i = 1; i < 4; i++)
		hand_edge(hand, i, i + 1, false);
}

static void fill_random(struct hand_graph *hand, uint32_t seed, size_t edges)
{
	const uint32_t nodes = 40;
	uint32_t types[4];
	for (size_t i = 0; i < 4; i++) {
		char name[] = "struct a";
		name[7] = (char)('a' + i);
		types[i] = hand_type(hand, name, 16);
	}
	hand_node(hand, 0, 0, 0);
	for (uint32_t i = 1; i < nodes; i++)
		hand_block(hand, 0x10000 + i * 256, 16 + i % 5 * 16, i % 6 < 4 ? types[i % 4] : 0);
	for (size_t i = 0; i < edges; i++) {
		seed = seed * 1664525 + 1013904223;
		uint32_t from = (seed >> 8) % nodes, to = 1 + (seed >> 16) % (nodes - 1);
		hand_edge(hand, from, to, seed >> 30 == 0);
	}
}

static void put_hex(FILE *out, const char *text)
{
	fputc(' ', out);
	if (!text)
		fputc('-', out);
	else if (!*text)
		fputs("00", out);
	for (; text && *text; text++)
		fprintf(out, "%02x", (unsigned char)*text);
}

static void write_truth(const struct hand_graph *hand, const char *folder, const char *name)
{
	const struct strobe_graph *graph = &hand->graph;
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s.truth", folder, name);
	FILE *out = fopen(path, "w");
	for (uint32_t i = 0; out && i < graph->node_count; i++) {
		uint32_t type = graph->types[i] & NODE_TYPE_MASK;
		const struct graph_root *root = graph_root_of(graph, i);
		fprintf(out, "n %u %d %d %" PRIu64 " %" PRIu64, i,
			i == 0 || (graph->types[i] & NODE_REACHABLE), (int)graph->idom[i],
			graph_node_size(graph, i), graph->retained[i]);
		put_hex(out, type ? graph->strings + graph->graph_types[type].name : NULL);
		put_hex(out, root ? graph->strings + root->name : NULL);
		fputc('\n', out);
	}
	for (size_t i = 0; out && i < hand->pair_count; i++)
		fprintf(out, "e %u %u %d\n", hand->pairs[i].from, hand->pairs[i].to & EDGE_TARGET,
			!!(hand->pairs[i].to & EDGE_GUESSED));
	if (!out || fclose(out) != 0)
		abort();
}

static void write_exports(struct hand_graph *hand, const char *folder, const char *name)
{
	static const struct {
		const char *suffix;
		enum strobe_graph_format format;
		bool with_unreachable;
	} kinds[] = {
		{"db", STROBE_GRAPH_SQLITE, false},
		{"jsonl", STROBE_GRAPH_JSONL, false},
		{"dot", STROBE_GRAPH_DOT, false},
		{"folded", STROBE_GRAPH_FOLDED, false},
		{"leaks.folded", STROBE_GRAPH_FOLDED, true},
		{"heapsnapshot", STROBE_GRAPH_HEAPSNAPSHOT, false},
		{"leaks.heapsnapshot", STROBE_GRAPH_HEAPSNAPSHOT, true},
		{"html", STROBE_GRAPH_HTML, false},
	};
	hand_finish(hand);
	write_truth(hand, folder, name);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct strobe_graph_export_options options = {
			.size = sizeof(options),
			.distance = 10,
			.with_unreachable = kinds[i].with_unreachable,
		};
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s.%s", folder, name, kinds[i].suffix);
		struct strobe_error *error =
			strobe_graph_export(&hand->graph, kinds[i].format, path, &options);
		if (error) {
			fprintf(stderr, "%s: %s\n", path, strobe_error_message(error));
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (unsigned i = 0; i < 8; i++) {
		struct hand_graph *hand = calloc(1, sizeof(*hand));
		char name[32];
		static const char *const names[] = {"small", "hostile", "huge", "empty"};
		if (!hand)
			return 1;
		if (i < 4)
			snprintf(name, sizeof(name), "%s", names[i]);
		else
			snprintf(name, sizeof(name), "random%u", i);
		if (i == 0)
			fill_small(hand);
		else if (i == 1)
			fill_hostile(hand);
		else if (i == 2)
			fill_huge(hand);
		else if (i == 3)
			hand_node(hand, 0, 0, 0);
		else
			fill_random(hand, i, 40 + i * 10);
		write_exports(hand, argv[1], name);
		hand_fini(hand);
		free(hand);
	}
	return 0;
}
