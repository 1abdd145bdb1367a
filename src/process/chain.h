// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_CHAIN_H
#define PROCESS_CHAIN_H

// Chains of signal frames: system calls that a thread makes by itself, one after the other, and
// that end in its own registers, whether or not we still live. Each frame is what rt_sigreturn(2)
// takes (struct rt_sigframe, arch/x86/include/asm/sigframe.h; struct sigcontext_64,
// arch/x86/include/uapi/asm/sigcontext.h). Frame k sets up one call at a `syscall; ret`, with the
// stack pointer at what leads to frame k + 1: the `ret` goes to code that makes rt_sigreturn.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "process/gadgets.h"

enum { CHAIN_SIZE_LIMIT = 64 * 1024 };

/** A chain under construction, in our memory; it will stand at `base` in the target's. */
struct chain {
	const struct gadgets *gadgets;
	uint64_t base; // multiple of 64
	uint8_t bytes[CHAIN_SIZE_LIMIT];
	size_t size; // used
};

/** One system call. */
struct chain_call {
	uint64_t number, arguments[6];
};

void chain_init(struct chain *chain, const struct gadgets *gadgets, uint64_t base);
/** Where the next link that is added will stand: what rsp must be before a `ret` into it. */
uint64_t chain_position(const struct chain *chain);
/**
 * Adds a link that makes `call` with all signals blocked, then goes on to the link at `next`.
 * Links stand in the order in which they are added; returns the address of the link.
 */
uint64_t chain_add_call(struct chain *chain, const struct chain_call *call, uint64_t next);
/** Where argument `index` (0 to 5) of a call's link at `link` stands in the target. */
uint64_t chain_argument(uint64_t link, const struct chain *chain, unsigned index);
/**
 * Adds a link that ends in `regs`, signal mask `blocked`, and the extended state `xstate` (as
 * PTRACE_GETREGSET of NT_X86_XSTATE gives it; NULL = the initial one).
 */
uint64_t chain_add_end(struct chain *chain, const struct user_regs_struct *regs, uint64_t blocked,
		       const uint8_t *xstate, size_t xstate_size);
/** Do a stopped thread's registers stand on a chain, whoever made it? `mem_fd` reads its memory. */
bool chain_is_running(int mem_fd, const struct user_regs_struct *regs);
/** Bytes that a link takes, and the end with `xstate_size` of extended state. */
size_t chain_link_size(void);
size_t chain_end_size(size_t xstate_size);
/** Registers with which a thread makes `call` first, then goes on to the link at `next`. */
void chain_start(const struct gadgets *gadgets, const struct chain_call *call, uint64_t next,
		 struct user_regs_struct *regs);

#endif
