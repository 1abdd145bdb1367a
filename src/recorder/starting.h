// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_STARTING_H
#define RECORDER_STARTING_H

// Where a recording begins: a process that runs, a program that is started, the address that it waits for; and
// other programs that it executes.

#include "recorder/stepper.h"

/** Attaches to job->pid, or starts it; all its threads go on. */
struct strobe_error *starting_begin(struct stepper *stepper) STROBE_MUST_CHECK;
/** A started program's libraries are there. */
struct strobe_error *starting_arrived(struct stepper *stepper, struct follower *follower)
	STROBE_MUST_CHECK;
/** A thread came to limits.from. */
struct strobe_error *starting_found(struct stepper *stepper, struct follower *follower)
	STROBE_MUST_CHECK;
/** A thread executes another program. */
struct strobe_error *starting_exec(struct stepper *stepper, struct follower *follower,
				   const struct tracing_event *event) STROBE_MUST_CHECK;

#endif
