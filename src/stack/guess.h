// SPDX-License-Identifier: Apache-2.0
#ifndef STACK_GUESS_H
#define STACK_GUESS_H

// Callers without call frame information: patterns of code, frame pointers, and at last a search.

#include "stack/unwind.h"

/** Named limit: how far a stack is searched for a return address. */
enum { GUESS_SCAN_BYTES = 4096 };

/** Where a guess puts the caller. */
struct guess {
	enum strobe_frame_trust trust;
	uint64_t return_at;	   // address of the return address; the CFA is 8 above
	uint64_t frame_pointer;	   // the caller's rbp
	uint64_t frame_pointer_at; // where it is saved; 0 = unchanged
	bool signal_frame;	   // a signal trampoline: the context is at the stack pointer
};
/** False if there is no plausible caller. */
bool guess_caller(struct unwinder *unwinder, const struct physical_frame *frame, struct guess *ret);
/** True if `pc` is in memory that may run, as far as the view knows. */
bool guess_is_code(struct unwinder *unwinder, uint64_t pc);

#endif
