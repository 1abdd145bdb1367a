// SPDX-License-Identifier: Apache-2.0
// local_blocks TARGET: asks for each block of a heap what its surroundings tell of it: by its start, and by addresses in
// it. Prints how many blocks there were of each kind, and how many answers were right, wrong and none:
//   allocated|free starts|insides RIGHT WRONG NONE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strobe/heap.h>

#include "base/array.h"
#include "heap/local_block.h"
#include "view/view.h"

enum { FREE = 1, INSIDE = 2, KINDS = 4 };

struct asking {
	const struct strobe_view *view;
	struct local_blocks *blocks;
	ARRAY(struct strobe_heap_block) list;
	uint64_t right[KINDS], wrong[KINDS], none[KINDS];
};

static const uint8_t *at(void *reader, uint64_t address, size_t *available)
{
	return view_pointer(reader, address, available);
}

static bool note(void *context, const struct strobe_heap_block *block)
{
	struct asking *asking = context;
	return array_push(&asking->list, *block);
}

static void ask(struct asking *asking, const struct strobe_heap_block *block, uint64_t address,
		int kind)
{
	struct local_block told;
	// Caches of threads do not mark what they hold.
	bool cached =
		block->state == STROBE_HEAP_FREE_CACHED || block->state == STROBE_HEAP_FREE_FASTBIN;
	bool is_free = block->state == STROBE_HEAP_FREE;
	if (!local_block_at(asking->blocks, address, &told)) {
		asking->none[kind]++;
		fprintf(stderr, "0x%" PRIx64 " in 0x%" PRIx64 "+%" PRIu64 ": nothing\n", address,
			block->address, block->size_bytes);
		return;
	}
	bool right = told.start == block->address && told.size_bytes == block->size_bytes &&
		     (cached || told.free == is_free);
	asking->right[kind] += right;
	asking->wrong[kind] += !right;
	if (!right)
		fprintf(stderr,
			"0x%" PRIx64 " in 0x%" PRIx64 "+%" PRIu64 " (%d): 0x%" PRIx64 "+%" PRIu64
			"%s\n",
			address, block->address, block->size_bytes, block->state, told.start,
			told.size_bytes, told.free ? " free" : "");
}

static void ask_all(struct asking *asking)
{
	for (size_t i = 0; i < asking->list.count; i++) {
		const struct strobe_heap_block *block = &asking->list.items[i];
		if (block->state == STROBE_HEAP_TOP || block->state == STROBE_HEAP_BOOKS)
			continue;
		int kind = block->state == STROBE_HEAP_FREE ? FREE : 0;
		ask(asking, block, block->address, kind);
		uint64_t inside = i * 40503 % block->size_bytes;
		if (inside)
			ask(asking, block, block->address + inside, kind | INSIDE);
	}
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"allocated starts", "free starts", "allocated insides",
					    "free insides"};
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct strobe_heap *heap = NULL;
	struct asking asking = {0};
	struct strobe_error *error = strobe_view_open(argc > 1 ? argv[1] : "", &options, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (!error)
		error = strobe_heap_open(symbols, &heap);
	if (!error)
		error = strobe_heap_blocks(heap, note, &asking);
	if (!error)
		error = local_blocks_open(symbols, at, view, &asking.blocks);
	if (error) {
		fprintf(stderr, "%s\n", strobe_error_message(error));
		return 1;
	}
	asking.view = view;
	ask_all(&asking);
	for (int i = 0; i < KINDS; i++)
		printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", names[i], asking.right[i],
		       asking.wrong[i], asking.none[i]);
	array_fini(&asking.list);
	local_blocks_close(asking.blocks);
	strobe_heap_close(heap);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return 0;
}
