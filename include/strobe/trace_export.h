// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACE_EXPORT_H
#define STROBE_TRACE_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/symbols.h>
#include <strobe/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a trace is written as. */
enum strobe_trace_export_format {
	/** Chrome's trace events, JSON (Google, "Trace Event Format"): calls as B and E events, events and
	 *  errors as instants. Perfetto's UI and chrome://tracing load it. */
	STROBE_TRACE_EXPORT_PERFETTO,
	/** A line for each distinct stack, "main;f;g 12": what flame graphs are drawn from. Memory is
	 *  bounded by the distinct stacks. */
	STROBE_TRACE_EXPORT_FOLDED,
	/** A directory in Common Trace Format 1.8, which babeltrace2 and Trace Compass read: a stream for
	 *  each thread, with events call, return, event and error. */
	STROBE_TRACE_EXPORT_CTF,
};

/** Zero-initialise, then set `size`. */
struct strobe_trace_export_options {
	size_t size;		/**< sizeof(struct strobe_trace_export_options) */
	size_t thread_index;	/**< if `one_thread` */
	bool one_thread;	/**< that thread alone; else all */
	uint64_t from_id;	/**< with `one_thread`: the oldest item that counts */
	uint64_t end_id;	/**< with `one_thread`: behind the newest that counts; 0 = all */
	uint32_t max_depth;	/**< calls nested deeper are left out; 0 = none */
	double min_duration_ns; /**< shorter calls are left out; items, if the trace has no time */
	bool no_inlined;	/**< leave out inlined calls */
	bool no_events;		/**< leave out events and errors */
	bool by_time;		/**< folded: weigh stacks by ns; else by instructions */
	strobe_trace_progress progress; /**< in items; may be NULL */
	void *progress_context;
};

/** What was written. */
struct strobe_trace_export_summary {
	bool has_time;	   /**< false: items stand for time, 1 ns each */
	uint64_t calls;	   /**< written */
	uint64_t left_out; /**< calls that were too short */
	uint64_t events, errors;
	uint64_t stacks; /**< folded: distinct ones */
	uint64_t bytes;	 /**< in all files */
};

/**
 * Writes it to `path`: a file that appears when it is whole ("-" = standard output), or for CTF a directory
 * that is new or empty. It is made while the trace is walked, however long that is. Errors: INVALID (a thread;
 * `by_time` without time; a directory that has something in it), SYSTEM (names the file), LIMIT
 * "cancelled", NO_MEMORY. `ret` may be NULL.
 */
STROBE_EXPORT struct strobe_error *
strobe_trace_export(struct strobe_trace *trace, struct strobe_symbols *symbols,
		    enum strobe_trace_export_format format, const char *path,
		    const struct strobe_trace_export_options *options,
		    struct strobe_trace_export_summary *ret) STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
