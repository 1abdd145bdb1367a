// SPDX-License-Identifier: Apache-2.0
#ifndef PT_RETURN_STACK_H
#define PT_RETURN_STACK_H

// Which returns need no packet: those that go behind the call that a decoder has on its own stack. The manual
// (Intel SDM 3C, "Indirect Transfer Compression for Returns") has 64 entries. Decoders differ in whether a
// return that did have a packet takes an entry away (perf's does, libipt's does not); only a return that both
// of them understand is compressed.

#include <stdbool.h>
#include <stdint.h>

enum { RETURN_STACK_DEPTH = 64 };

/** The last calls; the oldest is forgotten when there is one more than fits. Zero-initialise. */
struct return_ring {
	uint64_t addresses[RETURN_STACK_DEPTH];
	unsigned top, count;
};

/** Zero-initialise, or return_stack_clear(). */
struct return_stack {
	struct return_ring always;     // each return takes an entry away
	struct return_ring compressed; // only a compressed one does
};

void return_stack_clear(struct return_stack *stack);
/** A call that returns to `address`. */
void return_stack_push(struct return_stack *stack, uint64_t address);
/** A return to `address`: true if it is compressed. */
bool return_stack_return(struct return_stack *stack, uint64_t address);
/** A return that is not to be compressed. */
void return_stack_skip(struct return_stack *stack);

#endif
