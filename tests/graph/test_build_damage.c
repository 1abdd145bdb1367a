// SPDX-License-Identifier: Apache-2.0
// Graphs of damaged cores: cut off anywhere, and with bytes changed. They end, their arrays hold together, and are the same
// for any number of threads.
#include <stdlib.h>
#include <time.h>

#include "graph/build.h"
#include "graph/graph_check.h"
#include "symbols/program.h"

enum { TRUNCATIONS = 12, FLIPS = 24, LIMIT_S = 20 };

static struct program program;
static uint8_t *core;
static size_t core_size;
static char core_path[400], damaged_path[256];

static uint64_t random_state = 7;

static uint64_t any(uint64_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (random_state >> 24) % below;
}

static void test_open(void)
{
	const char *source = getenv("SHAPES");
	static char text[65536];
	CHECK(source != NULL);
	FILE *file = fopen(source, "r");
	CHECK(file != NULL);
	CHECK(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	program_open(&program, "gcc -g -O0 -pthread", "c", text);
	CHECK(program_core(&program, core_path, sizeof(core_path)));
	snprintf(damaged_path, sizeof(damaged_path), "%s/damaged", program.directory);
	file = fopen(core_path, "r");
	CHECK(file != NULL);
	fseek(file, 0, SEEK_END);
	core_size = (size_t)ftell(file);
	rewind(file);
	core = malloc(core_size);
	CHECK(core != NULL);
	CHECK_EQUAL(fread(core, 1, core_size, file), core_size);
	fclose(file);
}

static struct strobe_graph *build(struct strobe_symbols *symbols, unsigned threads)
{
	struct strobe_graph_options options = {
		.size = sizeof(options), .threads = threads, .no_store = true};
	struct strobe_graph *graph = NULL;
	CHECK_OK(graph_build(symbols, &options, &graph));
	const char *wrong = graph_check(graph);
	if (wrong)
		printf("# %s\n", wrong);
	CHECK(!wrong);
	return graph;
}

/** Builds the graph of `size` bytes. False: not even a view could be had. */
static bool build_from(const uint8_t *bytes, size_t size)
{
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	FILE *file = fopen(damaged_path, "w");
	CHECK(file != NULL);
	CHECK_EQUAL(fwrite(bytes, 1, size, file), size);
	fclose(file);
	struct strobe_error *error = strobe_view_open(damaged_path, NULL, &view);
	if (error) {
		strobe_error_free(error);
		return false;
	}
	CHECK_OK(strobe_symbols_open(view, &symbols));
	time_t begun = time(NULL);
	struct strobe_graph *one = build(symbols, 1), *three = build(symbols, 3);
	CHECK(time(NULL) - begun <= LIMIT_S);
	CHECK_EQUAL(one->node_count, three->node_count);
	CHECK_EQUAL(one->edge_count, three->edge_count);
	CHECK(memcmp(one->types, three->types, one->node_count * 4) == 0);
	CHECK(memcmp(one->edges, three->edges, one->edge_count * 4) == 0);
	strobe_graph_close(one);
	strobe_graph_close(three);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return true;
}

static void need_core(void)
{
	if (!core)
		SKIP("there is no core");
}

static void test_truncated(void)
{
	need_core();
	unsigned built = 0;
	for (unsigned i = 0; i < TRUNCATIONS; i++)
		built += build_from(core, core_size * (i + 1) / (TRUNCATIONS + 1));
	CHECK(built > TRUNCATIONS / 2);
}

/** Words of the heap become other words: addresses of other blocks, huge numbers, small ones. */
static void test_words(void)
{
	need_core();
	unsigned built = 0;
	uint8_t *copy = malloc(core_size);
	CHECK(copy != NULL);
	for (unsigned i = 0; i < FLIPS; i++) {
		memcpy(copy, core, core_size);
		for (unsigned j = 0; j < 4000; j++) {
			size_t at = any(core_size / 8 - 1024) * 8 + 8192,
			       from = any(core_size / 8) * 8;
			uint64_t word;
			if (at + 8 > core_size)
				continue;
			memcpy(&word, copy + from, sizeof(word));
			switch (j % 4) {
			case 0:
				word = any(2) ? UINT64_MAX : any(64);
				break;
			case 1:
				word ^= UINT64_C(1) << any(64);
				break;
			default: // that of another place
				break;
			}
			memcpy(copy + at, &word, sizeof(word));
		}
		built += build_from(copy, core_size);
	}
	free(copy);
	CHECK(built > FLIPS / 2);
}

static void test_few_nodes(void)
{
	need_core();
	for (uint64_t limit = 1; limit < 5000; limit = limit * 3 + 1) {
		struct strobe_graph_options options = {
			.size = sizeof(options), .max_nodes = limit, .no_store = true};
		struct strobe_graph *graph = NULL;
		CHECK_OK(graph_build(program.symbols, &options, &graph));
		const char *wrong = graph_check(graph);
		if (wrong)
			printf("# at most %lu nodes: %s\n", (unsigned long)limit, wrong);
		CHECK(!wrong);
		strobe_graph_close(graph);
	}
}

static void test_close(void)
{
	free(core);
	core = NULL;
	program_close(&program);
}

CHECK_MAIN({"a core", test_open}, {"cut off", test_truncated}, {"with words changed", test_words},
	   {"with few nodes allowed", test_few_nodes}, {"closed", test_close}, )
