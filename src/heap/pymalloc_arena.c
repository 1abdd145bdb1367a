// SPDX-License-Identifier: Apache-2.0
// Where pymalloc's array of arenas is, without symbols.
//
// A module's data points to the array, and to arenas in it that have room. A word there is taken for such a pointer if
// what it points to describes an arena whose pools are where pools are, and whose pools' headers all have one number:
// that of the arena in the array, which tells where the array begins. Other arenas are believed for the same reasons.
#include "heap/pymalloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "view/view.h"

enum {
	CHUNK_WORDS = 4096,
	FIRST_COUNT = 16, // of arenas; then it doubles
	MAX_ARENAS = 1 << 22,
	MAX_TRIES = 1 << 16, // of pointers in a module's data
};
#define USER_END (UINT64_C(1) << 47)
/** How much data of a module is looked through. */
#define MAX_DATA_BYTES (UINT64_C(256) << 20)

/** How an arena's description lies in memory. */
struct description {
	uint64_t address, pool_address;
	uint32_t free_count, pool_count;
	uint64_t free_pools, next, previous;
};
_Static_assert(sizeof(struct description) == 48, "an arena's description");

static const uint64_t pool_sizes[] = {16384, 4096};

static bool read_description(const struct pymalloc *pymalloc, uint64_t address,
			     struct description *ret)
{
	return strobe_memory_read(pymalloc->view, address, ret, sizeof(*ret)) == sizeof(*ret);
}

/** Where the pools of a described arena are; false if it can be none with pools of that size. */
static bool place_arena(const struct description *description, uint64_t pool_bytes,
			struct pymalloc_arena *ret)
{
	uint64_t size = pool_bytes * PYMALLOC_POOLS;
	ret->start = description->address;
	ret->end = ret->start + size;
	ret->pools = (ret->start + pool_bytes - 1) & ~(pool_bytes - 1);
	ret->never_used = description->pool_address;
	uint32_t count = PYMALLOC_POOLS - (ret->pools != ret->start);
	if (!ret->start || ret->start % 4096 || ret->start >= USER_END ||
	    description->pool_count != count || description->free_count > count ||
	    ret->never_used < ret->pools || ret->never_used > ret->pools + count * pool_bytes ||
	    (ret->never_used - ret->pools) % pool_bytes)
		return false;
	return (ret->never_used - ret->pools) / pool_bytes + description->free_count >= count;
}

/** Marks the pools of an arena's list of free ones; false if the list leaves the arena or is too long. */
static bool mark_free_pools(const struct pymalloc *pymalloc, const struct description *description,
			    struct pymalloc_arena *arena)
{
	enum { NEXT = 16 };
	uint64_t at = description->free_pools, size = pymalloc->pool_bytes;
	arena->free_pools = 0;
	for (; at;) {
		uint64_t offset = at - arena->pools;
		if (at < arena->pools || at >= arena->never_used || offset % size ||
		    arena->free_pools >> offset / size & 1)
			return false;
		arena->free_pools |= UINT64_C(1) << offset / size;
		if (!view_read_unsigned(pymalloc->view, at + NEXT, 8, &at))
			return false;
	}
	return true;
}

/** The number that most of the arena's pools have; counts the pools in use that hold together, and that do not. */
static uint32_t count_pools(const struct pymalloc *pymalloc, const struct pymalloc_arena *arena,
			    unsigned *good, unsigned *bad)
{
	uint32_t number = 0;
	*good = *bad = 0;
	for (uint64_t i = 0, at = arena->pools; at < arena->never_used;
	     i++, at += pymalloc->pool_bytes) {
		struct pymalloc_pool pool;
		if (arena->free_pools >> i & 1)
			continue;
		if (pymalloc_read_pool(pymalloc, at, &pool))
			++*bad;
		else if (*good == 0 || pool.arena == number)
			number = pool.arena, ++*good;
		else
			++*bad;
	}
	return number;
}

/** Is there an arena's description at `address`? Then its arena, with the number that its pools have, or `number` if
 *  none is in use. */
static bool arena_at(struct pymalloc *pymalloc, uint64_t address, uint32_t number,
		     struct pymalloc_arena *ret)
{
	struct description description;
	unsigned good, bad;
	if (address % 8 || address >= USER_END ||
	    !read_description(pymalloc, address, &description) ||
	    !place_arena(&description, pymalloc->pool_bytes, ret))
		return false;
	pymalloc->tries++;
	bool whole = mark_free_pools(pymalloc, &description, ret);
	ret->number = count_pools(pymalloc, ret, &good, &bad);
	if (whole && good == 0 && bad == 0) // the last one is kept though nothing is in it
		ret->number = number;
	else if (good <= bad)
		return false;
	return ret->number < MAX_ARENAS;
}

/** Takes the array if `address` points into one; false if it does not. */
static bool try_pointer(struct pymalloc *pymalloc, uint64_t address)
{
	if (!address || address % 8 || address >= USER_END)
		return false;
	for (size_t i = 0; i < sizeof(pool_sizes) / sizeof(pool_sizes[0]); i++) {
		struct pymalloc_arena arena;
		pymalloc->pool_bytes = pool_sizes[i];
		if (pymalloc->tries >= MAX_TRIES ||
		    !arena_at(pymalloc, address, UINT32_MAX, &arena) ||
		    arena.number * sizeof(struct description) > address)
			continue;
		pymalloc->array = address - arena.number * sizeof(struct description);
		return true;
	}
	return false;
}

/** Reads arenas `first` to `end` of the array; `*added`: one was in use. */
static struct strobe_error *read_arenas(struct pymalloc *pymalloc, uint32_t first, uint32_t end,
					bool *added)
{
	*added = false;
	for (uint32_t i = first; i < end; i++) {
		struct pymalloc_arena arena;
		struct description description;
		uint64_t at = pymalloc->array + i * sizeof(description);
		if (!read_description(pymalloc, at, &description))
			break;
		if (!description.address) // not in use
			continue;
		if (!arena_at(pymalloc, at, i, &arena) || arena.number != i) {
			// Behind the array is what may look like anything.
			if (place_arena(&description, pymalloc->pool_bytes, &arena))
				heap_damage(pymalloc->heap, at, 0,
					    "pymalloc: expected arena %u with pools of that number",
					    i);
			continue;
		}
		if (!mark_free_pools(pymalloc, &description, &arena))
			heap_damage(pymalloc->heap, at, 0,
				    "pymalloc: expected a list of the free pools of arena %u", i);
		if (!array_push(&pymalloc->arenas, arena))
			return error_no_memory();
		*added = true;
	}
	return NULL;
}

static int compare_arenas(const void *a, const void *b)
{
	const struct pymalloc_arena *left = a, *right = b;
	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

/** Reads the whole array, whose length is 16, 32, 64, ...: until two such steps have nothing in use. */
static struct strobe_error *read_array(struct pymalloc *pymalloc)
{
	uint32_t first = 0, end = FIRST_COUNT;
	unsigned without = 0;
	pymalloc->arenas.count = 0;
	while (without < 2 && end <= MAX_ARENAS) {
		bool added;
		struct strobe_error *error = read_arenas(pymalloc, first, end, &added);
		if (error)
			return error;
		without = added ? 0 : without + 1;
		first = end;
		end *= 2;
	}
	size_t kept = 0;
	struct pymalloc_arena *arenas = pymalloc->arenas.items;
	if (pymalloc->arenas.count)
		qsort(arenas, pymalloc->arenas.count, sizeof(*arenas), compare_arenas);
	for (size_t i = 0; i < pymalloc->arenas.count; i++)
		if (!kept || arenas[kept - 1].end <= arenas[i].start)
			arenas[kept++] = arenas[i];
	pymalloc->arenas.count = kept;
	return NULL;
}

/** Was the array found before? */
static bool is_known(const struct pymalloc *pymalloc)
{
	const struct strobe_heap *heap = pymalloc->heap;
	for (size_t i = 0; i < heap->allocators.count; i++) {
		const struct pymalloc *other = heap->allocators.items[i].state;
		if (heap->allocators.items[i].reader == &pymalloc_reader &&
		    other->array == pymalloc->array)
			return true;
	}
	return false;
}

/** Looks through a segment of data for what points to an array. */
static bool search_data(struct pymalloc *pymalloc, uint64_t start, uint64_t end)
{
	uint64_t words[CHUNK_WORDS];
	if (end - start > MAX_DATA_BYTES)
		end = start + MAX_DATA_BYTES;
	for (start = (start + 7) & ~UINT64_C(7); start < end; start += sizeof(words)) {
		uint64_t size = end - start < sizeof(words) ? end - start : sizeof(words);
		size_t got = strobe_memory_read(pymalloc->view, start, words, size);
		for (size_t i = 0; i < got / 8; i++)
			if (try_pointer(pymalloc, words[i]) && !is_known(pymalloc))
				return true;
	}
	return false;
}

struct strobe_error *pymalloc_find_arenas(struct pymalloc *pymalloc, size_t *module, bool *found)
{
	uint64_t start, end;
	*found = false;
	for (; *module < strobe_view_module_count(pymalloc->view); ++*module) {
		pymalloc->module_index = *module;
		pymalloc->tries = 0;
		for (size_t i = 0;
		     !*found && view_module_data(pymalloc->view, *module, i, &start, &end); i++)
			*found = search_data(pymalloc, start, end);
		if (*found) // it may have more: an array an interpreter
			return read_array(pymalloc);
	}
	return NULL;
}
