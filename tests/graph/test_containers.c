// SPDX-License-Identifier: Apache-2.0
// What containers of C++ hold is reached, by its type and without a guess.
#include <strobe/graph.h>

#include "symbols/program.h"

/** What nodes of a container are called, in both libraries. */
static bool is_node(const char *type, const char *expected)
{
	static const struct {
		const char *word, *names[2];
	} nodes[] = {
		{"NODE list", {"_List_node<", "__list_node<"}},
		{"NODE map", {"_Rb_tree_node<", "__tree_node<"}},
		{"NODE hash", {"_Hash_node<", "__hash_node<"}},
	};
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (strcmp(nodes[i].word, expected) == 0)
			return strstr(type, nodes[i].names[0]) || strstr(type, nodes[i].names[1]);
	return strcmp(type, expected) == 0;
}

static bool is_as_expected(struct strobe_graph *graph, const char *line)
{
	struct strobe_node node = {0};
	unsigned long long address;
	uint64_t index, offset;
	char how, type[400];
	CHECK_EQUAL(sscanf(line, "%llx %c %399[^\n]", &address, &how, type), 3);
	bool found = strobe_graph_node_at(graph, address, &index, &offset);
	if (found)
		strobe_graph_node(graph, index, &node);
	bool same = found && node.reachable && node.kind == STROBE_NODE_BLOCK &&
		    (how != 'P' || node.precise) &&
		    (how == 'G' || strcmp(type, "*") == 0 ||
		     is_node(node.type_name ? node.type_name : "", type));
	if (!same)
		printf("# %llx: expected %c %s, found %s, reachable %d, precise %d\n", address, how,
		       type, node.type_name ? node.type_name : "none", node.reachable,
		       node.precise);
	return same;
}

static void compare(const char *command)
{
	struct program program;
	struct strobe_graph *graph;
	struct strobe_graph_options options = {.size = sizeof(options), .no_store = true};
	char path[256], line[500];
	unsigned count = 0, failed = 0;
	char *source = NULL;
	size_t size = 0;
	FILE *text = fopen(CONTAINERS, "r");
	CHECK(text != NULL);
	CHECK(getdelim(&source, &size, 0, text) > 0);
	fclose(text);
	program_open(&program, command, "cpp", source);
	free(source);
	CHECK_OK(strobe_graph_open(program.symbols, &options, &graph));
	snprintf(path, sizeof(path), "%s/known", program.directory);
	FILE *file = fopen(path, "r");
	CHECK(file != NULL);
	for (; fgets(line, sizeof(line), file); count++)
		failed += !is_as_expected(graph, line);
	fclose(file);
	CHECK(count > 200);
	CHECK_EQUAL(failed, 0);
	strobe_graph_close(graph);
	program_close(&program);
}

static void libstdcxx(void)
{
	compare("g++ -std=c++17 -g -O0");
}

static void libstdcxx_optimised(void)
{
	compare("g++ -std=c++17 -g -O2 -gdwarf-4");
}

static void libcxx(void)
{
	if (program_shell("echo '#include <version>\nint i = _LIBCPP_VERSION;' | clang++ "
			  "-stdlib=libc++ -fsyntax-only -x c++ - 2>/dev/null"))
		SKIP("libc++ is not installed");
	compare("clang++ -stdlib=libc++ -std=c++17 -g -O0");
}

CHECK_MAIN({"libstdc++", libstdcxx}, {"libstdc++, optimised", libstdcxx_optimised},
	   {"libc++", libcxx}, )
