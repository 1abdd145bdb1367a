// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdint.h>
#include <time.h>
#include <strobe/error.h>

/** A whole file mapped read-only and privately; nothing is read until it is touched. */
struct file {
	char *path;	     // as opened
	int fd;		     // read-only, close-on-exec
	uint64_t fd_offset;  // of the first byte in it: 0 but for file_open_part()
	const uint8_t *data; // NULL when the file is empty
	uint64_t size;	     // bytes
	struct timespec modified;
};

/** Opens and maps a regular file. Errors: SYSTEM (open, fstat, mmap), INVALID (not a file). */
struct strobe_error *file_open(const char *path, struct file **ret) STROBE_MUST_CHECK;
/** The same for an open descriptor, which stays the caller's; `label` is what messages call it. */
struct strobe_error *file_open_descriptor(int fd, const char *label, struct file **ret)
	STROBE_MUST_CHECK;
/**
 * `size` bytes of `whole` from `offset` on as a file of their own, called `label`, as old as
 * `whole`. Its pages may be written to: changes stay private. Errors: SYSTEM. The bytes must lie in
 * it, and `offset` be a multiple of the page size.
 */
struct strobe_error *file_open_part(const struct file *whole, uint64_t offset, uint64_t size,
				    const char *label, struct file **ret) STROBE_MUST_CHECK;
struct file *file_close(struct file *file);

#endif
