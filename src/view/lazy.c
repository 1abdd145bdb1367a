// SPDX-License-Identifier: Apache-2.0
#include "view/lazy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Areas that span more are never given address space: they come from damaged files.
#define SPAN_LIMIT (UINT64_C(1) << 46)

enum { LEAF_CHUNKS = 1024 }; // 256 MiB a leaf

enum chunk_state {
	CHUNK_EMPTY = 0,
	CHUNK_COPIED,  // loaded, and copied from
	CHUNK_POINTED, // loaded, and one caller has a pointer
	CHUNK_SHARED,  // several may have
};

struct lazy_leaf {
	uint64_t bad[LEAF_CHUNKS]; // one bit a page
	uint8_t states[LEAF_CHUNKS];
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t position_of(const struct lazy_area *area, uint64_t address)
{
	return area->position + (address - area->start);
}

void lazy_init(struct lazy_area *area, const struct lazy_source *source, uint64_t start,
	       uint64_t end, uint64_t position)
{
	assert(start < end);
	*area = (struct lazy_area){
		.source = source,
		.start = start,
		.end = end,
		.position = position,
		.base = start & ~(uint64_t)(LAZY_CHUNK - 1),
	};
	area->unreservable = end - area->base > SPAN_LIMIT;
}

static uint64_t chunk_count(const struct lazy_area *area)
{
	return (area->end - area->base - 1) / LAZY_CHUNK + 1;
}

void lazy_fini(struct lazy_area *area)
{
	if (area->memory)
		munmap(area->memory, chunk_count(area) * LAZY_CHUNK);
	for (size_t i = 0; area->leaves && i < area->leaf_count; i++)
		free(area->leaves[i]);
	free(area->leaves);
	*area = (struct lazy_area){0};
}

static bool reserve(struct lazy_area *area)
{
	size_t size = chunk_count(area) * LAZY_CHUNK;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	if (area->memory)
		return true;
	if (area->unreservable)
		return false;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (memory == MAP_FAILED) {
		// vm.overcommit_memory = 2 counts what could be written to.
		memory = mmap(NULL, size, PROT_NONE, flags, -1, 0);
		area->protected = true;
	}
	area->unreservable = memory == MAP_FAILED;
	if (area->unreservable)
		return false;
	// A huge page would take 2 MiB where 256 KiB are wanted.
	(void)madvise(memory, size, MADV_NOHUGEPAGE);
	area->memory = memory;
	return true;
}

/** The leaf of a chunk; NULL if there is none and `make` is false, or memory is short. */
static struct lazy_leaf *leaf_of(struct lazy_area *area, uint64_t chunk, bool make)
{
	uint64_t index = chunk / LEAF_CHUNKS;
	if (area->unreservable)
		return NULL;
	if (!area->leaves && make) {
		area->leaf_count = (chunk_count(area) - 1) / LEAF_CHUNKS + 1;
		area->leaves = calloc(area->leaf_count, sizeof(*area->leaves));
	}
	if (!area->leaves)
		return NULL;
	if (!area->leaves[index] && make)
		area->leaves[index] = calloc(1, sizeof(**area->leaves));
	return area->leaves[index];
}

/** Pages of a chunk that hold bytes of [from, to), which lies in it. */
static uint64_t pages_of(uint64_t from, uint64_t to)
{
	unsigned first = (unsigned)(from / LAZY_PAGE % 64);
	unsigned last = (unsigned)((to - 1) / LAZY_PAGE % 64);
	return (UINT64_MAX >> (63 - (last - first))) << first;
}

static void mark_bad(struct lazy_area *area, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to;) {
		uint64_t chunk = (at - area->base) / LAZY_CHUNK;
		uint64_t last = area->base + chunk * LAZY_CHUNK + (LAZY_CHUNK - 1);
		uint64_t end = to - 1 > last ? last + 1 : to;
		struct lazy_leaf *leaf = leaf_of(area, chunk, true);
		if (!leaf)
			return; // it is tried again the next time
		uint64_t *bad = &leaf->bad[chunk % LEAF_CHUNKS], pages = pages_of(at, end);
		area->bad_pages += (uint64_t)__builtin_popcountll(pages & ~*bad);
		*bad |= pages;
		at = end;
	}
}

static bool is_bad(struct lazy_area *area, uint64_t address)
{
	uint64_t chunk = (address - area->base) / LAZY_CHUNK;
	struct lazy_leaf *leaf = area->bad_pages ? leaf_of(area, chunk, false) : NULL;
	return leaf && leaf->bad[chunk % LEAF_CHUNKS] >> (address / LAZY_PAGE % 64) & 1;
}

static void source_run(const struct lazy_area *area, uint64_t address, uint64_t limit,
		       struct view_run *ret)
{
	*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_DATA};
	if (!area->source->run)
		return;
	uint64_t position = position_of(area, address);
	area->source->run(area->source->context, position, position_of(area, limit), ret);
	assert(ret->end > position && ret->end <= position_of(area, limit));
	ret->end = address + (ret->end - position);
}

/**
 * Copies [address, address + size) until a byte cannot be read. `zeroed`: the buffer holds zeros
 * already. Stretches that are known to be zero cost nothing: to read them would give the process
 * page tables for memory that it never touched.
 */
static size_t fetch(const struct lazy_area *area, uint64_t address, uint8_t *buffer, size_t size,
		    bool zeroed)
{
	size_t done = 0;
	while (done < size) {
		struct view_run run;
		source_run(area, address + done, address + size, &run);
		size_t part = (size_t)(run.end - (address + done));
		if (run.kind == VIEW_RUN_MISSING)
			break;
		if (run.kind == VIEW_RUN_ZERO) {
			if (!zeroed)
				memset(buffer + done, 0, part);
			done += part;
			continue;
		}
		size_t got =
			area->source->read(area->source->context, position_of(area, address + done),
					   buffer + done, part);
		done += got;
		if (got < part)
			break;
	}
	return done;
}

/** Where the page of `address` ends, at most at `limit`. */
static uint64_t page_end(uint64_t address, uint64_t limit)
{
	uint64_t left = LAZY_PAGE - address % LAZY_PAGE;
	return limit - address < left ? limit : address + left;
}

static bool load(struct lazy_area *area, uint64_t chunk)
{
	struct lazy_leaf *leaf = leaf_of(area, chunk, true);
	if (!leaf)
		return false;
	uint8_t *state = &leaf->states[chunk % LEAF_CHUNKS];
	if (*state != CHUNK_EMPTY)
		return true;
	uint64_t from = area->base + chunk * LAZY_CHUNK;
	uint64_t to = area->end - from < LAZY_CHUNK ? area->end : from + LAZY_CHUNK;
	uint8_t *memory = area->memory + chunk * LAZY_CHUNK;
	if (area->protected && mprotect(memory, LAZY_CHUNK, PROT_READ | PROT_WRITE) < 0)
		return false;
	for (uint64_t at = from > area->start ? from : area->start; at < to;) {
		if (!is_bad(area, at)) {
			at += fetch(area, at, memory + (at - from), (size_t)(to - at), true);
			if (at == to)
				break;
			mark_bad(area, at, page_end(at, to));
		}
		at = page_end(at, to);
	}
	*state = CHUNK_COPIED;
	return true;
}

/** Good bytes in a row from `address` on in its loaded chunk, up to the chunk's end. */
static size_t good_bytes(struct lazy_area *area, uint64_t address)
{
	uint64_t chunk = (address - area->base) / LAZY_CHUNK;
	uint64_t from = area->base + chunk * LAZY_CHUNK;
	uint64_t bad = leaf_of(area, chunk, false)->bad[chunk % LEAF_CHUNKS];
	unsigned page = (unsigned)((address - from) / LAZY_PAGE);
	size_t size = (size_t)min(area->end - from, LAZY_CHUNK);
	if (bad >> page)
		size = (size_t)min(size, (page + (unsigned)__builtin_ctzll(bad >> page)) *
						 (size_t)LAZY_PAGE);
	return size > address - from ? size - (size_t)(address - from) : 0;
}

static void point_to(struct lazy_area *area, uint64_t chunk)
{
	uint8_t *state = &leaf_of(area, chunk, false)->states[chunk % LEAF_CHUNKS];
	if (*state < CHUNK_SHARED)
		(*state)++;
}

const uint8_t *lazy_pointer(struct lazy_area *area, uint64_t address, bool keep, size_t *available)
{
	uint64_t first = (address - area->base) / LAZY_CHUNK;
	uint64_t window = min(area->end - address, LAZY_WINDOW);
	uint64_t last = (address - area->base + window - 1) / LAZY_CHUNK;
	*available = 0;
	if (!reserve(area) || !load(area, first))
		return NULL;
	size_t good = good_bytes(area, address);
	if (!good)
		return NULL;
	if (keep)
		point_to(area, first);
	*available = good;
	uint64_t next = area->base + last * LAZY_CHUNK;
	if (last > first && good == next - address && load(area, last)) {
		*available += good_bytes(area, next);
		if (keep)
			point_to(area, last);
	}
	return area->memory + (address - area->base);
}

size_t lazy_read(struct lazy_area *area, uint64_t address, void *buffer, size_t size)
{
	uint64_t change, left = area->end - address;
	if (left < size)
		size = (size_t)left;
	if (lazy_is_bad(area, address, &change))
		return 0;
	if (change - address < size)
		size = (size_t)(change - address);
	size_t done = fetch(area, address, buffer, size, false);
	if (done < size)
		mark_bad(area, address + done, page_end(address + done, area->end));
	return done;
}

void lazy_run(struct lazy_area *area, uint64_t address, uint64_t limit, struct view_run *ret)
{
	uint64_t change;
	bool bad = lazy_is_bad(area, address, &change);
	if (change < limit)
		limit = change;
	if (bad)
		*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_MISSING};
	else
		source_run(area, address, limit, ret);
}

bool lazy_probe(struct lazy_area *area, uint64_t address)
{
	struct view_run run;
	uint8_t byte;
	if (is_bad(area, address))
		return false;
	uint64_t chunk = (address - area->base) / LAZY_CHUNK;
	struct lazy_leaf *leaf = leaf_of(area, chunk, false);
	if (leaf && leaf->states[chunk % LEAF_CHUNKS] != CHUNK_EMPTY)
		return true;
	source_run(area, address, address + 1, &run);
	if (run.kind == VIEW_RUN_ZERO)
		return true;
	return lazy_read(area, address, &byte, 1) == 1;
}

bool lazy_is_bad(const struct lazy_area *area, uint64_t address, uint64_t *end)
{
	uint64_t chunk = (address - area->base) / LAZY_CHUNK, count = chunk_count(area);
	uint64_t page = (address - area->base) / LAZY_PAGE % 64;
	bool bad = false, first = true;
	*end = area->end;
	if (!area->bad_pages || !area->leaves)
		return false;
	while (chunk < count) {
		const struct lazy_leaf *leaf = area->leaves[chunk / LEAF_CHUNKS];
		uint64_t pages = leaf ? leaf->bad[chunk % LEAF_CHUNKS] : 0;
		if (first)
			bad = pages >> page & 1;
		first = false;
		uint64_t changed = (bad ? ~pages : pages) >> page;
		if (changed) {
			uint64_t at = chunk * LAZY_CHUNK +
				      (page + (unsigned)__builtin_ctzll(changed)) * LAZY_PAGE;
			if (at < area->end - area->base)
				*end = area->base + at;
			return bad;
		}
		page = 0;
		chunk = leaf || bad ? chunk + 1 : (chunk / LEAF_CHUNKS + 1) * LEAF_CHUNKS;
	}
	return bad;
}

bool lazy_release(struct lazy_area *area, const uint8_t *bytes, size_t size)
{
	uint64_t count = chunk_count(area);
	if (!area->memory || bytes < area->memory ||
	    (uint64_t)(bytes - area->memory) >= count * LAZY_CHUNK)
		return false;
	// Only whole chunks: what is next to these bytes may be looked at still.
	uint64_t offset = (uint64_t)(bytes - area->memory);
	uint64_t chunk = (offset + LAZY_CHUNK - 1) / LAZY_CHUNK;
	uint64_t end = (offset + size) / LAZY_CHUNK;
	if (offset + size >= area->end - area->base)
		end = count;
	if (offset <= area->start - area->base)
		chunk = 0;
	for (; chunk < end; chunk++) {
		struct lazy_leaf *leaf = leaf_of(area, chunk, false);
		uint8_t *state = leaf ? &leaf->states[chunk % LEAF_CHUNKS] : NULL;
		if (!state || *state == CHUNK_EMPTY || *state == CHUNK_SHARED)
			continue;
		uint8_t *memory = area->memory + chunk * LAZY_CHUNK;
		if (madvise(memory, LAZY_CHUNK, MADV_DONTNEED) < 0)
			continue; // locked: it stays as it is
		if (area->protected)
			(void)mprotect(memory, LAZY_CHUNK, PROT_NONE);
		*state = CHUNK_EMPTY;
	}
	return true;
}
