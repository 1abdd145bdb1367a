// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_STEP_THREAD_H
#define RECORDER_STEP_THREAD_H

// One thread's trace, as its single steps tell it: which instruction comes next, and the packets of those that were
// executed. It knows nothing of stops; follow.c does.

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pt/writer.h"
#include "recorder/code_watch.h"
#include "recording/writer.h"

/** A system call: begun when its instruction was executed, or was ended by us before that was seen. */
struct step_call {
	bool pending; // its instruction is the one that is stepped over
	uint64_t number, arguments[6];
	uint64_t pc; // of its instruction
};

// Invariant: while `enabled`, `pc` is the next instruction that the packets lead to, and `at` is where it stands in
// `stretch`, if it is known.
struct step_thread {
	pid_t pid, tid;
	struct code_watch *watch;
	struct recording_writer *recording;
	struct pt_writer *writer;
	uint32_t stream;
	bool enabled;
	uint64_t pc;
	// A copy: the watch may forget its code while this thread runs.
	bool known; // there is code at `pc`
	struct code_stretch stretch;
	uint8_t lengths[CODE_STRETCH_MAX];
	bool system_call; // as in struct watched_stretch
	uint16_t flags;
	unsigned at; // index of the instruction at `pc`
	uint64_t instructions, events;
	struct step_call call;
};

/** A thread that is not executed yet. */
struct strobe_error *step_thread_open(struct step_thread *thread, pid_t tid,
				      struct code_watch *watch, struct recording_writer *recording)
	STROBE_MUST_CHECK;
void step_thread_close(struct step_thread *thread);

/** It runs on at `pc`. */
struct strobe_error *step_thread_enable(struct step_thread *thread, uint64_t pc) STROBE_MUST_CHECK;
/** The instruction at `thread->pc` is not executed: if it is enabled, it is no more. */
struct strobe_error *step_thread_pause(struct step_thread *thread) STROBE_MUST_CHECK;
/** The instruction at `thread->pc` was executed; `next` comes next. */
struct strobe_error *step_thread_executed(struct step_thread *thread, uint64_t next)
	STROBE_MUST_CHECK;
/** The same, and recording ends with it. */
struct strobe_error *step_thread_left(struct step_thread *thread, uint64_t next) STROBE_MUST_CHECK;
/** The system call instruction at `thread->pc`, of `thread->call`, was executed. */
struct strobe_error *step_thread_called(struct step_thread *thread) STROBE_MUST_CHECK;
/** An event, while it is not enabled. pid, tid and clock are filled in. */
struct strobe_error *step_thread_event(struct step_thread *thread, struct recording_event *event)
	STROBE_MUST_CHECK;

/** True if the next instruction is `syscall`. */
bool step_thread_at_call(const struct step_thread *thread);
/** True if the next instruction may be a pushf or popf. */
bool step_thread_at_flags(const struct step_thread *thread);
/** How the next instruction goes on; STROBE_FLOW_OTHER if it is not known. */
enum strobe_flow step_thread_flow(const struct step_thread *thread);
/** Address behind the next instruction; `pc` if it is not known. */
uint64_t step_thread_end(const struct step_thread *thread);

/** Gives whole blocks to the recording; with `all` what else there is, too. */
struct strobe_error *step_thread_flush(struct step_thread *thread, bool all) STROBE_MUST_CHECK;

#endif
