// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_RESTART_H
#define PROCESS_RESTART_H

// System calls that our stop interrupted. The kernel restarts most by itself (ERESTARTSYS and its
// like); some end in EINTR although nobody sent a signal (signal(7), "Interruption of system calls
// by stop signals"): those are set up again, with what is left of their time limit. Calls that the
// kernel restarts with a restart block (nanosleep, poll, futex with a time limit) lose it to
// rt_sigreturn, so that a thread which runs a chain may need the same.

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/** In rax at a stop inside a system call (include/linux/errno.h of the kernel): never seen by
 *  programs. */
enum {
	KERNEL_ERESTARTSYS = 512,
	KERNEL_ERESTARTNOINTR = 513,
	KERNEL_ERESTARTNOHAND = 514,
	KERNEL_ERESTART_RESTARTBLOCK = 516,
};

/** How long a thread had waited in its call, as far as known. */
struct restart_wait {
	bool known;
	int64_t since_ns;  // CLOCK_MONOTONIC when it fell asleep
	uint64_t switches; // voluntary ones that it had made by then
	int kind; // of call, where the kernel had restarted it before: SYS_..., -1 = not known
};
/** Looks, before the stop, whether `tid` waits in a call with a time limit, and since when. */
void restart_observe(pid_t pid, pid_t tid, struct restart_wait *ret);
/** In the stop: what was observed holds only if it has slept all the time since. */
void restart_confirm(pid_t pid, pid_t tid, struct restart_wait *wait);

/** What a thread's registers say of its system call. */
enum restart_kind {
	RESTART_NONE,	   // not in a call, or one that ended by itself
	RESTART_BY_KERNEL, // the kernel will restart it with the same arguments
	RESTART_BLOCK,	   // likewise, by its restart block
	RESTART_ENDED,	   // EINTR because of us
};
enum restart_kind restart_kind(const struct user_regs_struct *regs);

/** A place in the target for a shortened time limit, and what is to be written there. */
enum { RESTART_SCRATCH_WORDS = 8 };
struct restart_scratch {
	uint64_t address;		       // of so many words of the target that nobody uses
	uint64_t words[RESTART_SCRATCH_WORDS]; // what they must hold
	bool used;
};

/**
 * For RESTART_ENDED: changes `regs` so that the kernel restarts the call unless a signal handler
 * runs. `mem_fd` reads the time limit. `scratch->address` given; `scratch->used` tells if it must
 * be written before the thread runs.
 */
void restart_again(struct user_regs_struct *regs, const struct restart_wait *wait, int mem_fd,
		   struct restart_scratch *scratch);
/**
 * Registers with which the call begins anew in user mode (rip at its `syscall` instruction), for
 * any kind but RESTART_NONE, which stays as it is. The same use of `scratch`.
 */
void restart_in_user_mode(struct user_regs_struct *regs, const struct restart_wait *wait,
			  int mem_fd, struct restart_scratch *scratch);

#endif
