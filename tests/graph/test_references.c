// SPDX-License-Identifier: Apache-2.0
// Edges in names, of a program's core, and the graph beside it: made, found again, stale, not to be had.
#include <fcntl.h>
#include <strobe/overlay.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "graph/graph_check.h"
#include "symbols/program.h"

static const char source[] = "#include <stdlib.h>\n"
			     "struct buffer { long size; char bytes[64]; };\n"
			     "struct conn { int fd; struct conn *next; struct buffer *buffers[4];\n"
			     "              struct { long a; struct buffer *last; } in; };\n"
			     "struct state { long a; struct conn *first; } state;\n"
			     "struct conn *head; void *raw;\n"
			     "int main(void) {\n"
			     "  for (int i = 0; i < 3; i++) {\n"
			     "    struct conn *c = calloc(1, sizeof(*c));\n"
			     "    c->next = head; head = c;\n"
			     "    c->buffers[3] = calloc(1, sizeof(struct buffer));\n"
			     "    c->in.last = c->buffers[3];\n"
			     "  }\n"
			     "  state.first = head->next;\n"
			     "  raw = calloc(1, 4000); ((void **)raw)[2] = head;\n"
			     "  abort();\n"
			     "}\n";

static struct program program;
static char stored[512];

static const char *core_path(void)
{
	return strobe_view_process_info(strobe_symbols_view(program.symbols))->source_path;
}

static struct strobe_graph *open_graph(const struct strobe_graph_options *options)
{
	struct strobe_graph *graph = NULL;
	CHECK_OK(strobe_graph_open(program.symbols, options, &graph));
	CHECK_STRING(graph_check(graph) ? graph_check(graph) : "sound", "sound");
	return graph;
}

static uint64_t find_variable(struct strobe_graph *graph, const char *name)
{
	for (uint64_t i = 0; i < strobe_graph_node_count(graph); i++) {
		struct strobe_node node;
		strobe_graph_node(graph, i, &node);
		if (node.kind == STROBE_NODE_VARIABLE && node.name && strcmp(node.name, name) == 0)
			return i;
	}
	return 0;
}

/** The edge of a name. */
struct wanted {
	const char *name;
	struct strobe_edge found;
	unsigned count, all;
};

static bool look(void *context, const struct strobe_edge *edge)
{
	struct wanted *wanted = context;
	wanted->all++;
	if (strcmp(edge->name, wanted->name) != 0)
		return true;
	wanted->found = *edge;
	wanted->count++;
	return true;
}

static struct strobe_edge edge_of(struct strobe_graph *graph, uint64_t node, const char *name)
{
	struct wanted wanted = {.name = name};
	CHECK_OK(strobe_graph_references(graph, node, look, &wanted));
	if (wanted.count != 1)
		printf("# %s: %u of %u\n", name, wanted.count, wanted.all);
	CHECK_EQUAL(wanted.count, 1);
	return wanted.found;
}

/** What strobe_graph_references() is asked within a visit. */
struct nested {
	struct strobe_graph *graph;
	unsigned outer, inner;
};

static bool count_inner(void *context, const struct strobe_edge *edge)
{
	(void)edge;
	((struct nested *)context)->inner++;
	return true;
}

static bool visit_outer(void *context, const struct strobe_edge *edge)
{
	struct nested *nested = context;
	nested->outer++;
	CHECK_OK(strobe_graph_references(nested->graph, edge->to, count_inner, nested));
	return true;
}

static bool count_found(void *context, const struct lens_reference *reference, uint64_t edge,
			uint32_t to)
{
	uint64_t *next = context;
	(void)to;
	CHECK_EQUAL(edge, *next);
	CHECK(reference->offset != UINT64_MAX);
	++*next;
	return true;
}

static void check_names(struct strobe_graph *graph)
{
	uint64_t head = find_variable(graph, "head"), state = find_variable(graph, "state");
	uint64_t raw = find_variable(graph, "raw");
	CHECK(head && state && raw);
	struct strobe_edge to_head = edge_of(graph, head, "");
	CHECK(to_head.from == head && to_head.target_offset == 0 && !to_head.guessed);
	struct strobe_edge next = edge_of(graph, to_head.to, "->next");
	CHECK(next.offset == 8 && next.to == edge_of(graph, state, ".first").to);
	struct strobe_edge buffer = edge_of(graph, to_head.to, "->buffers[3]");
	CHECK(buffer.offset == 40 && buffer.to == edge_of(graph, to_head.to, "->in.last").to);
	struct strobe_edge guess = edge_of(graph, edge_of(graph, raw, "").to, "+0x10");
	CHECK(guess.guessed && guess.to == to_head.to);
	// Who leads there: the list's first is held by `head` and a guess, its second by the first and `state`.
	struct wanted wanted = {.name = "->next"};
	CHECK_OK(strobe_graph_referrers(graph, next.to, look, &wanted));
	CHECK(wanted.count == 1 && wanted.found.from == to_head.to && wanted.all >= 2);
	wanted = (struct wanted){.name = "+0x10"};
	CHECK_OK(strobe_graph_referrers(graph, to_head.to, look, &wanted));
	CHECK(wanted.count == 1 && wanted.all >= 2);
	CHECK_ERROR(strobe_graph_references(graph, strobe_graph_node_count(graph), look, &wanted),
		    STROBE_ERROR_INVALID);
	struct nested nested = {.graph = graph};
	CHECK_OK(strobe_graph_references(graph, to_head.to, visit_outer, &nested));
	CHECK(nested.outer == 3 && nested.inner == 3);
}

static void names(void)
{
	program_open(&program, "gcc -g -O0", "c", source);
	snprintf(stored, sizeof(stored), "%s.graph", core_path());
	const struct strobe_graph_options options = {.size = sizeof(options), .no_store = true};
	struct strobe_graph *graph = open_graph(&options);
	CHECK(access(stored, F_OK) != 0);
	check_names(graph);
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint64_t next = graph_edges_begin(graph, node);
		CHECK_OK(graph_walk_node(graph, node, count_found, &next));
		CHECK_EQUAL(next, graph_edges_end(graph, node));
	}
	strobe_graph_close(graph);
}

static void need_program(void)
{
	if (!stored[0])
		SKIP("there is no program");
}

/** Opens it once, and says whether it was stored. */
static bool was_stored(const struct strobe_graph_options *options)
{
	struct strobe_graph *graph = open_graph(options);
	bool ret = strobe_graph_was_stored(graph);
	check_names(graph);
	strobe_graph_close(graph);
	return ret;
}

static void beside(void)
{
	need_program();
	struct stat status;
	CHECK(!was_stored(NULL));
	CHECK(stat(stored, &status) == 0 && (status.st_mode & 07777) == 0600);
	CHECK(was_stored(NULL));
	struct strobe_graph_options options = {.size = sizeof(options), .max_frames = 7};
	CHECK(!was_stored(&options)); // other options: another graph, which is the stored one now
	CHECK(was_stored(&options));
	CHECK(!was_stored(NULL));
	CHECK(was_stored(NULL));
	options.no_store = true;
	CHECK(!was_stored(&options));
}

static size_t warning_count(void)
{
	return strobe_view_warning_count(strobe_symbols_view(program.symbols));
}

static void change_byte(off_t at)
{
	char byte;
	int fd = open(stored, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte++;
	CHECK(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

static void damaged(void)
{
	need_program();
	CHECK(was_stored(NULL));
	size_t before = warning_count();
	change_byte(700);
	CHECK(!was_stored(NULL));
	CHECK_EQUAL(warning_count(), before + 1);
	CHECK(was_stored(NULL));
	change_byte(8); // another version is nothing to tell of
	CHECK(!was_stored(NULL));
	CHECK_EQUAL(warning_count(), before + 1);
	CHECK(was_stored(NULL));
}

/** Places where no graph can be put are warnings; what is something else stays. */
static void no_place(void)
{
	need_program();
	char other[600], text[16] = "";
	size_t before = warning_count();
	snprintf(other, sizeof(other), "%s/other", program.directory);
	FILE *file = fopen(other, "w");
	CHECK(file && fputs("my diary", file) >= 0 && fclose(file) == 0);
	struct strobe_graph_options options = {.size = sizeof(options), .store = other};
	CHECK(!was_stored(&options));
	CHECK(warning_count() > before);
	file = fopen(other, "r");
	CHECK(file && fgets(text, sizeof(text), file) && fclose(file) == 0);
	CHECK_STRING(text, "my diary");
	unlink(other);
	before = warning_count();
	options.store = "/nowhere/at/all";
	CHECK(!was_stored(&options));
	CHECK_EQUAL(warning_count(), before + 1);
}

/** What was written over is not what is in the file. */
static void written_over(void)
{
	need_program();
	struct strobe_view *view = (struct strobe_view *)strobe_symbols_view(program.symbols);
	struct strobe_graph *graph = open_graph(NULL);
	uint64_t head = find_variable(graph, "head"), nothing = 0;
	uint64_t address = graph->addresses[head];
	strobe_graph_close(graph);
	CHECK_OK(strobe_overlay_write(view, address, &nothing, sizeof(nothing)));
	graph = open_graph(NULL);
	CHECK(!strobe_graph_was_stored(graph));
	struct wanted wanted = {.name = ""};
	CHECK_OK(strobe_graph_references(graph, find_variable(graph, "head"), look, &wanted));
	CHECK_EQUAL(wanted.all, 0);
	strobe_graph_close(graph);
	program_close(&program);
}

CHECK_MAIN({"edges and their names", names}, {"stored beside the core, and found again", beside},
	   {"damaged, of another version", damaged}, {"no place", no_place},
	   {"written over", written_over}, )
