// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACE_DIFF_H
#define STROBE_TRACE_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/symbols.h>
#include <strobe/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Where two executions of one program part, and where they meet again. Instructions are equal if they have the
 * same place in modules of the same name, wherever these were loaded; of code in no module, the address
 * counts. Errors in the trace are items like any other; events are not looked at, unless asked for. Memory is
 * constant until the executions part, and bounded by the look-ahead afterwards. The two sides may be
 * threads of one trace. One thread at a time.
 */
struct strobe_trace_diff;

/** One of the two executions: A or B. */
struct strobe_trace_side {
	struct strobe_trace *trace;
	struct strobe_symbols *symbols; /**< of the trace's view */
	size_t thread_index;
	uint64_t from_id; /**< the oldest item that counts */
	uint64_t end_id;  /**< behind the newest that counts; 0 = all */
};

/** Zero-initialise, then set `size`. */
struct strobe_trace_diff_options {
	size_t size; /**< sizeof(struct strobe_trace_diff_options) */
	bool functions; /**< compare calls, by the names of functions, and returns; nothing in between */
	bool events; /**< compare events, too, but for those of clocks, power, CPUs, and PSBs */
	uint32_t look_ahead; /**< steps of each side in which they may meet again; 0 = 65,536 */
	uint32_t window; /**< equal steps in a row that make a meeting; 0 = 32, of functions 8 */
};

/** Named limit: the largest look-ahead. */
enum { STROBE_TRACE_DIFF_LOOK_AHEAD_LIMIT = 1 << 26 };

/** A place on one of the sides. */
struct strobe_trace_diff_place {
	uint64_t id;	  /**< of the item; STROBE_NO_ID: there is none, the side has ended */
	uint64_t address; /**< of the instruction; 0 if it is none */
};

/** A difference: what stands between two common stretches. Index 0 is A, 1 is B. */
struct strobe_trace_difference {
	uint64_t common; /**< equal steps just before it */
	struct strobe_trace_diff_place
		last[2]; /**< the last common step; no id: it began differently */
	struct strobe_trace_diff_place first[2]; /**< the first one that only this side has */
	uint64_t count[2];			 /**< steps that only this side has, up to `met` */
	bool met; /**< false: no meeting within the look-ahead, nothing behind was compared */
	struct strobe_trace_diff_place again[2]; /**< if `met`: where both go on; no id: both end */
};

/** The whole so far. */
struct strobe_trace_diff_totals {
	uint64_t common;  /**< equal steps: instructions, errors, events; or calls and returns */
	uint64_t only[2]; /**< steps of one side */
	uint64_t differences;
	bool complete; /**< both were compared to their ends */
};

/** Begins a comparison. Errors: INVALID (a thread), LIMIT (the look-ahead), NO_MEMORY. The caller owns
 *  `*ret`; traces and symbols must outlive it. */
STROBE_EXPORT struct strobe_error *
strobe_trace_diff_open(const struct strobe_trace_side *a, const struct strobe_trace_side *b,
		       const struct strobe_trace_diff_options *options,
		       struct strobe_trace_diff **ret) STROBE_MUST_CHECK;
/** Ends it (NULL is fine). Returns NULL. */
STROBE_EXPORT struct strobe_trace_diff *strobe_trace_diff_close(struct strobe_trace_diff *diff);
/** Finds the next difference; `*ret_found` is false when there is none. Errors: NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_trace_diff_next(struct strobe_trace_diff *diff,
							  struct strobe_trace_difference *ret,
							  bool *ret_found) STROBE_MUST_CHECK;
STROBE_EXPORT const struct strobe_trace_diff_totals *
strobe_trace_diff_totals(const struct strobe_trace_diff *diff);

#ifdef __cplusplus
}
#endif
#endif
