// SPDX-License-Identifier: Apache-2.0
// Preloaded: allocation number $FAIL_AT of libstrobe or the command answers NULL, once. Allocations
// that libc or elfutils make for themselves are left alone: elfutils ends the process at the first.
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);

static atomic_long counted;
static long fail_at = -1;
static _Thread_local bool inside;

static bool is_ours(const void *caller)
{
	Dl_info info;
	return dladdr(caller, &info) && info.dli_fname &&
	       (strstr(info.dli_fname, "libstrobe") || strstr(info.dli_fname, "/strobe"));
}

static bool must_fail(const void *caller)
{
	if (inside)
		return false;
	inside = true;
	if (fail_at < 0) {
		const char *text = getenv("FAIL_AT");
		fail_at = text ? atol(text) : 0;
	}
	bool fail = fail_at > 0 && is_ours(caller) && atomic_fetch_add(&counted, 1) + 1 == fail_at;
	inside = false;
	if (fail)
		errno = ENOMEM;
	return fail;
}

void *malloc(size_t size)
{
	return must_fail(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return must_fail(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
	return must_fail(__builtin_return_address(0)) ? NULL : __libc_realloc(pointer, size);
}

void *reallocarray(void *pointer, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || must_fail(__builtin_return_address(0)))
		return NULL;
	return __libc_realloc(pointer, bytes);
}

__attribute__((destructor)) static void tell(void)
{
	// Past the last allocation: the test may stop counting up.
	if (fail_at > 0 && atomic_load(&counted) < fail_at && getenv("FAIL_TOLD"))
		_Exit(99);
}
