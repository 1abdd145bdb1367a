// SPDX-License-Identifier: Apache-2.0
// Allocation number N fails while a process's heap is read, N = 1, 2, 3, ... until all goes well: each time there is an error,
// or all blocks that there are.
#include "failing_malloc.h"
#include "python_holder.h"

struct seen {
	uint64_t count, sum;
};

static bool see(void *context, const struct strobe_heap_block *block)
{
	struct seen *seen = context;
	const uint64_t words[] = {block->address, block->size_bytes, block->state,
				  block->requested_bytes};
	for (size_t i = 0; i < 4; i++)
		seen->sum = (seen->sum ^ words[i]) * UINT64_C(0x100000001b3);
	seen->count++;
	return true;
}

/** Opens and visits with the `n`th allocation failing; true if none was left to fail. */
static bool attempt(struct holder *holder, const struct seen *want, long n)
{
	struct strobe_heap *heap = NULL;
	struct seen seen = {0};
	allocations_left = n;
	struct strobe_error *error = strobe_heap_open(holder->symbols, &heap);
	if (!error)
		error = strobe_heap_blocks(heap, see, &seen);
	bool none_failed = allocations_left > 0;
	allocations_left = 0;
	int code = error ? (int)strobe_error_code(error) : 0;
	strobe_error_free(error);
	strobe_heap_close(heap);
	CHECK(code == 0 || code == STROBE_ERROR_NO_MEMORY);
	CHECK(code == 0 || !none_failed);
	if (code == 0) {
		CHECK_EQUAL(seen.count, want->count);
		CHECK_EQUAL(seen.sum, want->sum);
	}
	return none_failed;
}

static void attempt_all(struct holder *holder)
{
	struct seen want = {0};
	CHECK_OK(strobe_heap_blocks(holder->heap, see, &want));
	CHECK(want.count > 100);
	long n = 1;
	while (!attempt(holder, &want, n))
		n++;
	printf("# %ld allocations for %llu blocks\n", n - 1, (unsigned long long)want.count);
	CHECK(n > 10);
	holder_stop(holder);
}

static void attempt_busy(const char *variable, const char *why)
{
	struct holder holder = {0};
	const char *path = getenv(variable);
	if (!path || !*path)
		SKIP("%s", why);
	const char *argv[] = {path, NULL, "3", "2000", "3000000", "5", NULL};
	holder_start(&holder, argv, NULL);
	holder_open(&holder);
	attempt_all(&holder);
}

static void jemalloc(void)
{
	attempt_busy("BUSY_JEMALLOC", "no libjemalloc to link with");
}

static void musl(void)
{
	attempt_busy("BUSY_MUSL_STATIC", "musl-gcc is not installed");
}

static void pymalloc(void)
{
	struct holder holder = {0};
	start_python(&holder);
	holder_open(&holder);
	attempt_all(&holder);
}

CHECK_MAIN({"jemalloc's books", jemalloc}, {"musl's books", musl}, {"pymalloc's books", pymalloc})
