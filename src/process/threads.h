// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_THREADS_H
#define PROCESS_THREADS_H

// Stopping the threads of one process and letting them go. All calls from one thread: ptrace(2)
// knows threads, not processes.
//
// At no instant does a thread stand in a state that it could not run on from, were we to die: the
// kernel then detaches it, and it runs.

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/array.h"
#include "process/restart.h"

enum { XSTATE_LIMIT = 16384 }; // bytes of extended state; AMX takes 11 KiB

enum thread_state {
	THREAD_SEIZED,	// not stopped yet
	THREAD_STOPPED, // registers are known
	THREAD_STUCK,	// did not stop in time: it sleeps where no signal reaches it
	THREAD_DEAD,	// a zombie: the leader, that other threads outlive
	THREAD_GONE,	// ended meanwhile
};

struct stopped_thread {
	pid_t tid;
	enum thread_state state;
	int signal;	    // that it was about to take when it stopped; 0 = none
	bool group_stopped; // by SIGSTOP or the like, before us
	bool released;
	bool unburied; // killed while it stood: to be waited for
	struct restart_wait wait;
	struct user_regs_struct regs;	 // as they were at the stop; of a stuck one, pc and sp or 0
	struct user_regs_struct running; // with which it will run on: a mended call, else as `regs`
	size_t xstate_size;
	uint8_t *xstate;
	bool has_blocked;
	uint64_t blocked; // signal mask
	bool has_robust;
	uint64_t robust_list, robust_size;
	bool has_rseq;
	uint64_t rseq_address;
	uint32_t rseq_size, rseq_signature, rseq_flags;
	siginfo_t *queue; // signals pending for it; of the leader, for the process too
	size_t queue_count, queue_shared; // the last `queue_shared` are the process's
	char *status, *stat;		  // texts of /proc at the stop, malloc'ed; NULL = none
	char state_before;		  // 'R', 'S', ... before we stopped it
};

/** The threads of one process. Zero-initialise. */
struct threads {
	pid_t pid;
	pid_t only; // of all threads this one alone is seized and stopped; 0 = all
	ARRAY(struct stopped_thread) list; // by tid
	int mem_fd;			   // /proc/PID/mem, for reading and writing
	uint64_t stop_limit_ns;
	int64_t first_stop_ns, released_ns; // CLOCK_MONOTONIC; 0 = not yet
	size_t stopped_count, stuck_count, unburied_count;
	bool stop_again; // a SIGSTOP came that we swallowed: sent again at the end
};

/** Seizes all threads; none is stopped yet. Errors: as permission_explain(), NO_MEMORY. */
struct strobe_error *threads_seize(struct threads *threads, pid_t pid, unsigned stop_limit_ms)
	STROBE_MUST_CHECK;
/** The same for thread `tid` alone: the others run on, all the time. */
struct strobe_error *threads_seize_one(struct threads *threads, pid_t pid, pid_t tid,
				       unsigned stop_limit_ms) STROBE_MUST_CHECK;
/** The id of a thread that still has the process's memory: /proc shows none for a leader that ended
 *  before the others. */
pid_t threads_alive(const struct threads *threads);
/** Asks all to stop, at once. */
void threads_interrupt(struct threads *threads);
/** Waits for them, new ones too, until all stand or the limit is over, and reads their state.
 *  Errors: NOT_FOUND (the process ended), NO_MEMORY. */
struct strobe_error *threads_wait(struct threads *threads) STROBE_MUST_CHECK;
/** Lets a thread that stopped for a signal take it: it stands then where its handler begins. False if
 *  it ended, or stands for another. */
bool threads_deliver(struct threads *threads, struct stopped_thread *thread);
/** Lets a stopped thread run for `run_ns`. False if it ended, or did not stop in time. */
bool threads_let_run(struct threads *threads, struct stopped_thread *thread, int64_t run_ns);
/** Waits until one thread stops, at most until `deadline_ns`. `*status` as waitpid(2). Returns 1,
 *  0 (not in time) or -1 (gone). */
int threads_wait_one(pid_t tid, int64_t deadline_ns, int *status);
/** Lets one go that is stopped, with the signal that it had been given. */
void threads_release_one(struct threads *threads, struct stopped_thread *thread);
/** Lets all go that are stopped, but for `but` (NULL = none). */
void threads_release(struct threads *threads, const struct stopped_thread *but);
/** Of a process that is not captured after all: lets those go that were seized only. They have to
 *  stop for that. */
void threads_give_up(struct threads *threads);
/** Looks after those that did not stop in time, and lets them go when they do at last; and after
 *  those that were killed while they stood. False when none is left. */
bool threads_tend(struct threads *threads);
/** Does that until none is left, for at most some `limit_ms`. */
void threads_tend_for(struct threads *threads, unsigned limit_ms);
/** Opens `mem_fd`; false with errno if that is not allowed. */
bool threads_open_memory(struct threads *threads);
/** For a thread that was stopped otherwise, its `wait` observed before: what threads_wait() does to a system call
 *  that the stop ended. */
void threads_mend_call(struct threads *threads, struct stopped_thread *thread);
void threads_fini(struct threads *threads);

/** CLOCK_MONOTONIC. */
int64_t threads_clock_ns(void);

#endif
