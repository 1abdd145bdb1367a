// SPDX-License-Identifier: Apache-2.0
// Allocation number N fails, N = 1, 2, 3, ... until all goes well: each time there is an error and no file, or the whole file.

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>
#include <strobe/graph_export.h>

#include "check.h"
#include "failing_malloc.h"
#include "graph_export/hand_graph.h"

static struct hand_graph hand;
static char folder[64], path[128];

/** Variables, a list, a tree, something leaked. */
static void fill(void)
{
	uint32_t type = hand_type(&hand, "struct a", 16), other = hand_type(&hand, "struct b", 8);
	memset(&hand.graph.summary, 0, sizeof(hand.graph.summary));
	hand_node(&hand, 0, 0, 0);
	for (uint32_t i = 1; i < 4; i++)
		hand_root(&hand, 0x400000 + i * 16, 8, type, ROOT_GLOBAL, 0, "variable");
	for (uint32_t i = 4; i < 40; i++)
		hand_block(&hand, 0x1000000 + i * 64, 48, i % 3 ? type : i % 2 ? other : 0);
	for (uint32_t i = 1; i < 4; i++)
		hand_edge(&hand, 0, i, false);
	for (uint32_t i = 4; i < 36; i++)
		hand_edge(&hand, i < 7 ? i - 3 : i / 2, i, i % 7 == 0);
	hand_edge(&hand, 37, 36, false);
	hand_edge(&hand, 38, 39, false);
	hand_edge(&hand, 39, 38, false);
	hand_finish(&hand);
}

/** Files in the folder; they are removed. */
static int files(void)
{
	DIR *directory = opendir(folder);
	int count = 0;
	CHECK(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		if (entry->d_name[0] != '.' || strncmp(entry->d_name, ".strobe", 7) == 0)
			count += unlinkat(dirfd(directory), entry->d_name, 0) == 0;
	closedir(directory);
	return count;
}

static void check_format(enum strobe_graph_format format)
{
	const struct strobe_graph_export_options options = {.size = sizeof(options),
							    .with_unreachable = true};
	bool failed = true;
	memset(&hand, 0, sizeof(hand));
	fill();
	strcpy(folder, "/tmp/strobe-export-XXXXXX");
	CHECK(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/out", folder);
	for (long n = 1; failed; n++) {
		CHECK(n < 100000);
		allocations_left = n;
		struct strobe_error *error =
			strobe_graph_export(&hand.graph, format, path, &options);
		failed = atomic_exchange(&allocations_left, 0) == 0;
		CHECK_EQUAL(files(), !error);
		CHECK(failed || !error);
		if (error)
			CHECK_ERROR(error, STROBE_ERROR_NO_MEMORY);
	}
	rmdir(folder);
	hand_fini(&hand);
}

static void sqlite(void)
{
	check_format(STROBE_GRAPH_SQLITE);
}

static void heapsnapshot(void)
{
	check_format(STROBE_GRAPH_HEAPSNAPSHOT);
}

static void dot(void)
{
	check_format(STROBE_GRAPH_DOT);
}

static void jsonl(void)
{
	check_format(STROBE_GRAPH_JSONL);
}

static void folded(void)
{
	check_format(STROBE_GRAPH_FOLDED);
}

static void html(void)
{
	check_format(STROBE_GRAPH_HTML);
}

CHECK_MAIN({"SQLite", sqlite}, {"heap snapshot", heapsnapshot}, {"Graphviz", dot},
	   {"JSON lines", jsonl}, {"folded stacks", folded}, {"report", html})
