// SPDX-License-Identifier: Apache-2.0
// Damages words of a heap at random, one to six at once, on top of the view: damage_blocks ROUNDS SEED TARGET. What is
// visited must be in order all the same. Tells how many blocks a damaged word makes others, and how long the slowest
// round took.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strobe/heap.h>
#include <strobe/memory.h>
#include <strobe/overlay.h>
#include <time.h>

enum { MAX_WORDS = 6 };

struct blocks {
	const struct strobe_heap *heap;
	struct strobe_heap_block *items;
	size_t count, capacity, region;
	uint64_t end;
};

static bool keep(void *context, const struct strobe_heap_block *block)
{
	struct blocks *blocks = context;
	uint64_t end = block->address + block->size_bytes;
	size_t count = strobe_heap_region_count(blocks->heap);
	while (blocks->region < count &&
	       strobe_heap_region(blocks->heap, blocks->region)->end <= block->address)
		blocks->region++;
	if (blocks->region == count || block->address < blocks->end || end <= block->address ||
	    block->address < strobe_heap_region(blocks->heap, blocks->region)->start ||
	    end > strobe_heap_region(blocks->heap, blocks->region)->end) {
		printf("broken 0x%" PRIx64 " %" PRIu64 "\n", block->address, block->size_bytes);
		exit(3);
	}
	if (blocks->count == blocks->capacity) {
		blocks->capacity = blocks->capacity ? 2 * blocks->capacity : 4096;
		blocks->items = realloc(blocks->items, blocks->capacity * sizeof(*block));
		if (!blocks->items)
			exit(4);
	}
	blocks->items[blocks->count++] = *block;
	blocks->end = end;
	return true;
}

static void stop_at(struct strobe_error *error)
{
	if (!error)
		return;
	printf("damage_blocks: %s\n", strobe_error_message(error));
	exit(1);
}

/** The heap's blocks, and where its arenas are. */
static void visit(struct strobe_view *view, struct blocks *ret, uint64_t *arenas, size_t *count)
{
	struct strobe_symbols *symbols;
	struct strobe_heap *heap;
	stop_at(strobe_symbols_open(view, &symbols));
	stop_at(strobe_heap_open(symbols, &heap));
	ret->heap = heap;
	ret->count = ret->region = 0;
	ret->end = 0;
	stop_at(strobe_heap_blocks(heap, keep, ret));
	for (size_t i = 0; arenas && i < strobe_heap_arena_count(heap) && i < 64; i++)
		if (strobe_heap_arena(heap, i)->address)
			arenas[(*count)++] = strobe_heap_arena(heap, i)->address;
	strobe_heap_close(heap);
	strobe_symbols_close(symbols);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t random_place(const struct blocks *blocks, const uint64_t *arenas, size_t count,
			     uint64_t *state)
{
	const struct strobe_heap_block *block = &blocks->items[next_random(state) % blocks->count];
	switch (next_random(state) % 4) {
	case 0:
		return arenas[next_random(state) % count] + 8 * (next_random(state) % 275);
	case 1:
		return (block->address & ~UINT64_C(7)) +
		       8 * (next_random(state) % (block->size_bytes / 8 + 1));
	default:
		return (block->address & ~UINT64_C(7)) - 16 + 8 * (next_random(state) % 5);
	}
}

static uint64_t random_word(const struct blocks *blocks, uint64_t word, uint64_t *state)
{
	switch (next_random(state) % 5) {
	case 0:
		return next_random(state);
	case 1:
		return word ^ UINT64_C(1) << next_random(state) % 64;
	case 2:
		return 0;
	case 3:
		return blocks->items[next_random(state) % blocks->count].address - 16;
	default:
		return next_random(state) % 0x20000;
	}
}

static size_t damage(struct strobe_view *view, const struct blocks *blocks, const uint64_t *arenas,
		     size_t count, unsigned words, uint64_t *state)
{
	size_t written = 0;
	for (unsigned i = 0; i < words; i++) {
		uint64_t at = random_place(blocks, arenas, count, state), word = 0;
		strobe_memory_read(view, at, &word, 8);
		word = random_word(blocks, word, state);
		struct strobe_error *error = strobe_overlay_write(view, at, &word, 8);
		written += !error;
		strobe_error_free(error); // at the edge of a mapping
	}
	return written;
}

/** How many of `whole` are not among `seen` as they were. */
static size_t count_others(const struct blocks *whole, const struct blocks *seen)
{
	size_t others = 0, at = 0;
	for (size_t i = 0; i < whole->count; i++) {
		const struct strobe_heap_block *block = &whole->items[i];
		while (at < seen->count && seen->items[at].address < block->address)
			at++;
		others += at == seen->count || seen->items[at].address != block->address ||
			  seen->items[at].size_bytes != block->size_bytes ||
			  seen->items[at].state != block->state;
	}
	return others;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_view *view;
	struct blocks whole = {.items = NULL}, seen = {.items = NULL};
	uint64_t arenas[64], state = argc > 3 ? strtoull(argv[2], NULL, 10) * 2 + 1 : 1;
	size_t arena_count = 0, words = 0, others = 0;
	double slowest = 0;
	if (argc != 4)
		return 2;
	stop_at(strobe_view_open(argv[3], &options, &view));
	visit(view, &whole, arenas, &arena_count);
	if (!whole.count || !arena_count)
		return 5;
	for (unsigned round = 0; round < (unsigned)atoi(argv[1]); round++) {
		size_t written =
			damage(view, &whole, arenas, arena_count, 1 + round % MAX_WORDS, &state);
		double start = now();
		visit(view, &seen, NULL, NULL);
		slowest = now() - start > slowest ? now() - start : slowest;
		words += written;
		others += count_others(&whole, &seen);
		stop_at(strobe_overlay_undo(view, written));
	}
	printf("words %zu others %zu of %zu slowest %.3f\n", words, others, whole.count, slowest);
	free(whole.items);
	free(seen.items);
	strobe_view_close(view);
	return 0;
}
