// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_FREEZE_H
#define PROCESS_FREEZE_H

// One instant of one or several processes: all threads stand, what must be of that instant is
// read, the address space is cloned, and they run on.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>
#include <sys/types.h>

#include "base/array.h"
#include "process/clone.h"
#include "process/threads.h"

struct frozen;

/** Memory copied during the stop into `store_fd`. */
struct freeze_copy {
	uint64_t start, end, offset;
};
/** Memory that is not of the instant. `why` is static. */
struct freeze_gap {
	uint64_t start, end;
	const char *why;
};

struct freeze_options {
	uint64_t shared_budget_bytes;
	unsigned stop_limit_ms;
	bool no_clone;
	/**
	 * Copies memory [start, end) of process `pid` into `store_fd` at its end, as runs added to
	 * `copies`. `all`: of the whole process, where what mapped files hold may be left out.
	 */
	struct strobe_error *(*copy)(void *context, pid_t pid, uint64_t start, uint64_t end,
				     bool all, struct frozen *frozen);
	void *context;
};

/** What was taken of a process. Zero-initialise; everything belongs to it. */
struct frozen {
	struct threads threads;
	struct clone clone;
	bool cloned;	      // else copied
	const char *copy_why; // static or in `clone`
	char *maps;	      // /proc/PID/maps at the instant
	int store_fd;	      // memfd, -1 = none
	uint64_t store_size;
	ARRAY(struct freeze_copy) copies; // sorted
	ARRAY(struct freeze_gap) gaps;	  // sorted
	int64_t realtime_ns, boottime_ns; // at the first stop
};

/** Takes `count` processes at one instant. `errors[i]` is set, and yours, where it failed. */
void freeze_take(struct frozen *frozen, const pid_t *pids, size_t count,
		 const struct freeze_options *options, struct strobe_error **errors);
/** Ends the clone and releases everything. From the thread that took it. */
void freeze_fini(struct frozen *frozen);

#endif
