// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_CALLING_H
#define RECORDER_CALLING_H

// System calls of a thread that is stepped: it stops where a call begins and where it has ended. Where a signal is
// delivered at the `syscall` instruction, the call is stepped over, and there is one stop, at its end. A call that a
// signal interrupted may be made again by the kernel, without its instruction's being seen.

#include "recorder/stepper.h"

/** The next instruction is `syscall`: notes what it will do. */
void calling_prepare(struct follower *follower);
/** SIGTRAP is blocked in the thread only as far as it can be while it is stepped; _show: as the thread has it. */
void calling_hide_trap(struct follower *follower);
void calling_show_trap(struct follower *follower);
/** A stop within the call: its instruction was executed. Nothing if there is none. */
struct strobe_error *calling_begin(struct stepper *stepper, struct follower *follower)
	STROBE_MUST_CHECK;
/** A stop behind the call. */
struct strobe_error *calling_end(struct stepper *stepper, struct follower *follower)
	STROBE_MUST_CHECK;
/** True if it stands in a call that we interrupted when we came: it goes on as if restarted. */
bool calling_was_interrupted(struct follower *follower, const struct user_regs_struct *regs);
/** `syscall` puts the flags, with ours in them, into r11: takes it out, of a new thread too. */
void calling_clean(pid_t tid);

#endif
