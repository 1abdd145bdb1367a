// SPDX-License-Identifier: Apache-2.0
// Paths, texts, arenas: the parts that need no process.

#include <strobe/graph_paths.h>

#include "../graph/made_graph.h"
#include "check.h"
#include "query/arenas.h"
#include "query/short_paths.h"
#include "query/size_text.h"
#include "query/text_bytes.h"

// Distances by Bellman and Ford.
static void distances(const struct strobe_graph *graph, bool precise, uint32_t *ret)
{
	memset(ret, 0xff, graph->node_count * sizeof(*ret));
	ret[0] = 0;
	for (uint32_t round = 0; round < graph->node_count; round++)
		for (uint32_t node = 0; node < graph->node_count; node++)
			for (uint64_t i = graph_edges_begin(graph, node);
			     ret[node] != UINT32_MAX && i < graph_edges_end(graph, node); i++) {
				uint32_t edge = graph->edges[i], to = edge & EDGE_TARGET;
				if ((!precise || !(edge & EDGE_GUESSED)) && ret[node] + 1 < ret[to])
					ret[to] = ret[node] + 1;
			}
}

static void check_path(const struct strobe_graph *graph, const struct graph_path *path,
		       uint32_t node, bool precise)
{
	CHECK_EQUAL(path->nodes.count, path->edges.count + 1);
	CHECK_EQUAL(path->nodes.items[0], 0);
	CHECK_EQUAL(path->nodes.items[path->edges.count], node);
	for (size_t i = 0; i < path->edges.count; i++) {
		uint64_t edge = path->edges.items[i];
		uint32_t from = path->nodes.items[i];
		CHECK(edge >= graph_edges_begin(graph, from) &&
		      edge < graph_edges_end(graph, from));
		CHECK_EQUAL(graph->edges[edge] & EDGE_TARGET, path->nodes.items[i + 1]);
		CHECK(!precise || !(graph->edges[edge] & EDGE_GUESSED));
	}
}

static void shortest_paths(void)
{
	uint32_t far[64];
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct made made = made_random(seed, 40, 90);
		struct strobe_graph *graph = made_graph(&made);
		made_fini(&made);
		for (int precise = 0; precise < 2; precise++) {
			struct short_paths search;
			struct graph_path path = {0};
			distances(graph, precise, far);
			CHECK_OK(short_paths_init(&search, graph, precise));
			for (uint32_t node = 0; node < graph->node_count; node++) {
				CHECK_EQUAL(short_paths_reaches(&search, node),
					    far[node] != UINT32_MAX);
				if (far[node] == UINT32_MAX)
					continue;
				CHECK_OK(short_paths_path(&search, node, &path));
				CHECK_EQUAL(path.edges.count, far[node]);
				check_path(graph, &path, node, precise);
			}
			short_paths_fini(&search);
			array_fini(&path.nodes);
			array_fini(&path.edges);
		}
		strobe_graph_close(graph);
	}
}

static void paths_in_words(void)
{
	struct strobe_path_step steps[12] = {
		{.kind = STROBE_NODE_THREAD, .name = "thread 12 \"worker-3\"", .edge = ""},
		{.kind = STROBE_NODE_FRAME, .name = "serve:120", .edge = ""},
		{.kind = STROBE_NODE_VARIABLE, .name = "req", .edge = ""},
		{.kind = STROBE_NODE_BLOCK, .edge = ""},
		{.kind = STROBE_NODE_BLOCK, .edge = "->conn"},
		{.kind = STROBE_NODE_BLOCK, .edge = "->buffers[3]"}};
	struct strobe_path path = {.steps = steps, .count = 6};
	char *text = strobe_path_text(&path);
	CHECK_STRING(text,
		     "thread 12 \"worker-3\" > frame serve:120 > req > ->conn > ->buffers[3]");
	free(text);
	for (int i = 4; i < 11; i++)
		steps[i] = (struct strobe_path_step){.kind = STROBE_NODE_BLOCK, .edge = "->next"};
	steps[11] = (struct strobe_path_step){
		.kind = STROBE_NODE_BLOCK, .edge = "+0x18", .guessed = true};
	path = (struct strobe_path){.steps = steps + 2, .count = 10};
	text = strobe_path_text(&path);
	CHECK_STRING(text, "req > ->next (7 times) > +0x18?");
	free(text);
	path.count = 0;
	text = strobe_path_text(&path);
	CHECK_STRING(text, "");
	free(text);
}

static void sizes_in_words(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 bytes"},	   {1, "1 byte"},	    {1023, "1023 bytes"},
		     {1024, "1.0 KiB"},	   {1536, "1.5 KiB"},	    {1048575, "1.0 MiB"},
		     {5 << 20, "5.0 MiB"}, {UINT64_MAX, "16.0 EiB"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text text = {0};
		size_text_append(cases[i].bytes, &text);
		CHECK_STRING(text_string(&text), cases[i].text);
		text_fini(&text);
	}
}

static void what_is_text(void)
{
	static const struct {
		const char *bytes;
		size_t size;
		bool whole, is_text;
		size_t length;
	} cases[] = {
		{"hello\0\xff\xfe", 8, true, true, 5},
		{"hello", 5, true, false, 0},	// no end
		{"hello", 5, false, true, 5},	// it may go on
		{"\0hello", 6, true, false, 0}, // empty
		{"a\tb\n\0", 5, true, true, 4},
		{"a\x01", 3, true, false, 0},
		{"gr\xc3\xbc\xc3\x9f", 7, true, true, 6},
		{"gr\xc3\xbc\xc3", 5, false, true, 5}, // cut within a character
		{"gr\xc3\xbc\xc3", 6, true, false, 0},
		{"\xc0\x80", 3, true, false, 0},     // too long for what it says
		{"\xed\xa0\x80", 4, true, false, 0}, // a surrogate
		{"\xf4\x90\x80\x80", 5, true, false, 0},
		{"\xf0\x9f\x98\x80", 5, true, true, 4},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = 0;
		bool is_text = text_bytes_begin((const uint8_t *)cases[i].bytes, cases[i].size,
						cases[i].whole, &length);
		printf("# case %zu\n", i);
		CHECK_EQUAL(is_text, cases[i].is_text);
		CHECK(!is_text || length == cases[i].length);
	}
}

static void texts_behind_headers(void)
{
	static const struct {
		const char *bytes;
		size_t size, least, offset, length; // offset 0: there is none
	} cases[] = {
		{"\x05\x20\x01hello\0\1\1\1\1\1\1\1\1\1\1", 20, 1, 3, 5}, // its length, room, flags
		{"\x28hello\0", 7, 1, 1, 5},				  // 5 << 3
		{"\x06\x20\x01hello\0\1\1\1\1\1\1\1\1\1\1", 20, 1, 0, 0}, // a length of another one
		{"\2\0\0\0hello, world\0..", 19, 1, 4, 12},	  // all that it has room for
		{"\2\0\0\0hello\0\1\1\1\1\1\1\1\1", 18, 1, 0, 0}, // too short for that
		{"\x05\x01hello\x02", 8, 1, 0, 0},		  // no end
		{"\x05\x20\x01hello\0\1\1\1\1\1\1\1\1\1\1", 20, 4, 0,
		 0},						     // not behind what is there
		{"\x03\0abc\0\x06\0other.\0", 15, 1, 8, 6},	     // the longer one
		{"\x05\x01hell\xc3\0\1\1\1\1\1\1\1\1", 16, 1, 0, 0}, // no UTF-8
		{"", 0, 1, 0, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text_behind behind;
		bool found = text_bytes_behind((const uint8_t *)cases[i].bytes, cases[i].size,
					       cases[i].size, cases[i].least, &behind);
		printf("# case %zu: %zu, %zu\n", i, behind.offset, behind.length);
		CHECK_EQUAL(found, cases[i].offset != 0);
		CHECK_EQUAL(behind.offset, cases[i].offset);
		CHECK_EQUAL(behind.length, cases[i].length);
	}
	CHECK(text_bytes_short_header((const uint8_t *)"phello, world!!", 15));
	CHECK(!text_bytes_short_header((const uint8_t *)"phello, world!", 14));
}

// Blocks are nodes 2, 4, ... at 0x1000 each; those of one region belong to its arena.
static void use_of_arenas(void)
{
	struct made made = {.node_count = 32};
	struct strobe_graph *graph = made_graph(&made);
	made_fini(&made);
	const struct strobe_heap_region regions[] = {
		{0x2000, 0x5000, 1}, {0x8000, 0x9000, 0}, {0xa000, 0x10000, 1}};
	const struct graph_free_block blocks[] = {
		{0x2100, 100, 1, STROBE_HEAP_FREE},	  {0x2200, 400, 1, STROBE_HEAP_FREE},
		{0x2400, 24, 1, STROBE_HEAP_FREE_CACHED}, {0x2500, 32, 1, STROBE_HEAP_FREE_FASTBIN},
		{0xa100, 1000, 1, STROBE_HEAP_TOP},	  {0xa600, 64, 1, STROBE_HEAP_BOOKS},
		{0xb000, 1, 9, STROBE_HEAP_FREE}};
	struct arenas_books books = {regions, 3, 2};
	struct strobe_arena_use uses[3] = {0};
	graph->free_blocks = blocks;
	graph->free_count = 7;
	arenas_count(graph, &books, uses);
	CHECK_EQUAL(uses[0].mapped_bytes, 0x1000);
	CHECK_EQUAL(uses[0].allocated_blocks, 1); // 8
	CHECK_EQUAL(uses[0].allocated_bytes, graph_node_size(graph, 8));
	CHECK(uses[0].fragmentation == 0);
	CHECK_EQUAL(uses[1].mapped_bytes, 0x9000);
	CHECK_EQUAL(uses[1].allocated_blocks, 5); // 2, 4, 10, 12, 14
	CHECK_EQUAL(uses[1].free_bytes, 500);
	CHECK_EQUAL(uses[1].free_blocks, 2);
	CHECK_EQUAL(uses[1].cached_bytes, 24);
	CHECK_EQUAL(uses[1].fastbin_bytes, 32);
	CHECK_EQUAL(uses[1].top_bytes, 1000);
	CHECK_EQUAL(uses[1].largest_free_bytes, 1000);
	double crumbs = 1 - 1000.0 / 1556;
	CHECK(uses[1].fragmentation > crumbs - 1e-9 && uses[1].fragmentation < crumbs + 1e-9);
	CHECK_EQUAL(uses[1].class_blocks[6], 1); // 100
	CHECK_EQUAL(uses[1].class_bytes[8], 400);
	CHECK_EQUAL(uses[1].class_blocks[9], 0); // top is no block
	CHECK_EQUAL(uses[1].book_bytes, 0x9000 - 1556 - uses[1].allocated_bytes);
	CHECK_EQUAL(uses[2].arena, SIZE_MAX);
	CHECK_EQUAL(uses[2].mapped_bytes, 0xa000);
	CHECK_EQUAL(uses[2].allocated_blocks, 6);
	graph->free_blocks = NULL;
	graph->free_count = 0;
	strobe_graph_close(graph);
}

CHECK_MAIN({"shortest paths of random graphs, with and without guesses", shortest_paths},
	   {"a path in words", paths_in_words}, {"sizes in words", sizes_in_words},
	   {"what is a text", what_is_text}, {"texts behind headers", texts_behind_headers},
	   {"how arenas are used", use_of_arenas})
