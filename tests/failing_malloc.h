// SPDX-License-Identifier: Apache-2.0
// An allocation that fails when a test wants it to. For one file of a test program that is linked with --wrap of malloc, calloc,
// realloc and reallocarray: allocations of the library and of the program come here, those of libc and of other shared
// libraries do not.
#ifndef STROBE_TESTS_FAILING_MALLOC_H
#define STROBE_TESTS_FAILING_MALLOC_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__real_reallocarray(void *pointer, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void *__wrap_reallocarray(void *pointer, size_t count, size_t size);

/** N: the Nth allocation from now on fails, of whatever thread; 0: none does, or one has failed. */
static atomic_long allocations_left;

/** Whether this allocation is the one; then `errno` is set. */
static bool must_fail(void)
{
	long before = atomic_load(&allocations_left);
	while (before > 0 && !atomic_compare_exchange_weak(&allocations_left, &before, before - 1))
		;
	if (before != 1)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
	return must_fail() ? NULL : __real_realloc(pointer, size);
}

void *__wrap_reallocarray(void *pointer, size_t count, size_t size)
{
	return must_fail() ? NULL : __real_reallocarray(pointer, count, size);
}

#endif
