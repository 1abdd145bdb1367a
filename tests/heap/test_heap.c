// SPDX-License-Identifier: Apache-2.0
// What heap.c makes of what readers tell, with readers of its own.
#include "check.h"
#include "heap/allocator.h"

const struct strobe_view *strobe_symbols_view(const struct strobe_symbols *symbols)
{
	return NULL;
}

// Blocks of 16 bytes all over a region; damage at its start, told each time it is visited.
static struct strobe_error *visit_blocks(struct strobe_heap *heap, struct allocator *allocator,
					 const struct strobe_heap_region *region,
					 strobe_heap_visit visit, void *context, bool *stop)
{
	heap_damage(heap, region->start, 7, "region of arena %zu", region->arena);
	for (uint64_t at = region->start; !*stop && at + 16 <= region->end; at += 16) {
		const struct strobe_heap_block block = {
			.address = at, .size_bytes = 16, .arena = region->arena};
		*stop = !visit(context, &block);
	}
	return NULL;
}

static int closed;
static void close_reader(struct allocator *allocator)
{
	CHECK(allocator->state == &closed);
	closed++;
}

static struct strobe_error *find_two(struct strobe_heap *heap)
{
	static const uint64_t regions[][3] = {// start, end, arena
					      {0x5000, 0x6000, 0}, {0x1000, 0x2000, 0},
					      {0x1800, 0x2800, 1}, {0x1100, 0x1200, 1},
					      {0x5000, 0x5800, 1}, {0x9000, 0x9100, 1}};
	char name[] = "first";
	const struct strobe_heap_allocator told = {
		.name = name, .version = "1", .module = NULL, .evidence = "told"};
	struct strobe_error *error = heap_add_allocator(heap, &glibc_reader, &told, &closed);
	name[0] = 'x'; // it was copied
	for (size_t i = 0; !error && i < 2; i++) {
		size_t index = 99;
		error = heap_add_arena(heap, 0, i ? "other" : "main", 0x100 * i, &index);
		if (!error && index != i)
			abort();
	}
	for (size_t i = 0; !error && i < sizeof(regions) / sizeof(regions[0]); i++)
		error = heap_add_region(heap, regions[i][2], regions[i][0], regions[i][1]);
	return error;
}

static struct strobe_error *find_none(struct strobe_heap *heap)
{
	return NULL;
}

const struct allocator_reader glibc_reader = {
	.name = "glibc", .find = find_two, .blocks = visit_blocks, .close = close_reader};
const struct allocator_reader jemalloc_reader = {.name = "jemalloc", .find = find_none};
const struct allocator_reader musl_reader = {.name = "musl", .find = find_none};
const struct allocator_reader pymalloc_reader = {.name = "pymalloc", .find = find_none};

static struct strobe_heap *open_heap(void)
{
	struct strobe_heap *heap;
	CHECK_OK(strobe_heap_open(NULL, &heap));
	return heap;
}

static void test_regions(void)
{
	static const uint64_t want[][3] = {
		{0x1000, 0x2000, 0}, {0x2000, 0x2800, 1}, {0x5000, 0x6000, 0}, {0x9000, 0x9100, 1}};
	struct strobe_heap *heap = open_heap();
	CHECK_EQUAL(strobe_heap_allocator_count(heap), 1);
	CHECK_STRING(strobe_heap_allocator(heap, 0)->name, "first");
	CHECK(strobe_heap_allocator(heap, 0)->module == NULL);
	CHECK_EQUAL(strobe_heap_region_count(heap), 4);
	for (size_t i = 0; i < 4; i++) {
		CHECK_EQUAL(strobe_heap_region(heap, i)->start, want[i][0]);
		CHECK_EQUAL(strobe_heap_region(heap, i)->end, want[i][1]);
		CHECK_EQUAL(strobe_heap_region(heap, i)->arena, want[i][2]);
	}
	CHECK_EQUAL(strobe_heap_arena(heap, 0)->mapped_bytes, 0x2000);
	CHECK_EQUAL(strobe_heap_arena(heap, 1)->mapped_bytes, 0x900);
	CHECK_EQUAL(strobe_heap_damage_count(heap), 3); // overlaps
	closed = 0;
	strobe_heap_close(heap);
	CHECK_EQUAL(closed, 1);
}

static bool count_some(void *context, const struct strobe_heap_block *block)
{
	uint64_t *left = context;
	return --*left > 0;
}

static void test_damage_is_told_once(void)
{
	struct strobe_heap *heap = open_heap();
	uint64_t left = 300; // all of the first region, and a part of the second
	CHECK_OK(strobe_heap_blocks(heap, count_some, &left));
	CHECK_EQUAL(left, 0);
	CHECK_EQUAL(strobe_heap_damage_count(heap), 5);
	for (unsigned i = 0; i < 3; i++) {
		left = 100000;
		CHECK_OK(strobe_heap_blocks(heap, count_some, &left));
		CHECK_EQUAL(left, 100000 - (0x2900 / 16));
		CHECK_EQUAL(strobe_heap_damage_count(heap), 7);
		CHECK_EQUAL(strobe_heap_damage_total(heap), 7);
	}
	CHECK_STRING(strobe_heap_damage(heap, 3)->what, "region of arena 0");
	CHECK_EQUAL(strobe_heap_damage(heap, 3)->lost_bytes, 7);
	strobe_heap_close(heap);
}

static void test_much_damage(void)
{
	struct strobe_heap *heap = open_heap();
	for (unsigned i = 0; i < 5000; i++)
		heap_damage(heap, i, 0, "number %u", i);
	CHECK_EQUAL(strobe_heap_damage_count(heap), 1000);
	CHECK_EQUAL(strobe_heap_damage_total(heap), 5003);
	strobe_heap_close(heap);
}

CHECK_MAIN({"regions are sorted, and overlaps cut", test_regions},
	   {"damage is told once", test_damage_is_told_once},
	   {"more damage than is kept", test_much_damage})
