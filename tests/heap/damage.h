// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_HEAP_DAMAGE_H
#define TESTS_HEAP_DAMAGE_H

// Damages words of an allocator's own structures at random and reads the heap again and again: it must
// end, in time that goes with the memory there is, with blocks in order and inside their regions.

#include <strobe/memory.h>
#include <strobe/overlay.h>
#include <time.h>

#include "holder.h"

/** Words that hold something, in memory that belongs to the allocator. */
struct damage_words {
	uint64_t *addresses;
	size_t count, capacity;
};

static inline void damage_add_words(struct damage_words *words, const struct strobe_view *view,
				    uint64_t start, uint64_t end)
{
	uint64_t bytes[512];
	for (start = (start + 7) & ~UINT64_C(7); start < end; start += sizeof(bytes)) {
		uint64_t size = end - start < sizeof(bytes) ? end - start : sizeof(bytes);
		size_t got = strobe_memory_read(view, start, bytes, size) / 8;
		for (size_t i = 0; i < got; i++) {
			if (!bytes[i] || words->count == words->capacity)
				continue;
			words->addresses[words->count++] = start + i * 8;
		}
	}
}

struct damage_check {
	const struct strobe_heap *heap;
	size_t region;
	uint64_t end, blocks, wrong, bytes;
};

static inline bool damage_check_block(void *context, const struct strobe_heap_block *block)
{
	struct damage_check *check = context;
	const struct strobe_heap_region *region;
	while (check->region < strobe_heap_region_count(check->heap) &&
	       strobe_heap_region(check->heap, check->region)->end <= block->address)
		check->region++;
	check->blocks++;
	if (check->region == strobe_heap_region_count(check->heap)) {
		check->wrong++;
		return true;
	}
	region = strobe_heap_region(check->heap, check->region);
	if (block->address < check->end || block->address < region->start || !block->size_bytes ||
	    block->size_bytes > region->end - block->address)
		check->wrong++;
	check->end = block->address + block->size_bytes;
	check->bytes += block->size_bytes;
	return true;
}

static inline uint64_t damage_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/** Something that a word could become. */
static inline uint64_t damage_value(const struct damage_words *words, uint64_t old, uint64_t *state)
{
	uint64_t value = damage_random(state);
	switch (damage_random(state) % 6) {
	case 0:
		return old ^ UINT64_C(1) << value % 64;
	case 1:
		return value;
	case 2:
		return value % 4096;
	case 3: // somewhere else in the books
		return words->addresses[value % words->count];
	case 4:
		return old + (value % 64 - 32) * 4096;
	default:
		return 0;
	}
}

/** Reads the heap `rounds` times, each time with some other words damaged. */
static inline void damage_rounds(struct holder *holder, const struct damage_words *words,
				 unsigned rounds, uint64_t seed)
{
	uint64_t state = seed, damaged = 0;
	struct timespec before, after;
	double longest_s = 0;
	CHECK(words->count > 0);
	for (unsigned i = 0; i < rounds; i++) {
		struct strobe_heap *heap;
		unsigned count = 1 + (unsigned)(damage_random(&state) % 24);
		for (unsigned j = 0; j < count; j++) {
			uint64_t address = words->addresses[damage_random(&state) % words->count];
			uint64_t old = 0, value;
			strobe_memory_read(holder->view, address, &old, sizeof(old));
			value = damage_value(words, old, &state);
			CHECK_OK(
				strobe_overlay_write(holder->view, address, &value, sizeof(value)));
		}
		clock_gettime(CLOCK_MONOTONIC, &before);
		CHECK_OK(strobe_heap_open(holder->symbols, &heap));
		struct damage_check check = {.heap = heap};
		CHECK_OK(strobe_heap_blocks(heap, damage_check_block, &check));
		clock_gettime(CLOCK_MONOTONIC, &after);
		double s = (double)(after.tv_sec - before.tv_sec) +
			   (double)(after.tv_nsec - before.tv_nsec) / 1e9;
		if (s > longest_s)
			longest_s = s;
		damaged += strobe_heap_damage_total(heap) > 0;
		strobe_heap_close(heap);
		if (check.wrong)
			printf("# round %u: %llu blocks of %llu are wrong\n", i,
			       (unsigned long long)check.wrong, (unsigned long long)check.blocks);
		CHECK_EQUAL(check.wrong, 0);
		CHECK_OK(strobe_overlay_undo(holder->view, count));
	}
	printf("# damage was told in %llu of %u rounds; the longest took %.3f s\n",
	       (unsigned long long)damaged, rounds, longest_s);
	CHECK(damaged > rounds / 10);
	CHECK(longest_s < 20);
}

#endif
