// SPDX-License-Identifier: Apache-2.0
// Opening maps the file and looks at all of it once, by all processors: that sums are right, and that no number leads out of
// its array, as sums are no proof of good will. What is looked at is in memory then, too.
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/hash_page.h"
#include "graph/parts.h"
#include "graph/store.h"
#include "symbols/module.h"

enum {
	BLOCK = 1024, // numbers that are checked in a row
	PAGE = 4096,
	NODES_MOST = 0x7ffffffe,
};

struct reading {
	struct strobe_graph *graph;
	const struct store_header *header;
	const uint64_t *sums;
	unsigned threads;
	atomic_int damaged; // a section and 1
};

static struct strobe_error *damaged(const char *what)
{
	return error_new(STROBE_ERROR_FORMAT, "stored graph: %s", what);
}

static bool lies_in(const struct file *file, const struct store_section *section)
{
	return section->offset % STORE_ALIGNMENT == 0 &&
	       section->offset >= sizeof(struct store_header) && section->offset <= file->size &&
	       section->size <= file->size - section->offset;
}

/** Is the section of whole entries? Then `*count` is their number. */
static bool count_entries(const struct store_header *header, enum store_section_kind kind,
			  size_t entry_size, size_t *count)
{
	uint64_t size = header->sections[kind].size;
	*count = size / entry_size;
	return size % entry_size == 0;
}

static bool has_size(const struct store_header *header, enum store_section_kind kind, uint64_t size)
{
	return header->sections[kind].size == size;
}

/** Do counts and sizes agree? Sets the graph's counts. */
static bool take_counts(struct strobe_graph *graph, const struct store_header *header)
{
	uint64_t nodes = header->node_count;
	graph->node_count = header->node_count;
	graph->memory_count = header->memory_count;
	graph->surrogate_begin = header->surrogate_begin;
	graph->edge_count = header->edge_count;
	graph->precise = header->precise;
	graph->strings_size = header->sections[STORE_STRINGS].size;
	return nodes >= 1 && nodes <= NODES_MOST && header->surrogate_begin <= nodes &&
	       header->memory_count < header->surrogate_begin &&
	       header->edge_count <= UINT64_MAX / 4 && header->precise <= 1 &&
	       has_size(header, STORE_ADDRESSES, nodes * 8) &&
	       has_size(header, STORE_SIZES, nodes * 4) &&
	       has_size(header, STORE_TYPES, nodes * 4) &&
	       has_size(header, STORE_EDGE_BEGIN, (nodes + 1) * 4) &&
	       has_size(header, STORE_IDOM, nodes * 4) &&
	       has_size(header, STORE_RETAINED, nodes * 8) &&
	       has_size(header, STORE_CHUNK_BASE, ((nodes >> GRAPH_CHUNK_SHIFT) + 1) * 8) &&
	       has_size(header, STORE_EDGES, header->edge_count * 4) &&
	       has_size(header, STORE_REASONS, nodes - header->surrogate_begin) &&
	       count_entries(header, STORE_LARGE_SIZES, 8, &graph->large_count) &&
	       count_entries(header, STORE_ROOTS, sizeof(*graph->roots), &graph->root_count) &&
	       count_entries(header, STORE_GRAPH_TYPES, sizeof(*graph->graph_types),
			     &graph->type_count) &&
	       count_entries(header, STORE_EXTENTS, sizeof(*graph->extents),
			     &graph->extent_count) &&
	       count_entries(header, STORE_FREE_BLOCKS, sizeof(*graph->free_blocks),
			     &graph->free_count) &&
	       count_entries(header, STORE_VALUES, 8, &graph->value_count) &&
	       graph->type_count >= 1 && graph->type_count <= NODE_TYPE_MASK &&
	       graph->strings_size >= 1 && graph->strings_size <= UINT32_MAX;
}

static void take_arrays(struct strobe_graph *graph, const struct store_header *header,
			const struct file *file)
{
	const uint8_t *at[STORE_SECTION_COUNT];
	for (unsigned kind = 0; kind < STORE_SECTION_COUNT; kind++)
		at[kind] = file->data + header->sections[kind].offset;
	graph->addresses = (const void *)at[STORE_ADDRESSES];
	graph->sizes = (const void *)at[STORE_SIZES];
	graph->types = (const void *)at[STORE_TYPES];
	graph->edge_begin = (const void *)at[STORE_EDGE_BEGIN];
	graph->idom = (const void *)at[STORE_IDOM];
	graph->retained = (const void *)at[STORE_RETAINED];
	graph->chunk_base = (const void *)at[STORE_CHUNK_BASE];
	graph->edges = (const void *)at[STORE_EDGES];
	graph->large_sizes = (const void *)at[STORE_LARGE_SIZES];
	graph->roots = (const void *)at[STORE_ROOTS];
	graph->graph_types = (const void *)at[STORE_GRAPH_TYPES];
	graph->extents = (const void *)at[STORE_EXTENTS];
	graph->free_blocks = (const void *)at[STORE_FREE_BLOCKS];
	graph->surrogate_reasons = at[STORE_REASONS];
	graph->values = (const void *)at[STORE_VALUES];
	graph->strings = (const void *)at[STORE_STRINGS];
}

// Small sections.

static bool check_roots(const struct strobe_graph *graph, size_t threads, size_t modules)
{
	for (size_t i = 0; i < graph->root_count; i++) {
		const struct graph_root *root = &graph->roots[i];
		if (root->node >= graph->surrogate_begin || root->node == 0 ||
		    root->parent >= graph->surrogate_begin ||
		    (i > 0 && root->node <= root[-1].node) ||
		    (root->thread != UINT32_MAX && root->thread >= threads) ||
		    (root->module != UINT32_MAX && root->module >= modules) ||
		    root->value_begin > graph->value_count ||
		    root->value_count > graph->value_count - root->value_begin)
			return false;
	}
	return true;
}

static bool check_types(const struct strobe_graph *graph, size_t modules)
{
	for (size_t i = 0; i < graph->type_count; i++)
		if (graph->graph_types[i].module != UINT32_MAX &&
		    graph->graph_types[i].module >= modules)
			return false;
	return true;
}

static bool check_extents(const struct strobe_graph *graph)
{
	for (size_t i = 0; i < graph->extent_count; i++)
		if (graph->extents[i].node >= graph->node_count ||
		    (i > 0 && graph->extents[i].node <= graph->extents[i - 1].node))
			return false;
	return true;
}

static bool check_free_blocks(const struct strobe_graph *graph)
{
	for (size_t i = 0; i < graph->free_count; i++)
		if (graph->free_blocks[i].state > STROBE_HEAP_BOOKS)
			return false;
	return true;
}

/** Chunks' bases ascend, to where the last edge ends at most. */
static bool check_bases(const struct strobe_graph *graph)
{
	size_t count = ((size_t)graph->node_count >> GRAPH_CHUNK_SHIFT) + 1;
	for (size_t i = 0; i < count; i++)
		if (graph->chunk_base[i] > graph->edge_count ||
		    graph->chunk_base[i] < (i ? graph->chunk_base[i - 1] : 0))
			return false;
	return graph_edges_begin(graph, 0) == 0 &&
	       graph_edges_begin(graph, graph->node_count) == graph->edge_count;
}

static struct strobe_error *check_small(const struct strobe_graph *graph)
{
	const struct strobe_view *view = graph->view;
	// Without a view, in tests, there is nothing that could be led out of.
	size_t threads = view ? strobe_view_thread_count(view) : UINT32_MAX;
	size_t modules = view ? strobe_view_module_count(view) : UINT32_MAX;
	if (graph->strings[graph->strings_size - 1])
		return damaged("its strings do not end");
	if (!check_roots(graph, threads, modules))
		return damaged("its roots are damaged");
	if (!check_types(graph, modules))
		return damaged("its types are damaged");
	if (!check_extents(graph) || !check_free_blocks(graph) || !check_bases(graph))
		return damaged("a table is damaged");
	return NULL;
}

// Large ones: numbers [first, last) of an array. Sign bits are gathered, so that compilers make vectors of it.

/** Are all (masked) numbers below `limit`, which is below 2^31? */
static bool are_below(const uint32_t *numbers, size_t count, uint32_t mask, uint32_t limit)
{
	uint32_t over = 0;
	size_t i = 0;
	for (; i + BLOCK <= count; i += BLOCK)
		for (size_t k = 0; k < BLOCK; k++)
			over |= limit - 1 - (numbers[i + k] & mask);
	for (; i < count; i++)
		over |= limit - 1 - (numbers[i] & mask);
	return !(over >> 31);
}

/** The same for what may be NODE_NONE. */
static bool are_nodes(const uint32_t *numbers, size_t count, uint32_t limit)
{
	uint32_t over = 0;
	size_t i = 0;
	for (; i + BLOCK <= count; i += BLOCK)
		for (size_t k = 0; k < BLOCK; k++)
			over |= (numbers[i + k] + 1) | (limit - (numbers[i + k] + 1));
	for (; i < count; i++)
		over |= (numbers[i] + 1) | (limit - (numbers[i] + 1));
	return !(over >> 31);
}

static bool are_sizes(const uint32_t *sizes, size_t count, size_t large_count)
{
	uint32_t all = 0;
	for (size_t i = 0; i < count; i++)
		all |= sizes[i];
	if (!(all & NODE_LARGE))
		return true;
	for (size_t i = 0; i < count; i++)
		if (sizes[i] & NODE_LARGE && (sizes[i] & ~NODE_LARGE) >= large_count)
			return false;
	return true;
}

/** Does each node's part begin at or before the next one's? */
static bool are_begins(const struct strobe_graph *graph, size_t first, size_t last)
{
	const uint32_t *begin = graph->edge_begin;
	bool good = true;
	for (size_t node = first; node < last && node < graph->node_count;) {
		size_t end = ((node >> GRAPH_CHUNK_SHIFT) + 1) << GRAPH_CHUNK_SHIFT;
		end = end < last ? end : last;
		end = end < graph->node_count ? end : graph->node_count;
		uint32_t over = 0; // of those whose next is in the same chunk
		for (; node + 1 < end; node++)
			over |= (uint32_t)(begin[node] > begin[node + 1]);
		good = good && !over &&
		       graph_edges_begin(graph, (uint32_t)node) <=
			       graph_edges_begin(graph, (uint32_t)node + 1);
		node = end;
	}
	return good;
}

static bool check_chunk(const struct strobe_graph *graph, enum store_section_kind kind,
			size_t first, size_t count)
{
	switch (kind) {
	case STORE_SIZES:
		return are_sizes(graph->sizes + first, count, graph->large_count);
	case STORE_TYPES:
		return are_below(graph->types + first, count, NODE_TYPE_MASK,
				 (uint32_t)graph->type_count);
	case STORE_EDGE_BEGIN:
		return are_begins(graph, first, first + count);
	case STORE_IDOM:
		return are_nodes(graph->idom + first, count, graph->node_count);
	case STORE_EDGES:
		return are_below(graph->edges + first, count, EDGE_TARGET, graph->node_count);
	default:
		return true;
	}
}

/** Maps pages all at once, where the kernel can (Linux 5.14). */
static void read_ahead(const uint8_t *data, uint64_t size)
{
#ifdef MADV_POPULATE_READ
	uintptr_t start = (uintptr_t)data / PAGE * PAGE;
	(void)madvise((void *)start, (uintptr_t)data + size - start, MADV_POPULATE_READ);
#else
	(void)data;
	(void)size;
#endif
}

static void check_section(struct reading *reading, unsigned kind, uint64_t *number, unsigned part)
{
	const struct store_section *section = &reading->header->sections[kind];
	const uint8_t *data = reading->graph->file->data + section->offset;
	for (uint64_t at = 0; at < section->size; at += STORE_CHUNK, ++*number) {
		uint64_t left = section->size - at, size = left < STORE_CHUNK ? left : STORE_CHUNK;
		if (*number % reading->threads != part)
			continue;
		read_ahead(data + at, size);
		if (page_hash(data + at, size) != reading->sums[*number] ||
		    !check_chunk(reading->graph, kind, at / 4, size / 4))
			atomic_store(&reading->damaged, (int)kind + 1);
	}
}

static void check_part(void *context, unsigned part)
{
	struct reading *reading = context;
	uint64_t number = 0;
	for (unsigned kind = 0; kind < STORE_SECTION_COUNT; kind++)
		check_section(reading, kind, &number, part);
}

static struct strobe_error *check_large(struct strobe_graph *graph,
					const struct store_header *header)
{
	static const char *const names[STORE_SECTION_COUNT] = {
		"addresses",
		"sizes",
		"types of objects",
		"places of references",
		"dominators",
		"retained sizes",
		"bases",
		"references",
		"large sizes",
		"roots",
		"types",
		"extents",
		"free blocks",
		"surrogates",
		"values",
		"strings",
	};
	struct reading reading = {.graph = graph,
				  .header = header,
				  .sums = (const void *)(graph->file->data + header->sums.offset),
				  .threads = parts_processors()};
	reading.threads = reading.threads < PARTS_MAX ? reading.threads : PARTS_MAX;
	if (header->file_size < STORE_CHUNK)
		reading.threads = 1;
	parts_run(reading.threads, check_part, &reading);
	int kind = atomic_load(&reading.damaged);
	if (!kind)
		return NULL;
	return error_new(STROBE_ERROR_FORMAT, "stored graph: its %s are damaged", names[kind - 1]);
}

static struct strobe_error *check_layout(const struct file *file, const struct store_header *header)
{
	uint64_t sums = 0;
	for (unsigned kind = 0; kind < STORE_SECTION_COUNT; kind++) {
		if (!lies_in(file, &header->sections[kind]))
			return damaged("a part does not lie in the file");
		sums += store_sum_count(header->sections[kind].size);
	}
	if (!lies_in(file, &header->sums) || header->sums.size != sums * 8 ||
	    page_hash(file->data + header->sums.offset, header->sums.size) != header->sums_sum)
		return damaged("its checksums are damaged");
	return NULL;
}

static struct strobe_error *fill(struct strobe_graph *graph, const struct file *file)
{
	const struct store_header *header = (const void *)file->data;
	struct strobe_error *error = check_layout(file, header);
	if (error)
		return error;
	if (!take_counts(graph, header))
		return damaged("its counts make no sense");
	take_arrays(graph, header, file);
	memcpy(&graph->summary, header->summary, sizeof(graph->summary));
	memcpy(graph->surrogate_counts, header->surrogate_counts, sizeof(graph->surrogate_counts));
	error = check_small(graph);
	return error ? error : check_large(graph, header);
}

/** Is it a graph, and of what is wanted? */
static struct strobe_error *check_header(const struct file *file,
					 const struct store_identity *wanted, bool *fits)
{
	struct store_header header;
	*fits = false;
	if (file->size < sizeof(header))
		return damaged("it is too short");
	memcpy(&header, file->data, sizeof(header));
	if (memcmp(header.magic, STORE_MAGIC, sizeof(header.magic)) != 0)
		return damaged("it is none");
	if (header.version != STORE_VERSION || header.size != sizeof(header) ||
	    header.builder != store_builder())
		return NULL;
	if (header.header_sum != hash_bytes(&header, offsetof(struct store_header, header_sum)))
		return damaged("its header is damaged");
	if (wanted && memcmp(wanted, &header.identity, sizeof(*wanted)) != 0)
		return NULL;
	if (header.file_size != file->size)
		return damaged("it is cut short");
	*fits = true;
	return NULL;
}

struct strobe_error *store_open(struct file *file, struct strobe_symbols *symbols,
				const struct store_identity *wanted, struct strobe_graph **ret)
{
	bool fits;
	struct strobe_graph *graph = NULL;
	struct strobe_error *error = check_header(file, wanted, &fits);
	*ret = NULL;
	if (!error && fits && !(graph = calloc(1, sizeof(*graph))))
		error = error_no_memory();
	if (!graph) {
		file_close(file);
		return error;
	}
	graph->file = file;
	graph->stored = true;
	graph->symbols = symbols;
	graph->view = symbols ? symbols->view : NULL;
	error = fill(graph, file);
	if (error)
		strobe_graph_close(graph);
	else
		*ret = graph;
	return error;
}
