// SPDX-License-Identifier: Apache-2.0
// The reader of jemalloc: its regions are runs of extents of one arena, and its own memory.
#include "heap/jemalloc.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "view/view.h"

enum { MAX_ARENA = 4096, MAX_VERSION = 32, CHUNK = 65536 };
/** How much of a module's constants is looked through for a version. */
#define MAX_CONSTANT_BYTES (UINT64_C(256) << 20)

static struct jemalloc *jemalloc_free(struct jemalloc *jemalloc)
{
	if (!jemalloc)
		return NULL;
	array_fini(&jemalloc->leaves);
	array_fini(&jemalloc->cached);
	array_fini(&jemalloc->own);
	array_fini(&jemalloc->metadata);
	free(jemalloc);
	return NULL;
}

/** Length of a version as jemalloc writes it at `text`, "5.3.0" of "5.3.0-0-g54eaed1d"; 0 if it is none. */
static size_t version_at(const char *text, size_t size)
{
	size_t i = 0, length;
	for (unsigned part = 0; part < 3; part++) {
		size_t first = i;
		while (i < size && isdigit((unsigned char)text[i]))
			i++;
		if (i == first || i == size || (part < 2 && text[i++] != '.'))
			return 0;
	}
	length = i;
	if (i == size || text[i++] != '-')
		return 0;
	while (i < size && isdigit((unsigned char)text[i]))
		i++;
	if (size - i < 10 || text[i] != '-' || text[i + 1] != 'g')
		return 0;
	for (size_t j = i + 2; j < i + 10; j++)
		if (!isxdigit((unsigned char)text[j]))
			return 0;
	return length;
}

static bool version_in(const struct strobe_view *view, const struct strobe_mapping *mapping,
		       char ret[MAX_VERSION])
{
	enum { OVERLAP = 64 };
	static const char first[] = "5.";
	char bytes[CHUNK + OVERLAP];
	for (uint64_t at = mapping->start; at < mapping->end; at += CHUNK) {
		size_t size = mapping->end - at < sizeof(bytes) ? mapping->end - at : sizeof(bytes);
		size = strobe_memory_read(view, at, bytes, size);
		for (char *p = bytes; (p = memmem(p, size - (size_t)(p - bytes), first, 2)); p++) {
			size_t length = version_at(p, size - (size_t)(p - bytes));
			if (!length || length >= MAX_VERSION)
				continue;
			memcpy(ret, p, length);
			ret[length] = 0;
			return true;
		}
	}
	return false;
}

/** Looks for the version that the code has among its constants; else what the layout tells. */
static void find_version(const struct jemalloc *jemalloc, char ret[MAX_VERSION])
{
	uint64_t left = MAX_CONSTANT_BYTES;
	snprintf(ret, MAX_VERSION, "%s", jemalloc->layout.version);
	for (size_t i = 0; i < strobe_view_mapping_count(jemalloc->view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(jemalloc->view, i);
		if (mapping->module_index != jemalloc->module_index ||
		    mapping->permissions & STROBE_PERMISSION_WRITE ||
		    mapping->end - mapping->start > left)
			continue;
		left -= mapping->end - mapping->start;
		if (version_in(jemalloc->view, mapping, ret))
			return;
	}
}

/** Adds the arena of an extent if it is new. */
static struct strobe_error *arena_of(struct jemalloc *jemalloc, size_t allocator, size_t *arenas,
				     unsigned number, size_t *ret)
{
	char name[32];
	if (!arenas[number]) {
		size_t added;
		snprintf(name, sizeof(name), "arena %u", number);
		struct strobe_error *error =
			heap_add_arena(jemalloc->heap, allocator, name, 0, &added);
		if (error)
			return error;
		arenas[number] = added + 1;
	}
	*ret = arenas[number] - 1;
	return NULL;
}

/** Adds the extents, each run of one arena's as a region. */
static struct strobe_error *add_extents(struct jemalloc *jemalloc, size_t allocator)
{
	struct jemalloc_extent extent;
	size_t arenas[MAX_ARENA] = {0}, current = SIZE_MAX;
	uint64_t cursor = 0, start = 0, end = 0;
	struct strobe_error *error = NULL;
	while (!error &&
	       jemalloc_next_extent(jemalloc, &cursor, JEMALLOC_USER_END, true, &extent)) {
		size_t arena;
		error = arena_of(jemalloc, allocator, arenas, extent.arena, &arena);
		if (!error && (arena != current || extent.start != end)) {
			if (current != SIZE_MAX)
				error = heap_add_region(jemalloc->heap, current, start, end);
			current = arena;
			start = extent.start;
		}
		end = extent.start + extent.size_bytes;
	}
	if (!error && current != SIZE_MAX)
		error = heap_add_region(jemalloc->heap, current, start, end);
	return error;
}

static struct strobe_error *add_metadata(struct jemalloc *jemalloc, size_t allocator)
{
	size_t arena;
	if (!jemalloc->metadata.count)
		return NULL;
	struct strobe_error *error =
		heap_add_arena(jemalloc->heap, allocator, "metadata", 0, &arena);
	for (size_t i = 0; !error && i < jemalloc->metadata.count; i++)
		error = heap_add_region(jemalloc->heap, arena, jemalloc->metadata.items[i].start,
					jemalloc->metadata.items[i].end);
	return error;
}

/** Adds the allocator whose tree was found; takes over `jemalloc` if that succeeds. */
static struct strobe_error *add(struct jemalloc *jemalloc, bool *added)
{
	char version[MAX_VERSION], evidence[128];
	const struct strobe_module *module =
		strobe_view_module(jemalloc->view, jemalloc->module_index);
	find_version(jemalloc, version);
	snprintf(evidence, sizeof(evidence),
		 "radix tree at 0x%" PRIx64 ", by its own entries; laid out as in %s",
		 jemalloc->root, jemalloc->layout.version);
	struct strobe_heap_allocator told = {.name = "jemalloc",
					     .version = version,
					     .module = module->name,
					     .evidence = evidence};
	struct strobe_error *error =
		heap_add_allocator(jemalloc->heap, &jemalloc_reader, &told, jemalloc);
	*added = !error;
	size_t allocator = jemalloc->heap->allocators.count - 1;
	if (jemalloc->bad_leaves)
		heap_damage(jemalloc->heap, jemalloc->root, 0,
			    "jemalloc: expected pointers to leaves of the tree, found %zu others",
			    jemalloc->bad_leaves);
	if (!error)
		error = add_extents(jemalloc, allocator);
	if (!error)
		error = add_metadata(jemalloc, allocator);
	return error;
}

static struct strobe_error *find_one(struct strobe_heap *heap, size_t *module, bool *found)
{
	struct jemalloc *jemalloc = calloc(1, sizeof(*jemalloc));
	bool added = false;
	if (!jemalloc)
		return error_no_memory();
	jemalloc->heap = heap;
	jemalloc->view = heap->view;
	struct strobe_error *error = jemalloc_find_root(jemalloc, module, found);
	if (!error && *found)
		error = jemalloc_find_metadata(jemalloc);
	if (!error && *found)
		error = jemalloc_find_caches(jemalloc);
	if (!error && *found)
		error = add(jemalloc, &added);
	if (!added)
		jemalloc_free(jemalloc);
	return error;
}

static struct strobe_error *find(struct strobe_heap *heap)
{
	struct strobe_error *error = NULL;
	size_t module = 0;
	bool found = true;
	while (!error && found) // several modules may have one each
		error = find_one(heap, &module, &found);
	return error;
}

/** The first of a sorted list that is not less than `address`. */
static size_t lower_bound(const uint64_t *items, size_t count, uint64_t address)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (items[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/** Is `address` at `*next` in the list? Moves on to it. */
static bool passes(const uint64_t *items, size_t count, size_t *next, uint64_t address)
{
	while (*next < count && items[*next] < address)
		++*next;
	return *next < count && items[*next] == address;
}

/** Visits the blocks of an active extent; false when the visitor had enough. */
static bool visit_extent(const struct jemalloc *jemalloc, const struct jemalloc_extent *extent,
			 size_t arena, strobe_heap_visit visit, void *context)
{
	uint64_t size = jemalloc_class_size(&jemalloc->layout, extent->class);
	uint64_t count = extent->slab ? extent->size_bytes / size : 1;
	size_t cached = lower_bound(jemalloc->cached.items, jemalloc->cached.count, extent->start);
	size_t own = lower_bound(jemalloc->own.items, jemalloc->own.count, extent->start);
	struct strobe_heap_block block = {.size_bytes = size, .arena = arena};
	for (uint64_t i = 0; i < count; i++) {
		block.address = extent->slab ? extent->start + i * size : extent->address;
		block.state = STROBE_HEAP_ALLOCATED;
		if (extent->slab && extent->free_map[i / 64] >> i % 64 & 1)
			block.state = STROBE_HEAP_FREE;
		else if (passes(jemalloc->cached.items, jemalloc->cached.count, &cached,
				block.address))
			block.state = STROBE_HEAP_FREE_CACHED;
		else if (passes(jemalloc->own.items, jemalloc->own.count, &own, block.address))
			block.state = STROBE_HEAP_BOOKS;
		if (!visit(context, &block))
			return false;
	}
	return true;
}

static struct strobe_error *blocks(struct strobe_heap *heap, struct allocator *allocator,
				   const struct strobe_heap_region *region, strobe_heap_visit visit,
				   void *context, bool *stop)
{
	struct jemalloc *jemalloc = allocator->state;
	struct jemalloc_extent extent;
	uint64_t cursor = region->start;
	(void)heap;
	if (jemalloc_is_metadata(jemalloc, region->start)) {
		struct strobe_heap_block block = {.address = region->start,
						  .size_bytes = region->end - region->start,
						  .state = STROBE_HEAP_BOOKS,
						  .arena = region->arena};
		*stop = !visit(context, &block);
		return NULL;
	}
	while (!*stop && jemalloc_next_extent(jemalloc, &cursor, region->end, true, &extent)) {
		struct strobe_heap_block block = {.address = extent.start,
						  .size_bytes = extent.size_bytes,
						  .state = STROBE_HEAP_FREE,
						  .arena = region->arena};
		if (cursor > region->end) // cut off by another's region
			break;
		if (extent.active)
			*stop = !visit_extent(jemalloc, &extent, region->arena, visit, context);
		else
			*stop = !visit(context, &block);
	}
	return NULL;
}

static void close_jemalloc(struct allocator *allocator)
{
	allocator->state = jemalloc_free(allocator->state);
}

const struct allocator_reader jemalloc_reader = {
	.name = "jemalloc",
	.find = find,
	.blocks = blocks,
	.close = close_jemalloc,
};
