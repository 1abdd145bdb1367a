// SPDX-License-Identifier: Apache-2.0
#include "graph/build.h"

#include <string.h>

#include "base/error.h"
#include "graph/building.h"

bool pages_reserve(struct pages *pages, size_t count)
{
	enum { LEAST = 65536 };
	if (count <= pages->capacity)
		return true;
	size_t capacity = pages->capacity * 2 > count ? pages->capacity * 2 : count;
	if (capacity * pages->item_size < LEAST)
		capacity = LEAST / pages->item_size;
	void *items = pages_resize(pages->items, pages->capacity * pages->item_size,
				   capacity * pages->item_size);
	if (!items)
		return false;
	pages->items = items;
	pages->capacity = capacity;
	return true;
}

void pages_fini(struct pages *pages)
{
	pages_free(pages->items, pages->capacity * pages->item_size);
	pages->items = NULL;
	pages->count = pages->capacity = 0;
}

bool build_add_node(struct build *build, uint64_t address, uint64_t size, uint32_t type)
{
	size_t node = build->addresses.count;
	uint32_t stored = (uint32_t)size;
	if (!pages_reserve(&build->addresses, node + 1) ||
	    !pages_reserve(&build->sizes, node + 1) || !pages_reserve(&build->types, node + 1))
		return false;
	if (size >= NODE_LARGE) {
		stored = NODE_LARGE | (uint32_t)build->large_sizes.count;
		if (!array_push(&build->large_sizes, size))
			return false;
	}
	build_addresses(build)[node] = address;
	build_sizes(build)[node] = stored;
	build_types(build)[node] = type;
	build->addresses.count = build->sizes.count = build->types.count = node + 1;
	return true;
}

uint32_t build_string(struct build *build, const char *text)
{
	uint64_t key = hash_bytes(text, strlen(text));
	for (;; key++) {
		size_t place = (size_t)(uintptr_t)hash_get(&build->string_places, key);
		if (!place)
			break;
		if (strcmp(text_string(&build->strings) + place - 1, text) == 0)
			return (uint32_t)(place - 1);
	}
	size_t place = build->strings.size;
	text_append_bytes(&build->strings, text, strlen(text) + 1);
	if (build->strings.failed || place >= UINT32_MAX ||
	    !hash_put(&build->string_places, key, (void *)(uintptr_t)(place + 1)))
		return 0;
	return (uint32_t)place;
}

struct strobe_error *build_progress(struct build *build, const char *what, double done)
{
	if (build->options.progress &&
	    !build->options.progress(build->options.progress_context, what, done))
		return error_new(STROBE_ERROR_LIMIT, "cancelled while building the graph: %s",
				 what);
	return NULL;
}

static struct strobe_error *prepare(struct build *build)
{
	struct strobe_error *error = workers_new(build->options.threads, &build->workers);
	build->addresses.item_size = build->chunk_base.item_size = sizeof(uint64_t);
	build->sizes.item_size = build->types.item_size = build->claims.item_size =
		build->edge_begin.item_size = build->edges.item_size = sizeof(uint32_t);
	build->holds.item_size = sizeof(struct node_pair);
	build->limit_address = UINT64_MAX;
	(void)build_string(build, "");
	if (!error)
		error = graph_memory_new(build->view, &build->memory);
	for (unsigned i = 0; !error && i < workers_count(build->workers); i++)
		if (!(build->readers[i] = graph_reader_new(build->memory)) ||
		    !(build->probes[i] = graph_reader_new(build->memory)))
			error = error_no_memory();
	if (!error)
		error = strobe_heap_open(build->symbols, &build->heap);
	if (!error)
		error = lens_new(build->symbols, &build->lens);
	return error;
}

static struct strobe_error *make_locate(struct build *build)
{
	build->locate = (struct locate){.addresses = build_addresses(build),
					.sizes = build_sizes(build),
					.large_sizes = build->large_sizes.items,
					.count = build->memory_count};
	return locate_init(&build->locate);
}

/** What the target's memory is read with: not needed once there are edges, and what was fetched may be much. */
static void free_memory(struct build *build)
{
	for (unsigned i = 0; i < WORKERS_LIMIT; i++) {
		build->readers[i] = graph_reader_free(build->readers[i]);
		build->probes[i] = graph_reader_free(build->probes[i]);
	}
	build->memory = graph_memory_free(build->memory);
}

static struct strobe_error *run(struct build *build)
{
	struct strobe_error *error = prepare(build);
	if (!error)
		error = build_progress(build, "finding roots", 0);
	if (!error)
		error = build_roots(build);
	if (!error)
		error = build_progress(build, "compiling types", 0.05);
	if (!error)
		error = lens_compile(build->lens);
	if (!error)
		error = build_progress(build, "reading the heap", 0.1);
	if (!error)
		error = build_nodes(build);
	if (!error)
		error = make_locate(build);
	if (!error)
		error = build_progress(build, "following types", 0.2);
	if (!error)
		error = build_walk(build);
	if (!error)
		error = build_progress(build, "making edges", 0.5);
	if (!error)
		error = build_edges(build);
	locate_fini(&build->locate);
	free_memory(build);
	if (!error)
		error = build_totals(build);
	return error;
}

static void fini(struct build *build)
{
	pages_fini(&build->addresses);
	pages_fini(&build->sizes);
	pages_fini(&build->types);
	pages_fini(&build->claims);
	pages_fini(&build->holds);
	pages_fini(&build->edge_begin);
	pages_fini(&build->chunk_base);
	pages_fini(&build->edges);
	pages_fini(&build->surrogate_reasons);
	pages_free(build->rescue_filter, FILTER_SIZE);
	array_fini(&build->large_sizes);
	array_fini(&build->free_blocks);
	array_fini(&build->entities);
	array_fini(&build->pieces);
	array_fini(&build->roots);
	array_fini(&build->values);
	hash_fini(&build->extents);
	hash_fini(&build->string_places);
	text_fini(&build->strings);
	free_memory(build);
	workers_free(build->workers);
	strobe_heap_close(build->heap);
	lens_free(build->lens);
}

struct strobe_error *graph_build(struct strobe_symbols *symbols,
				 const struct strobe_graph_options *options,
				 struct strobe_graph **ret)
{
	struct build build = {.symbols = symbols, .view = strobe_symbols_view(symbols)};
	if (options)
		memcpy(&build.options, options,
		       options->size < sizeof(build.options) ? options->size
							     : sizeof(build.options));
	build.graph = calloc(1, sizeof(*build.graph));
	if (!build.graph)
		return error_no_memory();
	build.graph->symbols = symbols;
	build.graph->view = build.view;
	build.graph->precise = build.options.precise;
	struct strobe_error *error = run(&build);
	struct strobe_graph *graph = build.graph;
	if (!error) {
		graph->heap = build.heap;
		graph->lens = build.lens;
		build.heap = NULL;
		build.lens = NULL;
	}
	fini(&build);
	if (error) {
		strobe_graph_close(graph);
		return error;
	}
	*ret = graph;
	return NULL;
}
