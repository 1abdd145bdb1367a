// SPDX-License-Identifier: Apache-2.0
// How each arena's memory is used, and in how many pieces the rest of it is.

#include "query/arenas.h"

#include <stdlib.h>

#include "base/error.h"
#include "query/groups.h"

static void add_block(struct strobe_arena_use *use, enum strobe_heap_state state, uint64_t size)
{
	unsigned class = size ? 63 - (unsigned)__builtin_clzll(size) : 0;
	switch (state) {
	case STROBE_HEAP_FREE:
		use->free_bytes += size;
		use->free_blocks++;
		break;
	case STROBE_HEAP_FREE_CACHED:
		use->cached_bytes += size;
		use->cached_blocks++;
		break;
	case STROBE_HEAP_FREE_FASTBIN:
		use->fastbin_bytes += size;
		use->fastbin_blocks++;
		break;
	case STROBE_HEAP_TOP:
		use->top_bytes += size;
		break;
	default: // what is left of the mapped bytes is the books'
		return;
	}
	if ((state == STROBE_HEAP_FREE || state == STROBE_HEAP_TOP) &&
	    size > use->largest_free_bytes)
		use->largest_free_bytes = size;
	if (state == STROBE_HEAP_TOP)
		return;
	if (class >= STROBE_ARENA_CLASSES)
		class = STROBE_ARENA_CLASSES - 1;
	use->class_blocks[class]++;
	use->class_bytes[class] += size;
}

static void count_allocated(const struct strobe_graph *graph, const struct arenas_books *books,
			    struct strobe_arena_use *uses)
{
	size_t region = 0;
	for (uint32_t node = 1; node <= graph->memory_count; node++) {
		uint64_t address = graph->addresses[node];
		if (!node_is_block(graph, node))
			continue;
		while (region < books->region_count && books->regions[region].end <= address)
			region++;
		if (region == books->region_count)
			return;
		size_t arena = books->regions[region].arena;
		if (books->regions[region].start > address || arena >= books->arena_count)
			continue;
		uses[arena].allocated_blocks++;
		uses[arena].allocated_bytes += graph_node_size(graph, node);
	}
}

static uint64_t free_of(const struct strobe_arena_use *use)
{
	return use->free_bytes + use->cached_bytes + use->fastbin_bytes + use->top_bytes;
}

static void conclude(struct strobe_arena_use *use)
{
	uint64_t unused = free_of(use), known = unused + use->allocated_bytes + use->lost_bytes;
	use->book_bytes = use->mapped_bytes > known ? use->mapped_bytes - known : 0;
	if (unused)
		use->fragmentation = 1 - (double)use->largest_free_bytes / (double)unused;
}

static void add_use(struct strobe_arena_use *all, const struct strobe_arena_use *one)
{
	all->mapped_bytes += one->mapped_bytes;
	all->allocated_bytes += one->allocated_bytes;
	all->allocated_blocks += one->allocated_blocks;
	all->free_bytes += one->free_bytes;
	all->free_blocks += one->free_blocks;
	all->cached_bytes += one->cached_bytes;
	all->cached_blocks += one->cached_blocks;
	all->fastbin_bytes += one->fastbin_bytes;
	all->fastbin_blocks += one->fastbin_blocks;
	all->top_bytes += one->top_bytes;
	all->lost_bytes += one->lost_bytes;
	if (one->largest_free_bytes > all->largest_free_bytes)
		all->largest_free_bytes = one->largest_free_bytes;
	for (size_t i = 0; i < STROBE_ARENA_CLASSES; i++) {
		all->class_blocks[i] += one->class_blocks[i];
		all->class_bytes[i] += one->class_bytes[i];
	}
}

void arenas_count(const struct strobe_graph *graph, const struct arenas_books *books,
		  struct strobe_arena_use *uses)
{
	struct strobe_arena_use *all = &uses[books->arena_count];
	for (size_t i = 0; i < books->region_count; i++)
		if (books->regions[i].arena < books->arena_count)
			uses[books->regions[i].arena].mapped_bytes +=
				books->regions[i].end - books->regions[i].start;
	count_allocated(graph, books, uses);
	for (size_t i = 0; i < graph->free_count; i++) {
		const struct graph_free_block *block = &graph->free_blocks[i];
		if (block->arena < books->arena_count)
			add_block(&uses[block->arena], (enum strobe_heap_state)block->state,
				  block->size_bytes);
	}
	for (size_t i = 0; i < books->arena_count; i++) {
		uses[i].arena = i;
		conclude(&uses[i]);
		add_use(all, &uses[i]);
	}
	all->arena = SIZE_MAX;
	conclude(all);
}

// Damage is told by address: it belongs to the arena of the region around it.
static void count_lost(const struct strobe_heap *heap, const struct arenas_books *books,
		       struct strobe_arena_use *uses)
{
	for (size_t i = 0; i < strobe_heap_damage_count(heap); i++) {
		const struct strobe_heap_damage *damage = strobe_heap_damage(heap, i);
		for (size_t r = 0; r < books->region_count; r++) {
			const struct strobe_heap_region *region = &books->regions[r];
			if (damage->address >= region->start && damage->address < region->end &&
			    region->arena < books->arena_count)
				uses[region->arena].lost_bytes += damage->lost_bytes;
		}
	}
}

static struct strobe_error *take_regions(const struct strobe_heap *heap, struct arenas_books *ret,
					 struct strobe_heap_region **ret_copy)
{
	size_t count = strobe_heap_region_count(heap);
	struct strobe_heap_region *regions = malloc((count + 1) * sizeof(*regions));
	if (!regions)
		return error_no_memory();
	for (size_t i = 0; i < count; i++)
		regions[i] = *strobe_heap_region(heap, i);
	*ret_copy = regions;
	*ret = (struct arenas_books){regions, count, strobe_heap_arena_count(heap)};
	return NULL;
}

static bool pass_over(void *context, const struct strobe_heap_block *block)
{
	(void)context;
	(void)block;
	return true;
}

// Damage is found while blocks are visited: of a stored graph nobody has done it yet.
static struct strobe_error *find_damage(struct strobe_graph *graph, struct strobe_heap *heap)
{
	if (!graph->summary.unexplained_bytes || strobe_heap_damage_count(heap))
		return NULL;
	return strobe_heap_blocks(heap, pass_over, NULL);
}

struct strobe_error *strobe_graph_arenas(struct strobe_graph *graph, struct strobe_arena_use **ret,
					 size_t *count)
{
	struct arenas_books books = {0};
	struct strobe_heap_region *regions = NULL;
	struct strobe_heap *heap = strobe_graph_heap(graph);
	struct strobe_error *error = heap ? find_damage(graph, heap) : error_no_memory();
	if (!error)
		error = take_regions(heap, &books, &regions);
	if (error)
		return error;
	struct strobe_arena_use *uses = calloc(books.arena_count + 1, sizeof(*uses));
	if (!uses) {
		free(regions);
		return error_no_memory();
	}
	count_lost(heap, &books, uses);
	arenas_count(graph, &books, uses);
	for (size_t i = 0; i < books.arena_count; i++) {
		const struct strobe_heap_arena *arena = strobe_heap_arena(heap, i);
		uses[i].name = arena->name;
		uses[i].allocator = strobe_heap_allocator(heap, arena->allocator)->name;
	}
	uses[books.arena_count].name = "all";
	free(regions);
	*ret = uses;
	*count = books.arena_count + 1;
	return NULL;
}
