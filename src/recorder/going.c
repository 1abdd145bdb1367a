// SPDX-License-Identifier: Apache-2.0
#include "recorder/going.h"

#include <stdio.h>

#include "process/proc.h"
#include "recorder/calling.h"

struct strobe_error *going_begin(struct stepper *stepper, struct follower *follower)
{
	struct user_regs_struct regs;
	struct recording_event start = {.type = STROBE_EVENT_THREAD_START};
	if (!tracing_registers(follower->trace.tid, &regs))
		return NULL;
	if (!stepper->started) {
		follower->state = FOLLOW_WAITING;
		return stepper_arm(stepper, follower);
	}
	tracing_set_breakpoints(follower->trace.tid, NULL, 0);
	follower->state = FOLLOW_STEPPING;
	struct strobe_error *error = step_thread_event(&follower->trace, &start);
	if (error)
		return error;
	if (calling_was_interrupted(follower, &regs))
		return NULL;
	calling_hide_trap(follower);
	return stepper_enter(stepper, follower, regs.rip);
}

static bool is_handled(const struct step_thread *trace, int signal)
{
	struct text status = {0};
	char name[64];
	uint64_t caught = 0;
	snprintf(name, sizeof(name), "%d/task/%d/status", (int)trace->pid, (int)trace->tid);
	if (proc_read(name, &status) == 0)
		proc_field_number(text_string(&status), "SigCgt", 16, &caught);
	text_fini(&status);
	return caught >> (signal - 1) & 1;
}

struct strobe_error *going_resume(struct stepper *stepper, struct follower *follower)
{
	struct step_thread *trace = &follower->trace;
	int signal = follower->give;
	follower->give = 0;
	follower->stopped = false;
	(void)stepper;
	if (follower->state != FOLLOW_STEPPING) {
		tracing_continue(trace->tid, signal);
		return NULL;
	}
	bool at_call = step_thread_at_call(trace);
	if (at_call && !trace->call.pending)
		calling_prepare(follower);
	// A signal is followed to its handler, which the end of a call is not.
	if (!signal && (at_call || follower->in_call || follower->restarting || !trace->enabled)) {
		calling_show_trap(follower);
		tracing_call(trace->tid);
		return NULL;
	}
	if (signal && is_handled(trace, signal))
		calling_show_trap(follower); // the handler's frame keeps it
	tracing_step(trace->tid, signal);
	return NULL;
}
