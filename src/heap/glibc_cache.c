// SPDX-License-Identifier: Apache-2.0
#include "heap/glibc_cache.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "view/view.h"

static const struct glibc_cache_layout layouts[] = {
	{0x290, 64, 2, 128, true},  // 2.30 to 2.41
	{0x250, 64, 1, 64, true},   // up to 2.29
	{0x300, 76, 2, 152, false}, // 2.42 on
};

enum { SMALL_LISTS = 64, LARGEST = 760 };

// Named limits: how far below a thread's pointer its cache's is looked for, in many threads and in one; in how many;
// and how many lists may be damaged in what is still taken for a cache.
enum {
	USUAL_THREAD_LOCALS = 65536,
	MAX_THREAD_LOCALS = 16 << 20,
	MAX_ASKED = 16,
	MAX_BAD_LISTS = 8,
};
// malloc's other thread-local, its arena, is as near as this.
enum { NEAR = 64 };

uint64_t glibc_cache_size(unsigned index)
{
	return index < SMALL_LISTS ? CHUNK_MIN + index * CHUNK_ALIGNMENT : 0;
}

static uint64_t count_in(const struct glibc_cache_layout *layout, const uint8_t *bytes,
			 unsigned index)
{
	return layout->count_bytes == 1 ? bytes[index]
					: bytes[2 * index] | (uint64_t)bytes[2 * index + 1] << 8;
}

bool glibc_cache_list(const struct glibc *glibc, const struct glibc_cache *cache, unsigned index,
		      uint64_t *head, uint64_t *count)
{
	uint8_t bytes[2] = {0};
	const struct glibc_cache_layout *layout = cache->layout;
	if (!glibc_read_word(glibc->view, cache->address + layout->lists_at + index * 8, head) ||
	    strobe_memory_read(glibc->view, cache->address + index * layout->count_bytes, bytes,
			       layout->count_bytes) != layout->count_bytes)
		return false;
	*count = count_in(layout, bytes, 0);
	return true;
}

/** How the lists in a cache look. */
struct look {
	unsigned used, bad;
};

static struct look look_at(const struct glibc *glibc, const struct glibc_cache_layout *layout,
			   const uint8_t *bytes)
{
	struct look look = {0};
	for (unsigned i = 0; i < layout->lists && look.bad <= MAX_BAD_LISTS; i++) {
		uint64_t head, size, count = count_in(layout, bytes, i);
		memcpy(&head, bytes + layout->lists_at + i * 8, 8);
		if (!head) {
			look.bad += layout->counts && count;
			continue;
		}
		look.used++;
		look.bad += head % CHUNK_ALIGNMENT != 0 ||
			    !glibc_segment_at(glibc, head - CHUNK_HEADER) ||
			    !glibc_read_word(glibc->view, head - 8, &size) ||
			    (glibc_cache_size(i) && glibc_size(size) != glibc_cache_size(i)) ||
			    (layout->counts && !count);
	}
	return look;
}

static const struct glibc_cache_layout *layout_of(uint64_t chunk_size)
{
	// What a chunk is cut from may be too small for a rest.
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (chunk_size >= layouts[i].chunk_size &&
		    chunk_size <= layouts[i].chunk_size + CHUNK_MIN)
			return &layouts[i];
	return NULL;
}

static bool take_layout(const struct glibc *glibc, uint64_t address,
			const struct glibc_cache_layout *layout, struct glibc_cache *ret,
			struct look *look)
{
	uint8_t bytes[LARGEST];
	size_t size = layout->lists_at + layout->lists * 8;
	if (strobe_memory_read(glibc->view, address, bytes, size) != size)
		return false;
	*look = look_at(glibc, layout, bytes);
	*ret = (struct glibc_cache){.address = address, .layout = layout};
	return true;
}

/** Is a cache at `address`? */
static bool is_cache(const struct glibc *glibc, uint64_t address, struct glibc_cache *ret,
		     struct look *look)
{
	uint64_t head;
	const struct glibc_segment *segment =
		address % CHUNK_ALIGNMENT ? NULL : glibc_segment_at(glibc, address - CHUNK_HEADER);
	if (!segment || address - CHUNK_HEADER < segment->first ||
	    !glibc_read_word(glibc->view, address - 8, &head))
		return false;
	if (segment->arena != SIZE_MAX) {
		const struct glibc_cache_layout *layout = layout_of(glibc_size(head));
		return layout && take_layout(glibc, address, layout, ret, look) &&
		       look->bad <= MAX_BAD_LISTS;
	}
	// Where even that little is mapped, its size tells nothing.
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (address - CHUNK_HEADER == segment->first &&
		    take_layout(glibc, address, &layouts[i], ret, look) && !look->bad)
			return true;
	return false;
}

static bool is_arena(const struct glibc *glibc, uint64_t state)
{
	for (size_t i = 0; i < glibc->arenas.count; i++)
		if (glibc->arenas.items[i].bins - glibc->offset_of_bins == state)
			return true;
	return false;
}

static bool thread_pointer(const struct strobe_view *view, size_t thread, uint64_t *ret)
{
	struct strobe_register reg;
	if (!strobe_view_register_by_name(view, thread, "fs_base", &reg) || reg.size_bytes != 8)
		return false;
	memcpy(ret, reg.bytes, 8);
	return *ret != 0 && *ret % 8 == 0;
}

static bool arena_is_near(const struct glibc *glibc, uint64_t address)
{
	uint64_t words[2 * NEAR / 8];
	size_t got = strobe_memory_read(glibc->view, address - NEAR, words, sizeof(words));
	for (size_t i = 0; i < got / 8; i++)
		if (words[i] && is_arena(glibc, words[i]))
			return true;
	return false;
}

/** How far below `pointer` its thread has the address of its cache; 0 = it has none. */
static uint64_t find_offset(const struct glibc *glibc, uint64_t pointer, uint64_t limit)
{
	uint64_t words[PAGE_SIZE / 8];
	for (uint64_t down = sizeof(words); down <= limit; down += sizeof(words)) {
		uint64_t start = pointer - down;
		if (strobe_memory_read(glibc->view, start, words, sizeof(words)) != sizeof(words)) {
			uint64_t page = (start + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
			uint64_t skip = page - start;
			// The mapping begins within this stretch.
			if (strobe_memory_read(glibc->view, page, (uint8_t *)words + skip,
					       sizeof(words) - skip) != sizeof(words) - skip)
				return 0;
			memset(words, 0, skip);
		}
		for (size_t i = sizeof(words) / 8; i-- > 0;) {
			struct glibc_cache cache;
			struct look look;
			if (words[i] && is_cache(glibc, words[i], &cache, &look) &&
			    arena_is_near(glibc, start + i * 8))
				return pointer - (start + i * 8);
		}
	}
	return 0;
}

static struct strobe_error *add(struct glibc_caches *caches, struct glibc_cache cache)
{
	for (size_t i = 0; i < caches->count; i++)
		if (caches->items[i].address == cache.address)
			return NULL;
	return array_push(caches, cache) ? NULL : error_no_memory();
}

static struct strobe_error *ask_threads(struct glibc *glibc, struct glibc_caches *ret)
{
	size_t count = strobe_view_thread_count(glibc->view);
	struct strobe_error *error = NULL;
	uint64_t offset = 0, pointer;
	for (size_t i = 0; i < count && i < MAX_ASKED && !offset; i++)
		if (thread_pointer(glibc->view, i, &pointer))
			offset = find_offset(glibc, pointer, USUAL_THREAD_LOCALS);
	if (!offset && count && thread_pointer(glibc->view, 0, &pointer))
		offset = find_offset(glibc, pointer, MAX_THREAD_LOCALS);
	for (size_t i = 0; !error && offset && i < count; i++) {
		struct glibc_cache cache;
		struct look look;
		uint64_t address;
		if (!thread_pointer(glibc->view, i, &pointer) ||
		    !glibc_read_word(glibc->view, pointer - offset, &address) || !address)
			continue;
		if (is_cache(glibc, address, &cache, &look))
			error = add(ret, cache);
		else if (glibc_segment_at(glibc, address)) // else it is one that nobody uses yet
			heap_damage(glibc->heap, pointer - offset, 0,
				    "thread %d has its cache at 0x%" PRIx64 ", where none is",
				    strobe_view_thread(glibc->view, i)->tid, address);
	}
	return error;
}

/** Could the block be a cache with something in it, as far as its own bytes tell? */
static bool could_be_cache(const struct glibc *glibc, const struct glibc_cache_layout *layout,
			   const struct strobe_heap_block *block)
{
	uint8_t copy[LARGEST];
	size_t size = layout->lists_at + layout->lists * 8;
	// The walk that meets it mostly has it before its eyes.
	const uint8_t *bytes = glibc_window_has(&glibc->window, block->address, size);
	bool used = false;
	if (block->state != STROBE_HEAP_ALLOCATED ||
	    (!bytes && strobe_memory_read(glibc->view, block->address, copy, size) != size))
		return false;
	bytes = bytes ? bytes : copy;
	for (unsigned i = 0; i < layout->lists; i++) {
		uint64_t head;
		memcpy(&head, bytes + layout->lists_at + i * 8, 8);
		if (head % CHUNK_ALIGNMENT ||
		    (layout->counts && (head == 0) != (count_in(layout, bytes, i) == 0)))
			return false;
		used |= head != 0;
	}
	return used;
}

bool glibc_note_cache(void *context, const struct strobe_heap_block *block)
{
	struct glibc *glibc = context;
	const struct glibc_cache_layout *layout = layout_of(block->size_bytes + 8);
	if (layout && could_be_cache(glibc, layout, block) &&
	    !array_push(&glibc->likely_caches, block->address))
		return false; // and what is walked ends early
	return true;
}

/**
 * Threads that a fork lost leave their caches behind: a chunk that has the size, and nothing but whole lists, is
 * one. The main arena's chunks have been asked when it was found.
 */
static struct strobe_error *ask_arenas(struct glibc *glibc, struct glibc_caches *ret)
{
	struct strobe_error *error = NULL;
	glibc->heap->damage_is_told = true; // the visit will tell
	for (size_t i = 0; ret->count < glibc->arenas.count && i < glibc->segments.count; i++) {
		const struct glibc_segment *segment = &glibc->segments.items[i];
		if (segment->arena != SIZE_MAX && !glibc->arenas.items[segment->arena].is_main &&
		    glibc_walk(glibc, segment, glibc_note_cache, glibc).how == GLIBC_END_STOPPED)
			error = error_no_memory();
	}
	glibc->heap->damage_is_told = false;
	for (size_t i = 0; !error && i < glibc->likely_caches.count; i++) {
		struct glibc_cache cache;
		struct look look;
		if (is_cache(glibc, glibc->likely_caches.items[i], &cache, &look) && look.used &&
		    !look.bad)
			error = add(ret, cache);
	}
	return error;
}

struct strobe_error *glibc_find_caches(struct glibc *glibc, struct glibc_caches *ret)
{
	struct strobe_error *error = ask_threads(glibc, ret);
	return error ? error : ask_arenas(glibc, ret);
}
