// SPDX-License-Identifier: Apache-2.0
#include "recorder/going.h"

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
	return stepper_enter(stepper, follower, regs.rip);
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
	if (step_thread_at_call(trace) && !trace->call.pending)
		calling_prepare(follower);
	tracing_step(trace->tid, signal);
	return NULL;
}

struct strobe_error *going_conclude(struct stepper *stepper, struct follower *follower)
{
	// A step over a system call that has not ended: it waits there.
	if (follower->state != FOLLOW_STEPPING || follower->stopped)
		return NULL;
	return calling_begin(stepper, follower);
}
