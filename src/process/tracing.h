// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_TRACING_H
#define PROCESS_TRACING_H

// Following the threads of living processes instruction by instruction, or from breakpoint to breakpoint. All calls from
// one thread.
//
// While a thread is stepped, its trap flag and debug registers are the kernel's to mend only if the tracer lets it go: a
// tracer that is killed leaves a thread that dies of SIGTRAP. Whoever steps therefore is a process of its own, which
// nobody has a reason to kill (recorder/guardian.h).

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <sys/types.h>
#include <sys/user.h>

/** What a thread stopped for. */
enum tracing_kind {
	TRACING_STEPPED,     // an instruction was executed, or a system call ended
	TRACING_CALL,	     // it begins a system call, or has ended one: tracing_call()
	TRACING_HANDLER,     // it stands at a signal handler's first instruction
	TRACING_BREAKPOINT,  // it stands at one of ours
	TRACING_SIGNAL,	     // it is about to take `signal`: give it to it, or do not
	TRACING_GROUP_STOP,  // by SIGSTOP and the like: tracing_listen()
	TRACING_INTERRUPTED, // as asked; or its first stop, if it is new
	TRACING_CLONE,	     // made thread `message`, which will stop, too
	TRACING_FORK,	     // made process `message`, likewise
	TRACING_VFORK_DONE,
	TRACING_EXEC, // another program; it was thread `message`
	TRACING_EXIT, // about to end, with status `message`
	TRACING_GONE, // has ended, with `status`
};

struct tracing_event {
	pid_t tid;
	enum tracing_kind kind;
	int signal;
	siginfo_t info; // of a TRACING_SIGNAL
	uint64_t message;
	int status; // as waitpid(2)
};

/** A thread at the moment when it was attached to. */
struct tracing_start {
	pid_t tid;
	bool stopped;	    // else it will stop later
	bool group_stopped; // it is to be listened to
	int signal;	    // that it was about to take; 0 = none
};

/** What is done with each thread at the start. Return an error to end it. */
typedef struct strobe_error *(*tracing_begin)(void *context, const struct tracing_start *thread);

/**
 * Stops all threads of process `pid`, for at most `stop_limit_ms`, and gives each to `begin`: none runs before that. With
 * `only` not 0 the others are let go. Errors: as threads_seize() and threads_wait(); NOT_FOUND (`only` is none of its).
 */
struct strobe_error *tracing_attach(pid_t pid, pid_t only, unsigned stop_limit_ms,
				    tracing_begin begin, void *context) STROBE_MUST_CHECK;
/** Follows `pid`, which waits for it before it executes a program: TRACING_EXEC comes next. */
struct strobe_error *tracing_adopt(pid_t pid) STROBE_MUST_CHECK;

/** For one that was not stopped when it was attached to, at its first stop. */
void tracing_complete(pid_t tid);

/** Waits for the next stop. 1: `*ret`; 0: a signal came; -1: nobody is left. */
int tracing_wait(struct tracing_event *ret);
/** Each lets a stopped thread go on, with `signal` (0 = none). False if it is gone. */
bool tracing_step(pid_t tid, int signal);
bool tracing_continue(pid_t tid, int signal);
/** To the beginning of a system call, or to its end: without a trap, so that nothing of ours shows. */
bool tracing_call(pid_t tid);
/** In a group stop: it stays stopped, and tells when that ends. */
bool tracing_listen(pid_t tid);
/** Asks a running thread to stop: TRACING_INTERRUPTED, if nothing else comes before. */
void tracing_interrupt(pid_t tid);

bool tracing_registers(pid_t tid, struct user_regs_struct *ret);
bool tracing_set_registers(pid_t tid, const struct user_regs_struct *regs);
/** The program counter alone: faster. */
bool tracing_pc(pid_t tid, uint64_t *ret);
enum { TRACING_BREAKPOINTS = 4 };
/** Stops it before it executes one of `count` addresses; 0 = none. False if the kernel refuses. */
bool tracing_set_breakpoints(pid_t tid, const uint64_t *addresses, unsigned count);

/**
 * The kernel forces the SIGTRAP of a step: it takes it out of the signals that are blocked, and takes its handler away
 * if it is one of them. Takes it out before that: true if it was in.
 */
bool tracing_unblock_trap(pid_t tid);
/** Puts it back. */
void tracing_block_trap(pid_t tid);

/** A stopped thread goes its own way, with `signal`. */
void tracing_release(pid_t tid, int signal);
/**
 * Running ones do: each is stopped for a moment, and a call in which that ends is set up again. `threads` are
 * `count` of process `pid`. For at most `limit_ms`; false if some did not stop by then.
 */
struct tracing_thread {
	pid_t tid;
	bool trap_blocked; // tracing_unblock_trap() said so
};
bool tracing_release_running(pid_t pid, const struct tracing_thread *threads, size_t count,
			     unsigned limit_ms);

/** Reads memory of process `pid`; bytes read from the start on. */
size_t tracing_read(pid_t pid, uint64_t address, void *buffer, size_t size);
bool tracing_write_word(pid_t tid, uint64_t address, uint64_t value);

#endif
