// SPDX-License-Identifier: Apache-2.0
// Prints what the heap of a target is made of, one line "NAME STATE BLOCKS BYTES" a state of each allocator, and
// "damage N". usage: heap_sums TARGET
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strobe/heap.h>
#include <strobe/view.h>
#include <time.h>

enum { MAX_ALLOCATORS = 16 };
struct sums {
	const struct strobe_heap *heap;
	uint64_t blocks[MAX_ALLOCATORS][STROBE_HEAP_BOOKS + 1];
	uint64_t bytes[MAX_ALLOCATORS][STROBE_HEAP_BOOKS + 1];
};

static bool add(void *context, const struct strobe_heap_block *block)
{
	struct sums *sums = context;
	size_t allocator = strobe_heap_arena(sums->heap, block->arena)->allocator;
	if (allocator < MAX_ALLOCATORS) {
		sums->blocks[allocator][block->state]++;
		sums->bytes[allocator][block->state] += block->size_bytes;
	}
	return true;
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct strobe_error *tell(struct strobe_symbols *symbols)
{
	static const char *const states[] = {"allocated", "free", "cached",
					     "fastbin",	  "top",  "books"};
	static struct sums sums;
	struct strobe_heap *heap;
	double before = now_s();
	struct strobe_error *error = strobe_heap_open(symbols, &heap);
	if (error)
		return error;
	double opened = now_s();
	sums.heap = heap;
	error = strobe_heap_blocks(heap, add, &sums);
	for (size_t i = 0; i < strobe_heap_allocator_count(heap) && i < MAX_ALLOCATORS; i++) {
		const struct strobe_heap_allocator *allocator = strobe_heap_allocator(heap, i);
		printf("# %s %s in %s: %s\n", allocator->name,
		       allocator->version ? allocator->version : "?",
		       allocator->module ? allocator->module : "?",
		       allocator->evidence ? allocator->evidence : "?");
		for (size_t j = 0; j <= STROBE_HEAP_BOOKS; j++)
			printf("%s %s %" PRIu64 " %" PRIu64 "\n", allocator->name, states[j],
			       sums.blocks[i][j], sums.bytes[i][j]);
	}
	printf("damage %" PRIu64 "\n", strobe_heap_damage_total(heap));
	for (size_t i = 0; i < strobe_heap_damage_count(heap) && i < 20; i++)
		printf("# 0x%" PRIx64 ": %s\n", strobe_heap_damage(heap, i)->address,
		       strobe_heap_damage(heap, i)->what);
	printf("# opened in %.3f s, visited in %.3f s\n", opened - before, now_s() - opened);
	strobe_heap_close(heap);
	return error;
}

int main(int argc, char **argv)
{
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct strobe_error *error = strobe_view_open(argc > 1 ? argv[1] : "", NULL, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (!error)
		error = tell(symbols);
	if (error)
		fprintf(stderr, "heap_sums: %s\n", strobe_error_message(error));
	int status = error ? 1 : 0;
	strobe_error_free(error);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return status;
}
