// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_COVERAGE_H
#define STROBE_COVERAGE_H

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
 * Which source lines a trace executed, and how often. Executions of every instruction are counted exactly. A
 * line's code may stand at several places: in its function, and wherever that is inlined. Of each such copy, the
 * instruction of the line that was executed most often counts, and the copies add up. This is what gcov
 * counts of code that is not optimised: of a loop's line, how often its condition was evaluated.
 */
struct strobe_coverage;

/** Zero-initialise, then set `size`. */
struct strobe_coverage_options {
	size_t size;	     /**< sizeof(struct strobe_coverage_options) */
	size_t thread_index; /**< if `one_thread` */
	bool one_thread;     /**< that thread alone; else all */
	uint64_t from_id;    /**< with `one_thread`: the oldest item that counts */
	uint64_t end_id;     /**< with `one_thread`: behind the newest that counts; 0 = all */
	const char *source;  /**< files below this folder only, or that end with this in whole
			       *  components; NULL = all */
	strobe_trace_progress progress; /**< in items; may be NULL */
	void *progress_context;
};

/** A line that has code. */
struct strobe_coverage_line {
	unsigned line;
	uint64_t count; /**< 0 = not executed */
};
/** A function that has code, by itself or inlined. */
struct strobe_coverage_function {
	const char *name;
	unsigned line; /**< of its declaration; 0 if not known */
	/** How often it was entered, inlined copies included; 1 at least if any of it was executed. */
	uint64_t count;
	uint64_t instructions;	 /**< executed of it, what is inlined into it excluded */
	size_t lines, lines_hit; /**< that have code in it, what is inlined into it excluded */
};
/** A source file. */
struct strobe_coverage_file {
	const char *path;
	const struct strobe_coverage_line *lines; /**< ascending */
	size_t line_count, lines_hit;
	const struct strobe_coverage_function *functions; /**< by line, then name */
	size_t function_count, functions_hit;
};
/** The whole. */
struct strobe_coverage_totals {
	uint64_t instructions; /**< executed */
	uint64_t without_line; /**< of these, of which no line is known */
	uint64_t distinct;     /**< different instructions executed */
	size_t lines, lines_hit;
	size_t functions, functions_hit;
};

/** Counts. Errors: INVALID (the thread), LIMIT "cancelled", NO_MEMORY. `symbols` are those of the trace's
 *  view, and must outlive `*ret`, which is the caller's. */
STROBE_EXPORT struct strobe_error *
strobe_coverage_open(struct strobe_trace *trace, struct strobe_symbols *symbols,
		     const struct strobe_coverage_options *options, struct strobe_coverage **ret)
	STROBE_MUST_CHECK;
/** Releases it (NULL is fine). Returns NULL. */
STROBE_EXPORT struct strobe_coverage *strobe_coverage_close(struct strobe_coverage *coverage);
STROBE_EXPORT const struct strobe_coverage_totals *
strobe_coverage_totals(const struct strobe_coverage *coverage);
/** Files in the order of their paths. */
STROBE_EXPORT size_t strobe_coverage_file_count(const struct strobe_coverage *coverage);
STROBE_EXPORT const struct strobe_coverage_file *
strobe_coverage_file(const struct strobe_coverage *coverage, size_t index);
/** How often the instruction at `address` was executed. */
STROBE_EXPORT uint64_t strobe_coverage_at(const struct strobe_coverage *coverage, uint64_t address);
/**
 * Writes an lcov tracefile (geninfo(1), FILES) to `path`, which appears when it is whole; "-" = standard output.
 * `test` is its TN, letters, digits and '_' alone; NULL = "". Errors: SYSTEM.
 */
STROBE_EXPORT struct strobe_error *
strobe_coverage_write_lcov(const struct strobe_coverage *coverage, const char *path,
			   const char *test) STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
