// SPDX-License-Identifier: Apache-2.0
// pymalloc's books when they are damaged; tests/heap/python.py compares them with the truth.
#include "damage.h"
#include "python_holder.h"

struct books {
	struct damage_words words;
	const struct strobe_view *view;
	const struct strobe_heap *heap;
};

/** Headers of pools, and the beginnings of blocks, where lists of free ones are. */
static bool collect_books(void *context, const struct strobe_heap_block *block)
{
	struct books *books = context;
	size_t allocator = strobe_heap_arena(books->heap, block->arena)->allocator;
	if (strcmp(strobe_heap_allocator(books->heap, allocator)->name, "pymalloc") != 0)
		return true;
	if (block->state == STROBE_HEAP_BOOKS)
		damage_add_words(&books->words, books->view, block->address,
				 block->address + block->size_bytes);
	else if (block->state == STROBE_HEAP_FREE)
		damage_add_words(&books->words, books->view, block->address, block->address + 8);
	return true;
}

static void damaged_books(void)
{
	enum { WORDS = 1 << 20, ARENAS = 4096 };
	struct holder holder = {0};
	start_python(&holder);
	holder_open(&holder);
	struct books books = {.words = {.addresses = calloc(WORDS, 8), .capacity = WORDS},
			      .view = holder.view,
			      .heap = holder.heap};
	for (size_t i = 0; i < strobe_heap_arena_count(holder.heap); i++) {
		const struct strobe_heap_arena *arena = strobe_heap_arena(holder.heap, i);
		if (strcmp(strobe_heap_allocator(holder.heap, arena->allocator)->name,
			   "pymalloc") == 0)
			for (size_t j = 0; j < 64; j++) // the array of arenas, many times over
				damage_add_words(&books.words, holder.view, arena->address,
						 arena->address + ARENAS / 4);
	}
	CHECK(books.words.count > 0);
	CHECK_OK(strobe_heap_blocks(holder.heap, collect_books, &books));
	printf("# %zu words\n", books.words.count);
	const char *rounds = getenv("DAMAGE_ROUNDS");
	damage_rounds(&holder, &books.words, rounds ? (unsigned)atoi(rounds) : 100, 1);
	free(books.words.addresses);
	holder_stop(&holder);
}

CHECK_MAIN({"damaged books are read to their end, in order", damaged_books})
