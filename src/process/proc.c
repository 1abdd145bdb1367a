// SPDX-License-Identifier: Apache-2.0
#include "process/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 16384 };

int proc_read(const char *name, struct text *text)
{
	char path[128], piece[PIECE];
	snprintf(path, sizeof(path), "/proc/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	ssize_t size;
	uint64_t total = 0;
	do {
		size = read(fd, piece, sizeof(piece));
		if (size > 0)
			text_append_bytes(text, piece, (size_t)size);
		total += size > 0 ? (uint64_t)size : 0;
	} while ((size > 0 && total < PROC_FILE_LIMIT) || (size < 0 && errno == EINTR));
	int problem = size < 0 ? errno : text->failed ? ENOMEM : 0;
	close(fd);
	return problem;
}

int proc_read_link(const char *name, struct text *text)
{
	char path[128], target[PATH_MAX];
	snprintf(path, sizeof(path), "/proc/%s", name);
	ssize_t size = readlink(path, target, sizeof(target));
	if (size < 0)
		return errno;
	text_append_bytes(text, target, (size_t)size);
	return text->failed ? ENOMEM : 0;
}

size_t proc_field(const char *text, const char *field, const char **ret)
{
	size_t length = strlen(field);
	for (const char *line = text; line && *line;) {
		const char *end = strchrnul(line, '\n');
		if (strncmp(line, field, length) == 0 && line[length] == ':') {
			line += length + 1;
			line += strspn(line, " \t");
			*ret = line;
			return end > line ? (size_t)(end - line) : 0;
		}
		line = *end ? end + 1 : NULL;
	}
	*ret = NULL;
	return 0;
}

bool proc_field_number(const char *text, const char *field, int base, uint64_t *ret)
{
	const char *value;
	char *end;
	if (!proc_field(text, field, &value))
		return false;
	*ret = strtoull(value, &end, base);
	return end != value;
}

const char *proc_stat_field(const char *stat, unsigned number)
{
	// The name, field 2, is in parentheses and may hold any, and blanks.
	const char *at = strrchr(stat, ')');
	for (unsigned field = 2; at && field < number; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	return at && *at ? at : NULL;
}

// By hand: sscanf() looks for the end of the whole text first, each time.
static bool parse_mapping(const char *at, struct proc_mapping *ret)
{
	char *next;
	*ret = (struct proc_mapping){0};
	ret->start = strtoull(at, &next, 16);
	if (*next != '-')
		return false;
	ret->end = strtoull(next + 1, &next, 16);
	for (unsigned i = 0; i < 5; i++) // " rwxs"
		if (!next[i] || next[i] == '\n')
			return false;
	ret->readable = next[1] == 'r';
	ret->writable = next[2] == 'w';
	ret->executable = next[3] == 'x';
	ret->shared = next[4] == 's';
	ret->offset = strtoull(next + 5, &next, 16);
	strtoull(next, &next, 16); // the device
	if (*next != ':')
		return false;
	strtoull(next + 1, &next, 16);
	ret->inode = strtoull(next, &next, 10);
	ret->path = next + strspn(next, " ");
	return ret->start < ret->end;
}

bool proc_next_mapping(const char **at, struct proc_mapping *ret)
{
	while (*at && **at) {
		const char *line = *at, *end = strchrnul(line, '\n');
		*at = *end ? end + 1 : end;
		if (!parse_mapping(line, ret))
			continue;
		ret->path_size = ret->path < end ? (size_t)(end - ret->path) : 0;
		return true;
	}
	return false;
}

bool proc_mapping_is(const struct proc_mapping *mapping, const char *name)
{
	return mapping->path_size == strlen(name) &&
	       memcmp(mapping->path, name, mapping->path_size) == 0;
}

static int order_tids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
	return (x > y) - (x < y);
}

int proc_threads(pid_t pid, struct proc_tids *ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *folder = opendir(path);
	if (!folder)
		return errno;
	struct dirent *entry;
	int problem = 0;
	while (!problem && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' &&
		    !array_push(&ret->list, (pid_t)strtol(entry->d_name, NULL, 10)))
			problem = ENOMEM;
	closedir(folder);
	if (ret->list.count)
		qsort(ret->list.items, ret->list.count, sizeof(pid_t), order_tids);
	return problem;
}
