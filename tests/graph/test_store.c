// SPDX-License-Identifier: Apache-2.0
// Graphs in files: there and back, stale, damaged, made to do harm.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "made_graph.h"
#include "use_graph.h"

static char folder[] = "/tmp/strobe-test-XXXXXX";
static char path[64], other_path[64];
static const struct store_identity identity = {{1, 2}, 3, 4, 5, 6, 7};

static void begin(void)
{
	if (path[0])
		return;
	CHECK(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.graph", folder);
	snprintf(other_path, sizeof(other_path), "%s/b.graph", folder);
}

static void end(void)
{
	unlink(path);
	unlink(other_path);
	rmdir(folder);
	path[0] = '\0';
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
}

static struct strobe_graph *small_graph(uint64_t seed)
{
	struct made made = made_random(seed, 200, 500);
	made.memory_count = 180;
	struct strobe_graph *graph;
	size_t kept = 0;
	made.surrogate_count = 9; // which have no edges
	for (size_t i = 0; i < made.edges.count; i++)
		if (made.edges.items[i].from < 191)
			made.edges.items[kept++] = made.edges.items[i];
	made.edges.count = kept;
	graph = made_graph(&made);
	made_fini(&made);
	static const uint64_t large[] = {UINT64_C(1) << 40, 5}, values[] = {1, 2, 3};
	static const struct graph_extent extents[] = {{4, 0, 9}, {10, 0, 0}};
	static const struct graph_free_block free_blocks[] = {{0x5000, 16, 0, STROBE_HEAP_FREE}};
	graph->large_sizes = large;
	graph->large_count = 2;
	graph->values = values;
	graph->value_count = 3;
	graph->extents = extents;
	graph->extent_count = 2;
	graph->free_blocks = free_blocks;
	graph->free_count = 1;
	((uint32_t *)graph->sizes)[180] = NODE_LARGE;
	((struct graph_root *)graph->roots)[graph->root_count - 1].value_count = 3;
	graph->surrogate_counts[2] = 77;
	graph->summary.leaked_bytes = 123;
	made_measure(graph);
	CHECK(graph_node_size(graph, 180) == UINT64_C(1) << 40);
	return graph;
}

/** A file's bytes, from malloc(). */
static uint8_t *read_all(const char *name, size_t *size)
{
	struct file *file;
	CHECK_OK(file_open(name, &file));
	uint8_t *bytes = malloc(file->size + 1);
	memcpy(bytes, file->data, file->size);
	*size = file->size;
	file_close(file);
	return bytes;
}

/** The graph in these bytes. */
static struct strobe_error *open_bytes(const uint8_t *bytes, size_t size,
				       const struct store_identity *wanted,
				       struct strobe_graph **ret)
{
	struct file *file;
	int fd = memfd_create("graph", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	CHECK_OK(file_open_descriptor(fd, "graph", &file));
	close(fd);
	return store_open(file, NULL, wanted, ret);
}

static struct strobe_error *open_stored(const char *name, const struct store_identity *wanted,
					struct strobe_graph **ret)
{
	struct file *file;
	CHECK_OK(file_open(name, &file));
	return store_open(file, NULL, wanted, ret);
}

static void check_equal(const struct strobe_graph *a, const struct strobe_graph *b)
{
	size_t nodes = a->node_count;
	CHECK(b->node_count == nodes && b->edge_count == a->edge_count);
	CHECK(memcmp(&a->summary, &b->summary, sizeof(a->summary)) == 0);
	CHECK(memcmp(a->surrogate_counts, b->surrogate_counts, sizeof(a->surrogate_counts)) == 0);
	CHECK(memcmp(a->addresses, b->addresses, nodes * 8) == 0);
	CHECK(memcmp(a->sizes, b->sizes, nodes * 4) == 0);
	CHECK(memcmp(a->types, b->types, nodes * 4) == 0);
	CHECK(memcmp(a->edge_begin, b->edge_begin, (nodes + 1) * 4) == 0);
	CHECK(memcmp(a->idom, b->idom, nodes * 4) == 0);
	CHECK(memcmp(a->retained, b->retained, nodes * 8) == 0);
	CHECK(memcmp(a->edges, b->edges, a->edge_count * 4) == 0);
	CHECK_EQUAL(a->root_count, b->root_count);
	CHECK(memcmp(a->roots, b->roots, a->root_count * sizeof(*a->roots)) == 0);
	CHECK_EQUAL(a->type_count, b->type_count);
	CHECK_EQUAL(graph_element_count(b, 4), 9);
	CHECK_EQUAL(b->large_sizes[0], UINT64_C(1) << 40);
	CHECK_EQUAL(b->values[2], 3);
	CHECK_EQUAL(b->free_blocks[0].address, 0x5000);
}

/** Stored, opened, and stored again. */
static void there_and_back(void)
{
	begin();
	struct strobe_graph *graph = small_graph(1), *stored, *none;
	struct stat status;
	size_t size, other_size;
	CHECK_STRING(graph_check(graph) ? graph_check(graph) : "sound", "sound");
	CHECK_OK(store_write(graph, &identity, path));
	CHECK(stat(path, &status) == 0);
	CHECK_EQUAL(status.st_mode & 07777, 0600);
	CHECK_OK(open_stored(path, &identity, &stored));
	CHECK(stored && strobe_graph_was_stored(stored) && !strobe_graph_was_stored(graph));
	check_equal(graph, stored);
	for (uint32_t i = 0; i < graph->node_count; i++) {
		struct strobe_node a, b;
		strobe_graph_node(graph, i, &a);
		strobe_graph_node(stored, i, &b);
		CHECK(a.kind == b.kind && a.type == b.type && a.dominator == b.dominator);
		CHECK_STRING(a.name ? a.name : "-", b.name ? b.name : "-");
		CHECK_STRING(a.type_name ? a.type_name : "-", b.type_name ? b.type_name : "-");
		CHECK(a.kind != STROBE_NODE_SURROGATE || a.reason == b.reason);
	}
	CHECK(!graph_check(stored));
	CHECK_OK(store_write(stored, &identity, other_path));
	uint8_t *bytes = read_all(path, &size), *others = read_all(other_path, &other_size);
	CHECK_EQUAL(size, other_size);
	CHECK(memcmp(bytes, others, size) == 0);
	free(bytes);
	free(others);
	for (size_t i = 0; i < sizeof(identity) / 8; i++) {
		struct store_identity wanted = identity;
		((uint64_t *)&wanted)[i]++;
		CHECK_OK(open_stored(path, &wanted, &none));
		CHECK(!none);
	}
	strobe_graph_close(graph);
	strobe_graph_close(stored);
	end();
}

/** Another version of the format or of Strobe is no damage. */
static void versions(void)
{
	begin();
	struct strobe_graph *graph = small_graph(2), *stored;
	size_t size;
	CHECK_OK(store_write(graph, &identity, path));
	strobe_graph_close(graph);
	uint8_t *bytes = read_all(path, &size);
	struct store_header header;
	memcpy(&header, bytes, sizeof(header));
	CHECK(memcmp(header.magic, "STROBEGR", 8) == 0 && header.version == 2);
	for (size_t at = 8; at < 24; at += 4) {
		bytes[at]++;
		CHECK_OK(open_bytes(bytes, size, &identity, &stored));
		CHECK(!stored);
		bytes[at]--;
	}
	free(bytes);
	end();
}

/** Is the byte in a part of the file that means something? */
static bool is_used(const struct store_header *header, size_t at)
{
	bool used = at < sizeof(*header) ||
		    (at >= header->sums.offset && at - header->sums.offset < header->sums.size);
	for (unsigned i = 0; i < STORE_SECTION_COUNT; i++)
		used |= at >= header->sections[i].offset &&
			at - header->sections[i].offset < header->sections[i].size;
	return used;
}

static void damage(void)
{
	begin();
	struct strobe_graph *graph = small_graph(3), *stored;
	struct store_header header;
	size_t size, used = 0;
	CHECK_OK(store_write(graph, &identity, path));
	uint8_t *bytes = read_all(path, &size);
	memcpy(&header, bytes, sizeof(header));
	for (size_t at = 0; at < size; at++) {
		bytes[at] ^= 1 << at % 8;
		struct strobe_error *error = open_bytes(bytes, size, &identity, &stored);
		bool noticed = error || !stored;
		strobe_error_free(error);
		CHECK_EQUAL(noticed, is_used(&header, at));
		strobe_graph_close(stored);
		used += noticed;
		bytes[at] ^= 1 << at % 8;
	}
	CHECK(used > size / 2);
	for (size_t cut = 0; cut < size; cut += 1 + cut / 50) {
		CHECK_ERROR(open_bytes(bytes, cut, &identity, &stored), STROBE_ERROR_FORMAT);
	}
	free(bytes);
	strobe_graph_close(graph);
	end();
}

/** Sums are right and numbers are not: what is opened must be safe to use. */
static void hostile(void)
{
	begin();
	struct strobe_graph *graph = small_graph(4), *stored;
	uint64_t state = 4, sum = 0;
	unsigned opened = 0, refused = 0;
	size_t size;
	CHECK_OK(store_write(graph, &identity, path));
	strobe_graph_close(graph);
	uint8_t *bytes = read_all(path, &size), *changed = malloc(size);
	for (unsigned i = 0; i < 20000; i++) {
		memcpy(changed, bytes, size);
		for (unsigned k = 0; k <= i % 4; k++) {
			size_t place = made_below(&state, i % 5 ? (uint32_t)size
								: sizeof(struct store_header));
			uint32_t word = made_below(&state, 3) ? made_below(&state, 300)
							      : made_below(&state, UINT32_MAX);
			memcpy(changed + place / 4 * 4, &word, 4);
		}
		put_graph_right(changed, size);
		struct strobe_error *error = open_bytes(changed, size, NULL, &stored);
		CHECK(!error || strobe_error_code(error) == STROBE_ERROR_FORMAT);
		strobe_error_free(error);
		if (stored)
			sum += use_graph(stored);
		opened += stored != NULL;
		refused += !stored;
		strobe_graph_close(stored);
	}
	CHECK(opened > 2000 && refused > 2000 && sum != 0);
	free(bytes);
	free(changed);
	end();
}

/** A place that cannot be written to. */
static void no_place(void)
{
	struct strobe_graph *graph = small_graph(5);
	CHECK_ERROR(store_write(graph, &identity, "/nowhere/at/all.graph"), STROBE_ERROR_SYSTEM);
	CHECK_ERROR(store_write(graph, &identity, "/tmp"), STROBE_ERROR_INVALID);
	strobe_graph_close(graph);
}

/** Each invariant is looked after: what breaks it is found. */
static void invariants(void)
{
	struct strobe_graph *graph = small_graph(6);
	CHECK(!graph_check(graph));
#define BREAK(array, type, index, value, number)                                                   \
	do {                                                                                       \
		type held = graph->array[index];                                                   \
		((type *)graph->array)[index] = (value);                                           \
		const char *wrong = graph_check(graph);                                            \
		CHECK(wrong &&wrong[0] == (number));                                               \
		((type *)graph->array)[index] = held;                                              \
	} while (0)
	BREAK(addresses, uint64_t, 5, 0, '1');
	BREAK(addresses, uint64_t, 185, 1, '1');
	BREAK(sizes, uint32_t, 6, 0x2000, '1');
	BREAK(types, uint32_t, 6, 12, '1');
	BREAK(surrogate_reasons, uint8_t, 3, 200, '1');
	BREAK(edge_begin, uint32_t, 20, 100000, '2');
	BREAK(edges, uint32_t, 20, 200, '2');
	BREAK(retained, uint64_t, 0, 1, '3');
	BREAK(idom, uint32_t, 0, 4, '3');
	CHECK(!graph_check(graph));
	strobe_graph_close(graph);
}

CHECK_MAIN({"there and back", there_and_back}, {"other versions", versions},
	   {"each byte damaged, cut short", damage}, {"made to do harm", hostile},
	   {"no place", no_place}, {"invariants", invariants}, )
