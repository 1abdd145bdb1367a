// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_WIPED_H
#define PROCESS_WIPED_H

// Memory that the kernel empties in children (MADV_WIPEONFORK of madvise(2): keys, states of random
// number generators): a clone has zeros there, which are not what the process has.

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/array.h"

struct wiped_range {
	uint64_t start, end;
};
struct wiped {
	ARRAY(struct wiped_range) list; // sorted
};

/** Finds it in `clone`, a clone of process `pid`, which runs on; `maps` is the process's when the
 *  clone was made. False when memory is short; array_fini(&ret->list) in any case. */
bool wiped_find(pid_t pid, pid_t clone, const char *maps, struct wiped *ret);

#endif
