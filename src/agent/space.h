// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_SPACE_H
#define AGENT_SPACE_H

// The target's address space at one moment: what is mapped, and where there is room.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/array.h"

struct space_mapping {
	uint64_t start, end, offset;
	bool readable, writable, executable, shared;
	bool is_heap, is_stack; // may grow: up, down
	bool has_file;
};
/** By address. Zero-initialise. */
struct space {
	ARRAY(struct space_mapping) list;
};

/** Reads it anew. False if the process is gone, or memory is short. */
bool space_read(struct space *space, pid_t pid);
void space_fini(struct space *space);
/** NULL = nothing is mapped there. */
const struct space_mapping *space_at(const struct space *space, uint64_t address);
/** Room for `size` bytes (a multiple of the page) near `address`, out of the way of heap and stack. False if there is none. */
bool space_find_near(const struct space *space, uint64_t address, uint64_t size, uint64_t *ret);
/** Is all of it free, and out of the way of heap and stack? */
bool space_is_free(const struct space *space, uint64_t start, uint64_t end);

#endif
