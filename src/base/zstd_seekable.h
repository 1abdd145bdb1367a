// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_ZSTD_SEEKABLE_H
#define BASE_ZSTD_SEEKABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

/**
 * Files of independent zstd frames with a table of them at the end, read at random
 * (facebook/zstd, contrib/seekable_format/zstd_seekable_compression_format.md 0.1.0).
 * One thread at a time a handle.
 */
struct zstd_seekable;

/** Named limits: what one frame may unpack to, and how many bytes of frames are kept unpacked. */
enum { ZSTD_SEEKABLE_FRAME_LIMIT = 64 << 20, ZSTD_SEEKABLE_KEPT_LIMIT = 16 << 20 };

/** True if the bytes begin with a zstd frame. */
bool zstd_is(const uint8_t *bytes, uint64_t size);
/** True if they end as a seekable file does. */
bool zstd_seekable_is(const uint8_t *bytes, uint64_t size);

/** Reads the table. `bytes` are borrowed. Errors: FORMAT, LIMIT (a frame that is too large), which
 *  begin with `path`. */
struct strobe_error *zstd_seekable_open(const uint8_t *bytes, uint64_t size, const char *path,
					struct zstd_seekable **ret) STROBE_MUST_CHECK;
struct zstd_seekable *zstd_seekable_close(struct zstd_seekable *seekable);

/** Bytes of all frames, unpacked. */
uint64_t zstd_seekable_size(const struct zstd_seekable *seekable);
/** Copies `size` bytes from `position` on; returns how many there were before the end or the first
 *  frame that is damaged. */
size_t zstd_seekable_read(struct zstd_seekable *seekable, uint64_t position, void *buffer,
			  size_t size);
/** What was wrong with the last frame that was found damaged; NULL if none was. Borrowed until the
 *  next read. */
const char *zstd_seekable_problem(const struct zstd_seekable *seekable);
/** True if the frame that holds `position` (less than the size) is all zero and cheap to tell;
 *  `*end` = where the frame ends. */
bool zstd_seekable_zero(struct zstd_seekable *seekable, uint64_t position, uint64_t *end);

#endif
