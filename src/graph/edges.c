// SPDX-License-Identifier: Apache-2.0
// The edges: one pass over all nodes by address, in chunks that threads take. Those of a chunk are put into memory of its own
// first, and all of them one behind the other when it is known how many there are.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/building.h"
#include "graph/object.h"
#include "graph/surrogates.h"

enum {
	BATCH = 4096,
	BIN_COUNT = 64,
	BIN_SHIFT = 24,
	CHUNK = 1 << GRAPH_CHUNK_SHIFT,
	TOLD_LIMIT = 1024
};

/** A reference on its way to be an edge. */
struct edge_reference {
	uint64_t target;
	uint32_t node; // what locate says
	uint32_t word; // the node's, in `types`
	uint32_t from;
	uint32_t type;
	bool guessed, maybe;
	bool start;  // it leads to where its node begins; false: perhaps
	bool rescue; // a word that is no pointer by its object's type
};

struct making;

/** One thread's part. */
struct edger {
	struct making *making;
	struct lens_memory memory;
	struct edge_reference batch[BATCH];
	unsigned batched;
	uint32_t from;
	bool rescue;
	struct pages *chunk; // uint32_t: where edges go
	uint64_t guessed, maybe, unreadable;
	uint64_t reasons[STROBE_SURROGATE_REASON_COUNT];
	bool short_of_memory;
};

struct making {
	struct build *build;
	struct pages *chunks; // by chunk of nodes
	size_t chunk_count;
	struct edger *edgers;
	struct surrogates surrogates;
	uint64_t low, high;
	uint64_t done; // nodes
	struct strobe_error *cancelled;
};

static void add_edge(struct edger *edger, uint32_t from, uint32_t edge)
{
	uint32_t *counts = edger->making->build->edge_begin.items;
	if (edger->chunk->count == UINT32_MAX) {
		edger->reasons[STROBE_SURROGATE_LIMIT]++;
		return;
	}
	if (!pages_reserve(edger->chunk, edger->chunk->count + 1)) {
		edger->short_of_memory = true;
		return;
	}
	((uint32_t *)edger->chunk->items)[edger->chunk->count++] = edge;
	counts[from]++;
}

/** The free block that holds `address`, or NULL. */
static const struct graph_free_block *free_block_at(const struct build *build, uint64_t address)
{
	const struct graph_free_block *items = build->free_blocks.items;
	size_t low = 0, high = build->free_blocks.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (items[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - items[low - 1].address >= items[low - 1].size_bytes)
		return NULL;
	return &items[low - 1];
}

static bool is_in_region(const struct build *build, uint64_t address)
{
	size_t low = 0, high = strobe_heap_region_count(build->heap);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strobe_heap_region(build->heap, middle)->start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < strobe_heap_region(build->heap, low - 1)->end;
}

/** Why there is no node at `address`; SURROGATE_NONE where none is missed: constants, code, the allocator's books, the end
 *  of an object. */
static int reason_at(const struct build *build, const struct edge_reference *reference)
{
	uint64_t address = reference->target;
	const struct graph_free_block *block = free_block_at(build, address);
	if (block)
		return block->state == STROBE_HEAP_BOOKS ? SURROGATE_NONE : STROBE_SURROGATE_FREED;
	switch (graph_memory_state(build->memory, address)) {
	case GRAPH_MEMORY_UNMAPPED:
		return STROBE_SURROGATE_UNMAPPED;
	case GRAPH_MEMORY_MISSING:
		return STROBE_SURROGATE_NOT_CAPTURED;
	case GRAPH_MEMORY_READABLE:
		break;
	}
	if (!is_in_region(build, address))
		return SURROGATE_NONE;
	if (address >= build->limit_address)
		return STROBE_SURROGATE_LIMIT;
	if (!reference->type || locate_node(&build->locate, address - 1))
		return SURROGATE_NONE;
	return STROBE_SURROGATE_IMPLAUSIBLE;
}

static void lead_nowhere(struct edger *edger, const struct edge_reference *reference, int reason)
{
	struct making *making = edger->making;
	if (reason == SURROGATE_NONE)
		return;
	uint32_t number = surrogates_number(&making->surrogates, reference->target,
					    (enum strobe_surrogate_reason)reason);
	edger->reasons[reason]++;
	// What the number becomes is known when all are.
	add_edge(edger, reference->from, making->build->node_count + number);
}

static bool is_implausible(const struct build *build, const struct edge_reference *reference)
{
	if (!reference->type)
		return false;
	// What is of that type already has been found plausible.
	if (reference->start && (reference->word & NODE_TYPE_MASK) == reference->type)
		return false;
	uint64_t size = lens_type(build->lens, reference->type)->size_bytes;
	if (size <= 1)
		return false;
	uint64_t offset = reference->target - build_addresses(build)[reference->node];
	return size > build_node_size(build, reference->node) - offset;
}

/** Does one of the last edges of its object lead to the same node? Then the word was no integer, most likely. */
static bool is_told(const struct edger *edger, const struct edge_reference *reference)
{
	const uint32_t *counts = edger->making->build->edge_begin.items;
	const uint32_t *edges = edger->chunk->items;
	size_t count = counts[reference->from];
	for (size_t i = 0; i < count && i < TOLD_LIMIT; i++)
		if ((edges[edger->chunk->count - 1 - i] & EDGE_TARGET) == reference->node)
			return true;
	return false;
}

static void lead(struct edger *edger, struct edge_reference *reference)
{
	const struct build *build = edger->making->build;
	if (!reference->node) {
		if (!reference->guessed)
			lead_nowhere(edger, reference, reason_at(build, reference));
		return;
	}
	if (reference->rescue && (!(reference->word & NODE_RESCUED) || is_told(edger, reference)))
		return;
	if (is_implausible(build, reference)) {
		if (build->options.precise) {
			lead_nowhere(edger, reference, STROBE_SURROGATE_IMPLAUSIBLE);
			return;
		}
		edger->reasons[STROBE_SURROGATE_IMPLAUSIBLE]++;
		reference->guessed = true; // it leads there, but who knows what it is
	}
	uint32_t word = reference->word;
	if (!reference->guessed && word & NODE_BLOCK && !(word & NODE_TYPE_MASK))
		edger->reasons[STROBE_SURROGATE_UNTYPED]++;
	edger->guessed += reference->guessed;
	edger->maybe += reference->maybe;
	add_edge(edger, reference->from, reference->node | (reference->guessed ? EDGE_GUESSED : 0));
}

/** Puts the numbers of the references into `order` by where they lead: memory of the tables that is near is read together. */
static void put_in_bins(const struct edger *edger, uint16_t *order)
{
	uint16_t begin[BIN_COUNT + 1] = {0};
	for (unsigned i = 0; i < edger->batched; i++)
		begin[(edger->batch[i].target >> BIN_SHIFT) % BIN_COUNT + 1]++;
	for (unsigned bin = 0; bin < BIN_COUNT; bin++)
		begin[bin + 1] = (uint16_t)(begin[bin + 1] + begin[bin]);
	for (unsigned i = 0; i < edger->batched; i++)
		order[begin[(edger->batch[i].target >> BIN_SHIFT) % BIN_COUNT]++] = (uint16_t)i;
}

/** Finds the nodes of references, some at once. */
static void resolve(const struct locate *locate, const uint32_t *types,
		    struct edge_reference *batch, const uint16_t *order, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct edge_reference *reference = &batch[order[i]];
		reference->node = locate_entry(locate, reference->target);
		if (!(reference->node & LOCATE_COVERED))
			__builtin_prefetch(&locate->pages[reference->node]);
	}
	for (unsigned i = 0; i < count; i++) {
		struct edge_reference *reference = &batch[order[i]];
		reference->node = locate_resolve(locate, reference->node, reference->target,
						 &reference->start);
		if (!reference->guessed || reference->rescue)
			__builtin_prefetch(&types[reference->node]);
	}
	for (unsigned i = 0; i < count; i++) {
		struct edge_reference *reference = &batch[order[i]];
		if (!reference->guessed || reference->rescue)
			reference->word = types[reference->node];
	}
}

static void flush(struct edger *edger)
{
	enum { AT_ONCE = 64 };
	const struct build *build = edger->making->build;
	uint16_t order[BATCH];
	put_in_bins(edger, order);
	for (unsigned i = 0; i < edger->batched; i += AT_ONCE)
		resolve(&build->locate, build_types(build), edger->batch, order + i,
			edger->batched - i < AT_ONCE ? edger->batched - i : AT_ONCE);
	for (unsigned i = 0; i < edger->batched; i++)
		lead(edger, &edger->batch[i]);
	edger->batched = 0;
}

static bool visit(void *context, const struct lens_reference *reference)
{
	struct edger *edger = context;
	const struct making *making = edger->making;
	if (!reference->target || reference->code ||
	    (reference->guessed && reference->target - making->low >= making->high - making->low))
		return true;
	edger->batch[edger->batched] = (struct edge_reference){
		.target = reference->target,
		.from = edger->from,
		// A link may lead to where its list begins, in an object of another type.
		.type = reference->evidence == EVIDENCE_LINK ? 0 : reference->type,
		.guessed = reference->guessed,
		.maybe = reference->maybe,
		.rescue = edger->rescue,
	};
	if (++edger->batched == BATCH)
		flush(edger);
	return !edger->short_of_memory;
}

static void walk_memory(struct edger *edger, uint32_t node)
{
	const struct making *making = edger->making;
	const struct build *build = making->build;
	uint32_t word = build_types(build)[node];
	struct graph_object object = {
		.type = word & NODE_TYPE_MASK,
		.address = build_addresses(build)[node],
		.size_bytes = build_node_size(build, node),
		.count = word & NODE_EXTENT ? build_extent(build, node) : 0,
		.low = making->low,
		.high = making->high,
		.precise = build->options.precise,
	};
	edger->from = node;
	graph_object_walk(build->lens, &edger->memory, &object, visit, edger, &edger->unreadable);
	if (!object.type || !build->rescue_filter || !(word & NODE_REACHABLE))
		return;
	object.type = LENS_TYPE_NONE;
	edger->rescue = true;
	graph_object_walk(build->lens, &edger->memory, &object, visit, edger, NULL);
	edger->rescue = false;
}

/** What a group, thread or frame holds: its nodes in memory, then the others. */
static void walk_holds(struct edger *edger, uint32_t node)
{
	const struct build *build = edger->making->build;
	uint32_t number = node ? node - build->memory_count - 1 : UINT32_MAX;
	flush(edger); // edges of nodes before stand before
	const struct node_pair *pairs = build->holds.items;
	size_t low = 0, high = build->holds.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (pairs[middle].from < number)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < build->holds.count && pairs[low].from == number; low++)
		add_edge(edger, node, pairs[low].to);
	const struct node_pair *children = edger->making->build->children.items;
	low = 0, high = build->children.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (children[middle].from < node)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < build->children.count && children[low].from == node; low++)
		add_edge(edger, node, children[low].to);
}

static void walk_entity(struct edger *edger, uint32_t node)
{
	const struct build *build = edger->making->build;
	const struct graph_root *root = &build->entities.items[node - build->memory_count - 1].root;
	edger->from = node;
	if (root->value_count)
		graph_values_walk(build->lens, &edger->memory,
				  build->values.items + root->value_begin, root->value_count,
				  build_types(build)[node] & NODE_TYPE_MASK, build->options.precise,
				  visit, edger);
	else
		walk_holds(edger, node);
}

static bool make_part(void *context, unsigned thread, uint64_t from, uint64_t to)
{
	struct making *making = context;
	struct edger *edger = &making->edgers[thread];
	struct build *build = making->build;
	uint32_t *begin = build->edge_begin.items, before = 0;
	edger->chunk = &making->chunks[from >> GRAPH_CHUNK_SHIFT];
	edger->chunk->item_size = sizeof(uint32_t);
	for (uint32_t node = (uint32_t)from; node < to; node++) {
		if (!node)
			walk_holds(edger, node);
		else if (node <= build->memory_count)
			walk_memory(edger, node);
		else
			walk_entity(edger, node);
	}
	flush(edger);
	for (uint32_t node = (uint32_t)from; node < to; node++) {
		uint32_t count = begin[node];
		begin[node] = before;
		before += count;
	}
	uint64_t done = __atomic_add_fetch(&making->done, to - from, __ATOMIC_RELAXED);
	if (thread != 0)
		return !edger->short_of_memory;
	making->cancelled =
		build_progress(build, "making edges", 0.5 + 0.2 * (double)done / build->node_count);
	return !edger->short_of_memory && !making->cancelled;
}

/** Moves a chunk's edges to their place. */
static bool move_part(void *context, unsigned thread, uint64_t from, uint64_t to)
{
	struct making *making = context;
	const struct build *build = making->build;
	for (uint64_t chunk = from; chunk < to; chunk++) {
		struct pages *pages = &making->chunks[chunk];
		const uint32_t *edges = pages->items;
		uint32_t *place = (uint32_t *)build->edges.items +
				  ((const uint64_t *)build->chunk_base.items)[chunk];
		for (size_t i = 0; i < pages->count; i++) {
			uint32_t target = edges[i] & EDGE_TARGET;
			if (target >= build->node_count)
				target = build->node_count +
					 surrogates_place(&making->surrogates,
							  target - build->node_count);
			place[i] = target | (edges[i] & EDGE_GUESSED);
		}
		pages_fini(pages);
	}
	return true;
}

/** The surrogates are the last nodes. */
static bool add_surrogates(struct making *making)
{
	struct build *build = making->build;
	struct surrogates *surrogates = &making->surrogates;
	build->surrogate_reasons.item_size = 1;
	if (!surrogates_sort(surrogates) ||
	    !pages_reserve(&build->surrogate_reasons, surrogates->sorted_count + 1))
		return false;
	for (size_t i = 0; i < surrogates->sorted_count; i++) {
		const struct surrogate *surrogate = &surrogates->items[surrogates->sorted[i]];
		((uint8_t *)build->surrogate_reasons.items)[i] = (uint8_t)surrogate->reason;
		if (!build_add_node(build, surrogate->address, 0, 0))
			return false;
	}
	build->surrogate_reasons.count = surrogates->sorted_count;
	return true;
}

/** Puts all chunks one behind the other. */
static struct strobe_error *join(struct making *making)
{
	struct build *build = making->build;
	size_t nodes = build->node_count + making->surrogates.sorted_count;
	size_t chunks = (nodes >> GRAPH_CHUNK_SHIFT) + 1;
	uint64_t total = 0;
	if (!pages_reserve(&build->chunk_base, chunks) ||
	    !pages_reserve(&build->edge_begin, nodes + 1))
		return error_no_memory();
	uint64_t *base = build->chunk_base.items;
	uint32_t *begin = build->edge_begin.items;
	uint32_t last = 0;
	for (size_t i = 0; i < chunks; i++) {
		base[i] = total;
		last = i < making->chunk_count ? (uint32_t)making->chunks[i].count : 0;
		total += last;
	}
	// Behind the last node that has edges there are none.
	for (size_t node = build->node_count; node <= nodes; node++)
		begin[node] =
			node >> GRAPH_CHUNK_SHIFT == (build->node_count - 1) >> GRAPH_CHUNK_SHIFT
				? (uint32_t)making->chunks[making->chunk_count - 1].count
				: 0;
	if (!pages_reserve(&build->edges, total))
		return error_no_memory();
	build->edges.count = total;
	build->chunk_base.count = chunks;
	build->edge_begin.count = nodes + 1;
	workers_run(build->workers, 0, making->chunk_count, 1, move_part, making);
	return NULL;
}

static void add_up(struct making *making)
{
	struct strobe_graph *graph = making->build->graph;
	for (unsigned i = 0; i < workers_count(making->build->workers); i++) {
		const struct edger *edger = &making->edgers[i];
		graph->summary.guessed_edges += edger->guessed;
		graph->summary.maybe_edges += edger->maybe;
		graph->summary.unreadable_bytes += edger->unreadable;
		for (unsigned r = 0; r < STROBE_SURROGATE_REASON_COUNT; r++)
			graph->surrogate_counts[r] += edger->reasons[r];
	}
}

static int order(const void *a, const void *b)
{
	const struct node_pair *x = a, *y = b;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

/** Entities by what they belong to. */
static bool find_children(struct build *build)
{
	build->children.item_size = sizeof(struct node_pair);
	if (!pages_reserve(&build->children, build->entities.count + 1))
		return false;
	struct node_pair *pairs = build->children.items;
	for (size_t i = 0; i < build->entities.count; i++)
		pairs[i] = (struct node_pair){build->entities.items[i].root.parent,
					      build->entities.items[i].root.node};
	build->children.count = build->entities.count;
	qsort(pairs, build->children.count, sizeof(*pairs), order);
	return true;
}

static struct strobe_error *make(struct making *making)
{
	struct build *build = making->build;
	unsigned threads = workers_count(build->workers);
	making->chunk_count = (build->node_count - 1) / CHUNK + 1;
	making->chunks = calloc(making->chunk_count, sizeof(*making->chunks));
	making->edgers = calloc(threads, sizeof(*making->edgers));
	if (!making->chunks || !making->edgers || !find_children(build) ||
	    !pages_reserve(&build->edge_begin, build->node_count + 1))
		return error_no_memory();
	memset(build->edge_begin.items, 0, (build->node_count + 1) * sizeof(uint32_t));
	for (unsigned i = 0; i < threads; i++) {
		making->edgers[i].making = making;
		making->edgers[i].memory = graph_reader_memory(build->readers[i]);
	}
	if (build->memory_count) {
		making->low = build_addresses(build)[1];
		making->high = build_addresses(build)[build->memory_count] +
			       build_node_size(build, build->memory_count);
	}
	bool done = workers_run(build->workers, 0, build->node_count, CHUNK, make_part, making);
	if (making->cancelled)
		return making->cancelled;
	if (!done || !add_surrogates(making))
		return error_no_memory();
	add_up(making);
	return join(making);
}

struct strobe_error *build_edges(struct build *build)
{
	struct making making = {.build = build};
	uint64_t room = (UINT64_C(1) << 31) - 2 - build->node_count;
	uint64_t numbers = room / 32; // more are given than are kept
	if (build->options.max_nodes && build->options.max_nodes < build->node_count + room)
		room = build->options.max_nodes > build->node_count
			       ? build->options.max_nodes - build->node_count
			       : 0;
	surrogates_init(&making.surrogates, (size_t)(room < numbers ? room : numbers));
	struct strobe_error *error = make(&making);
	for (size_t i = 0; making.chunks && i < making.chunk_count; i++)
		pages_fini(&making.chunks[i]);
	free(making.chunks);
	free(making.edgers);
	surrogates_fini(&making.surrogates);
	pages_fini(&build->children);
	return error;
}
