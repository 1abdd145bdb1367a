// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACE_SAVE_H
#define STROBE_TRACE_SAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What of a trace is saved, and how. Zero-initialise, then set `size`; as it is, all of it. */
struct strobe_trace_save_options {
	size_t size;	  /**< sizeof(struct strobe_trace_save_options) */
	const int *tids;  /**< only these threads */
	size_t tid_count; /**< 0 = all */
	/** Items [first_id, last_id] of one thread, which then must be the only one: named, or the trace's. */
	bool by_id;
	uint64_t first_id, last_id;
	/** What ran at [first_ns, last_ns], as strobe_cursor_time_ns() counts. */
	bool by_time;
	double first_ns, last_ns;
	/** Name the files of modules where they are. Else they are copied, and the folder can be carried elsewhere. */
	bool reference_modules;
	strobe_trace_progress progress; /**< may be NULL */
	void *progress_context;
};

/** What was saved. */
struct strobe_trace_saved {
	size_t thread_count;
	uint64_t packet_bytes; /**< of the trace's; the whole has strobe_trace_info.raw_bytes */
	uint64_t file_bytes;   /**< of all files that were written */
	size_t module_count;   /**< in the bundle */
	size_t module_missing_count; /**< modules without a file: what ran in them cannot be decoded there */
	size_t code_missing_count; /**< pieces of code that changed with time: a bundle has no place for them */
	/**
	 * With by_id and by_time: what is really in it of the (first) thread, in the ids of the trace that was saved.
	 * Packets can be cut only where decoding can begin, so that it may be more than was asked for.
	 */
	bool has_ids;
	uint64_t first_id, last_id;
};

/**
 * Saves a trace, or a part of it, as a bundle of LLDB's form in the folder `directory`, which must not exist or be empty:
 * trace.json, packets, context switches of the saved threads, modules. However the trace was opened; it appears
 * whole or not at all, and only its owner can read it. What LLDB's form has no place for is left out: names of
 * signals and system calls, code that changed with time. `options` and `ret` may be NULL.
 * Errors: SYSTEM, INVALID (no such thread or item, no one thread), UNSUPPORTED (no packets behind this
 * trace; packets by CPU without a clock), LIMIT "cancelled".
 */
STROBE_EXPORT struct strobe_error *
strobe_trace_save(struct strobe_trace *trace, const char *directory,
		  const struct strobe_trace_save_options *options, struct strobe_trace_saved *ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
