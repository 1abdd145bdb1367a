// SPDX-License-Identifier: Apache-2.0
// Preloaded: libdw goes wrong as $FAULT says (segv, abort, fpe or loop) when it opens the file of
// $FAULT_SIZE bytes; the file $CUT is cut to its first page when it has been mapped $CUT_AT times.
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum { PAGE = 4096, SPED_UP_US = 2000 };

char *elf_rawfile(void *elf, size_t *size);

static void go_wrong(const char *how)
{
	volatile int zero = 0;
	if (strcmp(how, "segv") == 0)
		raise(SIGSEGV);
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "fpe") == 0)
		zero = 12345 / zero;
	while (strcmp(how, "loop") == 0)
		zero++;
}

void *dwarf_begin_elf(void *elf, int command, void *section)
{
	void *(*next)(void *, int, void *) =
		(void *(*)(void *, int, void *))dlsym(RTLD_NEXT, "dwarf_begin_elf");
	const char *how = getenv("FAULT"), *which = getenv("FAULT_SIZE");
	size_t size = 0;
	elf_rawfile(elf, &size);
	if (how && which && size == strtoul(which, NULL, 10))
		go_wrong(how);
	return next(elf, command, section);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	static int mapped;
	void *(*next)(void *, size_t, int, int, int, off_t) =
		(void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
	void *result = next(address, size, protection, flags, fd, offset);
	const char *cut = getenv("CUT"), *at = getenv("CUT_AT");
	char link[64], path[PATH_MAX] = "";
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (cut && fd >= 0 && readlink(link, path, sizeof(path) - 1) > 0 && !strcmp(path, cut) &&
	    ++mapped == (at ? atoi(at) : 1) && truncate(path, PAGE) != 0)
		_exit(99);
	return result;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return mmap64(address, size, protection, flags, fd, offset);
}

/** The guard's seconds, sped up: a test of its limit shall not take as long as that. */
int setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *old)
{
	int (*next)(__itimer_which_t, const struct itimerval *, struct itimerval *) =
		(int (*)(__itimer_which_t, const struct itimerval *, struct itimerval *))dlsym(
			RTLD_NEXT, "setitimer");
	(void)value;
	const struct itimerval fast = {{0, SPED_UP_US}, {0, SPED_UP_US}};
	return next(which, &fast, old);
}
