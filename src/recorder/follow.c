// SPDX-License-Identifier: Apache-2.0
#include "recorder/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "process/proc.h"
#include "recorder/calling.h"
#include "recorder/flags.h"
#include "recorder/going.h"
#include "recorder/starting.h"

static struct strobe_error *tell_signal(struct follower *follower, bool handled, uint64_t handler)
{
	const siginfo_t *info = &follower->signal;
	char text[64] = "";
	struct recording_event event = {.type = STROBE_EVENT_SIGNAL,
					.has_address = follower->trace.pc != 0,
					.address = follower->trace.pc,
					.has_target = handled,
					.target = handler,
					.value = (uint64_t)info->si_signo,
					.value_2 = (uint64_t)info->si_code,
					.text = text};
	bool fault = info->si_signo == SIGSEGV || info->si_signo == SIGBUS ||
		     info->si_signo == SIGILL || info->si_signo == SIGFPE;
	follower->has_signal = false;
	if (info->si_code > 0 && fault)
		snprintf(text, sizeof(text), "at 0x%" PRIxPTR, (uintptr_t)info->si_addr);
	else if (info->si_code <= 0 && info->si_pid > 0)
		snprintf(text, sizeof(text), "from process %d", (int)info->si_pid);
	return step_thread_event(&follower->trace, &event);
}

static void note_return(struct follower *follower, uint64_t address)
{
	if (follower->return_count == RETURNS_KEPT) {
		memmove(follower->returns, follower->returns + 1,
			(RETURNS_KEPT - 1) * sizeof(follower->returns[0]));
		follower->return_count--;
	}
	follower->returns[follower->return_count++] = address;
}

/** The instruction at trace.pc was executed; `next` comes next. */
static struct strobe_error *execute_one(struct stepper *stepper, struct follower *follower,
					uint64_t next)
{
	struct step_thread *trace = &follower->trace;
	stepper_count(stepper);
	if (next == stepper->job->limits.until && next)
		stepper_end(stepper, STROBE_RECORD_UNTIL);
	if (stepper_inside(stepper, next))
		return step_thread_executed(trace, next);
	if (step_thread_flow(trace) == STROBE_FLOW_CALL)
		note_return(follower, step_thread_end(trace));
	follower->state = FOLLOW_SKIPPING;
	struct strobe_error *error = step_thread_left(trace, next);
	return error ? error : stepper_arm(stepper, follower);
}

static struct strobe_error *execute(struct stepper *stepper, struct follower *follower,
				    uint64_t next)
{
	struct step_thread *trace = &follower->trace;
	if (step_thread_at_flags(trace))
		flags_mend_pushed(trace);
	struct strobe_error *error = execute_one(stepper, follower, next);
	while (!error && !stepper->ending && follower->state == FOLLOW_STEPPING &&
	       step_thread_at_flags(trace) && flags_pop(trace, &next))
		error = execute_one(stepper, follower, next);
	return error;
}

static struct strobe_error *on_step(struct stepper *stepper, struct follower *follower,
				    const struct tracing_event *event)
{
	struct step_thread *trace = &follower->trace;
	uint64_t pc;
	(void)event;
	if (follower->state != FOLLOW_STEPPING)
		return NULL;
	follower->has_signal = false; // it was ignored, or ends the thread
	if (follower->restarting || follower->in_call || trace->call.pending)
		return calling_end(stepper, follower);
	if (!tracing_pc(trace->tid, &pc))
		return NULL; // killed a moment ago
	if (!trace->enabled)
		return stepper_enter(stepper, follower, pc);
	// A string instruction that has not come to its end.
	if (pc == trace->pc && step_thread_flow(trace) == STROBE_FLOW_OTHER)
		return NULL;
	return execute(stepper, follower, pc);
}

static struct strobe_error *on_call(struct stepper *stepper, struct follower *follower,
				    const struct tracing_event *event)
{
	struct step_thread *trace = &follower->trace;
	uint64_t pc;
	(void)event;
	if (follower->state != FOLLOW_STEPPING)
		return NULL;
	if (follower->in_call)
		return calling_end(stepper, follower);
	if (trace->call.pending || follower->restarting)
		return calling_begin(stepper, follower);
	// The end of the execve() with which it was started.
	return tracing_pc(trace->tid, &pc) ? stepper_enter(stepper, follower, pc) : NULL;
}

static struct strobe_error *on_handler(struct stepper *stepper, struct follower *follower,
				       const struct tracing_event *event)
{
	uint64_t pc;
	(void)event;
	if (follower->state != FOLLOW_STEPPING || !tracing_pc(follower->trace.tid, &pc))
		return NULL;
	follower->restarting = false;
	follower->trace.call.pending = false;
	calling_hide_trap(follower);
	struct strobe_error *error = step_thread_pause(&follower->trace);
	if (!error && follower->has_signal)
		error = tell_signal(follower, true, pc);
	return error ? error : stepper_enter(stepper, follower, pc);
}

static struct strobe_error *on_breakpoint(struct stepper *stepper, struct follower *follower,
					  const struct tracing_event *event)
{
	struct recording_event skipped = {.type = STROBE_EVENT_SKIPPED};
	uint64_t pc;
	(void)event;
	if (!tracing_pc(follower->trace.tid, &pc))
		return NULL;
	if (pc == stepper->job->limits.until)
		stepper_end(stepper, STROBE_RECORD_UNTIL);
	if (stepper->ending)
		return NULL;
	if (follower->state == FOLLOW_STARTING)
		return starting_arrived(stepper, follower);
	if (follower->state == FOLLOW_WAITING && pc == stepper->job->limits.from)
		return starting_found(stepper, follower);
	if (follower->state != FOLLOW_SKIPPING || !stepper_inside(stepper, pc))
		return NULL;
	if (follower->return_count && follower->returns[follower->return_count - 1] == pc)
		follower->return_count--;
	tracing_set_breakpoints(follower->trace.tid, NULL, 0);
	struct strobe_error *error = step_thread_event(&follower->trace, &skipped);
	return error ? error : stepper_enter(stepper, follower, pc);
}

static struct strobe_error *on_signal(struct stepper *stepper, struct follower *follower,
				      const struct tracing_event *event)
{
	struct step_thread *trace = &follower->trace;
	uint64_t pc;
	struct strobe_error *error = NULL;
	// An int3 of the program's was executed; and where a SIGTRAP came just then, that of the step is lost.
	if (follower->state == FOLLOW_STEPPING && tracing_pc(trace->tid, &pc) && trace->enabled &&
	    pc != trace->pc)
		error = trace->call.pending ? calling_end(stepper, follower)
					    : execute(stepper, follower, pc);
	follower->signal = event->info;
	follower->signal.si_signo = event->signal;
	follower->has_signal = true;
	follower->give = event->signal;
	return error;
}

static struct strobe_error *on_group_stop(struct stepper *stepper, struct follower *follower,
					  const struct tracing_event *event)
{
	struct step_thread *trace = &follower->trace;
	bool enabled = trace->enabled;
	struct strobe_error *error = NULL;
	(void)event;
	if (follower->state == FOLLOW_STEPPING && follower->has_signal && !trace->call.pending) {
		error = step_thread_pause(trace);
		if (!error)
			error = tell_signal(follower, false, 0);
		if (!error && enabled)
			error = step_thread_enable(trace, trace->pc);
	}
	(void)stepper;
	if (!tracing_listen(trace->tid))
		return error;
	follower->stopped = false;
	return error;
}

static struct strobe_error *on_interrupt(struct stepper *stepper, struct follower *follower,
					 const struct tracing_event *event)
{
	(void)event;
	if (follower->state == FOLLOW_NEW) {
		tracing_complete(follower->trace.tid);
		return going_begin(stepper, follower);
	}
	if (follower->state == FOLLOW_WAITING && stepper->started)
		return going_begin(stepper, follower);
	return NULL;
}

static struct strobe_error *on_child(struct stepper *stepper, struct follower *follower,
				     const struct tracing_event *event)
{
	(void)event; // the child tells of itself when it stops
	return calling_begin(stepper, follower);
}

static struct strobe_error *on_end(struct stepper *stepper, struct follower *follower,
				   const struct tracing_event *event)
{
	struct step_thread *trace = &follower->trace;
	struct recording_event end = {.type = STROBE_EVENT_THREAD_END, .value = event->message};
	struct strobe_error *error = calling_begin(stepper, follower);
	if (!error)
		error = step_thread_pause(trace);
	if (!error && follower->has_signal)
		error = tell_signal(follower, false, 0);
	if (!error && follower->state != FOLLOW_WAITING && follower->state != FOLLOW_STARTING)
		error = step_thread_event(trace, &end);
	follower->state = FOLLOW_SKIPPING; // it only ends now
	return error;
}

typedef struct strobe_error *(*handle)(struct stepper *stepper, struct follower *follower,
				       const struct tracing_event *event);
static const handle handles[] = {
	[TRACING_STEPPED] = on_step,
	[TRACING_CALL] = on_call,
	[TRACING_HANDLER] = on_handler,
	[TRACING_BREAKPOINT] = on_breakpoint,
	[TRACING_SIGNAL] = on_signal,
	[TRACING_GROUP_STOP] = on_group_stop,
	[TRACING_INTERRUPTED] = on_interrupt,
	[TRACING_CLONE] = on_child,
	[TRACING_FORK] = on_child,
	[TRACING_EXEC] = starting_exec,
	[TRACING_EXIT] = on_end,
};

/** The first that is heard of a thread: a new one, or that of a new process. */
static struct strobe_error *meet(struct stepper *stepper, const struct tracing_event *event)
{
	struct text status = {0};
	char name[32];
	uint64_t pid = 0;
	struct follower *follower;
	if (event->kind == TRACING_GONE)
		return NULL;
	snprintf(name, sizeof(name), "%d/status", (int)event->tid);
	if (proc_read(name, &status) == 0)
		proc_field_number(text_string(&status), "Tgid", 10, &pid);
	text_fini(&status);
	calling_clean(event->tid);
	bool known = stepper_process(stepper, (pid_t)pid) != NULL;
	bool wanted = known ? !stepper->job->options->tid : stepper->job->options->follow_forks;
	if (!pid || !wanted || stepper->ending) {
		tracing_release(event->tid, 0);
		return NULL;
	}
	struct strobe_error *error =
		stepper_add(stepper, (pid_t)pid, event->tid, FOLLOW_NEW, &follower);
	if (error)
		return error;
	follower->stopped = true;
	error = going_begin(stepper, follower);
	return error ? error : going_resume(stepper, follower);
}

static struct strobe_error *on_gone(struct stepper *stepper, struct follower *follower,
				    const struct tracing_event *event)
{
	if (follower->trace.tid == stepper->job->pid)
		stepper->exit_status = event->status;
	return stepper_remove(stepper, follower);
}

struct strobe_error *follow_stop(struct stepper *stepper, const struct tracing_event *event)
{
	struct follower *follower = stepper_find(stepper, event->tid);
	if (!follower && event->kind == TRACING_EXEC)
		follower = stepper_find(stepper, (pid_t)event->message);
	if (!follower)
		return meet(stepper, event);
	if (event->kind == TRACING_GONE)
		return on_gone(stepper, follower, event);
	follower->stopped = true;
	handle handler = handles[event->kind];
	struct strobe_error *error = handler ? handler(stepper, follower, event) : NULL;
	if (error || stepper->ending)
		return error;
	follower = stepper_find(stepper, event->tid); // an exec may have changed it
	return follower && follower->stopped ? going_resume(stepper, follower) : NULL;
}
