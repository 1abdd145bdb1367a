// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_HELPER_H
#define AGENT_HELPER_H

// A process in the target's memory, which makes system calls and atomic stores there for us while the target's own threads
// run: one thread of the target makes it by a chain of signal frames (process/clone.h). It has no descriptors, is nobody's
// child that the target could meet, never runs without us, and is killed by the kernel if we die. All calls from one thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <sys/types.h>

struct helper {
	pid_t pid;	     // 0 = none
	pid_t target, inner; // where it is a child of the target: clone_reap(); else inner = 0
	uint64_t syscall_at;
};

/** Errors: as permission_explain(), UNSUPPORTED (why there is none). */
struct strobe_error *helper_open(struct helper *helper, pid_t target) STROBE_MUST_CHECK;
/** Makes a system call; what the kernel answered is `*ret`. False if the helper is gone. */
bool helper_call(struct helper *helper, long number, const uint64_t arguments[6], int64_t *ret);
/** Runs code at `address` up to its int3, r12 to r15 set; `*ret` = rbx. False if it went wrong: the helper is gone then. */
bool helper_run(struct helper *helper, uint64_t address, const uint64_t registers[4], int64_t *ret);
void helper_close(struct helper *helper);

#endif
