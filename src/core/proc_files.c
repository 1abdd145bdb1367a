// SPDX-License-Identifier: Apache-2.0
// What the copies of files in /proc that a snapshot carries tell of the process.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/proc.h"

enum {
	GROUPS_LIMIT = 65536,  // NGROUPS_MAX
	LIMIT_NAME_WIDTH = 26, // fs/proc/base.c, proc_pid_limits()
	SMALL_FILE = 256,      // of files and links that hold a number
};

static const char *copy_text(struct strobe_view *view, const struct proc_file *file)
{
	size_t size = file->size;
	while (size && (file->bytes[size - 1] == '\n' || !file->bytes[size - 1]))
		size--;
	return size ? arena_copy_string(&view->arena, file->bytes, size) : NULL;
}

static void copy_small(const struct proc_file *file, char text[SMALL_FILE])
{
	size_t size = file->size < SMALL_FILE - 1 ? file->size : SMALL_FILE - 1;
	memcpy(text, file->bytes, size);
	text[size] = '\0';
}

static struct strobe_error *read_groups(struct strobe_view *view, const struct proc_status *status)
{
	struct strobe_credentials *credentials = &view->facts.credentials;
	const char *at = status->groups;
	size_t room = 0;
	for (const char *c = at; c < status->groups_end; c++)
		room += *c == ' '; // one behind each
	room = room < GROUPS_LIMIT ? room + 1 : GROUPS_LIMIT;
	uint32_t *groups = arena_alloc(&view->arena, room * sizeof(*groups));
	if (!groups)
		return error_no_memory();
	size_t count = 0;
	while (at < status->groups_end && count < room) {
		uint64_t group = 0;
		if (*at < '0' || *at > '9') {
			at++;
			continue;
		}
		while (at < status->groups_end && *at >= '0' && *at <= '9')
			group = (group * 10 + (uint64_t)(*at++ - '0')) & UINT32_MAX;
		groups[count++] = (uint32_t)group;
	}
	credentials->groups = groups;
	credentials->group_count = count;
	return NULL;
}

static struct strobe_error *read_credentials(struct strobe_view *view,
					     const struct proc_status *status)
{
	struct strobe_credentials *credentials = &view->facts.credentials;
	unsigned capabilities = 31u << PROC_MASK_INHERITABLE;
	*credentials = (struct strobe_credentials){
		.capabilities_known = (status->known & capabilities) == capabilities,
		.inheritable = status->masks[PROC_MASK_INHERITABLE],
		.permitted = status->masks[PROC_MASK_PERMITTED],
		.effective = status->masks[PROC_MASK_EFFECTIVE],
		.bounding = status->masks[PROC_MASK_BOUNDING],
		.ambient = status->masks[PROC_MASK_AMBIENT],
		.no_new_privileges =
			status->no_new_privileges > 1 ? -1 : (int)status->no_new_privileges,
		.seccomp = status->seccomp > 2 ? -1 : (int)status->seccomp,
		.seccomp_filters = status->seccomp_filters,
	};
	memcpy(credentials->user_ids, status->user_ids, sizeof(credentials->user_ids));
	memcpy(credentials->group_ids, status->group_ids, sizeof(credentials->group_ids));
	view->facts.credentials_known = status->user_ids[0] >= 0;
	return status->groups ? read_groups(view, status) : NULL;
}

static void set_id(int *id, int64_t told)
{
	if (told >= 0 && told <= INT_MAX)
		*id = (int)told;
}

struct strobe_error *proc_read_status(struct strobe_view *view, const char *text, size_t size)
{
	struct strobe_process_info *info = &view->info;
	struct proc_status status;
	proc_parse_status(text, size, &status);
	if (*status.name)
		info->name = arena_strdup(&view->arena, status.name);
	if (status.state && !info->state)
		info->state = status.state;
	set_id(&info->pid, status.pid);
	set_id(&info->ppid, status.ppid);
	set_id(&info->pgid, status.pgid);
	set_id(&info->sid, status.sid);
	set_id(&info->umask, status.umask);
	if (status.user_ids[0] >= 0)
		info->uid = status.user_ids[0];
	if (status.group_ids[0] >= 0)
		info->gid = status.group_ids[0];
	info->resident_bytes = status.resident_bytes;
	info->resident_peak_bytes = status.resident_peak_bytes;
	info->swapped_bytes = status.swapped_bytes;
	unsigned actions = 1u << PROC_MASK_IGNORED | 1u << PROC_MASK_CAUGHT;
	if ((status.known & actions) == actions) {
		view->facts.signal_actions_known = true;
		view->facts.signal_actions = (struct strobe_signal_actions){
			.pending = status.known & 1u << PROC_MASK_SHARED_PENDING
					   ? status.masks[PROC_MASK_SHARED_PENDING]
					   : 0,
			.ignored = status.masks[PROC_MASK_IGNORED],
			.caught = status.masks[PROC_MASK_CAUGHT],
		};
	}
	return read_credentials(view, &status);
}

static int64_t wall_clock(const struct strobe_view *view, int64_t boot_time_ns)
{
	const struct strobe_capture *capture = &view->facts.capture;
	int64_t boot, result;
	if (!view->facts.captured || capture->time_ns < 0 || capture->boot_time_ns < 0 ||
	    boot_time_ns < 0 ||
	    __builtin_sub_overflow(capture->time_ns, capture->boot_time_ns, &boot) ||
	    __builtin_add_overflow(boot, boot_time_ns, &result) || result < 0)
		return -1;
	return result;
}

static void read_stat(struct strobe_view *view, const struct proc_file *file)
{
	struct strobe_process_info *info = &view->info;
	struct proc_stat stat;
	if (!proc_parse_stat(file->bytes, file->size, &stat)) {
		view_warn(view, "%s: damaged: its copy of /proc/PID/stat", info->source_path);
		return;
	}
	info->user_ns = stat.user_ns;
	info->system_ns = stat.system_ns;
	info->start_time_ns = wall_clock(view, stat.start_ns);
	info->nice = stat.nice;
	set_id(&info->ppid, stat.ppid);
	set_id(&info->pgid, stat.pgid);
	set_id(&info->sid, stat.sid);
}

/** Strings that end in NULs, the last one maybe not. */
#define SPLIT(view, file, list)                                                                    \
	for (size_t at = 0; at < (file)->size;) {                                                  \
		size_t length = strnlen((file)->bytes + at, (file)->size - at);                    \
		const char *text = (file)->bytes + at;                                             \
		if (at + length == (file)->size)                                                   \
			text = arena_copy_string(&(view)->arena, text, length);                    \
		if (!text || !array_push((list), text))                                            \
			return error_no_memory();                                                  \
		at += length + 1;                                                                  \
	}

static struct strobe_error *read_command(struct strobe_view *view, const struct proc_file *file)
{
	if (!file->size)
		return NULL;
	SPLIT(view, file, &view->facts.arguments);
	proc_read_command(view, file->bytes, file->size);
	return NULL;
}

static struct strobe_error *read_environment(struct strobe_view *view, const struct proc_file *file)
{
	SPLIT(view, file, &view->facts.environment);
	return NULL;
}

static uint64_t limit_value(const char *text)
{
	return strcmp(text, "unlimited") == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
}

static struct strobe_error *read_limits(struct strobe_view *view, const struct proc_file *file)
{
	const char *at = file->bytes;
	char line[PROC_LINE_SIZE];
	proc_next_line(&at, file->bytes + file->size, line); // the heading
	while (proc_next_line(&at, file->bytes + file->size, line)) {
		char soft[32], hard[32], unit[32] = "";
		if (strlen(line) <= LIMIT_NAME_WIDTH ||
		    sscanf(line + LIMIT_NAME_WIDTH, "%31s %31s %31s", soft, hard, unit) < 2) {
			view_warn(view, "%s: damaged: a line of its limits: %s",
				  view->info.source_path, line);
			continue;
		}
		size_t length = LIMIT_NAME_WIDTH;
		while (length && line[length - 1] == ' ')
			length--;
		struct strobe_limit limit = {
			.name = arena_copy_string(&view->arena, line, length),
			.soft = limit_value(soft),
			.hard = limit_value(hard),
			.unit = *unit ? arena_strdup(&view->arena, unit) : NULL,
		};
		if (!limit.name || !array_push(&view->facts.limits, limit))
			return error_no_memory();
	}
	return NULL;
}

/** "HIERARCHY:CONTROLLERS:PATH" lines: the path of 0::, and where that is "/", the longest. */
static void read_cgroup(struct strobe_view *view, const struct proc_file *file)
{
	const char *at = file->bytes;
	char line[PROC_LINE_SIZE], best[PROC_LINE_SIZE] = "";
	while (proc_next_line(&at, file->bytes + file->size, line)) {
		const char *path = strchr(line, ':');
		path = path ? strchr(path + 1, ':') : NULL;
		if (!path)
			continue;
		path++;
		bool unified = strncmp(line, "0::", 3) == 0 && strcmp(path, "/") != 0;
		if (unified || strlen(path) > strlen(best))
			strcpy(best, path);
		if (unified)
			break;
	}
	view->info.cgroup = *best ? arena_strdup(&view->arena, best) : NULL;
}

static struct strobe_error *read_namespace(struct strobe_view *view, const struct proc_file *file)
{
	char text[SMALL_FILE];
	struct strobe_namespace space = {.name = file->name + strlen("ns/")};
	copy_small(file, text);
	const char *bracket = strchr(text, '[');
	if (!bracket || sscanf(bracket, "[%" SCNu64 "]", &space.inode) != 1) {
		view_warn(view, "%s: damaged: the link %s leads to no namespace",
			  view->info.source_path, file->name);
		return NULL;
	}
	return array_push(&view->facts.namespaces, space) ? NULL : error_no_memory();
}

static void read_executable(struct strobe_view *view, const struct proc_file *file)
{
	static const char mark[] = " (deleted)";
	const char *path = copy_text(view, file);
	if (!path)
		return;
	size_t length = strlen(path), cut = strlen(mark);
	if (length > cut && strcmp(path + length - cut, mark) == 0) {
		view->info.executable_deleted = true;
		path = arena_copy_string(&view->arena, path, length - cut);
	}
	view->info.executable = path;
}

static void read_oom(struct strobe_view *view, const struct proc_file *file)
{
	char text[SMALL_FILE];
	int value;
	copy_small(file, text);
	if (sscanf(text, "%d", &value) == 1)
		view->info.oom_score_adjustment = value;
}

static struct strobe_error *read_process_file(struct strobe_view *view,
					      const struct proc_file *file)
{
	const char *name = file->name;
	if (strcmp(name, "status") == 0)
		return proc_read_status(view, file->bytes, file->size);
	if (strcmp(name, "cmdline") == 0)
		return read_command(view, file);
	if (strcmp(name, "environ") == 0)
		return read_environment(view, file);
	if (strcmp(name, "limits") == 0)
		return read_limits(view, file);
	if (strncmp(name, "ns/", 3) == 0)
		return read_namespace(view, file);
	if (strcmp(name, "stat") == 0)
		read_stat(view, file);
	else if (strcmp(name, "cgroup") == 0)
		read_cgroup(view, file);
	else if (strcmp(name, "exe") == 0)
		read_executable(view, file);
	else if (strcmp(name, "cwd") == 0)
		view->info.working_directory = copy_text(view, file);
	else if (strcmp(name, "root") == 0)
		view->info.root = copy_text(view, file);
	else if (strcmp(name, "oom_score_adj") == 0)
		read_oom(view, file);
	return NULL;
}

static void read_thread_stat(struct strobe_view *view, const struct proc_file *file,
			     struct strobe_thread *thread)
{
	static const char *const policies[] = {"other", "fifo", "rr",	    "batch",
					       NULL,	"idle", "deadline", "ext"};
	struct proc_stat stat;
	if (!proc_parse_stat(file->bytes, file->size, &stat)) {
		view_warn(view, "%s: damaged: its copy of /proc/PID/%s", view->info.source_path,
			  file->name);
		return;
	}
	if (*stat.name)
		thread->name = arena_strdup(&view->arena, stat.name);
	if (!thread->state) // the thread's note has that from before it was stopped
		thread->state = stat.state;
	if (thread->cpu < 0 && stat.cpu <= INT_MAX)
		thread->cpu = (int)stat.cpu;
	thread->user_ns = stat.user_ns;
	thread->system_ns = stat.system_ns;
	thread->start_time_ns = wall_clock(view, stat.start_ns);
	thread->nice = stat.nice;
	if (stat.realtime_priority >= 0 && stat.realtime_priority < 100)
		thread->realtime_priority = (int)stat.realtime_priority;
	if (stat.policy >= 0 && (size_t)stat.policy < sizeof(policies) / sizeof(policies[0]))
		thread->policy = policies[stat.policy];
}

static void read_thread_status(struct strobe_view *view, const struct proc_file *file,
			       struct strobe_thread *thread)
{
	struct proc_status status;
	proc_parse_status(file->bytes, file->size, &status);
	if (*status.name && !thread->name)
		thread->name = arena_strdup(&view->arena, status.name);
	if (!thread->state)
		thread->state = status.state;
	thread->voluntary_switches = status.voluntary_switches;
	thread->involuntary_switches = status.involuntary_switches;
	unsigned masks = 1u << PROC_MASK_PENDING | 1u << PROC_MASK_BLOCKED;
	if (!thread->signals_known && (status.known & masks) == masks) {
		thread->signals_known = true;
		thread->pending = status.masks[PROC_MASK_PENDING];
		thread->blocked = status.masks[PROC_MASK_BLOCKED];
	}
}

/** "task/TID/stat" and "task/TID/status"; `tids` maps ids to indexes + 1. */
static void read_thread_file(struct strobe_view *view, const struct hash *tids,
			     const struct proc_file *file)
{
	int tid, end = 0;
	if (sscanf(file->name, "task/%d/%n", &tid, &end) != 1 || !end)
		return;
	size_t index = (size_t)(uintptr_t)hash_get(tids, (uint32_t)tid);
	if (!index)
		return;
	struct strobe_thread *thread = &view->threads.items[index - 1];
	if (strcmp(file->name + end, "stat") == 0)
		read_thread_stat(view, file, thread);
	else if (strcmp(file->name + end, "status") == 0)
		read_thread_status(view, file, thread);
}

struct strobe_error *proc_read_files(struct strobe_view *view)
{
	struct hash tids = {0};
	struct strobe_error *error = NULL;
	for (size_t i = view->threads.count; !error && i-- > 0;) // of two, the first is found
		if (!hash_put(&tids, (uint32_t)view->threads.items[i].tid,
			      (void *)(uintptr_t)(i + 1)))
			error = error_no_memory();
	for (size_t i = 0; !error && i < view->facts.proc_files.count; i++) {
		const struct proc_file *file = &view->facts.proc_files.items[i];
		if (strncmp(file->name, "task/", 5) == 0)
			read_thread_file(view, &tids, file);
		else
			error = read_process_file(view, file);
	}
	hash_fini(&tids);
	return error;
}
