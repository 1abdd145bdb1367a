// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include "check.h"

static void gives_zeroed_aligned_memory(void)
{
	struct arena arena = {0};
	for (size_t size = 0; size < 20000; size = size * 2 + 1) {
		unsigned char *p = arena_alloc(&arena, size);
		CHECK(p);
		CHECK_EQUAL((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < size; i++)
			CHECK_EQUAL(p[i], 0);
		memset(p, 0xff, size);
	}
	arena_fini(&arena);
}

static void copies_strings(void)
{
	struct arena arena = {0};
	CHECK_STRING(arena_strdup(&arena, "stroboscope"), "stroboscope");
	CHECK_STRING(arena_copy_string(&arena, "stroboscope", 6), "strobo");
	CHECK_STRING(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
	CHECK(!arena_strdup(&arena, NULL));
	arena_fini(&arena);
}

static void refuses_impossible_sizes(void)
{
	struct arena arena = {0};
	volatile size_t size = SIZE_MAX;
	CHECK(!arena_alloc(&arena, size));
	size = SIZE_MAX - 64;
	CHECK(!arena_alloc(&arena, size));
	arena_fini(&arena);
}

CHECK_MAIN({"gives zeroed, aligned memory", gives_zeroed_aligned_memory},
	   {"copies strings", copies_strings},
	   {"refuses impossible sizes", refuses_impossible_sizes})
