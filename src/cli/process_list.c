// SPDX-License-Identifier: Apache-2.0
#include "process_list.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct process_status {
	char name[64];
	char state;
	int ppid, tracer;
};

static bool read_status(int pid, struct process_status *ret)
{
	char path[64], line[256];
	*ret = (struct process_status){.state = '?'};
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "Name:\t", 6) == 0)
			snprintf(ret->name, sizeof(ret->name), "%.63s", line + 6);
		else if (strncmp(line, "State:\t", 7) == 0)
			ret->state = line[7];
		else if (strncmp(line, "PPid:\t", 6) == 0)
			ret->ppid = atoi(line + 6);
		else if (strncmp(line, "TracerPid:\t", 11) == 0)
			ret->tracer = atoi(line + 11);
	}
	fclose(file);
	return true;
}

static void read_program(int pid, char *name, size_t size)
{
	static const char deleted[] = " (deleted)";
	char path[64], target[4096];
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	*name = '\0';
	if (length <= 0)
		return;
	target[length] = '\0';
	if ((size_t)length > strlen(deleted) &&
	    strcmp(target + length - strlen(deleted), deleted) == 0)
		target[(size_t)length - strlen(deleted)] = '\0';
	const char *last = strrchr(target, '/');
	snprintf(name, size, "%.255s", last ? last + 1 : target);
}

// A frozen copy is made without a signal for its end (field 38 of stat), until its parent ends.
static bool ends_silently(int pid)
{
	enum { FIRST_FIELD = 3, EXIT_SIGNAL_FIELD = 38 };
	char path[64], line[2048];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	size_t size = file ? fread(line, 1, sizeof(line) - 1, file) : 0;
	if (file)
		fclose(file);
	line[size] = '\0';
	const char *at = strrchr(line, ')');
	for (int field = FIRST_FIELD - 1; at && field < EXIT_SIGNAL_FIELD; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at && atoi(at) == 0;
}

// A frozen copy has its process's name and is traced by whoever holds it, a strobe as a rule. It is
// not what anybody means.
static bool is_ours(int pid, const struct process_status *status)
{
	struct process_status tracer;
	if (pid == getpid() || strcmp(status->name, "strobe-keeper") == 0)
		return true;
	if (status->tracer == 0)
		return false;
	return ends_silently(pid) ||
	       (read_status(status->tracer, &tracer) && strncmp(tracer.name, "strobe", 6) == 0);
}

static bool is_visible(int pid)
{
	char path[64];
	struct stat status;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	return stat(path, &status) == 0 && (geteuid() == 0 || status.st_uid == geteuid());
}

static bool add(struct process_list *list, const struct listed_process *process)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 256;
		void *items = realloc(list->items, capacity * sizeof(*list->items));
		if (!items)
			return false;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = *process;
	return true;
}

static bool read_process(struct process_list *list, int pid)
{
	struct process_status status;
	struct listed_process process = {.pid = pid};
	if (!is_visible(pid) || !read_status(pid, &status) || status.state == 'Z' ||
	    status.state == 'X' || is_ours(pid, &status))
		return true;
	process.ppid = status.ppid;
	memcpy(process.name, status.name, sizeof(process.name));
	read_program(pid, process.program, sizeof(process.program));
	return add(list, &process);
}

bool process_list_read(struct process_list *list)
{
	*list = (struct process_list){0};
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	bool good = true;
	while (good && directory && (entry = readdir(directory)))
		if (isdigit((unsigned char)entry->d_name[0]))
			good = read_process(list, atoi(entry->d_name));
	if (directory)
		closedir(directory);
	if (!good)
		process_list_fini(list);
	return good;
}

void process_list_fini(struct process_list *list)
{
	free(list->items);
	*list = (struct process_list){0};
}

void process_list_keep_named(struct process_list *list, const char *name)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].name, name) == 0 ||
		    strcmp(list->items[i].program, name) == 0)
			list->items[kept++] = list->items[i];
	list->count = kept;
}

static void swap(struct listed_process *a, struct listed_process *b)
{
	struct listed_process c = *a;
	*a = *b;
	*b = c;
}

void process_list_keep_tree(struct process_list *list, int pid)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->count && kept == 0; i++)
		if (list->items[i].pid == pid)
			swap(&list->items[kept++], &list->items[i]);
	// What is kept stands in front; each of them fetches its children from behind.
	for (size_t parent = 0; parent < kept; parent++)
		for (size_t i = kept; i < list->count; i++)
			if (list->items[i].ppid == list->items[parent].pid)
				swap(&list->items[kept++], &list->items[i]);
	list->count = kept;
}
