// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_HOT_H
#define STROBE_HOT_H

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
 * Where a thread's instructions and time went: exact counts of all that the trace has, not samples. Runs of code
 * are counted by their number and named once, in the end.
 */
struct strobe_hot;

/** What is counted together. */
enum strobe_hot_by {
	STROBE_HOT_FUNCTION,
	STROBE_HOT_LINE,
	STROBE_HOT_BLOCK, /**< straight code: from where it is entered to its branch */
	STROBE_HOT_MODULE,
};

/** Zero-initialise, then set `size`. */
struct strobe_hot_options {
	size_t size;	   /**< sizeof(struct strobe_hot_options) */
	uint64_t first_id; /**< from this item */
	uint64_t end_id;   /**< to this one, exclusive; 0 = to the newest */
	enum strobe_hot_by by;
	bool inlined; /**< functions: what is inlined counts for itself, not for the function around it */
	bool no_times;	/**< do not ask for times: it is faster */
	bool no_totals; /**< functions: not with what they call: it is faster */
};

/** Strings live as long as the symbols. */
struct strobe_hot_row {
	const char *
		function; /**< NULL where unknown; of a line or block, the innermost at its first instruction */
	const char *module;  /**< NULL = in none */
	const char *file;    /**< of functions, where declared; NULL if unknown */
	unsigned line;	     /**< 0 if unknown */
	uint64_t start, end; /**< of functions and blocks: [start, end); 0 if unknown */
	uint64_t own_count;  /**< instructions */
	uint64_t
		total_count; /**< functions: with what they called, recursion counted once; else as own_count */
	double own_ns, total_ns; /**< likewise; 0 without a clock */
	uint64_t
		entry_count; /**< functions: calls, jumps, and where it ran at first; blocks: executions;
				   else 0 */
};

/** The whole. */
struct strobe_hot_summary {
	uint64_t instruction_count;
	bool has_time;
	double time_ns; /**< that lies between instructions and what ran behind them */
};

/** Counts thread `thread_index`. Errors: INVALID, out of memory. */
STROBE_EXPORT struct strobe_error *strobe_hot_open(struct strobe_trace *trace, size_t thread_index,
						   struct strobe_symbols *symbols,
						   const struct strobe_hot_options *options,
						   struct strobe_hot **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_hot *strobe_hot_close(struct strobe_hot *hot);
STROBE_EXPORT void strobe_hot_summary(const struct strobe_hot *hot, struct strobe_hot_summary *ret);
/** Rows: by own_count, greatest first; then by name and address. */
STROBE_EXPORT size_t strobe_hot_row_count(const struct strobe_hot *hot);
/** Row `index` < count; borrowed. */
STROBE_EXPORT const struct strobe_hot_row *strobe_hot_row(const struct strobe_hot *hot,
							  size_t index);

#ifdef __cplusplus
}
#endif
#endif
