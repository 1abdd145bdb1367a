// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_COMPRESS_H
#define SNAPSHOT_WRITE_COMPRESS_H

// The seekable zstd format (facebook/zstd, contrib/seekable_format): independent frames, made by
// several threads and written in order by the caller's, and a table of them at the end.

#include <stdint.h>
#include <strobe/error.h>

#include "snapshot/write_sink.h"

struct compressor;

enum {
	COMPRESS_THREADS = 6, // at most
	COMPRESS_LEVEL = 1,
};

/** `level` 0 = COMPRESS_LEVEL; `threads` 0 = one a processor. `sink` is borrowed. Errors: SYSTEM
 *  (no thread), NO_MEMORY, INVALID (level). */
struct strobe_error *compressor_new(struct sink *sink, int level, unsigned threads,
				    struct compressor **ret) STROBE_MUST_CHECK;
/** Ends its threads, finished or not. */
struct compressor *compressor_free(struct compressor *compressor);
struct strobe_error *compressor_write(struct compressor *compressor, const void *bytes,
				      uint64_t size) STROBE_MUST_CHECK;
/** `size` zeros: no memory is touched for whole frames of them. */
struct strobe_error *compressor_skip(struct compressor *compressor, uint64_t size)
	STROBE_MUST_CHECK;
/** The frames under way, and the seek table. */
struct strobe_error *compressor_finish(struct compressor *compressor) STROBE_MUST_CHECK;

#endif
