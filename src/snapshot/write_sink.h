// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_SINK_H
#define SNAPSHOT_WRITE_SINK_H

// The descriptor that a snapshot goes to. Bytes come in order; a stretch of zeros is a hole where
// the file can have one.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

struct sink {
	int fd;
	const char *name;  // for messages
	bool seekable;	   // an empty regular file, ours alone: holes, and writing ahead
	uint64_t position; // bytes written and skipped so far
	bool unhurried;	   // nobody waits for the disk at the end
	uint64_t settled;  // writeback was asked for up to here
};

/** Looks what `fd` can do. `name` is borrowed. */
void sink_init(struct sink *sink, int fd, const char *name);
/** Errors of all of these: SYSTEM with the name. */
struct strobe_error *sink_write(struct sink *sink, const void *bytes, size_t size)
	STROBE_MUST_CHECK;
/** `size` zeros. */
struct strobe_error *sink_skip(struct sink *sink, uint64_t size) STROBE_MUST_CHECK;
/** Bytes of a place still to come; only if seekable. Whoever gets there must skip them. */
struct strobe_error *sink_write_ahead(struct sink *sink, uint64_t offset, const void *bytes,
				      size_t size) STROBE_MUST_CHECK;
/** Gives a seekable file its size. */
struct strobe_error *sink_finish(struct sink *sink) STROBE_MUST_CHECK;
/** What of a file takes room on the disk; of others, what was written. */
uint64_t sink_disk_bytes(const struct sink *sink);

#endif
