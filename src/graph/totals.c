// SPDX-License-Identifier: Apache-2.0
// What follows from nodes and edges: marks, dominators, retained sizes, types and totals; then the graph has its arrays.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/building.h"
#include "graph/dominators.h"
#include "symbols/module.h"

/** Hands an array over to the graph. */
static bool give(struct build *build, struct pages *pages)
{
	if (pages->items && !graph_storage_add(build->graph->storage, pages->items,
					       pages->capacity * pages->item_size))
		return false;
	*pages = (struct pages){.item_size = pages->item_size};
	return true;
}

/** Copies an array into the graph's memory; NULL when it is short. */
static const void *keep(struct build *build, const void *items, size_t size)
{
	void *copy = pages_new(size);
	if (!copy)
		return NULL;
	if (size)
		memcpy(copy, items, size);
	if (!graph_storage_add(build->graph->storage, copy, size))
		return pages_free(copy, size);
	return copy;
}

/** Marks what is reached without a guess: over the edges, because types have changed since the walk. */
static struct strobe_error *mark_precise(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	uint32_t *types = build_types(build);
	uint32_t *queue = pages_new((size_t)graph->node_count * sizeof(*queue));
	uint32_t head = 0, tail = 0;
	if (!queue)
		return error_no_memory();
	for (uint32_t node = 1; node < graph->node_count; node++)
		types[node] &= ~(uint32_t)NODE_PRECISE;
	types[0] |= NODE_PRECISE;
	queue[tail++] = 0;
	while (head < tail) {
		uint32_t node = queue[head++];
		uint64_t end = graph_edges_begin(graph, node + 1);
		for (uint64_t i = graph_edges_begin(graph, node); i < end; i++) {
			uint32_t edge = graph->edges[i];
			if (edge & EDGE_GUESSED || types[edge] & NODE_PRECISE)
				continue;
			types[edge] |= NODE_PRECISE;
			queue[tail++] = edge;
		}
	}
	pages_free(queue, (size_t)graph->node_count * sizeof(*queue));
	return NULL;
}

/** Edges that do not hold lead back to where they come from while dominators are looked for: that changes nothing. */
struct loose_edge {
	uint64_t index;
	uint32_t edge;
};
struct loose_edges {
	ARRAY(struct loose_edge) list;
	uint32_t *edges; // the graph's
};

static bool loosen(struct loose_edges *loose, const struct strobe_graph *graph)
{
	loose->edges = (uint32_t *)graph->edges; // nobody else has the graph yet
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint64_t end = graph_edges_begin(graph, node + 1);
		for (uint64_t i = graph_edges_begin(graph, node); i < end; i++) {
			uint32_t edge = loose->edges[i];
			if (graph_edge_holds(graph, node, edge))
				continue;
			if (!array_push(&loose->list, (struct loose_edge){i, edge}))
				return false;
			loose->edges[i] = node;
		}
	}
	return true;
}

static void fasten(struct loose_edges *loose)
{
	for (size_t i = 0; i < loose->list.count; i++)
		loose->edges[loose->list.items[i].index] = loose->list.items[i].edge;
	array_fini(&loose->list);
}

static struct strobe_error *order_dominators(struct build *build, uint32_t *idom, uint32_t *order,
					     uint32_t *reached)
{
	const struct graph_arrays arrays = graph_arrays_of(build->graph);
	struct loose_edges loose = {0};
	struct strobe_error *error = NULL;
	if (loosen(&loose, build->graph))
		error = graph_dominators_in_order(&arrays, workers_count(build->workers), idom,
						  order, reached);
	else
		error = error_no_memory();
	fasten(&loose);
	return error;
}

/** Was something that was found without a guess during the walk lost, as there is no such way over the edges? */
static bool lost_sure(const struct strobe_graph *graph, const uint32_t *idom)
{
	for (uint32_t node = 1; node < graph->node_count; node++)
		if (idom[node] == NODE_NONE && graph->types[node] & NODE_PRECISE)
			return true;
	return false;
}

static struct strobe_error *find_dominators(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	size_t size = (size_t)graph->node_count * sizeof(uint32_t);
	uint32_t *idom = build->claims.items, *order, reached = 0;
	struct pages retained = {.item_size = sizeof(uint64_t)};
	order = pages_new(size);
	struct strobe_error *error =
		order ? order_dominators(build, idom, order, &reached) : error_no_memory();
	if (!error && lost_sure(graph, idom)) {
		error = mark_precise(build);
		if (!error)
			error = order_dominators(build, idom, order, &reached);
	}
	if (!error && !pages_reserve(&retained, graph->node_count))
		error = error_no_memory();
	if (!error) {
		uint64_t *bytes = retained.items;
		uint32_t *types = build_types(build);
		for (uint32_t node = 0; node < graph->node_count; node++) {
			bytes[node] = build_node_size(build, node);
			if (node && idom[node] == NODE_NONE)
				types[node] &= ~(uint32_t)(NODE_REACHABLE | NODE_PRECISE);
			else
				types[node] |= NODE_REACHABLE;
		}
		graph_retained(order, reached, idom, bytes);
		retained.count = build->claims.count = graph->node_count;
		graph->retained = bytes;
		graph->idom = idom;
		if (!give(build, &retained) || !give(build, &build->claims))
			error = error_no_memory();
	}
	pages_free(order, size);
	pages_fini(&retained);
	return error;
}

// Types.

static void describe(struct build *build, uint32_t id, struct graph_type *ret)
{
	const struct lens_type *type = lens_type(build->lens, id);
	ret->name = build_string(build, type->name);
	ret->language = build_string(build, type->language ? type->language : "");
	ret->size_bytes = type->size_bytes;
	ret->module = UINT32_MAX;
	ret->flags = lens_type_is_open(build->lens, id) ? GRAPH_TYPE_OPEN : 0;
	if (type->type && type->type->module) {
		ret->module = (uint32_t)(type->type->module - build->symbols->modules);
		ret->flags |= type->type->place.in_types ? GRAPH_TYPE_IN_TYPES : 0;
		ret->place = type->type->place.offset;
	}
}

/** Numbers the types that nodes have, in the lens's order, and puts the numbers into the nodes. */
static struct strobe_error *number_types(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	uint32_t *types = build_types(build), count = lens_type_count(build->lens) + 1;
	struct graph_type *sums = calloc(count, sizeof(*sums));
	uint32_t *numbers = calloc(count, sizeof(*numbers)), used = 1;
	uint32_t *lens_types = calloc(count, sizeof(*lens_types));
	struct strobe_error *error = NULL;
	if (!sums || !numbers || !lens_types) {
		error = error_no_memory();
		goto done;
	}
	for (uint32_t node = 1; node < graph->node_count; node++)
		numbers[types[node] & NODE_TYPE_MASK] = 1;
	for (uint32_t id = 1; id < count; id++) {
		if (!numbers[id])
			continue;
		lens_types[used] = id;
		describe(build, id, &sums[used]);
		numbers[id] = used++;
	}
	numbers[0] = 0;
	sums[0].module = UINT32_MAX;
	for (uint32_t node = 1; node < graph->node_count; node++) {
		uint32_t word = types[node], type = numbers[word & NODE_TYPE_MASK];
		types[node] = (word & ~(NODE_TYPE_MASK | NODE_EXTENT | NODE_RESCUED)) | type;
		if (!(word & (NODE_REACHABLE | NODE_BLOCK)))
			continue;
		sums[type].count++;
		sums[type].total_bytes += build_node_size(build, node);
	}
	graph->type_count = used;
	graph->graph_types = keep(build, sums, used * sizeof(*sums));
	graph->lens_types = lens_types;
	lens_types = NULL;
	if (!graph->graph_types || build->strings.failed)
		error = error_no_memory();
done:
	free(sums);
	free(numbers);
	free(lens_types);
	return error;
}

// Totals.

static void add_block(struct strobe_graph_summary *summary, uint32_t word, uint64_t size)
{
	if (word & NODE_REACHABLE) {
		summary->reachable_blocks++;
		summary->reachable_bytes += size;
	} else {
		summary->leaked_blocks++;
		summary->leaked_bytes += size;
	}
	if (word & NODE_PRECISE) {
		summary->precise_blocks++;
		summary->precise_bytes += size;
	}
	if (word & NODE_TYPE_MASK)
		summary->typed_blocks++;
	else
		summary->untyped_blocks++;
}

static void sum_up(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	struct strobe_graph_summary *summary = &graph->summary;
	for (uint32_t node = 1; node < graph->node_count; node++) {
		uint32_t word = build_types(build)[node];
		if (word & NODE_BLOCK)
			add_block(summary, word, build_node_size(build, node));
	}
	summary->objects = graph->memory_count;
	summary->nodes = graph->node_count;
	summary->edges = graph->edge_count;
	summary->roots = build->roots.count;
	for (size_t i = 0; i < build->entities.count; i++)
		summary->roots += build->entities.items[i].root.value_count != 0;
	for (size_t i = 0; i < strobe_heap_damage_count(build->heap); i++)
		summary->unexplained_bytes += strobe_heap_damage(build->heap, i)->lost_bytes;
	for (unsigned r = 0; r < STROBE_SURROGATE_REASON_COUNT; r++)
		summary->surrogates += graph->surrogate_counts[r];
}

static int order_extents(const void *a, const void *b)
{
	const struct graph_extent *x = a, *y = b;
	return x->node < y->node ? -1 : x->node > y->node;
}

static struct strobe_error *keep_extents(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	struct graph_extent *extents = pages_new((build->extents.count + 1) * sizeof(*extents));
	size_t count = 0;
	if (!extents)
		return error_no_memory();
	for (size_t i = 0; i < build->extents.capacity; i++) {
		const struct hash_slot *slot = &build->extents.slots[i];
		if (slot->value && build_types(build)[slot->key] & NODE_EXTENT)
			extents[count++] =
				(struct graph_extent){.node = (uint32_t)slot->key,
						      .count = (uint64_t)(uintptr_t)slot->value};
	}
	if (count)
		qsort(extents, count, sizeof(*extents), order_extents);
	graph->extents = extents;
	graph->extent_count = count;
	if (!graph_storage_add(graph->storage, extents,
			       (build->extents.count + 1) * sizeof(*extents))) {
		pages_free(extents, (build->extents.count + 1) * sizeof(*extents));
		return error_no_memory();
	}
	return NULL;
}

/** Roots in memory first, as nodes are; then what holds them. */
static bool keep_roots(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	for (size_t i = 0; i < build->entities.count; i++)
		if (!array_push(&build->roots, build->entities.items[i].root))
			return false;
	graph->root_count = build->roots.count;
	graph->roots = keep(build, build->roots.items, graph->root_count * sizeof(*graph->roots));
	return graph->roots;
}

static bool keep_others(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	graph->free_count = build->free_blocks.count;
	graph->free_blocks = keep(build, build->free_blocks.items,
				  graph->free_count * sizeof(*graph->free_blocks));
	array_fini(&build->free_blocks);
	graph->large_count = build->large_sizes.count;
	graph->large_sizes = keep(build, build->large_sizes.items,
				  graph->large_count * sizeof(*graph->large_sizes));
	graph->value_count = build->values.count;
	graph->values =
		keep(build, build->values.items, build->values.count * sizeof(*graph->values));
	graph->value_count = build->values.count;
	graph->strings_size = build->strings.size;
	graph->strings = keep(build, text_string(&build->strings), graph->strings_size);
	graph->surrogate_reasons = build->surrogate_reasons.items;
	return graph->free_blocks && graph->large_sizes && graph->values && graph->strings &&
	       keep_roots(build) && give(build, &build->surrogate_reasons);
}

/** The arrays are the graph's from now on, though some of them are still written. */
static bool take_arrays(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	graph->precise = build->options.precise;
	graph->node_count = (uint32_t)build->addresses.count;
	graph->memory_count = build->memory_count;
	graph->surrogate_begin = build->node_count;
	graph->edge_count = build->edges.count;
	graph->addresses = build->addresses.items;
	graph->sizes = build->sizes.items;
	graph->types = build->types.items;
	graph->edge_begin = build->edge_begin.items;
	graph->chunk_base = build->chunk_base.items;
	graph->edges = build->edges.items;
	return pages_reserve(&build->claims, graph->node_count);
}

static bool give_arrays(struct build *build)
{
	return give(build, &build->addresses) && give(build, &build->sizes) &&
	       give(build, &build->types) && give(build, &build->edge_begin) &&
	       give(build, &build->chunk_base) && give(build, &build->edges);
}

struct strobe_error *build_totals(struct build *build)
{
	struct strobe_graph *graph = build->graph;
	graph->storage = graph_storage_new();
	if (!graph->storage || !take_arrays(build))
		return error_no_memory();
	struct strobe_error *error = keep_extents(build);
	hash_fini(&build->extents); // before memory is needed most
	if (!error)
		error = build_progress(build, "finding dominators", 0.7);
	if (!error && build->retyped)
		error = mark_precise(build);
	if (!error)
		error = find_dominators(build);
	if (!error)
		error = number_types(build);
	if (!error)
		sum_up(build);
	if (!error && (!keep_others(build) || !give_arrays(build)))
		error = error_no_memory();
	return error;
}
