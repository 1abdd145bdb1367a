// SPDX-License-Identifier: Apache-2.0
// Heaps of glibc, of which some words are not what they were. The first byte chooses the version; then come records
// of eleven bytes: which word (two), in which segment and how it is changed (one), and by what (eight). Whatever
// stands there, blocks ascend, do not overlap, and lie in the regions of their arenas.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../tests/heap/synthetic_heap.h"
#include "synthetic_core.h"

enum { RECORD = 11, MAX_BLOCKS = SYNTHETIC_SEGMENTS * SYNTHETIC_SEGMENT_SIZE / 16 };
enum change { SET, TURN, ADD, POINT, CHANGES };

static void change_words(struct synthetic_heap *synthetic, const uint8_t *data, size_t size)
{
	for (; size >= RECORD; data += RECORD, size -= RECORD) {
		uint16_t index;
		uint64_t word;
		memcpy(&index, data, sizeof(index));
		memcpy(&word, data + 3, sizeof(word));
		uint64_t at = synthetic->segments[data[2] % SYNTHETIC_SEGMENTS].start +
			      index % (SYNTHETIC_SEGMENT_SIZE / 8) * 8;
		uint64_t old = synthetic_heap_get(synthetic, at);
		switch ((enum change)(data[2] / SYNTHETIC_SEGMENTS % CHANGES)) {
		case TURN:
			word ^= old;
			break;
		case ADD:
			word += old;
			break;
		case POINT:
			word = synthetic->segments[word % SYNTHETIC_SEGMENTS].start +
			       (word >> 8 & (SYNTHETIC_SEGMENT_SIZE - 1));
			break;
		case SET:
		case CHANGES:
			break;
		}
		synthetic_heap_put(synthetic, at, word);
	}
}

struct seen {
	const struct strobe_heap *heap;
	uint64_t end, count;
	size_t region;
};

static bool see(void *context, const struct strobe_heap_block *block)
{
	struct seen *seen = context;
	uint64_t end = block->address + block->size_bytes;
	size_t count = strobe_heap_region_count(seen->heap);
	while (seen->region < count &&
	       strobe_heap_region(seen->heap, seen->region)->end <= block->address)
		seen->region++;
	if (block->address < seen->end || end <= block->address || seen->region == count ||
	    ++seen->count > MAX_BLOCKS)
		abort();
	const struct strobe_heap_region *region = strobe_heap_region(seen->heap, seen->region);
	if (block->address < region->start || end > region->end || block->arena != region->arena)
		abort();
	seen->end = end;
	return true;
}

static void look(struct strobe_view *view)
{
	struct strobe_symbols *symbols = NULL;
	struct strobe_heap *heap = NULL;
	strobe_error_free(strobe_symbols_open(view, &symbols));
	if (symbols)
		strobe_error_free(strobe_heap_open(symbols, &heap));
	for (unsigned i = 0; heap && i < 2; i++) {
		struct seen seen = {.heap = heap};
		uint64_t damages = strobe_heap_damage_total(heap);
		strobe_error_free(strobe_heap_blocks(heap, see, &seen));
		if (i > 0 && strobe_heap_damage_total(heap) != damages)
			abort(); // told again
	}
	strobe_heap_close(heap);
	strobe_symbols_close(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct synthetic_heap synthetic;
	const struct strobe_view_options options = {.size = sizeof(options),
						    .sysroot = "/nonexistent",
						    .debug_directories = "/nonexistent",
						    .no_debuginfod = true};
	struct strobe_view *view = NULL;
	char path[32];
	if (size == 0)
		return 0;
	synthetic_heap_make(&synthetic, &synthetic_versions[data[0] % synthetic_version_count]);
	change_words(&synthetic, data + 1, size - 1);
	int fd = memory_file("heap", "", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	synthetic_heap_save(&synthetic, path);
	strobe_error_free(strobe_view_open(path, &options, &view));
	if (view)
		look(view);
	strobe_view_close(view);
	close(fd);
	return 0;
}
