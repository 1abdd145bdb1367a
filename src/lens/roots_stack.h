// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_ROOTS_STACK_H
#define LENS_ROOTS_STACK_H

// The memory of a thread's frames: which stretch is whose, on whichever stacks they stand.

#include "lens/roots_build.h"
#include "stack/frame.h"

/** Frames that stand on one stack, one above the other. */
struct stack_group {
	uint64_t start, end; // of their frames
	uint64_t limit;	     // the stack cannot reach beyond this
	const struct strobe_mapping *mapping;
	uint64_t last_sp;
};

struct stack_memory {
	ARRAY(struct stretch) frames; // by physical frame; empty where its memory is not known
	ARRAY(struct stack_group) groups;
	uint64_t above; // the thread's own area: no stack below it reaches into it
};

/** Finds it. Memory that was told already is nobody's. False when memory is short. */
bool stack_memory_find(struct roots *roots, const struct strobe_stack *stack, uint64_t above,
		       struct stack_memory *ret);
/** Does [address, address + size) lie in the frames of one stack? */
bool stack_memory_holds(const struct stack_memory *memory, uint64_t address, uint64_t size);
/** Does any of it lie in [start, end)? */
bool stack_memory_overlaps(const struct stack_memory *memory, uint64_t start, uint64_t end);
/** Claims it, and of the last stack all up to `end_of_last`; remembers what is dead below. */
bool stack_memory_claim(struct roots *roots, const struct stack_memory *memory,
			uint64_t end_of_last);
void stack_memory_fini(struct stack_memory *memory);

#endif
