// SPDX-License-Identifier: Apache-2.0
// musl's books against what the program itself knows, block by block.
#include "damage.h"

static const char *busy_path(const char *variable)
{
	const char *path = getenv(variable);
	if (!path || !*path)
		SKIP("musl-gcc is not installed");
	return path;
}

/** A process has exactly the blocks that it says it has, and what musl itself allocated. */
static void compare_of(const char *variable, const char *threads, const char *operations,
		       uint64_t libc_blocks)
{
	struct holder holder = {0};
	struct comparison found;
	const char *argv[] = {busy_path(variable), NULL, threads, operations, "9000000", "3", NULL};
	holder_start(&holder, argv, NULL);
	holder_open(&holder);
	holder_compare(&holder, "musl", &found);
	uint64_t damages = strobe_heap_damage_total(holder.heap);
	size_t allocators = strobe_heap_allocator_count(holder.heap);
	bool named =
		allocators == 1 && strcmp(strobe_heap_allocator(holder.heap, 0)->name, "musl") == 0;
	if (allocators)
		printf("# %s in %s: %s\n", strobe_heap_allocator(holder.heap, 0)->version,
		       strobe_heap_allocator(holder.heap, 0)->module,
		       strobe_heap_allocator(holder.heap, 0)->evidence);
	holder_stop(&holder);
	CHECK(named);
	CHECK(found.held > 100);
	CHECK_EQUAL(found.seen, found.held);
	CHECK(found.invented <= libc_blocks);
	CHECK_EQUAL(found.resized, 0);
	CHECK_EQUAL(found.misrequested, 0);
	CHECK_EQUAL(found.requested, found.seen + found.invented);
	CHECK_EQUAL(found.disorder, 0);
	CHECK_EQUAL(damages, 0);
	CHECK(found.blocks[STROBE_HEAP_FREE] > 0 && found.blocks[STROBE_HEAP_BOOKS] > 0);
}

static void static_one(void)
{
	compare_of("BUSY_MUSL_STATIC", "0", "30000", 0);
}

static void static_many(void)
{
	compare_of("BUSY_MUSL_STATIC", "16", "5000", 0);
}

static void dynamic_many(void)
{
	compare_of("BUSY_MUSL_DYNAMIC", "16", "5000", 0);
}

struct books {
	struct damage_words words;
	const struct strobe_view *view;
};

/** Meta areas, group headers, and the words before and at the end of blocks. */
static bool collect_books(void *context, const struct strobe_heap_block *block)
{
	struct books *books = context;
	if (block->state == STROBE_HEAP_BOOKS)
		damage_add_words(&books->words, books->view, block->address,
				 block->address + block->size_bytes);
	else
		damage_add_words(&books->words, books->view, block->address - 8, block->address);
	return true;
}

static void damaged_books(void)
{
	enum { WORDS = 1 << 20 };
	struct holder holder = {0};
	const char *argv[] = {
		busy_path("BUSY_MUSL_STATIC"), NULL, "4", "2000", "3000000", "7", NULL};
	holder_start(&holder, argv, NULL);
	holder_open(&holder);
	struct books books = {.words = {.addresses = calloc(WORDS, 8), .capacity = WORDS},
			      .view = holder.view};
	CHECK_OK(strobe_heap_blocks(holder.heap, collect_books, &books));
	for (size_t i = 0; i < strobe_view_mapping_count(holder.view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(holder.view, i);
		if (mapping->module_index != SIZE_MAX && // the program's data, the context in it
		    mapping->permissions & STROBE_PERMISSION_WRITE)
			damage_add_words(&books.words, holder.view, mapping->start,
					 mapping->end < mapping->start + 65536
						 ? mapping->end
						 : mapping->start + 65536);
	}
	printf("# %zu words\n", books.words.count);
	const char *rounds = getenv("DAMAGE_ROUNDS");
	damage_rounds(&holder, &books.words, rounds ? (unsigned)atoi(rounds) : 400, 1);
	free(books.words.addresses);
	holder_stop(&holder);
}

CHECK_MAIN({"a static program of one thread", static_one},
	   {"a static program of sixteen threads", static_many},
	   {"a dynamic program of sixteen threads", dynamic_many},
	   {"damaged books are read to their end, in order", damaged_books})
