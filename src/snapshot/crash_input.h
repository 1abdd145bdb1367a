// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_CRASH_INPUT_H
#define SNAPSHOT_CRASH_INPUT_H

// A core as it comes out of a pipe: once, from the front.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/snapshot.h>

struct crash_input {
	int fd;
	uint64_t position; // bytes taken so far
	uint64_t expected; // for `progress`; 0 = not known
	bool ended;
	strobe_progress progress; // may be NULL
	void *context;
};

/** Waits for `size` bytes; `*got` is less only at the end. Errors: SYSTEM, LIMIT (cancelled). */
struct strobe_error *crash_input_read(struct crash_input *input, void *bytes, size_t size,
				      size_t *got) STROBE_MUST_CHECK;

#endif
