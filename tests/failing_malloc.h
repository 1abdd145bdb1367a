// SPDX-License-Identifier: Apache-2.0
// An allocation that fails when a test wants it to. For one file of a test program that is linked with --wrap of malloc, calloc,
// realloc and reallocarray: allocations of the library and of the program come here, those of libc and of other shared
// libraries do not. With FAILING_MAPPINGS defined, mmap64 and mremap are wrapped, too: mmap() is mmap64() in programs with long
// offsets.
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

static atomic_long allocations_seen; // since somebody set it to 0

/** Whether this allocation is the one; then `errno` is set. */
static bool must_fail(void)
{
	atomic_fetch_add(&allocations_seen, 1);
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

#ifdef FAILING_MAPPINGS
#include <sys/mman.h>

void *__real_mmap64(void *start, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mremap(void *start, size_t old_size, size_t size, int flags);
void *__wrap_mmap64(void *start, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mremap(void *start, size_t old_size, size_t size, int flags);

void *__wrap_mmap64(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
	return must_fail() ? MAP_FAILED : __real_mmap64(start, size, protection, flags, fd, offset);
}

void *__wrap_mremap(void *start, size_t old_size, size_t size, int flags)
{
	return must_fail() ? MAP_FAILED : __real_mremap(start, old_size, size, flags);
}
#endif

#endif
