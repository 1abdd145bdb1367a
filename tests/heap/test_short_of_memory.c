// SPDX-License-Identifier: Apache-2.0
// Allocation number N fails, N = 1, 2, 3, ... until all goes well: each time there is an error, or all that must be there.
#include <unistd.h>

#include "check.h"
#include "failing_malloc.h"
#include "synthetic_heap.h"

static struct synthetic_heap synthetic;

struct seen {
	size_t count, wrong;
};

static bool see(void *context, const struct strobe_heap_block *block)
{
	struct seen *seen = context;
	const struct strobe_heap_block *want = &synthetic.blocks[seen->count];
	seen->wrong += seen->count >= synthetic.block_count || block->address != want->address ||
		       block->size_bytes != want->size_bytes || block->state != want->state;
	seen->count++;
	return true;
}

/** Opens and visits with the `n`th allocation failing; true if none was left to fail. */
static bool attempt(const struct strobe_view *view, long n)
{
	struct strobe_symbols *symbols = NULL;
	struct strobe_heap *heap = NULL;
	struct seen seen = {0};
	allocations_left = n;
	struct strobe_error *error = strobe_symbols_open(view, &symbols);
	if (!error)
		error = strobe_heap_open(symbols, &heap);
	if (!error)
		error = strobe_heap_blocks(heap, see, &seen);
	bool none_failed = allocations_left > 0;
	allocations_left = 0;
	int code = error ? (int)strobe_error_code(error) : 0;
	strobe_error_free(error);
	strobe_heap_close(heap);
	strobe_symbols_close(symbols);
	CHECK(code == 0 || code == STROBE_ERROR_NO_MEMORY);
	CHECK(code == 0 || !none_failed);
	if (code == 0) {
		CHECK_EQUAL(seen.count, synthetic.block_count);
		CHECK_EQUAL(seen.wrong, 0);
	}
	return none_failed;
}

static void test_heap(void)
{
	char path[] = "/tmp/strobe-heap-XXXXXX";
	const struct strobe_view_options options = {.size = sizeof(options),
						    .debug_directories = "/nonexistent",
						    .no_debuginfod = true};
	struct strobe_view *view = NULL;
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	close(fd);
	synthetic_heap_make(&synthetic, &synthetic_versions[3]);
	synthetic_heap_save(&synthetic, path);
	struct strobe_error *error = strobe_view_open(path, &options, &view);
	unlink(path);
	CHECK_OK(error);
	long n = 1;
	while (!attempt(view, n))
		n++;
	printf("# %ld allocations\n", n - 1);
	CHECK(n > 10);
	strobe_view_close(view);
}

CHECK_MAIN({"glibc's books", test_heap})
