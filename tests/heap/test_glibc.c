// SPDX-License-Identifier: Apache-2.0
// glibc's books in the layouts of its versions, whole and damaged.
#include <inttypes.h>
#include <strobe/overlay.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "synthetic_heap.h"

static struct synthetic_heap synthetic;

/** What was opened; closed by close_all(). */
static struct opened {
	char path[64];
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_heap *heap;
} opened;

static void close_heap(void)
{
	opened.heap = strobe_heap_close(opened.heap);
	opened.symbols = strobe_symbols_close(opened.symbols);
}

static void close_all(void)
{
	close_heap();
	opened.view = strobe_view_close(opened.view);
	unlink(opened.path);
}

static void open_heap(void)
{
	CHECK_OK(strobe_symbols_open(opened.view, &opened.symbols));
	CHECK_OK(strobe_heap_open(opened.symbols, &opened.heap));
}

/** The synthetic heap as it stands, as a view. */
static void open_view(void)
{
	const struct strobe_view_options options = {.size = sizeof(options),
						    .sysroot = "/nonexistent",
						    .debug_directories = "/nonexistent",
						    .no_debuginfod = true};
	close_all();
	strcpy(opened.path, "/tmp/strobe-heap-XXXXXX");
	int fd = mkstemp(opened.path);
	CHECK(fd >= 0);
	close(fd);
	synthetic_heap_save(&synthetic, opened.path);
	CHECK_OK(strobe_view_open(opened.path, &options, &opened.view));
}

static void open_version(const struct synthetic_version *version)
{
	synthetic_heap_make(&synthetic, version);
	open_view();
	open_heap();
}

static const struct synthetic_version *version_named(const char *name)
{
	for (size_t i = 0; i < synthetic_version_count; i++)
		if (strcmp(synthetic_versions[i].name, name) == 0)
			return &synthetic_versions[i];
	abort();
}

/** Blocks as they are visited, checked for what always holds. */
struct seen {
	struct strobe_heap_block blocks[SYNTHETIC_BLOCKS * 64];
	size_t count, limit;
	uint64_t end;
	bool broken;
};
static struct seen seen;

static bool lies_in_region(const struct strobe_heap_block *block)
{
	for (size_t i = 0; i < strobe_heap_region_count(opened.heap); i++) {
		const struct strobe_heap_region *region = strobe_heap_region(opened.heap, i);
		if (block->address >= region->start &&
		    block->address + block->size_bytes <= region->end &&
		    block->address + block->size_bytes > block->address)
			return region->arena == block->arena;
	}
	return false;
}

static bool see(void *context, const struct strobe_heap_block *block)
{
	if (block->address < seen.end || !lies_in_region(block)) {
		printf("# block 0x%" PRIx64 " of %" PRIu64 " bytes behind 0x%" PRIx64 "\n",
		       block->address, block->size_bytes, seen.end);
		seen.broken = true;
	}
	seen.end = block->address + block->size_bytes;
	if (seen.count < sizeof(seen.blocks) / sizeof(seen.blocks[0]))
		seen.blocks[seen.count] = *block;
	return ++seen.count < seen.limit;
}

static void visit(size_t limit)
{
	seen.count = 0;
	seen.end = 0;
	seen.limit = limit;
	seen.broken = false;
	CHECK_OK(strobe_heap_blocks(opened.heap, see, NULL));
	CHECK(!seen.broken);
}

static const struct strobe_heap_block *block_at(uint64_t address)
{
	for (size_t i = 0; i < seen.count; i++)
		if (seen.blocks[i].address == address)
			return &seen.blocks[i];
	return NULL;
}

/** How many of the heap's blocks were not seen as they are. */
static size_t count_wrong(bool tell)
{
	size_t wrong = 0;
	for (size_t i = 0; i < synthetic.block_count; i++) {
		const struct strobe_heap_block *want = &synthetic.blocks[i],
					       *got = block_at(want->address);
		if (got && got->size_bytes == want->size_bytes && got->state == want->state)
			continue;
		wrong++;
		if (tell)
			printf("# 0x%" PRIx64 ": %" PRIu64 " bytes, state %d; seen: %" PRIu64
			       ", %d\n",
			       want->address, want->size_bytes, want->state,
			       got ? got->size_bytes : 0, got ? (int)got->state : -1);
	}
	return wrong;
}

static void tell_damage(void)
{
	for (size_t i = 0; i < strobe_heap_damage_count(opened.heap); i++) {
		const struct strobe_heap_damage *damage = strobe_heap_damage(opened.heap, i);
		printf("# damage at 0x%" PRIx64 ", %" PRIu64 " lost: %s\n", damage->address,
		       damage->lost_bytes, damage->what);
	}
}

static void test_versions(void)
{
	for (size_t i = 0; i < synthetic_version_count; i++) {
		printf("# %s\n", synthetic_versions[i].name);
		open_version(&synthetic_versions[i]);
		visit(SIZE_MAX);
		tell_damage();
		CHECK_EQUAL(count_wrong(true), 0);
		CHECK_EQUAL(seen.count, synthetic.block_count);
		CHECK_EQUAL(strobe_heap_damage_total(opened.heap), 0);
		CHECK_EQUAL(strobe_heap_allocator_count(opened.heap), 1);
		CHECK_STRING(strobe_heap_allocator(opened.heap, 0)->name, "glibc");
		CHECK_EQUAL(strobe_heap_arena_count(opened.heap), 3);
	}
	close_all();
}

static void test_stopping(void)
{
	open_version(version_named("2.35"));
	for (size_t limit = 1; limit <= synthetic.block_count; limit++) {
		visit(limit);
		CHECK_EQUAL(seen.count, limit);
	}
	close_all();
}

/** Damages one word, and expects `text` to be told, `wrong` blocks at most to be seen otherwise. */
struct damage_case {
	const char *name, *text;
	uint64_t address, word;
	size_t wrong;
};

static bool is_told(const char *text)
{
	for (size_t i = 0; i < strobe_heap_damage_count(opened.heap); i++)
		if (strstr(strobe_heap_damage(opened.heap, i)->what, text))
			return true;
	return false;
}

static uint64_t nth_block(enum strobe_heap_state state, size_t n)
{
	for (size_t i = 0; i < synthetic.block_count; i++)
		if (synthetic.blocks[i].state == state && n-- == 0)
			return synthetic.blocks[i].address;
	abort();
}

static void expect(const struct damage_case *damage)
{
	synthetic_heap_make(&synthetic, version_named("2.35"));
	synthetic_heap_put(&synthetic, damage->address, damage->word);
	open_view();
	open_heap();
	visit(SIZE_MAX);
	size_t wrong = count_wrong(false);
	if (!is_told(damage->text) || wrong > damage->wrong) {
		printf("# %s: %zu blocks are seen otherwise\n", damage->name, wrong);
		count_wrong(true);
		tell_damage();
	}
	CHECK(is_told(damage->text));
	CHECK(wrong <= damage->wrong);
	CHECK(strobe_heap_damage_total(opened.heap) >= 1);
	// Another visit tells nothing new.
	uint64_t total = strobe_heap_damage_total(opened.heap);
	visit(SIZE_MAX);
	CHECK_EQUAL(strobe_heap_damage_total(opened.heap), total);
}

static void test_damaged_chunks(void)
{
	synthetic_heap_make(&synthetic, version_named("2.35"));
	uint64_t allocated = nth_block(STROBE_HEAP_ALLOCATED, 1), cached, fast, free_one, top;
	cached = nth_block(STROBE_HEAP_FREE_CACHED, 1);
	fast = nth_block(STROBE_HEAP_FREE_FASTBIN, 1);
	free_one = nth_block(STROBE_HEAP_FREE, 1);
	top = nth_block(STROBE_HEAP_TOP, 0);
	const struct damage_case cases[] = {
		{"a wild size", "no chunk has the size", allocated - 8, 0x4141414141414141, 1},
		{"a size of 0", "no chunk has the size", allocated - 8, 0, 1},
		{"a size beyond the end", "no chunk has the size", allocated - 8, 0x20001, 1},
		{"a size a little too large", "but the next one begins", allocated - 8, 0x61, 1},
		{"a size a little too small", "", allocated - 8, 0x31, 3},
		{"a wrong size before", "as is told there", free_one - 16 + 0x190 /* next */, 0x77,
		 1},
		{"a cache's link into nothing", "where no chunk is", cached, 0x1234, 4},
		{"a cache's link to itself", "goes round", cached, cached ^ cached >> 12, 4},
		{"a fast bin's link into nothing", "where no chunk is", fast, 0x5678, 6},
		{"a bin's link into nothing", "where no chunk is", free_one, 0x66666660, 0},
		{"a bin's link back to another", "does not lead back", free_one + 8, cached - 16,
		 0},
		{"a wild size of the top", "the top's size", top - 8, 0x999999991, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(&cases[i]);
	close_all();
}

static void test_damaged_arenas(void)
{
	synthetic_heap_make(&synthetic, version_named("2.35"));
	const uint64_t main_bins = 0x7f1200000100 + 112, other = 0x7e0000000000;
	const struct damage_case cases[] = {
		{"the main top elsewhere", "", main_bins - 16, 0x1230, 1},
		{"the main top in the middle", "but other chunks are there", main_bins - 16,
		 synthetic.blocks[7].address - 16, 0},
		{"the main top where no chunk is", "but other chunks are there", main_bins - 16,
		 synthetic.blocks[7].address, 1},
		{"the other top elsewhere", "", other + 0x30 + 112 - 16, 0x4567, 1},
		{"a ring that leads nowhere", "the ring of arenas leads", main_bins + 2048, 0x99990,
		 0},
		{"a ring that goes round", "the ring of arenas leads", other + 0x30 + 112 + 2048,
		 other + 0x30, 0},
		{"a heap's size", "a heap's size", other + 16, 0x123456789, 0},
		{"mmapped chunks that are not there", "malloc counts", 0x7f1200004000 + 60,
		 2 | UINT64_C(65536) << 32, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(&cases[i]);
	close_all();
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/** A word that was, or was nearly, or is nonsense. */
static uint64_t damaged(uint64_t word, uint64_t *state)
{
	switch (next_random(state) % 6) {
	case 0:
		return next_random(state);
	case 1:
		return word ^ UINT64_C(1) << next_random(state) % 64;
	case 2:
		return 0;
	case 3:
		return synthetic.blocks[next_random(state) % synthetic.block_count].address - 16;
	case 4:
		return word + 16 * (next_random(state) % 9) - 64;
	default:
		return next_random(state) % 0x20000;
	}
}

/** Words with books in them are chosen more often than a program's data. */
static uint64_t random_place(uint64_t *state)
{
	const struct strobe_heap_block *block =
		&synthetic.blocks[next_random(state) % synthetic.block_count];
	if (next_random(state) % 3)
		return (block->address & 0xfff ? block->address - 16 : block->address) +
		       8 * (next_random(state) % 6);
	size_t segment = next_random(state) % 4;
	uint64_t size = segment ? SYNTHETIC_SEGMENT_SIZE : 0x1000;
	return synthetic.segments[segment].start + 8 * (next_random(state) % (size / 8));
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void test_random_damage(void)
{
	enum { ROUNDS = 4000 };
	uint64_t state = 88172645463325252, wrong[8] = {0}, rounds[8] = {0};
	double slowest = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		const struct synthetic_version *version =
			&synthetic_versions[round % synthetic_version_count];
		unsigned words = 1 + round % 7;
		if (round < synthetic_version_count || round % 64 < synthetic_version_count) {
			synthetic_heap_make(&synthetic, version);
			open_view();
		}
		for (unsigned i = 0; i < words; i++) {
			uint64_t place = random_place(&state);
			uint64_t word = damaged(synthetic_heap_get(&synthetic, place), &state);
			CHECK_OK(strobe_overlay_write(opened.view, place, &word, 8));
		}
		double start = now();
		open_heap();
		visit(SIZE_MAX);
		double took = now() - start;
		slowest = took > slowest ? took : slowest;
		CHECK(seen.count <= SYNTHETIC_BLOCKS * 64);
		wrong[words] += count_wrong(false);
		rounds[words]++;
		close_heap();
		CHECK_OK(strobe_overlay_undo(opened.view, words));
	}
	for (unsigned i = 1; i < 8; i++)
		printf("# %u damaged words: %.2f of %zu blocks are seen otherwise\n", i,
		       (double)wrong[i] / (double)rounds[i], synthetic.block_count);
	printf("# the slowest took %.1f ms\n", slowest * 1e3);
	CHECK(slowest < 2);
	CHECK(wrong[1] < rounds[1]);
	close_all();
}

CHECK_MAIN({"layouts of versions", test_versions}, {"a visitor that has enough", test_stopping},
	   {"damaged chunks", test_damaged_chunks}, {"damaged arenas", test_damaged_arenas},
	   {"words damaged at random", test_random_damage})
