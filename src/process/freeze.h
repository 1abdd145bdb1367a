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

/** Memory that is not of the instant. `why` is static. */
struct freeze_gap {
	uint64_t start, end;
	const char *why;
};

struct freeze_options {
	uint64_t shared_budget_bytes;
	unsigned stop_limit_ms;
	bool no_clone;
	/** Copies [start, end) of process `pids[index]`; with `sparse`, what is zero or as the
	 *  mapped file has it may be left out. While it stands, but for what a clone has lost. */
	struct strobe_error *(*copy)(void *context, size_t index, uint64_t start, uint64_t end,
				     bool sparse);
	/** Called once for each while it stands; may set `*why` to a static text if it is better not
	 *  cloned. */
	struct strobe_error *(*stand)(void *context, size_t index, const char **why);
	/** Called once for each after its memory was taken; where it was copied, while it still
	 *  stands, else when it runs again. */
	struct strobe_error *(*look)(void *context, size_t index);
	void *context;
};

/** What was taken of a process. Zero-initialise; everything belongs to it. */
struct frozen {
	struct threads threads;
	struct clone clone;
	bool cloned;			  // else copied
	const char *copy_why;		  // static or in `clone`
	char *maps;			  // /proc/PID/maps at the instant
	ARRAY(struct freeze_gap) gaps;	  // sorted
	int64_t realtime_ns, boottime_ns; // at the first stop
};

/** Takes `count` processes at one instant. `errors[i]` is set, and yours, where it failed. */
void freeze_take(struct frozen *frozen, const pid_t *pids, size_t count,
		 const struct freeze_options *options, struct strobe_error **errors);
/** Ends the clone and releases everything. From the thread that took it. */
void freeze_fini(struct frozen *frozen);

#endif
