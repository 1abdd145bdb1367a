// SPDX-License-Identifier: Apache-2.0
#include "process/facts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "process/proc.h"

bool facts_add(struct facts *facts, const char *name, const char *bytes, size_t size)
{
	struct fact_file file = {.name = arena_strdup(&facts->arena, name), .size = size};
	char *copy = arena_alloc(&facts->arena, size + 1);
	if (!copy || !file.name)
		return false;
	memcpy(copy, bytes, size);
	file.bytes = copy;
	return array_push(&facts->files, file);
}

static bool add_file(struct facts *facts, pid_t pid, const char *name, bool is_link)
{
	char path[64];
	cleanup_text struct text text = {0};
	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	if (is_link ? proc_read_link(path, &text) : proc_read(path, &text))
		return !text.failed;
	return facts_add(facts, name, text_string(&text), text.size);
}

bool facts_read_inherited(struct facts *facts, pid_t pid)
{
	static const char *const files[] = {"cmdline", "environ", "auxv",    "limits",
					    "cgroup",  "uid_map", "gid_map", "personality"};
	static const char *const links[] = {"exe",     "cwd",	  "root",   "ns/cgroup",
					    "ns/ipc",  "ns/mnt",  "ns/net", "ns/pid",
					    "ns/time", "ns/user", "ns/uts"};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!add_file(facts, pid, files[i], false))
			return false;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (!add_file(facts, pid, links[i], true))
			return false;
	return true;
}

bool facts_read_own(struct facts *facts, pid_t pid)
{
	static const char *const files[] = {"io", "oom_score_adj", "timers", "loginuid"};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!add_file(facts, pid, files[i], false))
			return false;
	return true;
}

static bool add_descriptor(struct facts *facts, pid_t pid, int fd)
{
	char name[64], path[80];
	struct stat about;
	cleanup_text struct text link = {0}, info = {0};
	snprintf(name, sizeof(name), "%d/fd/%d", (int)pid, fd);
	if (proc_read_link(name, &link))
		return true; // closed meanwhile
	struct fact_descriptor descriptor = {.fd = fd, .peer = ""};
	snprintf(path, sizeof(path), "/proc/%s", name);
	// Others tell what they are by their link, and each look costs while the process stands.
	if (*text_string(&link) == '/' && stat(path, &about) == 0)
		descriptor.mode = about.st_mode;
	snprintf(name, sizeof(name), "%d/fdinfo/%d", (int)pid, fd);
	if (proc_read(name, &info))
		text_truncate(&info, 0);
	descriptor.link = arena_strdup(&facts->arena, text_string(&link));
	descriptor.fdinfo = arena_strdup(&facts->arena, text_string(&info));
	return descriptor.link && descriptor.fdinfo && array_push(&facts->descriptors, descriptor);
}

static int order(const void *a, const void *b)
{
	const struct fact_descriptor *x = a, *y = b;
	return (x->fd > y->fd) - (x->fd < y->fd);
}

bool facts_read_descriptors(struct facts *facts, pid_t pid, size_t from, size_t count)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *folder = opendir(path);
	struct dirent *entry;
	bool done = true;
	for (size_t i = 0; done && folder && i < from + count && (entry = readdir(folder));)
		if (entry->d_name[0] != '.' && i++ >= from)
			done = add_descriptor(facts, pid, (int)strtol(entry->d_name, NULL, 10));
	if (folder)
		closedir(folder);
	if (facts->descriptors.count)
		qsort(facts->descriptors.items, facts->descriptors.count,
		      sizeof(struct fact_descriptor), order);
	return done;
}

void facts_fini(struct facts *facts)
{
	array_fini(&facts->files);
	array_fini(&facts->descriptors);
	arena_fini(&facts->arena);
}
