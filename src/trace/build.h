// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_BUILD_H
#define TRACE_BUILD_H

// One pass over blocks, by several threads at once; what they find is told in the order of the blocks.

#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/trace.h>

#include "trace/scan.h"
#include "trace/source.h"

/** Blocks [from, to) of a stream. */
struct build_range {
	uint64_t from, to;
};

/** What is told of block `index` of stream `stream`; the block is the callee's only for the call. */
typedef struct strobe_error *(*build_take)(void *context, uint32_t stream, uint64_t index,
					   const struct scanned_block *block);

struct build {
	const struct trace_source *source;
	const struct build_range *ranges; // one a stream
	size_t stream_count;
	unsigned threads; // 0 = one a processor
	build_take take;  // called in the caller's thread: streams in order, blocks in order
	void *context;
	strobe_trace_progress progress; // may be NULL
	void *progress_context;
};

/** Errors: those of decoders and of `take`, the first in the order of blocks; LIMIT "cancelled". */
struct strobe_error *build_run(const struct build *build) STROBE_MUST_CHECK;

#endif
