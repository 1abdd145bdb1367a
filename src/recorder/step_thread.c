// SPDX-License-Identifier: Apache-2.0
#include "recorder/step_thread.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "process/proc.h"

static bool read_clock(void *context, uint64_t *ret)
{
	(void)context;
	*ret = record_clock();
	return true;
}

static void read_name(pid_t pid, pid_t tid, char *name, size_t size)
{
	struct text text = {0};
	char file[64];
	snprintf(file, sizeof(file), "%d/task/%d/comm", (int)pid, (int)tid);
	*name = '\0';
	if (proc_read(file, &text) == 0)
		snprintf(name, size, "%.*s", (int)strcspn(text_string(&text), "\n"),
			 text_string(&text));
	text_fini(&text);
}

struct strobe_error *step_thread_open(struct step_thread *thread, pid_t tid,
				      struct code_watch *watch, struct recording_writer *recording)
{
	char name[32];
	struct pt_writer_options options = {.clock = read_clock};
	struct recording_thread added = {
		.pid = watch->pid, .tid = tid, .cpu = -1, .name = name, .clock = record_clock()};
	*thread = (struct step_thread){
		.pid = watch->pid, .tid = tid, .watch = watch, .recording = recording};
	read_name(watch->pid, tid, name, sizeof(name));
	struct strobe_error *error = pt_writer_new(&options, &thread->writer);
	return error ? error : recording_add_thread(recording, &added, &thread->stream);
}

void step_thread_close(struct step_thread *thread)
{
	thread->writer = pt_writer_free(thread->writer);
}

/** Finds the code at `thread->pc`. */
static struct strobe_error *locate(struct step_thread *thread)
{
	struct watched_stretch found;
	struct strobe_error *error = code_watch_find(thread->watch, thread->pc, &found);
	thread->at = 0;
	thread->known = !error && found.stretch;
	if (!thread->known)
		return error;
	thread->stretch = *found.stretch;
	memcpy(thread->lengths, found.lengths, found.stretch->count);
	thread->system_call = found.system_call;
	thread->flags = found.flags;
	return NULL;
}

struct strobe_error *step_thread_enable(struct step_thread *thread, uint64_t pc)
{
	thread->pc = pc;
	thread->enabled = true;
	struct strobe_error *error = locate(thread);
	return error ? error : pt_writer_enable(thread->writer, pc);
}

struct strobe_error *step_thread_pause(struct step_thread *thread)
{
	if (!thread->enabled)
		return NULL;
	thread->enabled = false;
	return pt_writer_async_disable(thread->writer, thread->pc);
}

static bool is_last(const struct step_thread *thread)
{
	return thread->known && thread->at + 1U == thread->stretch.count;
}

enum strobe_flow step_thread_flow(const struct step_thread *thread)
{
	return is_last(thread) ? (enum strobe_flow)thread->stretch.flow : STROBE_FLOW_OTHER;
}

uint64_t step_thread_end(const struct step_thread *thread)
{
	return thread->pc + (thread->known ? thread->lengths[thread->at] : 0);
}

bool step_thread_at_call(const struct step_thread *thread)
{
	return thread->enabled && is_last(thread) && thread->system_call;
}

bool step_thread_at_flags(const struct step_thread *thread)
{
	// Two in a stretch are rare: whatever follows the first one is looked at.
	return thread->enabled && thread->known && thread->at >= thread->flags;
}

static struct pt_step make_step(const struct step_thread *thread)
{
	struct pt_step step = {.address = thread->pc,
			       .size_bytes = thread->lengths[thread->at],
			       .flow = step_thread_flow(thread)};
	if (is_last(thread)) {
		step.has_target = thread->stretch.has_target;
		step.target = thread->stretch.target;
	}
	return step;
}

struct strobe_error *step_thread_executed(struct step_thread *thread, uint64_t next)
{
	struct strobe_error *error;
	if (thread->known) {
		struct pt_step step = make_step(thread);
		error = pt_writer_step(thread->writer, &step, next);
	} else { // code that came and went
		error = pt_writer_async_branch(thread->writer, thread->pc, next);
	}
	bool follows = thread->known && !is_last(thread) && next == step_thread_end(thread);
	thread->instructions++;
	thread->pc = next;
	if (error)
		return error;
	if (!follows)
		return locate(thread);
	thread->at++;
	return NULL;
}

struct strobe_error *step_thread_left(struct step_thread *thread, uint64_t next)
{
	if (!thread->known)
		return step_thread_pause(thread);
	struct pt_step step = make_step(thread);
	thread->instructions++;
	thread->enabled = false;
	return pt_writer_disable(thread->writer, &step, next);
}

struct strobe_error *step_thread_called(struct step_thread *thread)
{
	uint64_t payload;
	struct pt_step step = {
		.address = thread->pc, .size_bytes = 2, .flow = STROBE_FLOW_FAR_CALL};
	struct recording_event event = {.type = STROBE_EVENT_SYSTEM_CALL,
					.clock = record_clock(),
					.pid = thread->pid,
					.tid = thread->tid,
					.has_address = true,
					.address = thread->pc,
					.value = thread->call.number};
	memcpy(event.arguments, thread->call.arguments, sizeof(event.arguments));
	thread->call.pending = false;
	thread->instructions++;
	thread->events++;
	thread->enabled = false;
	struct strobe_error *error = recording_add_event(thread->recording, &event, &payload);
	if (!error)
		error = pt_writer_ptwrite(thread->writer, thread->pc, payload);
	return error ? error : pt_writer_disable(thread->writer, &step, 0);
}

struct strobe_error *step_thread_event(struct step_thread *thread, struct recording_event *event)
{
	uint64_t payload;
	event->pid = thread->pid;
	event->tid = thread->tid;
	event->clock = record_clock();
	thread->events++;
	struct strobe_error *error = recording_add_event(thread->recording, event, &payload);
	return error ? error : pt_writer_ptwrite(thread->writer, 0, payload);
}

struct strobe_error *step_thread_flush(struct step_thread *thread, bool all)
{
	size_t size;
	const uint8_t *bytes = pt_writer_bytes(thread->writer, &size);
	if (!all)
		size = pt_writer_whole(thread->writer);
	if (!size)
		return NULL;
	struct strobe_error *error =
		recording_add_packets(thread->recording, thread->stream, bytes, size);
	if (!error)
		pt_writer_take(thread->writer, size);
	return error;
}
