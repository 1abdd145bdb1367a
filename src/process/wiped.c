// SPDX-License-Identifier: Apache-2.0
#include "process/wiped.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process/proc.h"

enum { PAGE = 4096, BLOCK_PAGES = 512, BLOCK_LIMIT = 64 };

static int open_pagemap(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/** Is one of its pages in memory or swapped out? As far as 128 MiB: such memory is small. */
static bool is_touched(int pagemap_fd, uint64_t start, uint64_t end)
{
	uint64_t entries[BLOCK_PAGES]; // Documentation/admin-guide/mm/pagemap.rst
	for (unsigned block = 0; block < BLOCK_LIMIT && start < end; block++) {
		uint64_t pages = (end - start) / PAGE;
		size_t size = (pages < BLOCK_PAGES ? pages : BLOCK_PAGES) * sizeof(*entries);
		ssize_t got =
			pread(pagemap_fd, entries, size, (off_t)(start / PAGE * sizeof(*entries)));
		for (ssize_t i = 0; i < got / (ssize_t)sizeof(*entries); i++)
			if (entries[i] >> 62)
				return true;
		start += BLOCK_PAGES * PAGE;
	}
	return false;
}

/** A mapping that is used in the process and empty in the clone: smaps, which tells, but walks
 *  through all pages, is asked only if there is one. */
static bool is_likely(int pagemap_fd, int clone_pagemap_fd, const char *maps)
{
	struct proc_mapping mapping;
	while (proc_next_mapping(&maps, &mapping))
		if (!mapping.shared && mapping.readable && !mapping.inode &&
		    !is_touched(clone_pagemap_fd, mapping.start, mapping.end) &&
		    is_touched(pagemap_fd, mapping.start, mapping.end))
			return true;
	return false;
}

static bool read_flags(pid_t clone, struct wiped *ret)
{
	char name[32];
	cleanup_text struct text text = {0};
	struct proc_mapping mapping;
	snprintf(name, sizeof(name), "%d/smaps", (int)clone);
	if (proc_read(name, &text) || !text.size)
		return true;
	for (const char *at = text.data; proc_next_mapping(&at, &mapping);) {
		struct wiped_range range = {mapping.start, mapping.end};
		const char *flags = strstr(at, "VmFlags:");
		const char *end = flags ? strchrnul(flags, '\n') : NULL;
		if (flags && mapping.readable && memmem(flags, (size_t)(end - flags), " wf", 3) &&
		    !array_push(&ret->list, range))
			return false;
	}
	return true;
}

bool wiped_find(pid_t pid, pid_t clone, const char *maps, struct wiped *ret)
{
	int fd = open_pagemap(pid), clone_fd = open_pagemap(clone);
	bool likely = fd >= 0 && clone_fd >= 0 && is_likely(fd, clone_fd, maps);
	if (fd >= 0)
		close(fd);
	if (clone_fd >= 0)
		close(clone_fd);
	return !likely || read_flags(clone, ret);
}
