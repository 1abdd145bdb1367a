// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_REACHABLE_H
#define SNAPSHOT_WRITE_REACHABLE_H

// The pages of `--contents reachable`: those of `--contents stacks`, and what threads and global variables reach.
//
// What variables of frames and thread-locals lead to by their types comes first, breadth first; then what words that
// could be pointers lead to from there, from the rest of the frames and from registers; then what global variables lead
// to. Objects are kept whole where the heap's headers tell how large they are (heap/local_block.h).

#include <stdint.h>
#include <strobe/error.h>

#include "snapshot/write_stacks.h"

struct reachable_limits {
	uint64_t
		max_bytes; // of what is reached; 0: no limit for what types lead to, and little for the rest
	unsigned max_depth; // references from a variable; 0 = no limit
};

/** Adds what is reached to the pages of `stacks`. Errors: NO_MEMORY. */
struct strobe_error *reachable_find(const struct strobe_view *view,
				    const struct reachable_limits *limits, struct stacks *stacks)
	STROBE_MUST_CHECK;

#endif
