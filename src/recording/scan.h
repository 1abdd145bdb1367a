// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDING_SCAN_H
#define RECORDING_SCAN_H

// Goes through the chunks of a recording and notes what is where. Packets stay where they lie.

#include <stdbool.h>
#include <stdint.h>

#include "base/growing_file.h"
#include "base/hash.h"
#include "pt/input.h"
#include "recording/history.h"

// Invariant: all chunks below `scanned` were looked at, once.
struct recording {
	struct growing_file file;
	uint64_t scanned;
	bool marked_finished; // by its writer
	bool code_left_out;   // a warning said so
	int pid;
	uint32_t method;
	struct hash events; // id + 1 to its record
	struct history history;
};

/** Reads the header. Errors: FORMAT, UNSUPPORTED (a later version). */
struct strobe_error *recording_read_header(struct recording *recording) STROBE_MUST_CHECK;
/** Looks at what is new, up to what is not whole yet. Errors: NO_MEMORY, LIMIT; damage is a warning. */
struct strobe_error *recording_scan(struct recording *recording, struct pt_input *input)
	STROBE_MUST_CHECK;

#endif
