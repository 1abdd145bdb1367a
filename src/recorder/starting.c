// SPDX-License-Identifier: Apache-2.0
#include "recorder/starting.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "process/proc.h"
#include "recorder/calling.h"
#include "recorder/going.h"
#include "recorder/launch.h"

enum { STOP_LIMIT_MS = 2000 };

/** Lets the caller turn names into addresses. */
static struct strobe_error *place(struct stepper *stepper, const struct code_watch *watch)
{
	struct record_job *job = stepper->job;
	struct strobe_view *view;
	if (!job->options->place)
		return NULL;
	struct strobe_error *error = code_watch_view(watch, &view);
	if (error)
		return error;
	error = job->options->place(job->options->context, view, &job->limits);
	strobe_view_close(view);
	stepper->started = !job->limits.from;
	return error;
}

static struct strobe_error *begin_thread(void *context, const struct tracing_start *start)
{
	struct stepper *stepper = context;
	struct follower *follower;
	struct strobe_error *error =
		stepper_add(stepper, stepper->job->pid, start->tid, FOLLOW_NEW, &follower);
	if (error || !start->stopped)
		return error;
	follower->stopped = true;
	follower->give = start->signal;
	if (start->signal) {
		follower->has_signal = true;
		follower->signal.si_signo = start->signal;
	}
	error = going_begin(stepper, follower);
	if (error)
		return error;
	if (!start->group_stopped)
		return going_resume(stepper, follower);
	tracing_listen(start->tid);
	follower->stopped = false;
	return NULL;
}

static struct strobe_error *attach(struct stepper *stepper)
{
	struct record_job *job = stepper->job;
	struct code_watch watch; // names are looked up before anybody stands
	struct strobe_error *error = NULL;
	if (job->options->place) {
		error = code_watch_open(&watch, job->pid, job->writer);
		if (!error)
			error = place(stepper, &watch);
		code_watch_close(&watch);
	}
	return error ? error
		     : tracing_attach(job->pid, job->options->tid, STOP_LIMIT_MS, begin_thread,
				      stepper);
}

/** The program's own first instruction, behind the dynamic linker's work; 0 if it is not known. */
static uint64_t read_entry(pid_t pid)
{
	struct text text = {0};
	char name[32];
	uint64_t entry = 0;
	snprintf(name, sizeof(name), "%d/auxv", (int)pid);
	if (proc_read(name, &text) == 0)
		for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= text.size;
		     at += sizeof(Elf64_auxv_t)) {
			Elf64_auxv_t item;
			memcpy(&item, text.data + at, sizeof(item));
			if (item.a_type == AT_ENTRY)
				entry = item.a_un.a_val;
		}
	text_fini(&text);
	return entry;
}

static struct strobe_error *explain_failure(struct record_job *job, int status)
{
	int problem = launch_failure(job->launch);
	const char *program = job->options->arguments[0];
	if (problem)
		return error_new(problem == ENOENT ? STROBE_ERROR_NOT_FOUND : STROBE_ERROR_SYSTEM,
				 "%s: %s", program, strerror(problem));
	return error_new(STROBE_ERROR_SYSTEM, "%s: ended before it began, wait status 0x%x",
			 program, (unsigned)status);
}

/** Waits until it executes the program. */
static struct strobe_error *wait_for_exec(struct record_job *job)
{
	struct tracing_event event;
	for (;;) {
		int result = tracing_wait(&event);
		if (result < 0 || (result && event.kind == TRACING_GONE))
			return explain_failure(job, result < 0 ? 0 : event.status);
		if (result && event.kind == TRACING_EXEC)
			return NULL;
		if (result)
			tracing_continue(event.tid,
					 event.kind == TRACING_SIGNAL ? event.signal : 0);
	}
}

static struct strobe_error *start(struct stepper *stepper)
{
	struct record_job *job = stepper->job;
	struct follower *follower;
	uint64_t entry;
	if (!launch_wait(job->launch))
		return error_new(STROBE_ERROR_NOT_FOUND, "%s: ended before it began",
				 job->options->arguments[0]);
	struct strobe_error *error = tracing_adopt(job->pid);
	if (error)
		return error;
	launch_go(job->launch);
	error = wait_for_exec(job);
	if (!error)
		error = stepper_add(stepper, job->pid, job->pid, FOLLOW_STARTING, &follower);
	if (error)
		return error;
	follower->stopped = true;
	entry = job->options->place || job->limits.from ? read_entry(job->pid) : 0;
	if (!entry) {
		// It stands within execve(): its first instruction comes with the first step.
		struct recording_event begun = {.type = STROBE_EVENT_THREAD_START};
		follower->state = FOLLOW_STEPPING;
		error = step_thread_event(&follower->trace, &begun);
	} else if (!tracing_set_breakpoints(job->pid, &entry, 1)) {
		error = error_new(STROBE_ERROR_UNSUPPORTED,
				  "no hardware breakpoints: limits need them");
	}
	return error ? error : going_resume(stepper, follower);
}

struct strobe_error *starting_begin(struct stepper *stepper)
{
	stepper->started = !stepper->job->limits.from;
	return stepper->job->launch >= 0 ? start(stepper) : attach(stepper);
}

struct strobe_error *starting_arrived(struct stepper *stepper, struct follower *follower)
{
	struct strobe_error *error = code_watch_scan(follower->trace.watch);
	if (!error)
		error = place(stepper, follower->trace.watch);
	return error ? error : going_begin(stepper, follower);
}

struct strobe_error *starting_found(struct stepper *stepper, struct follower *follower)
{
	stepper->started = true;
	for (size_t i = 0; i < stepper->followers.count; i++) {
		struct follower *other = stepper->followers.items[i];
		if (other != follower && other->state == FOLLOW_WAITING)
			tracing_interrupt(other->trace.tid);
	}
	return going_begin(stepper, follower);
}

/** Others of its process are gone: the kernel ended them, and told or tells. */
static struct strobe_error *take_over(struct stepper *stepper, struct follower **follower,
				      const struct tracing_event *event)
{
	struct strobe_error *error = NULL;
	pid_t pid = (*follower)->trace.pid;
	struct follower *leader = stepper_find(stepper, event->tid);
	struct follower *caller = stepper_find(stepper, (pid_t)event->message);
	for (size_t i = 0; !error && i < stepper->followers.count;) {
		struct follower *other = stepper->followers.items[i];
		if (other->trace.pid != pid || other == leader || other == caller) {
			i++;
			continue;
		}
		error = stepper_remove(stepper, other); // the last one takes its place
	}
	if (error || !caller || caller == leader)
		return error;
	// It was another thread's: the leader's trace goes on with the new program.
	error = calling_begin(stepper, caller);
	if (!error && !leader) {
		error = stepper_add(stepper, pid, event->tid, FOLLOW_STEPPING, &leader);
		*follower = leader;
	}
	if (error)
		return error;
	leader->stopped = true;
	leader->state = caller->state;
	leader->in_call = caller->in_call;
	leader->trace.call = caller->trace.call;
	leader->restarting = false;
	error = step_thread_pause(&leader->trace);
	*follower = leader;
	return error ? error : stepper_remove(stepper, caller);
}

struct strobe_error *starting_exec(struct stepper *stepper, struct follower *follower,
				   const struct tracing_event *event)
{
	char name[32];
	struct text path = {0};
	struct strobe_error *error = take_over(stepper, &follower, event);
	if (!error)
		error = calling_begin(stepper, follower);
	snprintf(name, sizeof(name), "%d/exe", (int)event->tid);
	proc_read_link(name, &path);
	struct recording_event executed = {.type = STROBE_EVENT_EXEC, .text = text_string(&path)};
	if (!error && follower->state != FOLLOW_WAITING)
		error = step_thread_event(&follower->trace, &executed);
	if (!error)
		error = code_watch_exec(follower->trace.watch);
	text_fini(&path);
	if (error)
		return error;
	// Breakpoints went with the old program, and so did what they were for.
	if (follower->state == FOLLOW_SKIPPING || follower->state == FOLLOW_WAITING)
		return stepper_arm(stepper, follower);
	return NULL;
}
