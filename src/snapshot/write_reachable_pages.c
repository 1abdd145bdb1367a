// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_reachable_pages.h"

#include "view/view.h"

enum {
	PAGE = 4096,
	CHUNK_SHIFT = 21,
	CHUNK_PAGES = 512,
	LOOK_FOR_ZEROS = 64 * 1024, // in stretches from here on
};

/** Pages of 2 MiB, a bit each. */
struct chunk {
	uint64_t kept[CHUNK_PAGES / 64];
	uint64_t roots[CHUNK_PAGES / 64];
	uint64_t number;
};

static struct chunk *chunk_of(struct reachable_pages *pages, uint64_t address)
{
	uint64_t number = address >> CHUNK_SHIFT;
	struct chunk *chunk = hash_get(&pages->chunks, number);
	if (chunk)
		return chunk;
	chunk = arena_alloc(&pages->arena, sizeof(*chunk));
	if (!chunk || !hash_put(&pages->chunks, number, chunk)) {
		pages->short_of_memory = true;
		return NULL;
	}
	chunk->number = number;
	return chunk;
}

bool pages_are_roots(const struct reachable_pages *pages, uint64_t address)
{
	const struct chunk *chunk = hash_get(&pages->chunks, address >> CHUNK_SHIFT);
	uint64_t page = address / PAGE % CHUNK_PAGES;
	return chunk && chunk->roots[page / 64] >> page % 64 & 1;
}

void pages_keep_roots(struct reachable_pages *pages, uint64_t start, uint64_t end)
{
	for (uint64_t at = start & ~(uint64_t)(PAGE - 1); at < end; at += PAGE) {
		struct chunk *chunk = chunk_of(pages, at);
		uint64_t page = at / PAGE % CHUNK_PAGES, bit = UINT64_C(1) << page % 64;
		if (!chunk)
			return;
		chunk->roots[page / 64] |= bit;
		chunk->kept[page / 64] |= bit;
	}
}

/** False if there is no room for it. */
static bool keep_page(struct reachable_pages *pages, uint64_t address, bool zero)
{
	struct chunk *chunk = chunk_of(pages, address);
	uint64_t page = address / PAGE % CHUNK_PAGES, bit = UINT64_C(1) << page % 64;
	if (!chunk)
		return false;
	if (chunk->kept[page / 64] & bit)
		return true;
	if (!zero &&
	    (pages->kept_bytes >= pages->budget || pages->budget - pages->kept_bytes < PAGE)) {
		pages->full = true;
		return false;
	}
	chunk->kept[page / 64] |= bit;
	pages->kept_bytes += zero ? 0 : PAGE;
	return true;
}

bool pages_keep(struct reachable_pages *pages, uint64_t start, uint64_t end)
{
	struct view_run run = {0};
	bool look = end - start >= LOOK_FOR_ZEROS;
	for (uint64_t at = start & ~(uint64_t)(PAGE - 1); at < end; at += PAGE) {
		if (look && at >= run.end)
			view_run_at(pages->view, at, end, &run);
		bool zero = look && run.kind == VIEW_RUN_ZERO && run.end >= at + PAGE;
		if (!keep_page(pages, at, zero))
			return false;
	}
	return true;
}

/** Adds the kept pages of one chunk, run by run, each within a mapping. */
static void add_chunk(const struct reachable_pages *pages, const struct chunk *chunk,
		      struct stacks *stacks)
{
	uint64_t base = chunk->number << CHUNK_SHIFT;
	for (unsigned page = 0, next; page < CHUNK_PAGES; page = next) {
		next = page + 1;
		if (!(chunk->kept[page / 64] >> page % 64 & 1))
			continue;
		while (next < CHUNK_PAGES && chunk->kept[next / 64] >> next % 64 & 1)
			next++;
		uint64_t at = base + (uint64_t)page * PAGE, end = base + (uint64_t)next * PAGE;
		while (at < end) {
			const struct strobe_mapping *mapping =
				strobe_view_mapping_at(pages->view, at);
			stacks_add(stacks, at, end);
			at = mapping && mapping->end < end ? mapping->end : end;
		}
	}
}

void pages_add_to(const struct reachable_pages *pages, struct stacks *stacks)
{
	for (size_t i = 0; i < pages->chunks.capacity; i++)
		if (pages->chunks.slots[i].value)
			add_chunk(pages, pages->chunks.slots[i].value, stacks);
}

void reachable_pages_fini(struct reachable_pages *pages)
{
	hash_fini(&pages->chunks);
	arena_fini(&pages->arena);
}
