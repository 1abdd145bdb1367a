// SPDX-License-Identifier: Apache-2.0
// A program tells its own graph; what is built from its core must be that.
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

#include "base/array.h"
#include "graph/build.h"
#include "graph/graph_check.h"
#include "symbols/program.h"

enum { LINE = 256, SHOWN = 8 };

struct known_block {
	uint64_t address;
	char state[16], type[64];
	uint32_t node;
};
struct known_ref {
	uint64_t from, to;
};
struct known {
	ARRAY(struct known_block) blocks; // by address
	ARRAY(struct known_ref) refs;	  // by both
	ARRAY(uint64_t) freed;
};

static int order_blocks(const void *a, const void *b)
{
	const struct known_block *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}
static int order_refs(const void *a, const void *b)
{
	const struct known_ref *x = a, *y = b;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

static struct program program;
static struct known known;
static struct strobe_graph *graph;

static void read_known(void)
{
	char path[128], line[LINE];
	snprintf(path, sizeof(path), "%s/known", program.directory);
	FILE *file = fopen(path, "r");
	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file)) {
		struct known_block block = {0};
		struct known_ref ref;
		unsigned long a, b;
		if (sscanf(line, "block %lx %15s %63[^\n]", &a, block.state, block.type) == 3) {
			block.address = a;
			CHECK(array_push(&known.blocks, block));
		} else if (sscanf(line, "ref %lx %lx", &a, &b) == 2) {
			ref = (struct known_ref){a, b};
			CHECK(array_push(&known.refs, ref));
		} else if (sscanf(line, "free %lx", &a) == 1) {
			CHECK(array_push(&known.freed, a));
		} else {
			CHECK(false);
		}
	}
	fclose(file);
	CHECK(known.blocks.count > 1000 && known.refs.count > 1000 && known.freed.count == 20);
	qsort(known.blocks.items, known.blocks.count, sizeof(struct known_block), order_blocks);
	qsort(known.refs.items, known.refs.count, sizeof(struct known_ref), order_refs);
}

static struct strobe_graph *build_of(struct strobe_symbols *symbols, unsigned threads, bool precise)
{
	struct strobe_graph_options options = {
		.size = sizeof(options), .threads = threads, .precise = precise, .no_store = true};
	struct strobe_graph *made = NULL;
	CHECK_OK(graph_build(symbols, &options, &made));
	return made;
}

static struct strobe_graph *build(unsigned threads, bool precise)
{
	return build_of(program.symbols, threads, precise);
}

static char *read_file(const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "r");
	CHECK(file != NULL);
	size_t size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = 0;
	return text;
}

static void test_open(void)
{
	const char *source = getenv("SHAPES");
	CHECK(source != NULL);
	program_open(&program, "gcc -g -O0 -pthread", "c", read_file(source));
	read_known();
	graph = build(0, false);
}

static void need_graph(void)
{
	if (!graph)
		SKIP("there is no graph");
}

static void test_blocks(void)
{
	need_graph();
	uint64_t wrong = 0, blocks = 0;
	for (size_t i = 0; i < known.blocks.count; i++) {
		struct known_block *block = &known.blocks.items[i];
		uint64_t index, offset;
		struct strobe_node node;
		CHECK(strobe_graph_node_at(graph, block->address, &index, &offset));
		CHECK_EQUAL(offset, 0);
		strobe_graph_node(graph, index, &node);
		CHECK(node.kind == STROBE_NODE_BLOCK);
		block->node = (uint32_t)index;
		bool reached = strcmp(block->state, "reached") == 0;
		bool leaked = strcmp(block->state, "leaked") == 0;
		char type[64];
		snprintf(type, sizeof(type), "%.*s",
			 node.type_name ? (int)strcspn(node.type_name, "[") : 0,
			 node.type_name ? node.type_name : "");
		size_t length = strlen(type);
		if (length && type[length - 1] == ' ')
			type[length - 1] = 0;
		bool typed = strcmp(block->type, "?") == 0 || strcmp(type, block->type) == 0;
		if (node.reachable != !leaked || node.precise != reached || !typed) {
			wrong++;
			if (wrong > SHOWN)
				continue;
			printf("# %lx %s %s: %s%s, %s by %s\n", (unsigned long)block->address,
			       block->state, block->type, node.reachable ? "reachable" : "leaked",
			       node.precise ? " precisely" : "",
			       node.type_name ? node.type_name : "untyped",
			       strobe_evidence_name(node.evidence));
		}
	}
	CHECK_EQUAL(wrong, 0);
	// What else is there is the C library's, and reached.
	for (uint32_t node = 1; node <= graph->memory_count; node++)
		blocks += (graph->types[node] & NODE_BLOCK) != 0;
	printf("# %zu blocks known, %lu found\n", known.blocks.count, (unsigned long)blocks);
	CHECK(blocks >= known.blocks.count && blocks <= known.blocks.count + 40);
}

static const struct known_block *block_of(uint32_t node)
{
	struct known_block key = {.address = graph->addresses[node]};
	return bsearch(&key, known.blocks.items, known.blocks.count, sizeof(key), order_blocks);
}

static void test_edges(void)
{
	need_graph();
	ARRAY(struct known_ref) found = {0};
	for (size_t i = 0; i < known.blocks.count; i++) {
		uint32_t node = known.blocks.items[i].node;
		if (!(graph->types[node] & NODE_REACHABLE))
			continue;
		for (uint64_t e = graph_edges_begin(graph, node); e < graph_edges_end(graph, node);
		     e++) {
			uint32_t to = graph->edges[e] & EDGE_TARGET;
			if (to < graph->surrogate_begin && block_of(to))
				CHECK(array_push(&found, (struct known_ref){graph->addresses[node],
									    graph->addresses[to]}));
		}
	}
	qsort(found.items, found.count, sizeof(struct known_ref), order_refs);
	size_t wrong = 0, i = 0, j = 0, leaked = 0;
	while (i < found.count || j < known.refs.count) {
		const struct known_block key = {
			.address = j < known.refs.count ? known.refs.items[j].from : 0};
		const struct known_block *from = bsearch(
			&key, known.blocks.items, known.blocks.count, sizeof(key), order_blocks);
		if (j < known.refs.count && from && strcmp(from->state, "leaked") == 0) {
			leaked++;
			j++;
			continue;
		}
		int order = i == found.count ? 1
			    : j == known.refs.count
				    ? -1
				    : order_refs(&found.items[i], &known.refs.items[j]);
		if (order) {
			const struct known_ref *ref =
				order < 0 ? &found.items[i] : &known.refs.items[j];
			if (wrong++ < SHOWN)
				printf("# %s: %lx to %lx\n", order < 0 ? "invented" : "missing",
				       (unsigned long)ref->from, (unsigned long)ref->to);
		}
		i += order <= 0;
		j += order >= 0;
	}
	array_fini(&found);
	CHECK_EQUAL(leaked, 4);
	CHECK_EQUAL(wrong, 0);
}

static void test_free(void)
{
	need_graph();
	for (size_t i = 0; i < known.freed.count; i++) {
		uint64_t index, offset, address = known.freed.items[i];
		bool found = false;
		CHECK(!strobe_graph_node_at(graph, address, &index, &offset));
		for (size_t j = 0; j < graph->free_count && !found; j++)
			found = address - graph->free_blocks[j].address <
				graph->free_blocks[j].size_bytes;
		CHECK(found);
	}
	CHECK(strobe_graph_surrogate_count(graph, STROBE_SURROGATE_FREED) > 0);
	CHECK(strobe_graph_surrogate_count(graph, STROBE_SURROGATE_UNMAPPED) > 0);
}

/** What all words of memory and registers lead to, from the roots on, as a leak checker has it. */
static void close_over_words(const struct strobe_graph *of, bool *reached)
{
	uint32_t *queue = calloc(of->node_count, sizeof(*queue)), head = 0, tail = 0;
	CHECK(queue != NULL);
	for (uint32_t node = 1; node < of->surrogate_begin; node++)
		if (graph_root_of(of, node)) {
			reached[node] = true;
			queue[tail++] = node;
		}
	while (head < tail) {
		uint32_t node = queue[head++];
		const struct graph_root *as_root = graph_root_of(of, node);
		uint64_t size = graph_node_size(of, node) / 8 * 8, skip = -of->addresses[node] % 8;
		uint64_t *words = calloc(size / 8 + 1, 8);
		CHECK(words != NULL);
		if (node <= of->memory_count)
			strobe_memory_read(of->view, of->addresses[node] + skip, words,
					   size >= skip ? size - skip : 0);
		else if (as_root && as_root->value_count)
			memcpy(words, of->values + as_root->value_begin, size);
		for (uint64_t i = 0; i < size / 8; i++) {
			uint32_t to = graph_node_find(of, words[i]);
			if (!to || reached[to])
				continue;
			reached[to] = true;
			queue[tail++] = to;
		}
		free(words);
	}
	free(queue);
}

static void check_lost(const struct strobe_graph *of)
{
	bool *reached = calloc(of->node_count, sizeof(*reached));
	uint64_t missing = 0, invented = 0;
	CHECK(reached != NULL);
	close_over_words(of, reached);
	for (uint32_t node = 1; node <= of->memory_count; node++) {
		bool ours = of->types[node] & NODE_REACHABLE;
		missing += reached[node] && !ours;
		invented += !reached[node] && ours;
	}
	free(reached);
	CHECK_EQUAL(missing, 0);
	CHECK_EQUAL(invented, 0);
}

static void test_totals(void)
{
	need_graph();
	struct strobe_graph_summary summary;
	strobe_graph_summary(graph, &summary);
	CHECK_EQUAL(summary.leaked_blocks, 6);
	CHECK_EQUAL(summary.reachable_blocks + summary.leaked_blocks, summary.allocated_blocks);
	CHECK_EQUAL(summary.edges, graph->edge_count);
	uint64_t guessed = 0;
	for (uint64_t e = 0; e < graph->edge_count; e++)
		guessed += graph->edges[e] >> 31;
	CHECK_EQUAL(guessed, summary.guessed_edges);
	// Everything that is reached hangs below node 0.
	uint64_t reached = 0;
	for (uint32_t node = 0; node < graph->node_count; node++)
		if (graph->types[node] & NODE_REACHABLE)
			reached += graph_node_size(graph, node);
	CHECK_EQUAL(graph->retained[0], reached);
	CHECK(graph_check(graph) == NULL);
	check_lost(graph);
}

static void same(const void *a, const void *b, size_t size)
{
	CHECK(size == 0 || memcmp(a, b, size) == 0);
}

/** Are all arrays the same? */
static void compare(const struct strobe_graph *a, const struct strobe_graph *b)
{
	CHECK_EQUAL(a->node_count, b->node_count);
	CHECK_EQUAL(a->memory_count, b->memory_count);
	CHECK_EQUAL(a->edge_count, b->edge_count);
	size_t nodes = a->node_count;
	same(a->addresses, b->addresses, nodes * 8);
	same(a->sizes, b->sizes, nodes * 4);
	same(a->types, b->types, nodes * 4);
	same(a->edge_begin, b->edge_begin, (nodes + 1) * 4);
	same(a->edges, b->edges, a->edge_count * 4);
	same(a->idom, b->idom, nodes * 4);
	same(a->retained, b->retained, nodes * 8);
	CHECK_EQUAL(a->root_count, b->root_count);
	same(a->roots, b->roots, a->root_count * sizeof(*a->roots));
	CHECK_EQUAL(a->type_count, b->type_count);
	same(a->graph_types, b->graph_types, a->type_count * sizeof(*a->graph_types));
	CHECK_EQUAL(a->extent_count, b->extent_count);
	same(a->extents, b->extents, a->extent_count * sizeof(*a->extents));
	CHECK_EQUAL(a->strings_size, b->strings_size);
	same(a->strings, b->strings, a->strings_size);
	same(a->surrogate_counts, b->surrogate_counts, sizeof(a->surrogate_counts));
	same(&a->summary, &b->summary, sizeof(a->summary));
}

static void test_threads(void)
{
	need_graph();
	static const unsigned counts[] = {1, 2, 5};
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct strobe_graph *other = build(counts[i], false);
		compare(graph, other);
		strobe_graph_close(other);
	}
}

/** Rounds of many nodes, types that contradict each other, what is lost and what is not: the same for all. */
static void test_mess(void)
{
	static const unsigned counts[] = {2, 5};
	struct program mess;
	const char *source = getenv("MESS");
	CHECK(source != NULL);
	program_open(&mess, "gcc -g -O1", "c", read_file(source));
	struct strobe_graph *one = build_of(mess.symbols, 1, false);
	const char *wrong = graph_check(one);
	printf("# %lu edges, %lu guessed; %lu blocks, %lu typed, %lu lost; %s\n",
	       (unsigned long)one->summary.edges, (unsigned long)one->summary.guessed_edges,
	       (unsigned long)one->summary.allocated_blocks,
	       (unsigned long)one->summary.typed_blocks, (unsigned long)one->summary.leaked_blocks,
	       wrong ? wrong : "all invariants hold");
	CHECK(!wrong);
	check_lost(one);
	CHECK(one->summary.reachable_blocks > 100000 && one->summary.typed_blocks > 100000);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct strobe_graph *other = build_of(mess.symbols, counts[i], false);
		compare(one, other);
		strobe_graph_close(other);
	}
	strobe_graph_close(one);
	program_close(&mess);
}

static const char dynamic_program[] =
	"#include <cstdlib>\n"
	"struct Base { virtual ~Base() {} Base *next = nullptr; };\n"
	"struct Other { virtual void f() {} long x = 3; };\n"
	"struct Payload { long n[4]; Payload *p = nullptr; };\n"
	"struct Derived : Base, Other { Payload *payload = new Payload; long more[5]; };\n"
	"Base *head; Other *other; void *any;\n"
	"int main() { for (int i = 0; i < 5; i++) { auto *d = new Derived; d->next = head; head = "
	"d; }\n"
	"  other = new Derived; any = new Derived; std::abort(); }\n";

/** By a pointer to the first base, to the second (which is in the middle), and to nothing. */
static void test_dynamic(void)
{
	struct program dynamic;
	unsigned derived = 0, payload = 0;
	program_open(&dynamic, "g++ -g -O0", "cpp", dynamic_program);
	struct strobe_graph *made = build_of(dynamic.symbols, 0, false);
	for (uint32_t i = 1; i <= made->memory_count; i++) {
		struct strobe_node node;
		strobe_graph_node(made, i, &node);
		if (node.kind != STROBE_NODE_BLOCK || !node.type_name || !node.precise)
			continue;
		derived += strcmp(node.type_name, "Derived") == 0 &&
			   node.evidence == STROBE_EVIDENCE_VTABLE;
		payload += strcmp(node.type_name, "Payload") == 0 &&
			   node.evidence == STROBE_EVIDENCE_POINTER;
	}
	CHECK_EQUAL(derived, 7);
	CHECK_EQUAL(payload, 7);
	strobe_graph_close(made);
	program_close(&dynamic);
}

static void test_precise(void)
{
	need_graph();
	struct strobe_graph *precise = build(0, true);
	CHECK_EQUAL(precise->summary.guessed_edges, 0);
	CHECK_EQUAL(precise->summary.reachable_blocks, precise->summary.precise_blocks);
	CHECK(precise->summary.reachable_blocks <= graph->summary.reachable_blocks);
	strobe_graph_close(precise);
}

static bool cancel(void *context, const char *what, double done)
{
	unsigned *left = context;
	return (*left)-- > 0;
}

static void test_cancel(void)
{
	need_graph();
	struct strobe_graph *made = NULL;
	unsigned calls = 0;
	for (;; calls++) {
		unsigned left = calls;
		struct strobe_graph_options options = {.size = sizeof(options),
						       .progress = cancel,
						       .progress_context = &left,
						       .no_store = true};
		struct strobe_error *error = graph_build(program.symbols, &options, &made);
		if (!error)
			break;
		CHECK(strobe_error_code(error) == STROBE_ERROR_LIMIT);
		CHECK(strstr(strobe_error_message(error), "cancelled") != NULL);
		strobe_error_free(error);
	}
	CHECK(calls >= 5);
	strobe_graph_close(made);
}

static void test_close(void)
{
	strobe_graph_close(graph);
	graph = NULL;
	array_fini(&known.blocks);
	array_fini(&known.refs);
	array_fini(&known.freed);
	program_close(&program);
}

// Dominators of the graph without the edges that do not hold: those of the graph.
static void test_holding(void)
{
	uint32_t count = graph->node_count, used = 0;
	uint32_t *begin = calloc((size_t)count + 1, 4), *edges = calloc(graph->edge_count + 1, 4);
	uint32_t *idom = calloc(count, 4);
	uint64_t *chunks = calloc(((size_t)count >> GRAPH_CHUNK_SHIFT) + 1, 8);
	CHECK(begin && edges && idom && chunks);
	for (uint32_t node = 0; node < count; node++) {
		begin[node] = used;
		for (uint64_t i = graph_edges_begin(graph, node); i < graph_edges_end(graph, node);
		     i++) {
			uint32_t to = graph->edges[i] & EDGE_TARGET;
			bool sure = graph->types[to] & NODE_PRECISE;
			if (sure && (graph->edges[i] & EDGE_GUESSED ||
				     !(graph->types[node] & NODE_PRECISE)))
				continue;
			edges[used++] = to;
		}
	}
	begin[count] = used;
	CHECK(used < graph->edge_count); // some did not
	CHECK_OK(graph_dominators(count, begin, chunks, edges, idom));
	for (uint32_t node = 0; node < count; node++)
		CHECK_EQUAL(graph->idom[node], idom[node]);
	uint32_t step = count / 50 + 1;
	for (uint32_t node = 1; node < count;
	     node += step) { // what a set of one retains is the same
		uint64_t bytes, nodes;
		if (idom[node] == NODE_NONE)
			continue;
		CHECK_OK(graph_retained_of(graph, &node, 1, &bytes, &nodes, NULL));
		CHECK_EQUAL(bytes, graph->retained[node]);
	}
	free(begin);
	free(edges);
	free(idom);
	free(chunks);
}

CHECK_MAIN({"a program that knows its graph", test_open},
	   {"each of its blocks is there, reached or leaked, of its type", test_blocks},
	   {"each of its references is there, and no other", test_edges},
	   {"what something sure leads to is held by that alone", test_holding},
	   {"free blocks are no nodes", test_free}, {"totals add up", test_totals},
	   {"any number of threads makes the same arrays", test_threads},
	   {"a mess of 150,000 objects, by any number of threads", test_mess},
	   {"objects of C++ by their virtual tables", test_dynamic},
	   {"without guesses", test_precise}, {"cancelled at every step", test_cancel},
	   {"closed", test_close}, )
