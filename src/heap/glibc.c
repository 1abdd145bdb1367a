// SPDX-License-Identifier: Apache-2.0
// glibc's malloc, found by its structures alone; where these are damaged, by its symbols.
#include "heap/glibc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

#include "base/error.h"
#include "symbols/elf_symbols.h"
#include "view/view.h"

enum { WINDOW = 1 << 20 };

// Named limit: of a mapping that may be the data of a module.
enum { LARGEST_DATA = 16 << 20 };

bool glibc_is_anonymous(const struct strobe_mapping *mapping)
{
	const unsigned wanted = STROBE_PERMISSION_READ | STROBE_PERMISSION_WRITE;
	const char *path = mapping->path;
	if ((mapping->permissions & (wanted | STROBE_PERMISSION_SHARED)) != wanted)
		return false;
	return !path || strcmp(path, "[heap]") == 0 || strncmp(path, "[anon", 5) == 0 ||
	       strncmp(path, "/anon_hugepage", 14) == 0;
}

/** Index of the mapping that holds `address`; their count if none does. */
static size_t mapping_index(const struct strobe_view *view, uint64_t address)
{
	size_t count = strobe_view_mapping_count(view), low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strobe_view_mapping(view, middle)->end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && strobe_view_mapping(view, low)->start <= address ? low : count;
}

uint64_t glibc_span_end(const struct strobe_view *view, uint64_t address)
{
	size_t count = strobe_view_mapping_count(view);
	uint64_t end = 0;
	for (size_t i = mapping_index(view, address); i < count; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		if (!glibc_is_anonymous(mapping) || (end && mapping->start != end))
			break;
		end = mapping->end;
	}
	return end;
}

bool glibc_peek(const struct glibc *glibc, uint64_t address, uint64_t ret[2])
{
	uint8_t buffer[16];
	size_t available = 0;
	// Other reads give pages of a mapped source back every now and then.
	const uint8_t *bytes = glibc->fetched ? NULL
					      : view_stream(glibc->view, address, buffer,
							    sizeof(buffer), &available);
	if (bytes && available >= 16) {
		memcpy(ret, bytes, 16);
		return true;
	}
	return strobe_memory_read(glibc->view, address, ret, 16) == 16;
}

size_t glibc_segment_after(const struct glibc *glibc, uint64_t address)
{
	size_t low = 0, high = glibc->segments.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (glibc->segments.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct glibc_segment *glibc_segment_at(const struct glibc *glibc, uint64_t address)
{
	size_t index = glibc_segment_after(glibc, address);
	return index < glibc->segments.count && glibc->segments.items[index].start <= address
		       ? &glibc->segments.items[index]
		       : NULL;
}

struct strobe_error *glibc_add_segment(struct glibc *glibc, struct glibc_segment segment)
{
	size_t index = glibc_segment_after(glibc, segment.start);
	if (index < glibc->segments.count) {
		const struct glibc_segment *next = &glibc->segments.items[index];
		if (next->start <= segment.start)
			return NULL;
		if (segment.end > next->start)
			segment.end = next->start;
	}
	if (segment.first >= segment.end || !array_push(&glibc->segments, segment))
		return segment.first >= segment.end ? NULL : error_no_memory();
	memmove(&glibc->segments.items[index + 1], &glibc->segments.items[index],
		(glibc->segments.count - 1 - index) * sizeof(segment));
	glibc->segments.items[index] = segment;
	return NULL;
}

static struct glibc *glibc_free(struct glibc *glibc)
{
	if (!glibc)
		return NULL;
	array_fini(&glibc->arenas);
	array_fini(&glibc->segments);
	array_fini(&glibc->listed);
	array_fini(&glibc->likely_caches);
	glibc_window_fini(&glibc->window);
	glibc_window_fini(&glibc->ahead);
	free(glibc);
	return NULL;
}

static struct glibc *glibc_new(struct strobe_heap *heap, size_t module)
{
	struct glibc *glibc = calloc(1, sizeof(*glibc));
	if (!glibc)
		return NULL;
	glibc->heap = heap;
	glibc->view = heap->view;
	glibc->module = module;
	glibc->mmapped_index = SIZE_MAX;
	glibc->ring_steps = MAX_RING_STEPS;
	if (!glibc_window_init(&glibc->window, heap->view, WINDOW) ||
	    !glibc_window_init(&glibc->ahead, heap->view, 0))
		return glibc_free(glibc);
	return glibc;
}

static struct strobe_error *add_regions(struct glibc *glibc)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < glibc->segments.count; i++) {
		const struct glibc_segment *segment = &glibc->segments.items[i];
		if (segment->arena == SIZE_MAX && glibc->mmapped_index == SIZE_MAX)
			error = heap_add_arena(glibc->heap, glibc->heap->allocators.count - 1,
					       "mmapped", 0, &glibc->mmapped_index);
		if (segment->arena != SIZE_MAX)
			glibc->arenas.items[segment->arena].unwalked++;
		if (!error)
			error = heap_add_region(glibc->heap,
						segment->arena == SIZE_MAX
							? glibc->mmapped_index
							: glibc->arenas.items[segment->arena].index,
						segment->start, segment->end);
	}
	return error;
}

/** All of one malloc, which is the heap's last allocator. */
static struct strobe_error *read_books(struct glibc *glibc, uint64_t bins)
{
	struct strobe_error *error = glibc_follow_ring(glibc, bins);
	uint8_t byte;
	size_t available;
	if (error)
		return error;
	glibc->fetched = view_stream(glibc->view, bins, &byte, 1, &available) == &byte;
	glibc_find_parameters(glibc);
	error = glibc_find_heaps(glibc);
	if (!error)
		error = glibc_find_main(glibc);
	if (!error)
		error = glibc_find_mmapped(glibc);
	if (!error)
		error = glibc_read_lists(glibc);
	return error ? error : add_regions(glibc);
}

static struct strobe_error *tell_evidence(struct glibc *glibc, const char *how)
{
	struct strobe_heap *heap = glibc->heap;
	unsigned good = glibc_good_bins(glibc->view, glibc->arenas.items[0].bins);
	struct allocator *allocator = &heap->allocators.items[heap->allocators.count - 1];
	char *text =
		arena_printf(&heap->arena, "%s: %u of %u bins in order, %zu arenas in the ring",
			     how, good, STATE_BINS, glibc->arenas.count);
	if (!text)
		return error_no_memory();
	allocator->told.evidence = text;
	return NULL;
}

/** A malloc whose main arena's bins are at `bins`. */
static struct strobe_error *take(struct strobe_heap *heap, uint64_t bins, size_t module,
				 const char *how)
{
	struct glibc *glibc = glibc_new(heap, module);
	char version[32];
	if (!glibc)
		return error_no_memory();
	const struct strobe_heap_allocator told = {
		.name = "glibc",
		.version = glibc_find_version(glibc, version, sizeof(version)) ? version : NULL,
		.module = module == SIZE_MAX ? NULL : strobe_view_module(heap->view, module)->name,
	};
	struct strobe_error *error = heap_add_allocator(heap, &glibc_reader, &told, glibc);
	if (error) {
		glibc_free(glibc);
		return error;
	}
	error = read_books(glibc, bins);
	return error ? error : tell_evidence(glibc, how);
}

struct finding {
	struct strobe_heap *heap;
	size_t module;
};

static struct strobe_error *take_scanned(void *context, uint64_t bins)
{
	struct finding *finding = context;
	return take(finding->heap, bins, finding->module, "malloc_state in a module's data");
}

static struct strobe_error *scan_modules(struct strobe_heap *heap, struct glibc_window *window)
{
	size_t count = strobe_view_module_count(heap->view);
	struct strobe_error *error = NULL;
	for (size_t module = 0; !error && module < count; module++) {
		struct finding finding = {.heap = heap, .module = module};
		uint64_t start, end;
		for (size_t i = 0; !error && view_module_data(heap->view, module, i, &start, &end);
		     i++)
			error = glibc_scan_bins(window, start, end, take_scanned, &finding);
	}
	return error;
}

/** Bins of main_arena, by its symbol in a module of libc; 0 if there is none. */
static uint64_t ask_symbols(struct strobe_heap *heap, size_t *ret_module)
{
	size_t count = strobe_view_module_count(heap->view);
	for (size_t i = 0; i < count; i++) {
		const struct strobe_module *module = strobe_view_module(heap->view, i);
		struct strobe_symbol symbol;
		uint64_t top;
		if (strncmp(module->name, "libc.so", 7) != 0 &&
		    strncmp(module->name, "libc-2", 6) != 0)
			continue;
		if (!elf_symbols_find(symbols_module(heap->symbols, i), "main_arena", 0, &symbol))
			continue;
		uint64_t bins = symbol.address + STATE_OFFSET_OF_BINS;
		*ret_module = i;
		// One that was never used has none.
		if (glibc_read_word(heap->view, bins + STATE_TOP_AT, &top) && top)
			return bins;
	}
	return 0;
}

static struct strobe_error *take_unnamed(void *context, uint64_t bins)
{
	struct strobe_heap *heap = context;
	return glibc_bins_are_in_heap(heap->view, bins)
		       ? NULL
		       : take(heap, bins, SIZE_MAX, "malloc_state in data of no known module");
}

/** What no module is known of, as in cores of which the files are gone. */
static struct strobe_error *scan_mappings(struct strobe_heap *heap, struct glibc_window *window)
{
	const unsigned wanted = STROBE_PERMISSION_READ | STROBE_PERMISSION_WRITE;
	size_t count = strobe_view_mapping_count(heap->view), before = heap->allocators.count;
	for (size_t i = 0; i < count && heap->allocators.count == before; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(heap->view, i);
		if ((mapping->permissions & (wanted | STROBE_PERMISSION_SHARED)) != wanted ||
		    mapping->end - mapping->start > LARGEST_DATA)
			continue;
		struct strobe_error *error =
			glibc_scan_bins(window, mapping->start, mapping->end, take_unnamed, heap);
		if (error)
			return error;
	}
	return NULL;
}

static struct strobe_error *find_otherwise(struct strobe_heap *heap, struct glibc_window *window)
{
	size_t module = SIZE_MAX;
	uint64_t bins = glibc_main_from_heaps(heap->view);
	if (bins)
		return take(heap, bins, strobe_view_module_at(heap->view, bins),
			    "malloc_state in the ring of other arenas");
	bins = ask_symbols(heap, &module);
	if (bins)
		return take(heap, bins, module, "main_arena by symbol");
	return scan_mappings(heap, window);
}

static struct strobe_error *find(struct strobe_heap *heap)
{
	struct glibc_window window;
	if (!glibc_window_init(&window, heap->view, WINDOW))
		return error_no_memory();
	size_t before = heap->allocators.count;
	struct strobe_error *error = scan_modules(heap, &window);
	if (!error && heap->allocators.count == before)
		error = find_otherwise(heap, &window);
	glibc_window_fini(&window);
	return error;
}

/** After the last of an arena's segments its bins are looked at. */
static void note_walked(struct glibc *glibc, struct glibc_segment *segment, uint64_t balance)
{
	struct glibc_arena *arena = &glibc->arenas.items[segment->arena];
	segment->walked = true;
	arena->balance += balance;
	if (--arena->unwalked == 0)
		glibc_check_bins(glibc, segment->arena);
}

static struct strobe_error *visit_blocks(struct strobe_heap *heap, struct allocator *allocator,
					 const struct strobe_heap_region *region,
					 strobe_heap_visit visit, void *context, bool *stop)
{
	struct glibc *glibc = allocator->state;
	size_t index = glibc_segment_after(glibc, region->start);
	assert(index < glibc->segments.count);
	struct glibc_segment *known = &glibc->segments.items[index], segment = *known;
	assert(segment.start <= region->start && segment.end == region->end);
	if (segment.arena == SIZE_MAX) {
		const struct strobe_heap_block block = {
			.address = segment.first + CHUNK_HEADER,
			.size_bytes = segment.end - segment.first - CHUNK_HEADER -
				      (glibc->trailing_header ? 8 : 0),
			.state = glibc_listed_state(glibc, segment.first),
			.arena = region->arena,
		};
		*stop = block.address >= region->start && !visit(context, &block);
		return NULL;
	}
	segment.start = region->start; // what was cut off is another's
	struct glibc_walked walked = glibc_walk(glibc, &segment, visit, context);
	*stop = walked.how == GLIBC_END_STOPPED;
	if (!*stop && !known->walked)
		note_walked(glibc, known, walked.balance);
	return NULL;
}

static void close_reader(struct allocator *allocator)
{
	allocator->state = glibc_free(allocator->state);
}

const struct allocator_reader glibc_reader = {
	.name = "glibc", .find = find, .blocks = visit_blocks, .close = close_reader};
