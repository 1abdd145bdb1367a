// SPDX-License-Identifier: Apache-2.0
#include "memory/scan.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

// From this alignment on only the aligned places are visited, one by one.
enum { STRIDE_ALIGNMENT = 64 };

// How often a byte stands in memory, roughly; a bit that is not compared makes it worse.
static unsigned commonness(uint8_t byte, uint8_t mask)
{
	unsigned common = 10;
	if (byte == 0)
		common = 200;
	else if (byte == 0xff)
		common = 100;
	else if (byte <= 8 || byte == 0x7f || byte == 0x55)
		common = 60;
	else if (byte == ' ' || byte == 'e' || byte == 't' || byte == 'a' || byte == '0' ||
		 byte == '_')
		common = 50;
	else if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == 0x48)
		common = 35;
	return common + 120 * (unsigned)__builtin_popcount((uint8_t)~mask);
}

static void choose_bytes(struct scan *scan)
{
	unsigned best = UINT32_MAX, next = UINT32_MAX;
	for (size_t i = 0; i < scan->size; i++) {
		unsigned common = commonness(scan->pattern[i], scan->mask ? scan->mask[i] : 0xff);
		if (common < best) {
			next = best;
			scan->second = scan->first;
			best = common;
			scan->first = i;
		} else if (common < next) {
			next = common;
			scan->second = i;
		}
	}
	if (scan->size == 1)
		scan->second = scan->first;
}

static bool is_letter(uint8_t byte)
{
	byte |= 0x20;
	return byte >= 'a' && byte <= 'z';
}

bool scan_init(struct scan *scan, const uint8_t *pattern, const uint8_t *mask, size_t size,
	       bool ignore_case, uint64_t alignment)
{
	*scan = (struct scan){.size = size, .alignment = alignment ? alignment : 1};
	scan->storage = malloc(2 * size);
	if (!scan->storage)
		return false;
	uint8_t *masked = scan->storage, *bits = scan->storage + size;
	bool all = true;
	for (size_t i = 0; i < size; i++) {
		bits[i] = mask ? mask[i] : 0xff;
		if (ignore_case && is_letter(pattern[i]))
			bits[i] &= (uint8_t)~0x20;
		masked[i] = pattern[i] & bits[i];
		all = all && bits[i] == 0xff;
	}
	scan->pattern = masked;
	scan->mask = all ? NULL : bits;
	scan->has_avx2 = __builtin_cpu_supports("avx2");
	choose_bytes(scan);
	return true;
}

void scan_fini(struct scan *scan)
{
	free(scan->storage);
	*scan = (struct scan){0};
}

static bool matches(const struct scan *scan, const uint8_t *at)
{
	if (!scan->mask)
		return memcmp(at, scan->pattern, scan->size) == 0;
	for (size_t i = 0; i < scan->size; i++)
		if ((at[i] & scan->mask[i]) != scan->pattern[i])
			return false;
	return true;
}

/** What the vector loops compare. */
struct filter {
	uint8_t first, first_mask, second, second_mask;
	uint64_t aligned; // bit n: place n of a block of 64 is aligned
};

static uint64_t aligned_places(uint64_t alignment, uint64_t address)
{
	uint64_t places = 0;
	for (unsigned i = 0; i < 64; i++)
		if ((address + i) % alignment == 0)
			places |= UINT64_C(1) << i;
	return places;
}

static struct filter make_filter(const struct scan *scan, uint64_t address)
{
	const uint8_t *mask = scan->mask;
	struct filter filter = {
		.first = scan->pattern[scan->first],
		.first_mask = mask ? mask[scan->first] : 0xff,
		.second = scan->pattern[scan->second],
		.second_mask = mask ? mask[scan->second] : 0xff,
		.aligned = UINT64_MAX,
	};
	// Blocks are 64 apart: only a power of two gives every block the same places.
	if (scan->alignment > 1 && (scan->alignment & (scan->alignment - 1)) == 0)
		filter.aligned = aligned_places(scan->alignment, address);
	return filter;
}

/**
 * Candidates among the 64 places from `at` on, as bits. The bytes at + offset of the later of the
 * two + 63 must be readable.
 */
__attribute__((target("avx2"))) static uint64_t
candidates_avx2(const struct scan *scan, const struct filter *filter, const uint8_t *at)
{
	uint64_t found = 0;
	for (int half = 0; half < 2; half++) {
		const uint8_t *bytes = at + 32 * half;
		__m256i one = _mm256_loadu_si256((const __m256i *)(bytes + scan->first));
		__m256i two = _mm256_loadu_si256((const __m256i *)(bytes + scan->second));
		one = _mm256_and_si256(one, _mm256_set1_epi8((char)filter->first_mask));
		two = _mm256_and_si256(two, _mm256_set1_epi8((char)filter->second_mask));
		one = _mm256_cmpeq_epi8(one, _mm256_set1_epi8((char)filter->first));
		two = _mm256_cmpeq_epi8(two, _mm256_set1_epi8((char)filter->second));
		uint32_t bits = (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(one, two));
		found |= (uint64_t)bits << (32 * half);
	}
	return found;
}

static uint64_t candidates_sse2(const struct scan *scan, const struct filter *filter,
				const uint8_t *at)
{
	uint64_t found = 0;
	for (int quarter = 0; quarter < 4; quarter++) {
		const uint8_t *bytes = at + 16 * quarter;
		__m128i one = _mm_loadu_si128((const __m128i *)(bytes + scan->first));
		__m128i two = _mm_loadu_si128((const __m128i *)(bytes + scan->second));
		one = _mm_and_si128(one, _mm_set1_epi8((char)filter->first_mask));
		two = _mm_and_si128(two, _mm_set1_epi8((char)filter->second_mask));
		one = _mm_cmpeq_epi8(one, _mm_set1_epi8((char)filter->first));
		two = _mm_cmpeq_epi8(two, _mm_set1_epi8((char)filter->second));
		uint64_t bits = (uint32_t)_mm_movemask_epi8(_mm_and_si128(one, two));
		found |= bits << (16 * quarter);
	}
	return found;
}

__attribute__((target("avx2"))) static size_t skip_avx2(const struct scan *scan,
							const struct filter *filter,
							const uint8_t *bytes, size_t at, size_t end,
							uint64_t *found)
{
	for (; at < end; at += 64) {
		*found = candidates_avx2(scan, filter, bytes + at) & filter->aligned;
		if (*found)
			break;
	}
	return at;
}

static size_t skip_sse2(const struct scan *scan, const struct filter *filter, const uint8_t *bytes,
			size_t at, size_t end, uint64_t *found)
{
	for (; at < end; at += 64) {
		*found = candidates_sse2(scan, filter, bytes + at) & filter->aligned;
		if (*found)
			break;
	}
	return at;
}

static bool is_aligned(const struct scan *scan, uint64_t address)
{
	return scan->alignment == 1 || address % scan->alignment == 0;
}

static size_t find_by_stride(const struct scan *scan, const uint8_t *bytes, size_t last,
			     size_t from, uint64_t address)
{
	uint64_t past = (address + from) % scan->alignment;
	uint64_t at = from;
	if (past && __builtin_add_overflow(at, scan->alignment - past, &at))
		return SIZE_MAX;
	while (at <= last) {
		if (matches(scan, bytes + at))
			return (size_t)at;
		if (__builtin_add_overflow(at, scan->alignment, &at))
			break;
	}
	return SIZE_MAX;
}

size_t scan_find(const struct scan *scan, const uint8_t *bytes, size_t size, size_t from,
		 uint64_t address)
{
	if (size < scan->size || from > size - scan->size)
		return SIZE_MAX;
	size_t last = size - scan->size, at = from;
	if (scan->alignment >= STRIDE_ALIGNMENT)
		return find_by_stride(scan, bytes, last, from, address);
	struct filter filter = make_filter(scan, address + from);
	// Whole blocks: place + 63 + any offset within the pattern stays inside the bytes.
	size_t blocks = last >= at + 63 ? (last - at - 63) / 64 + 1 : 0;
	size_t end = at + blocks * 64;
	while (at < end) {
		uint64_t found = 0;
		at = scan->has_avx2 ? skip_avx2(scan, &filter, bytes, at, end, &found)
				    : skip_sse2(scan, &filter, bytes, at, end, &found);
		if (at >= end)
			break;
		for (; found; found &= found - 1) {
			size_t place = at + (size_t)__builtin_ctzll(found);
			if (matches(scan, bytes + place) && is_aligned(scan, address + place))
				return place;
		}
		at += 64;
	}
	for (; at <= last; at++)
		if (is_aligned(scan, address + at) && matches(scan, bytes + at))
			return at;
	return SIZE_MAX;
}
