// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_STORE_H
#define SNAPSHOT_STORE_H

// Memory copied while a process stands still, in a memfd that becomes its image (image.h).

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>
#include <sys/types.h>

#include "base/array.h"
#include "elf/strobe_note.h"

enum { STORE_PAGE = 4096 };

/** A stretch that the store holds from `offset` on. */
struct store_run {
	uint64_t start, end, offset;
};
/** Zero-initialise, then store_init(). */
struct store {
	int fd;					  // memfd
	uint64_t size;				  // of it, so far
	ARRAY(struct store_run) runs;		  // by start
	ARRAY(struct strobe_note_extent) extents; // what is not held, by start
	struct process_memory *memory;		  // of the process that is copied at the moment
	pid_t memory_pid;
};

struct strobe_error *store_init(struct store *store) STROBE_MUST_CHECK;
/**
 * Copies [start, end) of process `pid`, which stands. With `sparse`, pages that are zero or just
 * as the mapped file has them are only noted.
 */
struct strobe_error *store_copy(struct store *store, pid_t pid, uint64_t start, uint64_t end,
				bool sparse) STROBE_MUST_CHECK;
/** Sorts what was copied. After the last store_copy(). */
void store_settle(struct store *store);
void store_fini(struct store *store);

#endif
