// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_SURGEON_H
#define AGENT_SURGEON_H

// The one who changes the target: a process of its own, that traces the helper (helper.h), makes calls in the target for us, writes into
// its code, and keeps a journal of that. When we close the connection, or die, it puts everything back and ends. Were it
// to die as well, the jumps would stay, and go to code that is there and does no harm.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <sys/types.h>

#include "agent/inside.h"
#include "agent/patch.h"

struct surgeon {
	pid_t pid;    // the process
	pid_t helper; // whose descriptors can be looked at
	int socket;
};

/** Errors: as helper_open(). */
struct strobe_error *surgeon_open(struct surgeon *surgeon, pid_t target) STROBE_MUST_CHECK;
/** Makes a system call in the target; `*ret` = what the kernel answered. Errors: SYSTEM (the helper or surgeon is gone). */
struct strobe_error *surgeon_call(struct surgeon *surgeon, long number, const uint64_t arguments[6],
				  int64_t *ret) STROBE_MUST_CHECK;
/** Makes many at once (at most SURGEON_BATCH); possible once surgeon_tell() said where. */
struct strobe_error *surgeon_calls(struct surgeon *surgeon, struct inside_call *calls, size_t count)
	STROBE_MUST_CHECK;
/** Tells of what is to be switched off at the end, and where inside_patch and its table are. 0 = none. */
struct strobe_error *surgeon_tell(struct surgeon *surgeon, uint64_t control, uint64_t patch_code,
				  uint64_t table) STROBE_MUST_CHECK;
/** Tells of a ring, to be unmapped at the end. */
struct strobe_error *surgeon_tell_ring(struct surgeon *surgeon, uint64_t address, uint64_t size)
	STROBE_MUST_CHECK;
/** Makes patches, in order of address, then has all processors notice. `done` says which. At most SURGEON_BATCH. */
struct strobe_error *surgeon_patch(struct surgeon *surgeon, struct surgeon_patch *patches,
				   size_t count) STROBE_MUST_CHECK;
/** Everything is put back when it returns. */
void surgeon_close(struct surgeon *surgeon);

#endif
