// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_DEAD_STACK_H
#define PROCESS_DEAD_STACK_H

// Memory of a stopped process that nobody uses, for a chain of signal frames (chain.h) to stand in.

#include <stddef.h>
#include <stdint.h>

#include "process/threads.h"

/** `size` bytes, at a multiple of 64: at the low end of the main stack, or below the red zone of `maker`'s own. `maps`: the
 *  process's at this moment. 0 = there are none that are surely dead. */
uint64_t dead_stack_find(const struct threads *threads, const struct stopped_thread *maker,
			 const char *maps, size_t size);

#endif
