// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_RING_H
#define AGENT_RING_H

// The reader's end of a ring that threads of the target write to (inside.h). What it reads is the target's, and may be anything.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/inside.h"

struct ring {
	struct inside_ring *memory; // NULL = none yet
	uint64_t address;	    // in the target
	uint64_t size;
	uint64_t slots, slot_size, stack_room;
	uint64_t tail;	  // next to be read
	int64_t stuck_ns; // since when its writer has not ended; 0 = it has
	uint64_t given_up;
};

/** Bytes for `slots` (a power of two) with room for `stack_room`. */
uint64_t ring_size(uint64_t slots, uint64_t stack_room);
/** Takes shared memory that is all zero, and unmaps it at the end. */
void ring_init(struct ring *ring, void *memory, uint64_t slots, uint64_t stack_room);
void ring_fini(struct ring *ring);
/** The record `index` behind the next; NULL = not there yet. */
const struct inside_record *ring_peek(struct ring *ring, uint64_t index);
/** `count` were read. */
void ring_consume(struct ring *ring, uint64_t count);
/** Nothing can be read: gives up a record whose writer does not end (it was killed in between, say). */
void ring_look_after(struct ring *ring, int64_t now_ns);

#endif
