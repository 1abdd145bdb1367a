// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_SPOOL_H
#define TRACE_SPOOL_H

// Bytes that wait in a nameless file: written one behind the other, read back in stretches. It goes with its maker.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

struct spool {
	int fd;		// -1 = nothing was written yet
	uint64_t size;	// bytes appended
	size_t pending; // of them, in `buffer`
	uint8_t *buffer;
};

void spool_init(struct spool *spool);
void spool_fini(struct spool *spool);
/** Errors: SYSTEM, out of memory. */
struct strobe_error *spool_append(struct spool *spool, const void *bytes, size_t size)
	STROBE_MUST_CHECK;

/** Reads [at, end) of a spool that is not appended to meanwhile. */
struct spool_reader {
	struct spool *spool;
	uint64_t at, end;
	size_t have, used; // in `buffer`
	uint8_t *buffer;
	size_t capacity;
};

/** `capacity` bytes are read at a time: the most that spool_peek() gives. */
struct strobe_error *spool_reader_init(struct spool_reader *reader, struct spool *spool,
				       const uint64_t range[2], size_t capacity) STROBE_MUST_CHECK;
void spool_reader_fini(struct spool_reader *reader);
/** Up to `size` <= capacity bytes, fewer at the end; they stay until the next call. */
struct strobe_error *spool_peek(struct spool_reader *reader, size_t size, const uint8_t **ret,
				size_t *ret_size) STROBE_MUST_CHECK;
/** Goes on behind `size` of the bytes that were peeked at. */
void spool_skip(struct spool_reader *reader, size_t size);

/** All of `size` bytes at `offset`; false with errno. */
bool spool_write_at(int fd, uint64_t offset, const void *bytes, size_t size);
bool spool_read_at(int fd, uint64_t offset, void *bytes, size_t size);

#endif
