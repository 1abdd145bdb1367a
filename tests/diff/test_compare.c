// SPDX-License-Identifier: Apache-2.0
// The ranges of differing bytes, against a byte by byte comparison.
#include "check.h"

#include <string.h>

#include "diff/compare.h"

enum { SIZE = 3 * 4096 + 40, RANGE_LIMIT = SIZE };

struct found {
	size_t count, stop_after;
	uint64_t starts[RANGE_LIMIT], ends[RANGE_LIMIT], changed[RANGE_LIMIT];
};

static bool keep(void *context, uint64_t start, uint64_t end, uint64_t changed_bytes)
{
	struct found *found = context;
	found->starts[found->count] = start;
	found->ends[found->count] = end;
	found->changed[found->count++] = changed_bytes;
	return found->count != found->stop_after;
}

/** What compare_bytes() should find, as its header says it. */
static void find_slowly(const uint8_t *a, const uint8_t *b, size_t size, uint64_t address,
			struct found *found)
{
	found->count = 0;
	for (size_t i = 0; i < size; i++) {
		if (a[i] == b[i])
			continue;
		size_t last = found->count - 1;
		if (found->count && address + i - found->ends[last] < COMPARE_MERGE_BYTES) {
			found->ends[last] = address + i + 1;
			found->changed[last]++;
		} else {
			keep(found, address + i, address + i + 1, 1);
		}
	}
}

static uint32_t state = 12345;
static uint32_t next_random(void)
{
	state = state * 1664525 + 1013904223;
	return state >> 8;
}

static uint8_t left[SIZE], right[SIZE];
static struct found expected, got;

/** Compares in pieces of `step` bytes. */
static void find(size_t size, uint64_t address, size_t step)
{
	struct compare_ranges ranges = {.visit = keep, .context = &got};
	got.count = 0;
	for (size_t at = 0; at < size; at += step)
		compare_bytes(&ranges, address + at, left + at, right + at,
			      size - at < step ? size - at : step);
	compare_flush(&ranges);
}

static bool same(void)
{
	return got.count == expected.count &&
	       memcmp(got.starts, expected.starts, got.count * 8) == 0 &&
	       memcmp(got.ends, expected.ends, got.count * 8) == 0 &&
	       memcmp(got.changed, expected.changed, got.count * 8) == 0;
}

static void random_ranges(void)
{
	static const size_t steps[] = {SIZE, 4096, 64, 63, 1, 1000};
	static const unsigned rarities[] = {1, 2, 5, 9, 40, 300, 5000};
	for (size_t round = 0; round < 84; round++) {
		unsigned rarity = rarities[round % 7];
		uint64_t address = 0x7000 + next_random() % 5000;
		size_t size = SIZE - next_random() % 200;
		for (size_t i = 0; i < SIZE; i++) {
			left[i] = (uint8_t)next_random();
			right[i] = left[i] ^ (next_random() % rarity == 0);
		}
		find_slowly(left, right, size, address, &expected);
		find(size, address, steps[round % 6]);
		CHECK(same());
	}
}

static void gaps(void)
{
	for (size_t gap = 0; gap < 80; gap++) {
		memset(left, 0, SIZE);
		memset(right, 0, SIZE);
		right[50] = right[51 + gap] = 1;
		find(SIZE, 4096, SIZE);
		CHECK(got.count == (gap < 8 ? 1u : 2u));
		CHECK(got.starts[0] == 4096 + 50);
		CHECK(got.ends[got.count - 1] == 4096 + 52 + gap);
	}
}

static void sums(void)
{
	struct compare_ranges ranges = {.visit = keep, .context = &got};
	memset(left, 0, SIZE);
	memset(right, 0, SIZE);
	// Two pages, of which one is looked at in two pieces.
	right[10] = right[11] = right[2000] = right[3000] = right[5000] = 7;
	got.count = 0;
	compare_bytes(&ranges, 8192, left, right, 2500);
	compare_bytes(&ranges, 8192 + 2500, left + 2500, right + 2500, SIZE - 2500);
	compare_flush(&ranges);
	CHECK(ranges.changed_pages == 2);
	CHECK(ranges.changed_bytes == 5);
	CHECK(got.count == 4);
}

static void stop(void)
{
	struct compare_ranges ranges = {.visit = keep, .context = &got};
	memset(left, 0, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		right[i] = i % 20 == 0;
	got.count = 0;
	got.stop_after = 3;
	compare_bytes(&ranges, 4096, left, right, SIZE);
	compare_flush(&ranges);
	CHECK(ranges.stopped && got.count == 3);
	got.stop_after = 0;
}

CHECK_MAIN({"ranges are those of a slow comparison, however the memory comes in pieces",
	    random_ranges},
	   {"differences less than 8 equal bytes apart are one range", gaps},
	   {"pages and bytes are counted once", sums},
	   {"a visitor that has seen enough ends it", stop})
