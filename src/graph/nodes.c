// SPDX-License-Identifier: Apache-2.0
// The nodes: blocks of the heap and pieces of roots, merged by address; behind them what is in no memory.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/building.h"

enum { TELL_EVERY = 1 << 20, LEAST_GAP = 8 };

struct merger {
	struct build *build;
	size_t next;	 // piece
	uint64_t taken;	 // memory below this has its nodes
	uint64_t blocks; // seen
	struct strobe_error *error;
};

static uint32_t root_word(uint32_t type)
{
	uint32_t word = NODE_REACHABLE | NODE_PRECISE;
	return type ? word | type | (uint32_t)EVIDENCE_DECLARED << NODE_EVIDENCE_SHIFT : word;
}

static bool hold(struct build *build, uint32_t entity, uint32_t node)
{
	if (!pages_reserve(&build->holds, build->holds.count + 1))
		return false;
	struct node_pair *pairs = build->holds.items;
	pairs[build->holds.count++] = (struct node_pair){entity, node};
	return true;
}

/** A node of [start, end) of a piece. */
static bool add_piece(struct build *build, const struct root_piece *piece, uint64_t start,
		      uint64_t end)
{
	bool whole = start == piece->address && end - start == piece->size;
	uint32_t node = (uint32_t)build->addresses.count;
	struct graph_root root = {
		.node = node,
		.parent = piece->entity,
		.name = piece->name,
		.kind = piece->kind,
		.thread = piece->thread,
		.frame = piece->frame,
		.module = piece->module,
	};
	if (!whole && end - start < LEAST_GAP)
		return true;
	return build_add_node(build, start, end - start, root_word(whole ? piece->type : 0)) &&
	       array_push(&build->roots, root) && hold(build, piece->entity, node);
}

static bool is_area(const struct root_piece *piece)
{
	return piece->kind == ROOT_FRAME || piece->kind == ROOT_DATA || piece->kind == ROOT_MAPPING;
}

/** Pieces below `limit`, which is where the next block begins; `end` is where that ends. */
static bool add_pieces(struct merger *merger, uint64_t limit, uint64_t end)
{
	struct build *build = merger->build;
	while (merger->next < build->pieces.count) {
		const struct root_piece *piece = &build->pieces.items[merger->next];
		uint64_t start = piece->address > merger->taken ? piece->address : merger->taken;
		uint64_t piece_end = piece->address + piece->size;
		if (piece_end < piece->address)
			piece_end = UINT64_MAX;
		if (start >= end)
			break;
		bool cut = start != piece->address || piece_end > limit;
		if (cut && !is_area(piece)) {
			// Its memory is a block's: that is known by it.
			struct alias alias = {piece->address, piece->entity};
			if (piece->address >= limit || piece_end > limit ||
			    piece->address < merger->taken) {
				if (!array_push(&build->aliases, alias))
					return false;
				merger->next++;
				continue;
			}
		}
		uint64_t stop = piece_end < limit ? piece_end : limit;
		if (start < stop && !add_piece(build, piece, start, stop))
			return false;
		if (piece_end > limit)
			break; // the rest lies behind the block
		merger->next++;
	}
	return true;
}

static bool keep_free(struct build *build, const struct strobe_heap_block *block)
{
	struct strobe_graph_summary *summary = &build->graph->summary;
	if (block->state == STROBE_HEAP_BOOKS) {
		summary->book_bytes += block->size_bytes;
	} else {
		summary->free_bytes += block->size_bytes;
		summary->free_blocks++;
	}
	return array_push(&build->free_blocks,
			  (struct graph_free_block){.address = block->address,
						    .size_bytes = block->size_bytes,
						    .arena = (uint32_t)block->arena,
						    .state = (uint32_t)block->state});
}

static uint64_t node_limit(const struct build *build)
{
	const uint64_t most = (UINT64_C(1) << 31) - 2;
	uint64_t limit = build->options.max_nodes;
	if (!limit || limit > most)
		limit = most;
	uint64_t others = build->entities.count + 2;
	return limit > others ? limit - others : 1;
}

static bool add_block(struct merger *merger, const struct strobe_heap_block *block)
{
	struct build *build = merger->build;
	uint64_t end = block->address + block->size_bytes;
	if (block->state != STROBE_HEAP_ALLOCATED)
		return keep_free(build, block);
	build->graph->summary.allocated_blocks++;
	build->graph->summary.allocated_bytes += block->size_bytes;
	if (build->limit_address != UINT64_MAX)
		return true;
	if (!add_pieces(merger, block->address, end))
		return false;
	if (build->addresses.count >= node_limit(build)) {
		build->limit_address = block->address;
		return true;
	}
	merger->taken = end;
	return build_add_node(build, block->address, block->size_bytes, NODE_BLOCK);
}

static bool visit_block(void *context, const struct strobe_heap_block *block)
{
	struct merger *merger = context;
	struct build *build = merger->build;
	uint64_t end = block->address + block->size_bytes;
	if (end < block->address || block->address < merger->taken || !block->address)
		return true; // damage, which the heap tells of
	build->block_bytes += block->size_bytes;
	if (++merger->blocks % TELL_EVERY == 0)
		merger->error = build_progress(build, "reading the heap", 0.1);
	if (!merger->error && !add_block(merger, block))
		merger->error = error_no_memory();
	return !merger->error;
}

/** What is in no memory, behind the rest. */
static bool add_entities(struct build *build)
{
	for (size_t i = 0; i < build->entities.count; i++) {
		struct entity *entity = &build->entities.items[i];
		uint32_t node = (uint32_t)build->addresses.count;
		uint64_t size = entity->root.value_count * sizeof(uint64_t);
		entity->root.node = node;
		entity->root.parent =
			entity->parent == UINT32_MAX ? 0 : build->memory_count + 1 + entity->parent;
		if (!build_add_node(build, 0, size, root_word(entity->type)))
			return false;
	}
	build->node_count = (uint32_t)build->addresses.count;
	return true;
}

static int order(const void *a, const void *b)
{
	const struct node_pair *x = a, *y = b;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to != y->to ? (x->to < y->to ? -1 : 1) : 0;
}

/** What is known by another's node; then what each holds, by node, once. */
static bool settle_holds(struct build *build)
{
	for (size_t i = 0; i < build->aliases.count; i++) {
		const struct alias *alias = &build->aliases.items[i];
		uint32_t node = locate_search(build_addresses(build), 0, build->memory_count,
					      alias->address);
		if (!node ||
		    alias->address - build_addresses(build)[node] >= build_node_size(build, node))
			continue;
		build_types(build)[node] |= NODE_REACHABLE | NODE_PRECISE;
		if (!hold(build, alias->entity, node))
			return false;
	}
	struct node_pair *pairs = build->holds.items;
	size_t kept = 0;
	if (build->holds.count)
		qsort(pairs, build->holds.count, sizeof(*pairs), order);
	for (size_t i = 0; i < build->holds.count; i++)
		if (!kept || order(&pairs[kept - 1], &pairs[i]) != 0)
			pairs[kept++] = pairs[i];
	build->holds.count = kept;
	return true;
}

struct strobe_error *build_nodes(struct build *build)
{
	struct merger merger = {.build = build};
	if (!build_add_node(build, 0, 0, NODE_REACHABLE | NODE_PRECISE))
		return error_no_memory();
	struct strobe_error *error = strobe_heap_blocks(build->heap, visit_block, &merger);
	if (!error)
		error = merger.error;
	else
		strobe_error_free(merger.error);
	if (error)
		return error;
	if (!add_pieces(&merger, UINT64_MAX, UINT64_MAX))
		return error_no_memory();
	build->memory_count = (uint32_t)build->addresses.count - 1;
	if (!add_entities(build) || !settle_holds(build))
		return error_no_memory();
	for (size_t i = 0; i < build->roots.count; i++) // now that there are nodes
		build->roots.items[i].parent += build->memory_count + 1;
	array_fini(&build->pieces);
	array_fini(&build->aliases);
	return NULL;
}
