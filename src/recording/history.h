// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDING_HISTORY_H
#define RECORDING_HISTORY_H

// Which code was where, and when.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/array.h"

/** Code that was somewhere in [from, until) of the clock. */
struct recorded_code {
	uint64_t from, until; // UINT64_MAX = it still is
	int pid;
	uint64_t start, size; // start + size does not overflow
	uint64_t offset;      // in `path`, or of `data` in the recording
	const char *path;     // NULL = the recording has it
	const char *file;     // where `path` can be read; NULL = there
	const char *build_id;
	const uint8_t *data; // where the recording has it
	const char *name;    // of what no file has
};

// Invariant: `alive` are the indices of the entries that still are, by pid and start; no two overlap.
/** Zero-initialise. */
struct history {
	ARRAY(struct recorded_code) code; // in the order in which they came
	ARRAY(uint32_t) alive;
};

/** `code` takes the place of what was there. Errors: NO_MEMORY, LIMIT. */
struct strobe_error *history_add(struct history *history, const struct recorded_code *code)
	STROBE_MUST_CHECK;
/** At `clock` process `pid` lost what was at [start, start + size); UINT64_MAX: up to the end. */
struct strobe_error *history_end(struct history *history, int pid, uint64_t start, uint64_t size,
				 uint64_t clock) STROBE_MUST_CHECK;
/** True if nothing of `pid` is alive in [start, start + size). */
bool history_is_free(const struct history *history, int pid, uint64_t start, uint64_t size);
void history_fini(struct history *history);

#endif
