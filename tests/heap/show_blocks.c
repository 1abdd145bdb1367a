// SPDX-License-Identifier: Apache-2.0
// Shows a heap's blocks as a test reads them: show_blocks [--no-debug] [--quiet] [--smash-bins] TARGET. A line each of
// "allocator", "region", "block" (address, size, state, arena), "damage"; at last "total". Checks on the way what
// always holds: blocks ascend, do not overlap, and lie within regions of their arena.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/heap.h>
#include <strobe/overlay.h>
#include <time.h>

struct shown {
	const struct strobe_heap *heap;
	bool quiet;
	uint64_t count, bytes, end;
	size_t region;
};

static bool show(void *context, const struct strobe_heap_block *block)
{
	static const char *const states[] = {"allocated", "free", "cached",
					     "fastbin",	  "top",  "books"};
	struct shown *shown = context;
	uint64_t end = block->address + block->size_bytes;
	while (shown->region < strobe_heap_region_count(shown->heap) &&
	       strobe_heap_region(shown->heap, shown->region)->end <= block->address)
		shown->region++;
	const struct strobe_heap_region *region =
		shown->region < strobe_heap_region_count(shown->heap)
			? strobe_heap_region(shown->heap, shown->region)
			: NULL;
	if (block->address < shown->end || end <= block->address || !region ||
	    block->address < region->start || end > region->end || block->arena != region->arena) {
		printf("broken 0x%" PRIx64 " %" PRIu64 "\n", block->address, block->size_bytes);
		exit(3);
	}
	shown->end = end;
	shown->count++;
	shown->bytes += block->state == STROBE_HEAP_ALLOCATED ? block->size_bytes : 0;
	if (!shown->quiet)
		printf("block 0x%" PRIx64 " %" PRIu64 " %s %s\n", block->address, block->size_bytes,
		       states[block->state], strobe_heap_arena(shown->heap, block->arena)->name);
	return true;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void show_heap(struct strobe_heap *heap, bool quiet)
{
	struct shown shown = {.heap = heap, .quiet = quiet};
	for (size_t i = 0; i < strobe_heap_allocator_count(heap); i++) {
		const struct strobe_heap_allocator *allocator = strobe_heap_allocator(heap, i);
		printf("allocator %s %s %s %s\n", allocator->name,
		       allocator->version ? allocator->version : "?",
		       allocator->module ? allocator->module : "?", allocator->evidence);
	}
	for (size_t i = 0; i < strobe_heap_region_count(heap); i++) {
		const struct strobe_heap_region *region = strobe_heap_region(heap, i);
		printf("region 0x%" PRIx64 " 0x%" PRIx64 " %s\n", region->start, region->end,
		       strobe_heap_arena(heap, region->arena)->name);
	}
	double start = now();
	strobe_error_free(strobe_heap_blocks(heap, show, &shown));
	double took = now() - start;
	for (size_t i = 0; i < strobe_heap_damage_count(heap); i++) {
		const struct strobe_heap_damage *damage = strobe_heap_damage(heap, i);
		printf("damage 0x%" PRIx64 " %" PRIu64 " %s\n", damage->address, damage->lost_bytes,
		       damage->what);
	}
	printf("total %" PRIu64 " %" PRIu64 " %" PRIu64 " %.6f\n", shown.count, shown.bytes,
	       strobe_heap_damage_total(heap), took);
}

/** Zeros over all bins of the main arena, so that nothing shows that it is one. */
static struct strobe_error *smash_bins(struct strobe_view *view, struct strobe_symbols *symbols)
{
	static const uint8_t zeros[127 * 16];
	struct strobe_heap *heap;
	struct strobe_error *error = strobe_heap_open(symbols, &heap);
	if (error)
		return error;
	uint64_t state = strobe_heap_arena(heap, 0)->address;
	strobe_heap_close(heap);
	return strobe_overlay_write(view, state + 112, zeros, sizeof(zeros));
}

int main(int argc, char **argv)
{
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct strobe_heap *heap = NULL;
	bool quiet = false, smash = false;
	for (int i = 1; i < argc - 1; i++) {
		quiet |= strcmp(argv[i], "--quiet") == 0;
		smash |= strcmp(argv[i], "--smash-bins") == 0;
		if (strcmp(argv[i], "--no-debug") == 0)
			options.debug_directories = "/nonexistent";
	}
	struct strobe_error *error = strobe_view_open(argv[argc - 1], &options, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (!error && smash)
		error = smash_bins(view, symbols);
	double start = now();
	if (!error)
		error = strobe_heap_open(symbols, &heap);
	if (error) {
		fprintf(stderr, "show_blocks: %s\n", strobe_error_message(error));
		return 1;
	}
	printf("opened %.6f\n", now() - start);
	show_heap(heap, quiet);
	strobe_heap_close(heap);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return 0;
}
