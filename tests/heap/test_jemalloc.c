// SPDX-License-Identifier: Apache-2.0
// jemalloc's books against what the program itself knows, block by block. BUSY_JEMALLOC is the program, or a script that runs it
// with another release of libjemalloc.
#include "damage.h"
#include "heap/jemalloc.h"

static int compare_addresses(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

static const char *busy_path(void)
{
	const char *path = getenv("BUSY_JEMALLOC");
	if (!path || !*path)
		SKIP("no libjemalloc to link with");
	return path;
}

/** A process under `configuration` has exactly the blocks that it says it has. */
static void compare_with(const char *configuration, const char *threads, const char *operations,
			 const char *largest)
{
	struct holder holder = {0};
	struct comparison found;
	const char *argv[] = {busy_path(), NULL, threads, operations, largest, "1", NULL};
	holder_start(&holder, argv, configuration);
	holder_open(&holder);
	holder_compare(&holder, "jemalloc", &found);
	uint64_t damages = strobe_heap_damage_total(holder.heap);
	size_t allocators = strobe_heap_allocator_count(holder.heap);
	bool named = allocators == 1 &&
		     strcmp(strobe_heap_allocator(holder.heap, 0)->name, "jemalloc") == 0;
	if (allocators)
		printf("# %s in %s: %s\n", strobe_heap_allocator(holder.heap, 0)->version,
		       strobe_heap_allocator(holder.heap, 0)->module,
		       strobe_heap_allocator(holder.heap, 0)->evidence);
	holder_stop(&holder);
	CHECK(named);
	CHECK(found.held > 100);
	CHECK_EQUAL(found.seen, found.held);
	CHECK_EQUAL(found.invented, 0);
	CHECK_EQUAL(found.resized, 0);
	CHECK_EQUAL(found.disorder, 0);
	CHECK_EQUAL(damages, 0);
	if (!strstr(configuration, "tcache:false"))
		CHECK(found.blocks[STROBE_HEAP_FREE_CACHED] > 0);
	CHECK(found.bytes[STROBE_HEAP_BOOKS] >= 1 << 21);
}

static void compare_under(const char *configuration, const char *threads, const char *operations)
{
	compare_with(configuration, threads, operations, "9000000");
}

static void many_gigabytes(void)
{
	compare_with("MALLOC_CONF=dirty_decay_ms:0", "3", "4000", "1000000000");
}

static void sixteen_threads(void)
{
	compare_under("MALLOC_CONF=", "16", "20000");
}

static void one_thread(void)
{
	compare_under("MALLOC_CONF=narenas:1", "0", "30000");
}

static void one_arena(void)
{
	compare_under("MALLOC_CONF=narenas:1", "16", "5000");
}

static void no_cache(void)
{
	compare_under("MALLOC_CONF=tcache:false", "16", "5000");
}

static void background(void)
{
	compare_under("MALLOC_CONF=background_thread:true,dirty_decay_ms:10,muzzy_decay_ms:10",
		      "16", "5000");
}

static void by_processor(void)
{
	compare_under("MALLOC_CONF=percpu_arena:percpu", "16", "5000");
}

static void unusual(void)
{
	compare_under("MALLOC_CONF=retain:false,lg_tcache_max:20,"
		      "metadata_thp:always,dirty_decay_ms:0",
		      "8", "5000");
}

static void large_slabs(void)
{
	compare_under("MALLOC_CONF=slab_sizes:1-4096:17|100-1000:3,bin_shards:1-160:16,narenas:3",
		      "8", "5000");
}

/** Where no lists of caches are kept they are found by their shape: the same blocks as by the lists. */
static void caches_by_shape(void)
{
	struct holder holder = {0};
	const char *argv[] = {busy_path(), NULL, "8", "3000", "3000000", "11", NULL};
	holder_start(&holder, argv, "MALLOC_CONF=");
	holder_open(&holder);
	const struct jemalloc *known = holder.heap->allocators.items[0].state;
	struct jemalloc other = *known;
	CHECK(holder.heap->allocators.items[0].reader == &jemalloc_reader);
	memset(&other.cached, 0, sizeof(other.cached));
	memset(&other.own, 0, sizeof(other.own));
	CHECK_OK(jemalloc_find_thread_caches(&other));
	printf("# %zu blocks in caches\n", other.cached.count);
	CHECK(other.cached.count > 100);
	CHECK_EQUAL(other.cached.count, known->cached.count);
	for (size_t i = 0; i < other.cached.count; i++)
		CHECK(bsearch(&other.cached.items[i], known->cached.items, known->cached.count,
			      sizeof(uint64_t), compare_addresses));
	array_fini(&other.cached);
	array_fini(&other.own);
	holder_stop(&holder);
}

struct books {
	struct damage_words words;
	const struct strobe_view *view;
};

static bool collect_books(void *context, const struct strobe_heap_block *block)
{
	struct books *books = context;
	if (block->state == STROBE_HEAP_BOOKS)
		damage_add_words(&books->words, books->view, block->address,
				 block->address + block->size_bytes);
	return true;
}

static void damaged_books(void)
{
	enum { WORDS = 1 << 20 };
	struct holder holder = {0};
	const char *argv[] = {busy_path(), NULL, "4", "2000", "3000000", "7", NULL};
	holder_start(&holder, argv, "MALLOC_CONF=narenas:2");
	holder_open(&holder);
	struct books books = {.words = {.addresses = calloc(WORDS, 8), .capacity = WORDS},
			      .view = holder.view};
	CHECK_OK(strobe_heap_blocks(holder.heap, collect_books, &books));
	for (size_t i = 0; i < strobe_view_mapping_count(holder.view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(holder.view, i);
		if (mapping->module_index != SIZE_MAX && // the library's data, the root in it
		    mapping->permissions & STROBE_PERMISSION_WRITE &&
		    strstr(strobe_view_module(holder.view, mapping->module_index)->name,
			   "jemalloc"))
			damage_add_words(&books.words, holder.view, mapping->start, mapping->end);
	}
	printf("# %zu words\n", books.words.count);
	const char *rounds = getenv("DAMAGE_ROUNDS");
	damage_rounds(&holder, &books.words, rounds ? (unsigned)atoi(rounds) : 400, 1);
	free(books.words.addresses);
	holder_stop(&holder);
}

CHECK_MAIN({"sixteen threads allocate, and free each other's blocks", sixteen_threads},
	   {"one thread", one_thread}, {"one arena for all threads", one_arena},
	   {"no caches", no_cache}, {"threads of its own purge", background},
	   {"an arena a processor", by_processor},
	   {"memory is given back, large blocks are cached", unusual},
	   {"slabs of other sizes, and several bins a class", large_slabs},
	   {"blocks of up to 1 GB, never touched", many_gigabytes},
	   {"caches are found by their shape, too", caches_by_shape},
	   {"damaged books are read to their end, in order", damaged_books})
