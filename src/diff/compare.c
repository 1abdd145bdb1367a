// SPDX-License-Identifier: Apache-2.0
#include "diff/compare.h"

#include <emmintrin.h>
#include <string.h>
#include <strobe/memory.h>

#include "view/build.h"
#include "view/view.h"

enum {
	PAGE = 4096,
	STEP = 8 << 20,		  // read before its pages are given back
	RELEASE_FROM = 256 << 10, // smaller stretches are not worth the call
	BLOCK = 64,		  // bytes whose differences make one mask
};

/** Zeros to compare with: what a hole reads as. */
static const uint8_t zeros[64 << 10] __attribute__((aligned(64)));

void compare_init(struct compare *compare, const struct strobe_view *a, const struct strobe_view *b)
{
	*compare = (struct compare){.a = {.view = a}, .b = {.view = b}};
}

/** Learns what the side has at `address`. */
static void look(struct compare_side *side, uint64_t address)
{
	size_t available = 0;
	uint64_t before = 0;
	side->start = address;
	side->bytes = view_pointer(side->view, address, &available);
	if (!side->bytes || !available) {
		struct strobe_memory_extent extent;
		strobe_memory_extent(side->view, address, &extent);
		side->kind = SIDE_MISSING;
		side->end = extent.end > address ? extent.end : UINT64_MAX;
		return;
	}
	side->end = address + available > address ? address + available : UINT64_MAX;
	side->kind = SIDE_BYTES;
	size_t in_source;
	if (!view_source_pointer(side->view, address, &in_source)) {
		side->kind = SIDE_FILE;
		return;
	}
	uint64_t hole = view_hole(side->view, side->bytes, available, &before);
	if (!hole)
		return;
	side->kind = before ? SIDE_BYTES : SIDE_ZERO;
	side->end = address + (before ? before : hole);
}

/** True if both sides have the bytes at the same place of one checked file. */
static bool same_file(const struct compare *compare, uint64_t a, uint64_t b)
{
	const struct strobe_mapping *left = strobe_view_mapping_at(compare->a.view, a);
	const struct strobe_mapping *right = strobe_view_mapping_at(compare->b.view, b);
	if (!left || !right ||
	    left->offset_bytes + (a - left->start) != right->offset_bytes + (b - right->start))
		return false;
	// A file without a build id may have been another one by the same name.
	if (left->module_index == SIZE_MAX || right->module_index == SIZE_MAX)
		return false;
	const char *id = strobe_view_module(compare->a.view, left->module_index)->build_id;
	const char *other = strobe_view_module(compare->b.view, right->module_index)->build_id;
	return id && other && strcmp(id, other) == 0;
}

void compare_next(struct compare *compare, uint64_t a, uint64_t b, uint64_t size,
		  struct compare_stretch *ret)
{
	struct compare_side *left = &compare->a, *right = &compare->b;
	if (a < left->start || a >= left->end)
		look(left, a);
	if (b < right->start || b >= right->end)
		look(right, b);
	*ret = (struct compare_stretch){.kind = COMPARE_BYTES, .size = size};
	if (ret->size > left->end - a)
		ret->size = left->end - a;
	if (ret->size > right->end - b)
		ret->size = right->end - b;
	if (left->kind == SIDE_MISSING || right->kind == SIDE_MISSING) {
		ret->kind = left->kind != right->kind
				    ? (left->kind == SIDE_MISSING ? COMPARE_MISSING_A
								  : COMPARE_MISSING_B)
				    : COMPARE_MISSING_BOTH;
		return;
	}
	if ((left->kind == SIDE_ZERO && right->kind == SIDE_ZERO) ||
	    (left->kind == SIDE_FILE && right->kind == SIDE_FILE && same_file(compare, a, b))) {
		ret->kind = COMPARE_EQUAL;
		return;
	}
	bool zero = left->kind == SIDE_ZERO || right->kind == SIDE_ZERO;
	uint64_t limit = zero ? sizeof(zeros) : STEP;
	if (ret->size > limit)
		ret->size = limit;
	ret->a = left->kind == SIDE_ZERO ? zeros : left->bytes + (a - left->start);
	ret->b = right->kind == SIDE_ZERO ? zeros : right->bytes + (b - right->start);
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

void compare_release(const struct compare *compare, const struct compare_stretch *stretch)
{
	if (stretch->kind != COMPARE_BYTES || stretch->size < RELEASE_FROM)
		return;
	view_release(compare->a.view, stretch->a, stretch->size);
	view_release(compare->b.view, stretch->b, stretch->size);
}
