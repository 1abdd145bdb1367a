// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_STEPPER_H
#define RECORDER_STEPPER_H

// All threads that are followed by single steps, and what each is at. single_step.c moves them from stop to stop.

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "process/tracing.h"
#include "recorder/method.h"
#include "recorder/step_thread.h"

/** A process and its code. */
struct step_process {
	pid_t pid;
	struct code_watch watch;
};

enum follow_state {
	FOLLOW_NEW,	 // attached to, not stopped yet
	FOLLOW_STARTING, // of a program that is started: on its way to where recording begins
	FOLLOW_WAITING,	 // runs, until a thread comes to limits.from
	FOLLOW_STEPPING, // is recorded
	FOLLOW_SKIPPING, // runs, until it comes back into a range
};

enum { RETURNS_KEPT = 64 };

/** A thread. Invariant: it is `stopped` from a stop that was told until it is let go on. */
struct follower {
	struct step_thread trace;
	enum follow_state state;
	bool stopped;
	int give;	   // the signal to go on with
	bool has_signal;   // one was given to it, and what it did to it is not known yet
	siginfo_t signal;  // that one
	bool trap_blocked; // it blocks SIGTRAP, and does not while it is stepped
	bool in_call;	   // its system call has begun, and not ended
	bool restarting;   // the kernel makes trace.call again, unless a handler runs
	uint64_t returns[RETURNS_KEPT]; // where calls out of the ranges return to
	unsigned return_count;
};

struct stepper {
	struct record_job *job;
	ARRAY(struct step_process *) processes;
	ARRAY(struct follower *) followers;
	bool started; // limits.from was reached, or there is none
	bool ending;
	enum strobe_record_end end;
	uint64_t instructions, events, thread_count, process_count;
	int exit_status;
	bool target_ended;
	int64_t begin_ns, tend_ns; // since when; when it is tended next
};

/** A thread of process `pid`, which becomes one that is followed. NULL if memory is short, with the error. */
struct strobe_error *stepper_add(struct stepper *stepper, pid_t pid, pid_t tid,
				 enum follow_state state, struct follower **ret) STROBE_MUST_CHECK;
struct follower *stepper_find(const struct stepper *stepper, pid_t tid);
struct step_process *stepper_process(const struct stepper *stepper, pid_t pid);
/** Writes the rest of its packets, and forgets it. */
struct strobe_error *stepper_remove(struct stepper *stepper, struct follower *follower)
	STROBE_MUST_CHECK;
void stepper_fini(struct stepper *stepper);

/** True if `pc` is to be recorded. */
bool stepper_inside(const struct stepper *stepper, uint64_t pc);
/** Sets the breakpoints of a thread that runs: where it comes back, and `until`. */
struct strobe_error *stepper_arm(struct stepper *stepper, struct follower *follower)
	STROBE_MUST_CHECK;
/** An instruction was executed. */
void stepper_count(struct stepper *stepper);
/** A thread that stands at `pc`, and is not enabled, goes on from there: recorded, or not. */
struct strobe_error *stepper_enter(struct stepper *stepper, struct follower *follower, uint64_t pc)
	STROBE_MUST_CHECK;
void stepper_end(struct stepper *stepper, enum strobe_record_end end);

#endif
