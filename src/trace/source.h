// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_SOURCE_H
#define TRACE_SOURCE_H

// What is below the waist: where a trace's items come from. A source has *streams* (of a thread, or of a CPU),
// each a row of *blocks* that can be decoded apart from one another: for Intel PT, a few PSBs. It decodes
// a block into windows; the trace counts, indexes, caches and walks them.
//
// A source's block b of stream s yields the same items whenever it is decoded, as long as it is not the last one
// of a growing trace.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/trace.h>

#include "trace/window.h"

struct code_map;

/** A thread of a source. */
struct source_thread {
	int pid, tid;
	const char *name; // NULL if not known
};

/** What is known of the whole. Strings are borrowed from the source. */
struct source_info {
	const char *path, *format, *technology, *cpu; // as in struct strobe_trace_info
	bool per_cpu;
	bool has_clock;
	// ns = ((value - 0) * multiplier >> shift) + zero, as perf_event_open(2) says of time_zero
	uint32_t clock_multiplier;
	uint16_t clock_shift;
	uint64_t clock_zero;
	int64_t wall_offset_ns;
	uint64_t raw_bytes;
	bool finished;
	uint8_t fingerprint[16]; // of all that decides which items there are, growth aside
};

/** A block, without decoding it. */
struct source_block {
	uint64_t offset;     // in its stream
	uint64_t size_bytes; // of packets
};

/** How much of a block is wanted. */
struct source_want {
	uint32_t part; // of the block's windows: 0 is the first
	uint32_t
		enough; // decoding may end when the window has more items than this; UINT32_MAX = all
};

struct trace_source_ops {
	void (*close)(void *context);
	void (*info)(void *context, struct source_info *ret);
	/** Threads known so far; decoding does not add any, refresh() may. */
	size_t (*thread_count)(void *context);
	void (*thread)(void *context, size_t index, struct source_thread *ret);
	size_t (*stream_count)(void *context);
	/** Blocks of a stream; the last one of a growing trace is withheld. */
	uint64_t (*block_count)(void *context, size_t stream);
	void (*block)(void *context, size_t stream, uint64_t index, struct source_block *ret);
	/** True if all items of the stream belong to one thread, whose index is in `*ret_thread`. */
	bool (*stream_thread)(void *context, size_t stream, uint32_t *ret_thread);
	/** Looks for data that came since. */
	struct strobe_error *(*refresh)(void *context, bool *ret_grew);
	/** A decoder has a code map of its own (`*ret_map`, borrowed from it); different decoders may be
	 *  used by different threads at the same time. */
	struct strobe_error *(*decoder_new)(void *context, void **ret, struct code_map **ret_map);
	void (*decoder_free)(void *decoder);
	/** Clears `window` and fills it. Damage becomes error items; errors are out-of-memory and the like. */
	struct strobe_error *(*decode)(void *decoder, size_t stream, uint64_t block,
				       const struct source_want *want, struct window *window);
	/** Code and modules. */
	const struct strobe_view *(*view)(void *context);
	/** Problems met; NULL past the last. */
	const char *(*warning)(void *context, size_t index);
};

/** A source: closed by whom it is given to. */
struct trace_source {
	const struct trace_source_ops *ops;
	void *context;
};

struct strobe_trace_options;
/** Makes a trace of `source`, which it takes over also when it fails; loads or builds the index. */
struct strobe_error *trace_new(const struct trace_source *source,
			       const struct strobe_trace_options *options,
			       struct strobe_trace **ret) STROBE_MUST_CHECK;

#endif
