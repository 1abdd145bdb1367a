// SPDX-License-Identifier: Apache-2.0
#include "recorder/stepper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct step_process *stepper_process(const struct stepper *stepper, pid_t pid)
{
	for (size_t i = 0; i < stepper->processes.count; i++)
		if (stepper->processes.items[i]->pid == pid)
			return stepper->processes.items[i];
	return NULL;
}

struct follower *stepper_find(const struct stepper *stepper, pid_t tid)
{
	for (size_t i = 0; i < stepper->followers.count; i++)
		if (stepper->followers.items[i]->trace.tid == tid)
			return stepper->followers.items[i];
	return NULL;
}

static struct strobe_error *add_process(struct stepper *stepper, pid_t pid,
					struct step_process **ret)
{
	struct step_process *process = calloc(1, sizeof(*process));
	if (!process || !array_reserve(&stepper->processes, stepper->processes.count + 1)) {
		free(process);
		return error_no_memory();
	}
	process->pid = pid;
	stepper->processes.items[stepper->processes.count++] = process;
	stepper->process_count++;
	*ret = process;
	return code_watch_open(&process->watch, pid, stepper->job->writer);
}

struct strobe_error *stepper_add(struct stepper *stepper, pid_t pid, pid_t tid,
				 enum follow_state state, struct follower **ret)
{
	struct strobe_error *error = NULL;
	struct step_process *process = stepper_process(stepper, pid);
	if (!process)
		error = add_process(stepper, pid, &process);
	if (error)
		return error;
	struct follower *follower = calloc(1, sizeof(*follower));
	if (!follower || !array_reserve(&stepper->followers, stepper->followers.count + 1)) {
		free(follower);
		return error_no_memory();
	}
	error = step_thread_open(&follower->trace, tid, &process->watch, stepper->job->writer);
	follower->state = state;
	// It is followed already: it stays on the list, so that it is let go in the end.
	stepper->followers.items[stepper->followers.count++] = follower;
	stepper->thread_count++;
	*ret = follower;
	return error;
}

static void drop_process(struct stepper *stepper, pid_t pid)
{
	for (size_t i = 0; i < stepper->followers.count; i++)
		if (stepper->followers.items[i]->trace.pid == pid)
			return;
	for (size_t i = 0; i < stepper->processes.count; i++) {
		struct step_process *process = stepper->processes.items[i];
		if (process->pid != pid)
			continue;
		code_watch_close(&process->watch);
		free(process);
		stepper->processes.items[i] = stepper->processes.items[--stepper->processes.count];
		return;
	}
}

struct strobe_error *stepper_remove(struct stepper *stepper, struct follower *follower)
{
	pid_t pid = follower->trace.pid;
	struct strobe_error *error = NULL;
	if (follower->trace.writer) {
		error = step_thread_pause(&follower->trace);
		if (!error)
			error = step_thread_flush(&follower->trace, true);
	}
	stepper->events += follower->trace.events;
	for (size_t i = 0; i < stepper->followers.count; i++)
		if (stepper->followers.items[i] == follower) {
			stepper->followers.items[i] =
				stepper->followers.items[--stepper->followers.count];
			break;
		}
	step_thread_close(&follower->trace);
	free(follower);
	drop_process(stepper, pid);
	return error;
}

void stepper_fini(struct stepper *stepper)
{
	while (stepper->followers.count)
		strobe_error_free(stepper_remove(stepper, stepper->followers.items[0]));
	for (size_t i = 0; i < stepper->processes.count; i++) {
		code_watch_close(&stepper->processes.items[i]->watch);
		free(stepper->processes.items[i]);
	}
	array_fini(&stepper->followers);
	array_fini(&stepper->processes);
}

bool stepper_inside(const struct stepper *stepper, uint64_t pc)
{
	const struct strobe_record_limits *limits = &stepper->job->limits;
	for (unsigned i = 0; i < limits->range_count; i++)
		if (pc >= limits->range_starts[i] && pc < limits->range_ends[i])
			return true;
	return !limits->range_count;
}

struct strobe_error *stepper_arm(struct stepper *stepper, struct follower *follower)
{
	const struct strobe_record_limits *limits = &stepper->job->limits;
	uint64_t addresses[TRACING_BREAKPOINTS];
	unsigned count = 0;
	if (limits->until)
		addresses[count++] = limits->until;
	if (follower->state == FOLLOW_WAITING) {
		addresses[count++] = limits->from;
	} else {
		for (unsigned i = 0; i < limits->range_count && count < TRACING_BREAKPOINTS; i++)
			addresses[count++] = limits->range_starts[i];
		// The innermost call returns first.
		for (unsigned i = follower->return_count; i > 0 && count < TRACING_BREAKPOINTS; i--)
			if (i == follower->return_count ||
			    follower->returns[i - 1] != follower->returns[i])
				addresses[count++] = follower->returns[i - 1];
	}
	if (tracing_set_breakpoints(follower->trace.tid, addresses, count))
		return NULL;
	struct user_regs_struct regs;
	if (!tracing_registers(follower->trace.tid, &regs))
		return NULL; // it was killed
	return error_new(STROBE_ERROR_UNSUPPORTED,
			 "thread %d: no hardware breakpoints at 0x%" PRIx64
			 ": the debug registers are in use, or the machine has none",
			 (int)follower->trace.tid, count ? addresses[count - 1] : 0);
}

void stepper_end(struct stepper *stepper, enum strobe_record_end end)
{
	if (!stepper->ending)
		stepper->end = end;
	stepper->ending = true;
}

void stepper_count(struct stepper *stepper)
{
	const struct strobe_record_limits *limits = &stepper->job->limits;
	stepper->instructions++;
	if (limits->instructions && stepper->instructions >= limits->instructions)
		stepper_end(stepper, STROBE_RECORD_INSTRUCTIONS);
}

struct strobe_error *stepper_enter(struct stepper *stepper, struct follower *follower, uint64_t pc)
{
	if (pc == stepper->job->limits.until && pc)
		stepper_end(stepper, STROBE_RECORD_UNTIL);
	if (stepper_inside(stepper, pc)) {
		follower->state = FOLLOW_STEPPING;
		return step_thread_enable(&follower->trace, pc);
	}
	follower->state = FOLLOW_SKIPPING;
	return stepper_arm(stepper, follower);
}
