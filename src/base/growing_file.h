// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_GROWING_FILE_H
#define BASE_GROWING_FILE_H

// A mapped file that another process appends to. What was mapped stays where it is as long as the file is open.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/array.h"

struct growing_map {
	void *address;
	uint64_t size;
};

struct growing_file {
	int fd;
	char *path;
	const uint8_t *data; // of the whole file, in the newest map; NULL when it is empty
	uint64_t size;
	ARRAY(struct growing_map)
	maps; // each from the beginning, and twice as long as the one before
};

/** Errors: SYSTEM, INVALID (not a regular file). */
struct strobe_error *growing_file_open(struct growing_file *file, const char *path)
	STROBE_MUST_CHECK;
/** Looks whether it has grown. A file that was cut short keeps its size, and reads as zeros there. */
struct strobe_error *growing_file_refresh(struct growing_file *file) STROBE_MUST_CHECK;
/** True while another process holds its lock. */
bool growing_file_is_locked(const struct growing_file *file);
void growing_file_close(struct growing_file *file);

#endif
