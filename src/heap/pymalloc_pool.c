// SPDX-License-Identifier: Apache-2.0
// Pools of pymalloc and the blocks in them. A block that was freed holds the next one of its pool's list; blocks
// behind the last that was ever handed out are in no list.
#include "heap/pymalloc.h"

#include <inttypes.h>
#include <string.h>

#include "view/view.h"

enum { MAX_BLOCKS = PYMALLOC_MAX_POOL / PYMALLOC_UNIT };

/** How a pool's header lies in memory. */
struct header {
	uint32_t count, padding;
	uint64_t free_list, next, previous;
	uint32_t arena, class, next_offset, last_offset;
};
_Static_assert(sizeof(struct header) == PYMALLOC_HEADER, "a pool's header");

const char *pymalloc_read_pool(const struct pymalloc *pymalloc, uint64_t address,
			       struct pymalloc_pool *ret)
{
	struct header header;
	if (strobe_memory_read(pymalloc->view, address, &header, sizeof(header)) != sizeof(header))
		return "a pool's header that can be read";
	*ret = (struct pymalloc_pool){.count = header.count,
				      .free_list = header.free_list,
				      .arena = header.arena,
				      .size_bytes = (header.class + 1) * PYMALLOC_UNIT,
				      .used_end = header.next_offset};
	if (header.class >= PYMALLOC_CLASSES)
		return "a pool of an existing size class";
	if (header.last_offset != pymalloc->pool_bytes - ret->size_bytes)
		return "a pool whose last block is where its size class has it";
	// The offset goes one block beyond where the last one is.
	if (header.next_offset < PYMALLOC_HEADER + ret->size_bytes ||
	    header.next_offset > pymalloc->pool_bytes ||
	    (header.next_offset - PYMALLOC_HEADER) % ret->size_bytes)
		return "a pool whose next block is where one begins";
	if (header.count > (header.next_offset - PYMALLOC_HEADER) / ret->size_bytes)
		return "a pool with no more allocated blocks than blocks";
	return NULL;
}

/** Marks the blocks of the pool's free list; NULL if all goes well. `bytes`: the pool. */
static const char *mark_free(const struct pymalloc_pool *pool, uint64_t address,
			     const unsigned char *bytes, bool is_free[MAX_BLOCKS])
{
	uint64_t at = pool->free_list;
	uint32_t count = (uint32_t)(pool->used_end - PYMALLOC_HEADER) / pool->size_bytes, found = 0;
	memset(is_free, 0, MAX_BLOCKS * sizeof(*is_free));
	while (at) {
		uint64_t offset = at - address - PYMALLOC_HEADER;
		if (at < address + PYMALLOC_HEADER || offset % pool->size_bytes ||
		    offset / pool->size_bytes >= count)
			return "the pool's next free block";
		if (is_free[offset / pool->size_bytes])
			return "a list of free blocks without a circle";
		is_free[offset / pool->size_bytes] = true;
		found++;
		memcpy(&at, &bytes[at - address], sizeof(at));
	}
	return found + pool->count == count ? NULL
					    : "as many free blocks as are not counted as allocated";
}

/** A visit under way. */
struct walk {
	struct pymalloc *pymalloc;
	struct strobe_heap_block block;
	uint64_t end;
	strobe_heap_visit visit;
	void *context;
};

/** Tells the visitor of [start, end), if that is not cut off. */
static bool tell(struct walk *walk, uint64_t start, uint64_t size_bytes,
		 enum strobe_heap_state state)
{
	walk->block.address = start;
	walk->block.size_bytes = size_bytes;
	walk->block.state = state;
	if (!size_bytes || start >= walk->end || size_bytes > walk->end - start)
		return true;
	return walk->visit(walk->context, &walk->block);
}

static bool visit_blocks(struct walk *walk, const struct pymalloc_pool *pool, uint64_t address)
{
	unsigned char bytes[PYMALLOC_MAX_POOL] = {0};
	bool is_free[MAX_BLOCKS];
	struct pymalloc *pymalloc = walk->pymalloc;
	if (pool->free_list)
		strobe_memory_read(pymalloc->view, address, bytes, pymalloc->pool_bytes);
	const char *expected = mark_free(pool, address, bytes, is_free);
	if (expected)
		heap_damage(pymalloc->heap, address, 0, "pymalloc: expected %s", expected);
	if (!tell(walk, address, PYMALLOC_HEADER, STROBE_HEAP_BOOKS))
		return false;
	uint64_t count = (pool->used_end - PYMALLOC_HEADER) / pool->size_bytes;
	for (uint64_t i = 0; i < count; i++)
		if (!tell(walk, address + PYMALLOC_HEADER + i * pool->size_bytes, pool->size_bytes,
			  is_free[i] ? STROBE_HEAP_FREE : STROBE_HEAP_ALLOCATED))
			return false;
	uint64_t rest = pymalloc->pool_bytes - pool->used_end;
	return tell(walk, address + pool->used_end, rest - rest % pool->size_bytes,
		    STROBE_HEAP_TOP);
}

bool pymalloc_visit_arena(struct pymalloc *pymalloc, const struct pymalloc_arena *arena,
			  uint64_t end, size_t heap_arena, strobe_heap_visit visit, void *context)
{
	struct walk walk = {.pymalloc = pymalloc,
			    .block = {.arena = heap_arena},
			    .end = end,
			    .visit = visit,
			    .context = context};
	uint64_t size = pymalloc->pool_bytes;
	for (uint64_t i = 0, at = arena->pools; at < arena->never_used; i++, at += size) {
		struct pymalloc_pool pool;
		if (arena->free_pools >> i & 1) {
			if (!tell(&walk, at, size, STROBE_HEAP_FREE))
				return false;
			continue;
		}
		const char *expected = pymalloc_read_pool(pymalloc, at, &pool);
		if (!expected && pool.arena != arena->number)
			expected = "a pool that has its arena's number";
		if (expected)
			heap_damage(pymalloc->heap, at, size, "pymalloc: expected %s", expected);
		else if (!visit_blocks(&walk, &pool, at))
			return false;
	}
	uint64_t whole = (arena->end - arena->never_used) / size * size;
	return tell(&walk, arena->never_used, whole, STROBE_HEAP_TOP);
}
