// SPDX-License-Identifier: Apache-2.0
#include "core/descriptors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/proc.h"

static bool begins(const char *text, const char *part)
{
	return strncmp(text, part, strlen(part)) == 0;
}

/** What the link itself names: fs/anon_inodes.c and its callers, pipefs, sockfs, nsfs. */
static const struct {
	const char *link, *type;
} known_links[] = {
	{"socket:[", "socket"},
	{"pipe:[", "pipe"},
	{"anon_inode:[eventfd]", "eventfd"},
	{"anon_inode:[eventpoll]", "epoll"},
	{"anon_inode:[timerfd]", "timerfd"},
	{"anon_inode:[signalfd]", "signalfd"},
	{"anon_inode:inotify", "inotify"},
	{"anon_inode:[fanotify]", "fanotify"},
	{"anon_inode:[pidfd]", "pidfd"},
	{"pidfd:[", "pidfd"},
	{"anon_inode:[userfaultfd]", "userfaultfd"},
	{"anon_inode:[io_uring]", "io_uring"},
	{"anon_inode:[perf_event]", "perf event"},
	{"anon_inode:bpf-map", "bpf map"},
	{"anon_inode:bpf-prog", "bpf program"},
	{"anon_inode:bpf_link", "bpf link"},
	{"mnt:[", "namespace"},
	{"net:[", "namespace"},
	{"pid:[", "namespace"},
	{"uts:[", "namespace"},
	{"ipc:[", "namespace"},
	{"user:[", "namespace"},
	{"cgroup:[", "namespace"},
	{"time:[", "namespace"},
	{"/memfd:", "memfd"},
	{"/dmabuf:", "dma buffer"},
};

/** "anon_inode:[kvm-vm]" -> "kvm-vm" */
static const char *anonymous_type(struct arena *arena, const char *name)
{
	size_t length = strlen(name);
	if (length > 2 && *name == '[' && name[length - 1] == ']')
		return arena_copy_string(arena, name + 1, length - 2);
	return *name ? arena_strdup(arena, name) : NULL;
}

const char *descriptor_type(struct arena *arena, const char *link, uint32_t mode)
{
	static const char anonymous[] = "anon_inode:";
	for (size_t i = 0; i < sizeof(known_links) / sizeof(known_links[0]); i++)
		if (begins(link, known_links[i].link))
			return known_links[i].type;
	if (begins(link, anonymous))
		return anonymous_type(arena, link + strlen(anonymous));
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFLNK:
		return "link";
	case S_IFBLK:
		return "block device";
	case S_IFCHR:
		return begins(link, "/dev/tty") || begins(link, "/dev/pts/") ||
				       begins(link, "/dev/console") || begins(link, "/dev/ptmx")
			       ? "tty"
			       : "device";
	default:
		return NULL;
	}
}

void descriptor_parse_info(const char *text, int64_t *position, int64_t *flags)
{
	const char *at = text, *end = text + strlen(text);
	char line[PROC_LINE_SIZE];
	uint64_t number;
	*position = *flags = -1;
	while (proc_next_line(&at, end, line)) {
		if (sscanf(line, "pos: %" SCNd64, position) == 1)
			continue;
		if (sscanf(line, "flags: %" SCNo64, &number) == 1 && number <= INT64_MAX)
			*flags = (int64_t)number;
	}
}
