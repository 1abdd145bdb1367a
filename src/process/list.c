// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/process.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "process/permission.h"
#include "process/proc.h"

enum {
	COMMAND_LIMIT = 64 * 1024,  // of a command line that is shown
	KERNEL_THREAD = 0x00200000, // PF_KTHREAD of include/linux/sched.h, in field 9 of stat
	STAT_FLAGS = 9,
};

struct strobe_process_list {
	struct arena arena;
	ARRAY(struct strobe_process) processes;
};

static int64_t field_number(const char *status, const char *field)
{
	uint64_t value;
	return proc_field_number(status, field, 10, &value) && value <= INT64_MAX ? (int64_t)value
										  : -1;
}

/** What /proc/PID/status tells; false if the process is gone. */
static bool read_status(struct arena *arena, struct strobe_process *process)
{
	char name[32];
	cleanup_text struct text text = {0};
	const char *at;
	snprintf(name, sizeof(name), "%d/status", process->pid);
	if (proc_read(name, &text) || !text.size)
		return false;
	size_t size = proc_field(text.data, "Name", &at);
	process->name = size ? arena_copy_string(arena, at, size) : NULL;
	process->state = proc_field(text.data, "State", &at) ? *at : 0;
	process->ppid = (int)field_number(text.data, "PPid");
	process->thread_count = field_number(text.data, "Threads");
	process->resident_bytes = field_number(text.data, "VmRSS");
	process->resident_bytes = process->resident_bytes < 0 ? 0 : process->resident_bytes * 1024;
	process->uid = -1;
	if (proc_field(text.data, "Uid", &at)) {
		char *end;
		strtoull(at, &end, 10);
		process->uid = (int64_t)strtoull(end, NULL, 10);
	}
	return true;
}

static void read_kind(struct strobe_process *process)
{
	char name[32];
	cleanup_text struct text text = {0};
	snprintf(name, sizeof(name), "%d/stat", process->pid);
	if (proc_read(name, &text) || !text.size)
		return;
	const char *flags = proc_stat_field(text.data, STAT_FLAGS);
	process->kernel = flags && strtoull(flags, NULL, 10) & KERNEL_THREAD;
}

static void read_command(struct arena *arena, struct strobe_process *process)
{
	char name[32];
	cleanup_text struct text text = {0};
	snprintf(name, sizeof(name), "%d/cmdline", process->pid);
	if (proc_read(name, &text) || !text.size)
		return;
	size_t size = text.size < COMMAND_LIMIT ? text.size : COMMAND_LIMIT;
	while (size && !text.data[size - 1])
		size--;
	for (size_t i = 0; i < size; i++)
		if (!text.data[i])
			text.data[i] = ' ';
	process->command = size ? arena_copy_string(arena, text.data, size) : NULL;
}

/** The kernel asks the same of who opens mem as of who traces (ptrace(2), PTRACE_MODE_ATTACH). */
static struct strobe_error *try_memory(int pid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int problem = errno;
	if (fd < 0)
		return permission_explain(pid, problem == EACCES ? EPERM : problem);
	close(fd);
	return NULL;
}

/** The reason alone: which process it is, and that it is not permitted, is told beside it. */
static char *reason_of(struct arena *arena, const struct strobe_process *process,
		       const struct strobe_error *error)
{
	char head[96];
	const char *message = strobe_error_message(error), *tail = strerror(EPERM);
	int length = snprintf(head, sizeof(head), "process %d (%s)", process->pid,
			      process->name ? process->name : "");
	if (length > 0 && strncmp(message, head, (size_t)length) == 0) {
		message += length;
		message += strspn(message, ": ");
	}
	size_t size = strlen(message), cut = strlen(tail) + 2;
	if (size > cut && strcmp(message + size - cut + 2, tail) == 0)
		size -= cut;
	return arena_copy_string(arena, message, size);
}

/** Adds process `pid`, unless it has ended. */
static struct strobe_error *add(struct strobe_process_list *list, int pid)
{
	struct strobe_process process = {.pid = pid};
	if (!read_status(&list->arena, &process))
		return NULL;
	read_kind(&process);
	read_command(&list->arena, &process);
	struct strobe_error *refusal = permission_check(pid);
	if (!refusal)
		refusal = try_memory(pid);
	if (refusal) {
		bool gone = strobe_error_code(refusal) == STROBE_ERROR_NOT_FOUND;
		process.refused = reason_of(&list->arena, &process, refusal);
		strobe_error_free(refusal);
		if (gone)
			return NULL;
		if (!process.refused)
			return error_no_memory();
	}
	return array_push(&list->processes, process) ? NULL : error_no_memory();
}

static int order_pid(const void *a, const void *b)
{
	const struct strobe_process *x = a, *y = b;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

struct strobe_error *strobe_process_list_take(struct strobe_process_list **ret)
{
	DIR *directory = opendir("/proc");
	if (!directory)
		return error_errno(errno, "/proc");
	struct strobe_process_list *list = calloc(1, sizeof(*list));
	struct strobe_error *error = list ? NULL : error_no_memory();
	const struct dirent *entry;
	while (!error && (entry = readdir(directory))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (end != entry->d_name && !*end && pid > 0)
			error = add(list, (int)pid);
	}
	closedir(directory);
	if (error) {
		strobe_process_list_close(list);
		return error;
	}
	if (list->processes.count)
		qsort(list->processes.items, list->processes.count, sizeof(struct strobe_process),
		      order_pid);
	*ret = list;
	return NULL;
}

struct strobe_process_list *strobe_process_list_close(struct strobe_process_list *list)
{
	if (!list)
		return NULL;
	array_fini(&list->processes);
	arena_fini(&list->arena);
	free(list);
	return NULL;
}

size_t strobe_process_list_count(const struct strobe_process_list *list)
{
	return list->processes.count;
}

const struct strobe_process *strobe_process_list_get(const struct strobe_process_list *list,
						     size_t index)
{
	return index < list->processes.count ? &list->processes.items[index] : NULL;
}
