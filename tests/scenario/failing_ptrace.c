// SPDX-License-Identifier: Apache-2.0
// Preloaded: ptrace() call number $FAIL_AT of this process answers -1 with ESRCH, once, and is not
// made: as if the thread had just been killed.
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>

static atomic_long counted;

static long fail_at(void)
{
	const char *text = getenv("FAIL_AT");
	return text ? strtol(text, NULL, 10) : 0;
}

long ptrace(int request, ...)
{
	va_list args;
	va_start(args, request);
	pid_t pid = va_arg(args, pid_t);
	void *address = va_arg(args, void *), *data = va_arg(args, void *);
	va_end(args);
	if (atomic_fetch_add(&counted, 1) + 1 == fail_at()) {
		errno = ESRCH;
		return -1;
	}
	static long (*real)(int, ...);
	if (!real)
		real = (long (*)(int, ...))dlsym(RTLD_NEXT, "ptrace");
	return real(request, pid, address, data);
}

__attribute__((destructor)) static void tell(void)
{
	// Past the last call: the test may stop counting up.
	if (fail_at() > 0 && atomic_load(&counted) < fail_at() && getenv("FAIL_TOLD"))
		_Exit(99);
}
