// SPDX-License-Identifier: Apache-2.0
#include "diff/compare.h"

#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

enum {
	PAGE = 4096,
	STEP = 8 << 20,		// read before its pages are given back
	FETCH_LEAST = 64 << 10, // fetched at once, of what is not mapped
	FETCH_MOST = 1 << 20,
	RELEASE_FROM = 256 << 10, // smaller stretches are not worth the call
	BLOCK = 64,		  // bytes whose differences make one mask
};

/** Zeros to compare with: what a hole reads as. */
static const uint8_t zeros[64 << 10] __attribute__((aligned(64)));

bool compare_init(struct compare *compare, const struct strobe_view *a, const struct strobe_view *b)
{
	*compare = (struct compare){.a = {.view = a}, .b = {.view = b}};
	compare->a.buffer = malloc(FETCH_MOST);
	compare->b.buffer = malloc(FETCH_MOST);
	return compare->a.buffer && compare->b.buffer;
}

void compare_fini(struct compare *compare)
{
	free(compare->a.buffer);
	free(compare->b.buffer);
}

static bool is_to_be_read(const struct compare_side *side)
{
	return side->run.kind == VIEW_RUN_DATA || side->run.kind == VIEW_RUN_FILE;
}

/** Learns what kind of memory the side has at `address`; `wanted` bytes of it matter. */
static void find_run(struct compare_side *side, uint64_t address, uint64_t wanted)
{
	if (side->run_start <= address && address < side->run.end)
		return;
	uint64_t limit = address + wanted > address ? address + wanted : UINT64_MAX;
	view_run_at(side->view, address, limit, &side->run);
	side->run_start = address;
}

/** Gets the bytes at `address`, of a run that is to be read. */
static void find_bytes(struct compare_side *side, uint64_t address, uint64_t wanted)
{
	size_t available = 0, size = FETCH_MOST;
	if (side->start <= address && address < side->end)
		return;
	if (wanted < FETCH_MOST)
		size = wanted < FETCH_LEAST ? FETCH_LEAST : (size_t)wanted;
	side->start = address;
	side->bytes = view_stream(side->view, address, side->buffer, size, &available);
	if (side->bytes && available) {
		side->end = address + available > address ? address + available : UINT64_MAX;
		return;
	}
	side->bytes = NULL;
	side->end = (address | (PAGE - 1)) + 1;
	if (side->run.kind == VIEW_RUN_FILE) { // that file is not there: it may be large
		struct strobe_memory_extent extent;
		strobe_memory_extent(side->view, address, &extent);
		side->end = extent.end > address ? extent.end : UINT64_MAX;
	}
}

/** True if both sides have memory as it is at the same place of one checked file. */
static bool same_file(const struct compare *compare, uint64_t a, uint64_t b)
{
	const struct strobe_mapping *left = strobe_view_mapping_at(compare->a.view, a);
	const struct strobe_mapping *right = strobe_view_mapping_at(compare->b.view, b);
	if (!left || !right ||
	    left->offset_bytes + (a - left->start) != right->offset_bytes + (b - right->start))
		return false;
	// A file without a build id may have been another one by the same name, or have changed; so
	// may what is shared.
	if (left->module_index == SIZE_MAX || right->module_index == SIZE_MAX ||
	    (left->permissions | right->permissions) & STROBE_PERMISSION_SHARED)
		return false;
	const char *id = strobe_view_module(compare->a.view, left->module_index)->build_id;
	const char *other = strobe_view_module(compare->b.view, right->module_index)->build_id;
	return id && other && strcmp(id, other) == 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/** The bytes of a side whose run is known, for the stretch, which is cut where they end. */
static const uint8_t *take_bytes(struct compare_side *side, uint64_t address,
				 struct compare_stretch *stretch)
{
	if (side->run.kind == VIEW_RUN_MISSING)
		return NULL;
	if (side->run.kind == VIEW_RUN_ZERO) {
		stretch->size = least(stretch->size, sizeof(zeros));
		return zeros;
	}
	find_bytes(side, address, stretch->size);
	stretch->size = least(stretch->size, side->end - address);
	return side->bytes ? side->bytes + (address - side->start) : NULL;
}

void compare_next(struct compare *compare, uint64_t a, uint64_t b, uint64_t size,
		  struct compare_stretch *ret)
{
	struct compare_side *left = &compare->a, *right = &compare->b;
	find_run(left, a, size);
	find_run(right, b, size);
	*ret = (struct compare_stretch){.kind = COMPARE_BYTES};
	ret->size = least(size, least(left->run.end - a, right->run.end - b));
	bool zero = left->run.kind == VIEW_RUN_ZERO && right->run.kind == VIEW_RUN_ZERO;
	bool file = left->run.kind == VIEW_RUN_FILE && right->run.kind == VIEW_RUN_FILE;
	if (zero || (file && same_file(compare, a, b))) {
		ret->kind = COMPARE_EQUAL;
		return;
	}
	if (is_to_be_read(left) || is_to_be_read(right))
		ret->size = least(ret->size, STEP);
	ret->a = take_bytes(left, a, ret);
	ret->b = take_bytes(right, b, ret);
	if (!ret->a || !ret->b)
		ret->kind = ret->a   ? COMPARE_MISSING_B
			    : ret->b ? COMPARE_MISSING_A
				     : COMPARE_MISSING_BOTH;
}

/** Bit n: bytes n differ. */
static uint64_t differences(const uint8_t *a, const uint8_t *b)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < BLOCK / 16; i++) {
		__m128i left = _mm_loadu_si128((const __m128i *)(const void *)(a + i * 16));
		__m128i right = _mm_loadu_si128((const __m128i *)(const void *)(b + i * 16));
		uint32_t equal = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(left, right));
		mask |= (uint64_t)(~equal & 0xffff) << (i * 16);
	}
	return mask;
}

/** The same of `size` < 64 bytes. */
static uint64_t tail_differences(const uint8_t *a, const uint8_t *b, uint64_t size)
{
	uint64_t mask = 0;
	for (uint64_t i = 0; i < size; i++)
		mask |= (uint64_t)(a[i] != b[i]) << i;
	return mask;
}

void compare_flush(struct compare_ranges *ranges)
{
	if (ranges->start < ranges->end && !ranges->stopped &&
	    !ranges->visit(ranges->context, ranges->start, ranges->end, ranges->changed))
		ranges->stopped = true;
	ranges->start = ranges->end = ranges->changed = 0;
}

static void add_run(struct compare_ranges *ranges, uint64_t start, uint64_t size)
{
	if (ranges->start == ranges->end || start - ranges->end >= COMPARE_MERGE_BYTES) {
		compare_flush(ranges);
		ranges->start = start;
	}
	ranges->end = start + size;
	ranges->changed += size;
	ranges->changed_bytes += size;
}

static void add_mask(struct compare_ranges *ranges, uint64_t address, uint64_t mask)
{
	for (unsigned at = 0; mask;) {
		unsigned skip = (unsigned)__builtin_ctzll(mask);
		mask >>= skip;
		at += skip;
		unsigned size = ~mask ? (unsigned)__builtin_ctzll(~mask) : BLOCK;
		add_run(ranges, address + at, size);
		mask = size < BLOCK ? mask >> size : 0;
		at += size;
	}
}

/** At most the rest of one page, of which is known that something differs. */
static void compare_page(struct compare_ranges *ranges, uint64_t address, const uint8_t *a,
			 const uint8_t *b, uint64_t size)
{
	if (ranges->last_page != address / PAGE + 1) {
		ranges->last_page = address / PAGE + 1;
		ranges->changed_pages++;
	}
	uint64_t at = 0;
	for (; at + BLOCK <= size && !ranges->stopped; at += BLOCK)
		add_mask(ranges, address + at, differences(a + at, b + at));
	if (at < size && !ranges->stopped)
		add_mask(ranges, address + at, tail_differences(a + at, b + at, size - at));
}

void compare_bytes(struct compare_ranges *ranges, uint64_t address, const uint8_t *a,
		   const uint8_t *b, uint64_t size)
{
	if (a == b)
		return;
	while (size && !ranges->stopped) {
		uint64_t step = PAGE - address % PAGE;
		if (step > size)
			step = size;
		if (memcmp(a, b, step) != 0)
			compare_page(ranges, address, a, b, step);
		address += step;
		a += step;
		b += step;
		size -= step;
	}
}

/** The first of `size` bytes that differs, which is known to be there. */
static uint64_t first_of(const uint8_t *a, const uint8_t *b, uint64_t size)
{
	uint64_t at = 0;
	for (; at + BLOCK <= size; at += BLOCK) {
		uint64_t mask = differences(a + at, b + at);
		if (mask)
			return at + (unsigned)__builtin_ctzll(mask);
	}
	while (a[at] == b[at])
		at++;
	return at;
}

uint64_t compare_first(struct compare *compare, uint64_t a, uint64_t b, uint64_t offset,
		       uint64_t size)
{
	while (offset < size) {
		struct compare_stretch stretch;
		compare_next(compare, a + offset, b + offset, size - offset, &stretch);
		for (uint64_t at = 0; stretch.kind == COMPARE_BYTES && at < stretch.size;) {
			uint64_t step = stretch.size - at < PAGE ? stretch.size - at : PAGE;
			if (memcmp(stretch.a + at, stretch.b + at, step) != 0)
				return offset + at + first_of(stretch.a + at, stretch.b + at, step);
			at += step;
		}
		compare_release(compare, &stretch);
		offset += stretch.size;
	}
	return size;
}

static void release(const struct compare_side *side, const uint8_t *bytes, uint64_t size)
{
	bool fetched = bytes >= side->buffer && bytes < side->buffer + FETCH_MOST;
	if (is_to_be_read(side) && !fetched)
		view_release(side->view, bytes, size);
}

void compare_release(const struct compare *compare, const struct compare_stretch *stretch)
{
	if (stretch->kind != COMPARE_BYTES || stretch->size < RELEASE_FROM)
		return;
	release(&compare->a, stretch->a, stretch->size);
	release(&compare->b, stretch->b, stretch->size);
}
