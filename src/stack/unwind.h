// SPDX-License-Identifier: Apache-2.0
#ifndef STACK_UNWIND_H
#define STACK_UNWIND_H

// From one physical frame to its caller's.

#include "stack/frame.h"

/** What unwinding reads from, with the stretch of memory read last kept at hand. */
struct unwinder {
	struct strobe_symbols *symbols;
	const struct strobe_view *view;
	const struct recorded_stack *recorded; // the frames, where nothing is to be unwound; or NULL
	const uint8_t *bytes; // of [start, start + size)
	uint64_t start;
	size_t size;
};

/** Why there is no caller. */
struct unwind_stop {
	enum strobe_stack_stop reason;
	char text[160];
};

void unwinder_init(struct unwinder *unwinder, struct strobe_symbols *symbols);
/** Reads 8 bytes of memory; false if unreadable. */
bool unwinder_read(struct unwinder *unwinder, uint64_t address, uint64_t *ret);
/** Frame 0: the thread's registers. False if they are not recorded. */
bool unwind_first(struct unwinder *unwinder, size_t thread_index, struct physical_frame *ret);
/**
 * The caller of `frame`; false with `*stop`. Depends on nothing but `frame` and the view, so that
 * it can be repeated. Sets frame->cfa when it finds it.
 */
bool unwind_step(struct unwinder *unwinder, struct physical_frame *frame,
		 struct physical_frame *caller, struct unwind_stop *stop);

#endif
