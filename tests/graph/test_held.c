// SPDX-License-Identifier: Apache-2.0
// What std::function, std::any and std::move_only_function hold is seen as what it is: the references that the program says
// it made, and no others, none of them guessed.
#include <strobe/graph.h>

#include "symbols/program.h"

/** One line of `known`. */
struct known {
	char kind;
	uint64_t from, to; // nodes
	char name[200];
	bool met;
};

struct expected {
	struct known lines[200];
	size_t count;
	unsigned failed;
	uint64_t from; // that is being compared
};

static uint64_t node_at(struct strobe_graph *graph, unsigned long long address)
{
	uint64_t index, offset;
	CHECK(strobe_graph_node_at(graph, address, &index, &offset));
	return index;
}

static void read_known(struct strobe_graph *graph, const char *path, struct expected *ret)
{
	char line[400];
	FILE *file = fopen(path, "r");
	CHECK(file != NULL);
	*ret = (struct expected){0};
	while (fgets(line, sizeof(line), file)) {
		struct known *known = &ret->lines[ret->count++];
		unsigned long long from, to = 0;
		CHECK(ret->count < 200);
		known->kind = line[0];
		if (line[0] == 'O')
			CHECK_EQUAL(sscanf(line, "O %llx %199[^\n]", &from, known->name), 2);
		else
			CHECK_EQUAL(sscanf(line, "E %llx %llx %199[^\n]", &from, &to, known->name),
				    3);
		known->from = node_at(graph, from);
		known->to = to ? node_at(graph, to) : 0;
	}
	fclose(file);
}

static bool is_called(const char *name, const char *expected)
{
	size_t size = strlen(expected);
	if (size && expected[size - 1] == '*')
		return strncmp(name, expected, size - 1) == 0;
	return strcmp(name, expected) == 0;
}

static bool compare_edge(void *context, const struct strobe_edge *edge)
{
	struct expected *expected = context;
	for (size_t i = 0; i < expected->count; i++) {
		struct known *known = &expected->lines[i];
		if (known->kind != 'E' || known->from != expected->from || known->to != edge->to ||
		    known->met || edge->guessed || edge->maybe ||
		    !is_called(edge->name, known->name))
			continue;
		known->met = true;
		return true;
	}
	expected->failed++;
	printf("# %llu -> %llu \"%s\", guessed %d: not told by the program\n",
	       (unsigned long long)edge->from, (unsigned long long)edge->to, edge->name,
	       edge->guessed);
	return true;
}

static void compare_objects(struct strobe_graph *graph, struct expected *expected)
{
	for (size_t i = 0; i < expected->count; i++) {
		struct known *known = &expected->lines[i];
		struct strobe_node node;
		strobe_graph_node(graph, known->from, &node);
		expected->failed += !node.precise;
		if (known->kind == 'O') {
			CHECK_STRING(node.type_name, known->name);
			continue;
		}
		bool first = true;
		for (size_t j = 0; j < i && first; j++)
			first = expected->lines[j].kind != 'E' ||
				expected->lines[j].from != known->from;
		expected->from = known->from;
		if (first)
			CHECK_OK(strobe_graph_references(graph, known->from, compare_edge,
							 expected));
	}
	for (size_t i = 0; i < expected->count; i++) {
		const struct known *known = &expected->lines[i];
		if (known->kind != 'E' || known->met)
			continue;
		expected->failed++;
		printf("# missing: %llu -> %llu \"%s\"\n", (unsigned long long)known->from,
		       (unsigned long long)known->to, known->name);
	}
}

/** Built, then opened again from beside the core. */
static void compare(const char *command, size_t least)
{
	struct program program;
	char path[256], line[256];
	char *source = NULL;
	size_t size = 0;
	FILE *text = fopen(getenv("HELD"), "r");
	CHECK(text != NULL);
	CHECK(getdelim(&source, &size, 0, text) > 0);
	fclose(text);
	program_open(&program, command, "cpp", source);
	free(source);
	snprintf(path, sizeof(path), "%s/known", program.directory);
	snprintf(line, sizeof(line), "%s/graph", program.directory);
	for (unsigned opened = 0; opened < 2; opened++) {
		struct strobe_graph_options options = {.size = sizeof(options), .store = line};
		struct strobe_graph *graph;
		struct expected *expected = malloc(sizeof(*expected));
		CHECK(expected != NULL);
		CHECK_OK(strobe_graph_open(program.symbols, &options, &graph));
		CHECK_EQUAL(strobe_graph_was_stored(graph), opened);
		read_known(graph, path, expected);
		compare_objects(graph, expected);
		CHECK(expected->count >= least);
		CHECK_EQUAL(expected->failed, 0);
		free(expected);
		strobe_graph_close(graph);
	}
	program_close(&program);
}

static void gcc(void)
{
	compare("g++ -std=c++17 -g -O0", 30);
}

static void gcc_optimised(void)
{
	compare("g++ -std=c++17 -g -O2", 30);
}

static void gcc_moving(void)
{
	compare("g++ -std=c++23 -g -O0 -gdwarf-4", 40);
}

static void gcc_moving_optimised(void)
{
	compare("g++ -std=c++23 -g -O2", 40);
}

static void clang(void)
{
	compare("clang++ -std=c++17 -fstandalone-debug -g -O0", 30);
}

static void clang_optimised(void)
{
	compare("clang++ -std=c++17 -fstandalone-debug -g -O2", 30);
}

static void libcxx(const char *options)
{
	char command[200];
	if (program_shell("echo '#include <version>\nint i = _LIBCPP_VERSION;' | clang++ "
			  "-stdlib=libc++ -fsyntax-only -x c++ - 2>/dev/null"))
		SKIP("libc++ is not installed");
	snprintf(command, sizeof(command), "clang++ -stdlib=libc++ -std=c++17 -g %s", options);
	compare(command, 25);
}

static void libcxx_plain(void)
{
	libcxx("-O0");
}

static void libcxx_optimised(void)
{
	libcxx("-O2");
}

CHECK_MAIN({"gcc", gcc}, {"gcc, optimised", gcc_optimised}, {"gcc, C++23, DWARF 4", gcc_moving},
	   {"gcc, C++23, optimised", gcc_moving_optimised}, {"clang", clang},
	   {"clang, optimised", clang_optimised}, {"libc++", libcxx_plain},
	   {"libc++, optimised", libcxx_optimised}, )
