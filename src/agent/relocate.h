// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_RELOCATE_H
#define AGENT_RELOCATE_H

// An instruction of the target that is executed elsewhere, with the same effect.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/emit.h"

enum relocate_kind {
	RELOCATE_OTHER,
	RELOCATE_ROOM, // it does nothing, and may be there for somebody (a tracer, the kernel) to write a call over it
	RELOCATE_END, // what stands behind it is not what is executed next
};
/** Length of the instruction in `bytes`; 0 = none. */
unsigned relocate_length(const uint8_t *bytes, size_t size, enum relocate_kind *kind);
/**
 * Appends what does as the instruction at `address` does, and goes on where that goes on. A call pushes the
 * address behind the original one. Returns false with `*why` (static) if there is no such code. The instructions that follow are taken
 * along if they begin before `until` and are simple: a thread that comes back into bytes where the processor has learned that a
 * branch is loses 10 ns.
 */
bool relocate(struct emit *code, const uint8_t *bytes, size_t size, uint64_t address,
	      uint64_t until, const char **why);

#endif
