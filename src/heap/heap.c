// SPDX-License-Identifier: Apache-2.0
// The heap as its readers tell it: allocators, their arenas and regions, damage; the visit of all blocks.
//
// Invariants once strobe_heap_open() has returned:
//  1. `regions` is sorted by start; none is empty, none overlaps another.
//  2. An arena's mapped_bytes is the sum of its regions.
//  3. An allocator's `index` is its place in `allocators`; an arena's `allocator` and a region's `arena`
//     are such places too.
#include "heap/allocator.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { MAX_DAMAGES = 1000, MAX_DAMAGE_TEXT = 256 };

static const struct allocator_reader *const readers[] = {
	&glibc_reader, &jemalloc_reader, &musl_reader, &pymalloc_reader,
	NULL, // ends the table
};

struct strobe_error *heap_add_allocator(struct strobe_heap *heap,
					const struct allocator_reader *reader,
					const struct strobe_heap_allocator *told, void *state)
{
	struct allocator allocator = {
		.reader = reader,
		.told =
			{
				.name = arena_strdup(&heap->arena, told->name),
				.version = arena_strdup(&heap->arena, told->version),
				.module = arena_strdup(&heap->arena, told->module),
				.evidence = arena_strdup(&heap->arena, told->evidence),
			},
		.index = heap->allocators.count,
		.state = state,
	};
	if (!allocator.told.name || (told->version && !allocator.told.version) ||
	    (told->module && !allocator.told.module) ||
	    (told->evidence && !allocator.told.evidence) ||
	    !array_push(&heap->allocators, allocator))
		return error_no_memory();
	return NULL;
}

struct strobe_error *heap_add_arena(struct strobe_heap *heap, size_t allocator, const char *name,
				    uint64_t address, size_t *ret)
{
	assert(allocator < heap->allocators.count);
	struct strobe_heap_arena arena = {.allocator = allocator,
					  .name = arena_strdup(&heap->arena, name),
					  .address = address};
	if (!arena.name || !array_push(&heap->arenas, arena))
		return error_no_memory();
	if (ret)
		*ret = heap->arenas.count - 1;
	return NULL;
}

struct strobe_error *heap_add_region(struct strobe_heap *heap, size_t arena, uint64_t start,
				     uint64_t end)
{
	assert(arena < heap->arenas.count && start < end);
	struct strobe_heap_region region = {.start = start, .end = end, .arena = arena};
	if (!array_push(&heap->regions, region))
		return error_no_memory();
	heap->arenas.items[arena].mapped_bytes += end - start;
	return NULL;
}

static bool damage_is_known(const struct strobe_heap *heap, uint64_t address, const char *what)
{
	for (size_t i = 0; i < heap->damages.count; i++)
		if (heap->damages.items[i].address == address &&
		    strcmp(heap->damages.items[i].what, what) == 0)
			return true;
	return false;
}

void heap_damage(struct strobe_heap *heap, uint64_t address, uint64_t lost_bytes,
		 const char *format, ...)
{
	char what[MAX_DAMAGE_TEXT];
	va_list arguments;
	if (heap->damage_is_told)
		return;
	if (heap->damages.count >= MAX_DAMAGES) {
		heap->damage_total++;
		return;
	}
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (damage_is_known(heap, address, what))
		return;
	heap->damage_total++;
	struct strobe_heap_damage damage = {.address = address,
					    .lost_bytes = lost_bytes,
					    .what = arena_strdup(&heap->arena, what)};
	if (damage.what && !array_push(&heap->damages, damage))
		return; // it is counted at least
}

/** By start, the larger first; so that what lies inside another comes after it. */
static int compare_regions(const void *a, const void *b)
{
	const struct strobe_heap_region *left = a, *right = b;
	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	if (left->end != right->end)
		return left->end > right->end ? -1 : 1;
	return left->arena < right->arena ? -1 : left->arena > right->arena;
}

/** Sorts the regions and cuts off what an earlier one has. */
static void settle_regions(struct strobe_heap *heap)
{
	size_t kept = 0;
	uint64_t end = 0;
	if (heap->regions.count)
		qsort(heap->regions.items, heap->regions.count, sizeof(*heap->regions.items),
		      compare_regions);
	for (size_t i = 0; i < heap->regions.count; i++) {
		struct strobe_heap_region region = heap->regions.items[i];
		struct strobe_heap_arena *arena = &heap->arenas.items[region.arena];
		if (region.start < end) {
			uint64_t cut = region.end < end ? region.end : end;
			heap_damage(heap, region.start, 0,
				    "%s %s: a region up to 0x%" PRIx64 " overlaps the one before "
				    "it, which ends at 0x%" PRIx64,
				    heap->allocators.items[arena->allocator].told.name, arena->name,
				    region.end, end);
			arena->mapped_bytes -= cut - region.start;
			region.start = cut;
		}
		if (region.start == region.end)
			continue;
		heap->regions.items[kept++] = region;
		end = region.end;
	}
	heap->regions.count = kept;
}

static struct strobe_error *find_all(struct strobe_heap *heap)
{
	for (size_t i = 0; readers[i]; i++) {
		struct strobe_error *error = readers[i]->find(heap);
		if (error)
			return error;
	}
	settle_regions(heap);
	return NULL;
}

struct strobe_error *strobe_heap_open(struct strobe_symbols *symbols, struct strobe_heap **ret)
{
	struct strobe_heap *heap = calloc(1, sizeof(*heap));
	if (!heap)
		return error_no_memory();
	heap->symbols = symbols;
	heap->view = strobe_symbols_view(symbols);
	struct strobe_error *error = find_all(heap);
	if (error) {
		strobe_heap_close(heap);
		return error;
	}
	*ret = heap;
	return NULL;
}

struct strobe_heap *strobe_heap_close(struct strobe_heap *heap)
{
	if (!heap)
		return NULL;
	for (size_t i = 0; i < heap->allocators.count; i++)
		if (heap->allocators.items[i].reader->close)
			heap->allocators.items[i].reader->close(&heap->allocators.items[i]);
	array_fini(&heap->allocators);
	array_fini(&heap->arenas);
	array_fini(&heap->regions);
	array_fini(&heap->damages);
	arena_fini(&heap->arena);
	free(heap);
	return NULL;
}

size_t strobe_heap_allocator_count(const struct strobe_heap *heap)
{
	return heap->allocators.count;
}

const struct strobe_heap_allocator *strobe_heap_allocator(const struct strobe_heap *heap,
							  size_t index)
{
	assert(index < heap->allocators.count);
	return &heap->allocators.items[index].told;
}

size_t strobe_heap_arena_count(const struct strobe_heap *heap)
{
	return heap->arenas.count;
}

const struct strobe_heap_arena *strobe_heap_arena(const struct strobe_heap *heap, size_t index)
{
	assert(index < heap->arenas.count);
	return &heap->arenas.items[index];
}

size_t strobe_heap_region_count(const struct strobe_heap *heap)
{
	return heap->regions.count;
}

const struct strobe_heap_region *strobe_heap_region(const struct strobe_heap *heap, size_t index)
{
	assert(index < heap->regions.count);
	return &heap->regions.items[index];
}

size_t strobe_heap_damage_count(const struct strobe_heap *heap)
{
	return heap->damages.count;
}

const struct strobe_heap_damage *strobe_heap_damage(const struct strobe_heap *heap, size_t index)
{
	assert(index < heap->damages.count);
	return &heap->damages.items[index];
}

uint64_t strobe_heap_damage_total(const struct strobe_heap *heap)
{
	return heap->damage_total;
}

struct strobe_error *strobe_heap_blocks(struct strobe_heap *heap, strobe_heap_visit visit,
					void *context)
{
	struct strobe_error *error = NULL;
	bool stop = false;
	for (size_t i = 0; !error && !stop && i < heap->regions.count; i++) {
		const struct strobe_heap_region *region = &heap->regions.items[i];
		size_t index = heap->arenas.items[region->arena].allocator;
		struct allocator *allocator = &heap->allocators.items[index];
		// Damage of a region is told by the first visit that sees all of it.
		heap->damage_is_told = i < heap->told_regions;
		error = allocator->reader->blocks(heap, allocator, region, visit, context, &stop);
		if (!error && !stop && i >= heap->told_regions)
			heap->told_regions = i + 1;
	}
	heap->damage_is_told = false;
	return error;
}
