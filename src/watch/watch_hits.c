// SPDX-License-Identifier: Apache-2.0
// A hit becomes events: what it is to each tracepoint of its place.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "watch/watch.h"

/** Named limit: tracepoints that one event is given to at once. */
enum { GROUP_MAX = 64 };

static const char *name_thread(struct strobe_watch *watch, int pid, int tid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, watch->comm, sizeof(watch->comm) - 1);
	if (fd >= 0)
		close(fd);
	if (size <= 0)
		return NULL;
	watch->comm[size] = 0;
	watch->comm[strcspn(watch->comm, "\n")] = 0;
	return watch->comm;
}

/** Are all tracepoints there only waiting for ends, and nothing is open that could end? Most such hits are of other calls. */
static bool is_idle(const struct strobe_watch *watch, const struct watch_place *place,
		    const struct engine_hit *hit)
{
	uint64_t frame = hit->regs.rsp + 8;
	for (size_t i = 0; i < place->roles.count; i++) {
		const struct watch_role *role = &place->roles.items[i];
		if (role->kind == EVENT_EXCEPTION &&
		    (role->leave == LEAVE_RAISE || (!config_is_of_exceptions(role->config) &&
						    !handler_awaits(watch->handler, hit->tid, 0))))
			continue;
		if (role->kind != EVENT_RETURN && role->kind != EVENT_LINE_END)
			return false;
		if (handler_awaits(watch->handler, hit->tid,
				   role->leave == LEAVE_STATEMENT ? 0 : frame))
			return false;
	}
	return true;
}

static bool same_event(const struct watch_role *a, const struct watch_role *b)
{
	return a->kind == b->kind && a->leave == b->leave && a->repeats == b->repeats;
}

/** One event, for those of the place's tracepoints that it is the same to: from `first` on. How many they are. */
static size_t give_event(struct strobe_watch *watch, const struct watch_place *place, size_t first,
			 const struct engine_hit *hit, struct native_scope *scope,
			 struct event *event)
{
	const struct watch_role *role = &place->roles.items[first];
	struct tracepoint_config *configs[GROUP_MAX];
	struct arena arena = {0};
	size_t count = 0;
	bool is_end = role->kind == EVENT_RETURN || role->kind == EVENT_LINE_END, waits = is_end;
	for (size_t i = first; i < place->roles.count && count < GROUP_MAX &&
			       same_event(role, &place->roles.items[i]);
	     i++) {
		configs[count++] = place->roles.items[i].config;
		waits |= config_waits_for_end(configs[count - 1]);
	}
	event->kind = role->kind;
	event->repeats = role->repeats;
	event->how = NULL;
	native_scope_focus(scope, role->kind == EVENT_CALL || role->kind == EVENT_RETURN,
			   place->line);
	bool leaves = role->leave != LEAVE_JUMP || !is_end ||
		      native_scope_jumps_out(scope, &arena, &event->how);
	event->frame = 0;
	if (waits)
		event->frame = native_scope_frame(scope, is_end && role->leave != LEAVE_STATEMENT);
	if (leaves)
		handler_event(watch->handler, event, configs, count,
			      hit->checked && place->checked == configs[0] ? 1 : 0);
	arena_fini(&arena);
	return count;
}

static bool has_role(const struct watch_place *place, enum native_leave leave)
{
	for (size_t i = 0; i < place->roles.count; i++)
		if (place->roles.items[i].kind == EVENT_EXCEPTION &&
		    place->roles.items[i].leave == leave)
			return true;
	return false;
}

void watch_hit(struct strobe_watch *watch, const struct engine_hit *hit, int64_t wall_offset_ns,
	       struct strobe_error **error)
{
	struct native_scope *scope = NULL;
	char context[33] = "";
	if (hit->cookie == 0 || hit->cookie > watch->places.count)
		return;
	const struct watch_place *place = watch->places.items[hit->cookie - 1];
	if (!place)
		return;
	if (has_role(place, LEAVE_RAISE))
		watch_raise(watch, hit);
	if (is_idle(watch, place, hit))
		return;
	*error = native_scope_open(watch->program, hit, &scope);
	if (*error)
		return;
	struct event event = {
		.pid = hit->pid,
		.tid = hit->tid,
		.thread_name = name_thread(watch, hit->pid, hit->tid),
		.time_ns = hit->time_ns,
		.wall_ns = hit->time_ns + wall_offset_ns,
		.context = context,
		.file = place->file,
		.function = place->function,
		.line = place->line,
		.ops = &native_scope_ops,
		.scope = scope,
	};
	if (has_role(place, LEAVE_UNWIND))
		watch_exception(watch, place, scope, &event);
	for (size_t i = 0; i < place->roles.count;)
		i += place->roles.items[i].kind == EVENT_EXCEPTION
			     ? 1
			     : give_event(watch, place, i, hit, scope, &event);
	native_scope_close(scope);
}
