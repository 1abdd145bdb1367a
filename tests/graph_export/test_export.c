// SPDX-License-Identifier: Apache-2.0
// What exports do when they cannot do what they should; and what is bounded.

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <strobe/graph_export.h>

#include "check.h"
#include "graph_export/hand_graph.h"

static const enum strobe_graph_format formats[] = {STROBE_GRAPH_SQLITE, STROBE_GRAPH_HEAPSNAPSHOT,
						   STROBE_GRAPH_DOT,	STROBE_GRAPH_JSONL,
						   STROBE_GRAPH_FOLDED, STROBE_GRAPH_HTML};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

static struct hand_graph hand;
static char folder[64], path[128];

/** A chain of blocks of two types, and a folder to write to. */
static struct strobe_graph *begin(void)
{
	memset(&hand, 0, sizeof(hand));
	hand_type(&hand, "struct a", 16);
	hand_type(&hand, "struct b", 16);
	hand_node(&hand, 0, 0, 0);
	for (uint32_t i = 1; i < 40; i++) {
		hand_block(&hand, 0x1000 * i, 16, 1 + i % 2);
		hand_edge(&hand, i - 1, i, false);
	}
	strcpy(folder, "/tmp/strobe-export-XXXXXX");
	CHECK(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/out", folder);
	return hand_finish(&hand);
}

/** How many files are in the folder; it is removed with them. */
static int end(void)
{
	DIR *directory = opendir(folder);
	int count = 0;
	CHECK(directory);
	for (struct dirent *entry; (entry = readdir(directory));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	rmdir(folder);
	hand_fini(&hand);
	return count;
}

static bool cancel(void *context, const char *what, double done)
{
	return false;
}

static void cancelled(void)
{
	struct strobe_graph_export_options options = {.size = sizeof(options), .progress = cancel};
	for (size_t i = 0; i < FORMATS; i++) {
		struct strobe_graph *graph = begin();
		struct strobe_error *error = strobe_graph_export(graph, formats[i], path, &options);
		CHECK(error && strstr(strobe_error_message(error), "cancelled"));
		CHECK_ERROR(error, STROBE_ERROR_LIMIT);
		CHECK_EQUAL(end(), 0);
	}
}

static void no_folder(void)
{
	for (size_t i = 0; i < FORMATS; i++) {
		struct strobe_graph *graph = begin();
		snprintf(path, sizeof(path), "%s/missing/out", folder);
		CHECK_ERROR(strobe_graph_export(graph, formats[i], path, NULL),
			    STROBE_ERROR_SYSTEM);
		CHECK_EQUAL(end(), 0);
	}
}

/** A file that cannot grow: no space, as it were. */
static void no_space(void)
{
	struct rlimit old, limit;
	getrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < FORMATS; i++) {
		struct strobe_graph *graph = begin();
		FILE *file = fopen(path, "w");
		CHECK(file && fputs("old", file) >= 0 && fclose(file) == 0);
		limit = (struct rlimit){.rlim_cur = 100, .rlim_max = old.rlim_max};
		setrlimit(RLIMIT_FSIZE, &limit);
		struct strobe_error *error = strobe_graph_export(graph, formats[i], path, NULL);
		setrlimit(RLIMIT_FSIZE, &old);
		CHECK_ERROR(error, STROBE_ERROR_SYSTEM);
		struct stat status;
		CHECK(stat(path, &status) == 0);
		CHECK_EQUAL(status.st_size, 3); // what was there is there
		CHECK_EQUAL(end(), 1);
	}
}

static void invalid(void)
{
	struct strobe_graph *graph = begin();
	struct strobe_graph_export_options options = {.size = sizeof(options), .node = 40};
	CHECK_ERROR(strobe_graph_export(graph, STROBE_GRAPH_DOT, path, &options),
		    STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_graph_export(graph, (enum strobe_graph_format)99, path, NULL),
		    STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_graph_export(graph, STROBE_GRAPH_SQLITE, "-", NULL),
		    STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_graph_export(graph, STROBE_GRAPH_SQLITE, "/dev/null", NULL),
		    STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_graph_export(graph, STROBE_GRAPH_JSONL, folder, NULL),
		    STROBE_ERROR_INVALID);
	CHECK_EQUAL(end(), 0);
}

/** Reads the written file; it must fit. */
static const char *written(void)
{
	static char text[65536];
	FILE *file = fopen(path, "r");
	CHECK(file);
	size_t size = fread(text, 1, sizeof(text) - 1, file);
	CHECK(size < sizeof(text) - 1);
	text[size] = '\0';
	fclose(file);
	return text;
}

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;
	for (; (text = strstr(text, part)); text += strlen(part))
		count++;
	return count;
}

static void small_neighbourhood(void)
{
	struct strobe_graph *graph = begin();
	struct strobe_graph_export_options options = {.size = sizeof(options), .node = 20};
	CHECK_OK(strobe_graph_export(graph, STROBE_GRAPH_DOT, path, &options));
	const char *text = written();
	CHECK_EQUAL(count_of(text, "\tn"), 1 + 5 + 4); // "node [", and 18 to 22
	CHECK(strstr(text, "n18 [") && strstr(text, "n22 [") && !strstr(text, "n17 ["));
	options.distance = 30;
	options.max_nodes = 7;
	CHECK_OK(strobe_graph_export(graph, STROBE_GRAPH_DOT, path, &options));
	text = written();
	CHECK_EQUAL(count_of(text, " bytes, retains"), 7);
	CHECK(strstr(text, "more around it"));
	CHECK_EQUAL(end(), 1);
}

static void few_stacks(void)
{
	struct strobe_graph *graph = begin();
	struct strobe_graph_export_options options = {.size = sizeof(options), .max_nodes = 5};
	CHECK_OK(strobe_graph_export(graph, STROBE_GRAPH_FOLDED, path, &options));
	const char *text = written();
	CHECK_EQUAL(count_of(text, "\n"), 5);
	CHECK(strstr(text, ";struct b;struct a;struct b;struct a;(smaller) 560\n"));
	options.node = 38;
	CHECK_OK(strobe_graph_export(graph, STROBE_GRAPH_FOLDED, path, &options));
	CHECK_STRING(written(), "struct a 16\nstruct a;struct b 16\n");
	CHECK_EQUAL(end(), 1);
}

/** A name of 3000 bytes, all of them in characters of three. */
static void long_names(void)
{
	static char name[3001];
	for (size_t i = 0; i < 3000; i += 3)
		memcpy(name + i, i < 1500 ? "\xe2\x82\xac" : "\xe2\x86\x92", 3);
	struct strobe_graph *graph = begin();
	hand.graph_types[1].name = hand_string(&hand, name);
	CHECK_OK(strobe_graph_export(graph, STROBE_GRAPH_HTML, path, NULL));
	const char *text = written();
	CHECK(count_of(text, "\xe2\x82\xac") >= 134 && count_of(text, "\xe2\x82\xac") < 1000);
	CHECK(strstr(text, "\xe2\x82\xac \xe2\x80\xa6 \xe2\x86\x92"));
	CHECK(!strstr(text, "ufffd"));
	CHECK_EQUAL(end(), 1);
}

CHECK_MAIN({"an export that is cancelled leaves nothing", cancelled},
	   {"a folder that is not there is told", no_folder},
	   {"no space is told, and an older file stays", no_space},
	   {"what has no meaning is refused", invalid},
	   {"a neighbourhood keeps to its distance and its number of nodes", small_neighbourhood},
	   {"folded stacks keep to their number, and begin where they are told to", few_stacks},
	   {"of long names a report leaves out the middle", long_names})
