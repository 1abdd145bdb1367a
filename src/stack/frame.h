// SPDX-License-Identifier: Apache-2.0
#ifndef STACK_FRAME_H
#define STACK_FRAME_H

#include <strobe/stack.h>

#include "symbols/function.h"
#include "symbols/tail_calls.h"

/** DWARF numbers of x86-64 (System V ABI, figure 3.36): rax rdx rcx rbx rsi rdi rbp rsp r8-r15, RA. */
enum { FRAME_REGISTER_COUNT = 17, FRAME_RBP = 6, FRAME_RSP = 7, FRAME_RIP = 16 };

/** A physical frame: one activation record; inlined frames share it. */
struct physical_frame {
	size_t index; // among the physical frames, innermost first
	uint64_t pc;  // run-time
	uint64_t
		lookup_pc; // pc, or pc - 1 for callers: what position and locations are looked up at
	uint64_t cfa;
	bool has_cfa;
	bool signal_frame;
	bool innermost; // or interrupted by a signal: all registers are its own
	enum strobe_frame_trust trust;
	uint32_t known; // bit n: register n is known
	uint64_t registers[FRAME_REGISTER_COUNT];
	uint64_t saved_at[FRAME_REGISTER_COUNT]; // memory address it was restored from, 0 = none
	const struct code_position *position;
	// A function that left by a tail call: the registers are its caller's, but for rip.
	const struct tail_chain *chain; // NULL for ordinary frames
	size_t chain_index;
	uint64_t chain_return; // the return address that is really on the stack
};

/** Named sizes: stacks may have a million frames, so most are kept as records. */
enum {
	FRAME_CHECKPOINT_EVERY = 64, // physical frames from one kept whole to the next
	FRAME_WINDOW_COUNT = 4096,   // frames made whole again at a time
};

/**
 * What is kept of every physical frame. The rest is unwound again, from the checkpoint below it,
 * when somebody asks.
 */
struct frame_record {
	uint64_t pc, cfa;
	const struct code_position *position;
	uint8_t trust;
	bool has_cfa, signal_frame;
};

struct strobe_stack {
	struct strobe_symbols *symbols;
	size_t thread_index;
	ARRAY(struct frame_record) records;
	ARRAY(struct physical_frame) checkpoints; // of records 0, 64, 128, ...
	ARRAY(struct stack_entry {
		struct strobe_frame frame;
		size_t physical;
		size_t scope; // index into position->scopes; SIZE_MAX if there are none
	})
	entries;
	struct physical_frame **window; // frame n is at n % FRAME_WINDOW_COUNT, if it is there
	enum strobe_stack_stop stop;
	char *stop_text;
};

/**
 * The physical frame behind visible frame `index`. Borrowed: valid until some thousand other
 * frames of this stack have been asked for. NULL only when memory is short.
 */
const struct physical_frame *stack_physical(const struct strobe_stack *stack, size_t index);
/** The physical frame that called the one behind visible frame `index`, or NULL: for entry values. */
const struct physical_frame *stack_physical_caller(const struct strobe_stack *stack, size_t index);
/** The physical frame that called `frame`, or NULL. */
const struct physical_frame *stack_caller_of(const struct strobe_stack *stack,
					     const struct physical_frame *frame);
/** The scope (function DIE) of visible frame `index`; NULL without debug information. */
const struct code_scope *stack_scope(const struct strobe_stack *stack, size_t index);
/** DWARF register `number` in the frame: general ones as unwound; xmm (17-32), x87 and others from
 *  the thread (they are not restored by unwinding). False if unknown. `*size` in: room, out: bytes. */
bool stack_dwarf_register(const struct strobe_stack *stack, const struct physical_frame *frame,
			  unsigned number, void *buffer, size_t *size, uint64_t *address);

#endif
