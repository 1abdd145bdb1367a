// SPDX-License-Identifier: Apache-2.0
// How long dominators and retained sizes take, by shape and size: graph_dominators [MOST-EDGES [SHAPE [LEAST-EDGES]]]
//
// A line each: shape, nodes, edges, seconds (the best of some rounds), nanoseconds an edge, and the bytes a node, beside 4 an edge,
// that were in use at the most besides the graph and the results, pages of 2 MiB included. From 3x10^5 edges on, ten times as
// many each time, up to MOST-EDGES (3x10^7 unless told).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "graph/dominators.h"
#include "graph/graph.h"
#include "graph/storage.h"

/** A graph under construction: edges are added by their node, ascending. */
struct maker {
	uint32_t node_count, node;
	uint64_t edge_count, capacity;
	uint32_t *edge_begin, *edges;
	uint64_t *chunk_base;
};

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((random_state >> 32) * limit >> 32);
}

static void *must(void *memory)
{
	if (memory)
		return memory;
	fprintf(stderr, "graph_dominators: out of memory\n");
	exit(1);
}

static void begin(struct maker *maker, uint32_t node_count, uint64_t edge_count)
{
	*maker = (struct maker){.node_count = node_count, .capacity = edge_count};
	maker->edge_begin = must(pages_new(((size_t)node_count + 1) * 4));
	maker->chunk_base = must(pages_new(((node_count >> GRAPH_CHUNK_SHIFT) + 1) * 8));
	maker->edges = must(pages_new(edge_count * 4));
}

static void end_node(struct maker *maker)
{
	uint32_t node = ++maker->node, chunk = node >> GRAPH_CHUNK_SHIFT;
	if (node % (1 << GRAPH_CHUNK_SHIFT) == 0)
		maker->chunk_base[chunk] = maker->edge_count;
	maker->edge_begin[node] = (uint32_t)(maker->edge_count - maker->chunk_base[chunk]);
}

static void add(struct maker *maker, uint32_t to)
{
	if (maker->edge_count < maker->capacity)
		maker->edges[maker->edge_count++] = to;
}

/** A tree in which each node hangs on one before it, and two edges to anywhere a node. */
static void make_random(struct maker *maker, uint64_t edges)
{
	uint32_t count = (uint32_t)(edges / 3);
	uint32_t *parent = must(pages_new((size_t)count * 4)), *first, *next;
	first = must(pages_new((size_t)count * 4));
	next = must(pages_new((size_t)count * 4));
	begin(maker, count, edges);
	for (uint32_t i = 1; i < count; i++) {
		parent[i] = random_below(i);
		next[i] = first[parent[i]];
		first[parent[i]] = i;
	}
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t child = first[i]; child; child = next[child])
			add(maker, child);
		add(maker, random_below(count));
		add(maker, random_below(count));
		end_node(maker);
	}
	pages_free(parent, (size_t)count * 4);
	pages_free(first, (size_t)count * 4);
	pages_free(next, (size_t)count * 4);
}

/** Two children a node. */
static void make_tree(struct maker *maker, uint64_t edges)
{
	begin(maker, (uint32_t)edges + 1, edges);
	for (uint64_t i = 0; i <= edges; i++) {
		for (uint64_t child = 2 * i + 1; child <= 2 * i + 2 && child <= edges; child++)
			add(maker, (uint32_t)child);
		end_node(maker);
	}
}

static void make_list(struct maker *maker, uint64_t edges)
{
	begin(maker, (uint32_t)edges + 1, edges);
	for (uint64_t i = 0; i <= edges; i++) {
		if (i < edges)
			add(maker, (uint32_t)i + 1);
		end_node(maker);
	}
}

/** Doubly linked. */
static void make_rings(struct maker *maker, uint64_t edges)
{
	uint32_t count = (uint32_t)(edges / 2);
	begin(maker, count, edges);
	for (uint32_t i = 0; i < count; i++) {
		if (i + 1 < count)
			add(maker, i + 1);
		if (i > 0)
			add(maker, i - 1);
		end_node(maker);
	}
}

/** Doubly linked in random order, and an edge back to anywhere. */
static void make_shuffled(struct maker *maker, uint64_t edges)
{
	uint32_t count = (uint32_t)(edges / 3);
	uint32_t *order = must(pages_new((size_t)count * 4)), *place;
	place = must(pages_new((size_t)count * 4));
	begin(maker, count, edges);
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	for (uint32_t i = count - 1; i > 1; i--) {
		uint32_t other = 1 + random_below(i), held = order[i];
		order[i] = order[other];
		order[other] = held;
	}
	for (uint32_t i = 0; i < count; i++)
		place[order[i]] = i;
	for (uint32_t i = 0; i < count; i++) {
		if (place[i] + 1 < count)
			add(maker, order[place[i] + 1]);
		if (place[i] > 0) {
			add(maker, order[place[i] - 1]);
			add(maker, order[random_below(place[i])]);
		}
		end_node(maker);
	}
	pages_free(order, (size_t)count * 4);
	pages_free(place, (size_t)count * 4);
}

/** Doubly linked as it lies in memory, and an edge to anywhere before these: what a program makes that has a list of objects. */
static void make_peers(struct maker *maker, uint64_t edges)
{
	uint32_t count = (uint32_t)(edges / 3);
	begin(maker, count, edges);
	for (uint32_t i = 0; i < count; i++) {
		add(maker, random_below(count));
		if (i + 1 < count)
			add(maker, i + 1);
		if (i > 0)
			add(maker, i - 1);
		end_node(maker);
	}
}

/** No order at all: three edges a node, some nodes not reached. */
static void make_wild(struct maker *maker, uint64_t edges)
{
	uint32_t count = (uint32_t)(edges / 3);
	begin(maker, count, edges);
	for (uint32_t i = 0; i < count; i++) {
		for (unsigned k = 0; k < 3; k++)
			add(maker, random_below(count));
		end_node(maker);
	}
}

static const struct shape {
	const char *name;
	void (*make)(struct maker *maker, uint64_t edges);
} shapes[] = {
	{"tree and cross edges", make_random},
	{"tree", make_tree},
	{"list", make_list},
	{"doubly linked list", make_rings},
	{"shuffled, with back edges", make_shuffled},
	{"list with peers", make_peers},
	{"random", make_wild},
};

static double seconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(struct strobe_error *error)
{
	fprintf(stderr, "graph_dominators: %s\n", strobe_error_message(error));
	exit(1);
}

/** A line of /proc/self/status in bytes. */
static uint64_t status_bytes(const char *name)
{
	char line[256];
	unsigned long long kib = 0;
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			sscanf(line + strlen(name), ": %llu", &kib);
	if (file)
		fclose(file);
	return kib * 1024;
}

/** From here on the peak is counted anew. */
static void reset_peak(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "we");
	if (!file)
		return;
	fputs("5", file);
	fclose(file);
}

/** What a round took. */
struct taken {
	double dominators_s, retained_s;
	uint64_t bytes;
};

static struct taken measure(const struct maker *maker, uint32_t *idom, uint64_t *retained)
{
	const struct graph_arrays arrays = {maker->node_count, maker->edge_begin, maker->chunk_base,
					    maker->edges};
	size_t size = (size_t)maker->node_count * 4;
	uint32_t *order = must(pages_new(size)), reached;
	reset_peak();
	uint64_t before = status_bytes("VmRSS");
	double start = seconds();
	struct strobe_error *error = graph_dominators_in_order(&arrays, 0, idom, order, &reached);
	if (error)
		fail(error);
	double between = seconds();
	uint64_t after = status_bytes("VmHWM");
	for (uint32_t i = 0; i < maker->node_count; i++)
		retained[i] = 32;
	double then = seconds();
	graph_retained(order, reached, idom, retained);
	double end = seconds();
	pages_free(order, size);
	return (struct taken){between - start, end - then, after > before ? after - before : 0};
}

static void run(const struct shape *shape, uint64_t edges)
{
	struct maker maker;
	struct taken best = {1e9, 0, 0};
	shape->make(&maker, edges);
	size_t count = maker.node_count;
	uint32_t *idom = must(pages_new(count * 4));
	uint64_t *retained = must(pages_new(count * 8));
	memset(idom, 0, count * 4);
	memset(retained, 0, count * 8);
	for (unsigned round = 0; round < (edges > 50000000 ? 1 : 3); round++) {
		struct taken taken = measure(&maker, idom, retained);
		if (taken.dominators_s + taken.retained_s < best.dominators_s + best.retained_s)
			best = taken;
	}
	double all = best.dominators_s + best.retained_s;
	double bytes = (double)best.bytes - 4.0 * (double)maker.edge_count;
	printf("%-26s %10zu %10llu %8.4f s %7.1f ns/edge %6.1f bytes/node\n", shape->name, count,
	       (unsigned long long)maker.edge_count, all, all / (double)maker.edge_count * 1e9,
	       bytes > 0 ? bytes / (double)count : 0);
	fflush(stdout);
	pages_free(idom, count * 4);
	pages_free(retained, count * 8);
	pages_free(maker.edge_begin, (count + 1) * 4);
	pages_free(maker.chunk_base, ((count >> GRAPH_CHUNK_SHIFT) + 1) * 8);
	pages_free(maker.edges, maker.capacity * 4);
}

int main(int argc, char **argv)
{
	uint64_t most = argc > 1 ? strtoull(argv[1], NULL, 0) : 30000000;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (argc > 2 && strcmp(argv[2], shapes[i].name) != 0)
			continue;
		uint64_t least = argc > 3 ? strtoull(argv[3], NULL, 0) : 300000;
		for (uint64_t edges = least; edges <= most; edges *= 10)
			run(&shapes[i], edges);
	}
	return 0;
}
