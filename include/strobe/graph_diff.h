// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_DIFF_H
#define STROBE_GRAPH_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What changed between two graphs of a program. Objects are the same if address and type are; variables by their names. */
struct strobe_graph_diff;
/** Bytes and blocks on both sides. */
struct strobe_diff_row {
	const char *type; /**< name; "(untyped, 32 bytes)" */
	uint64_t count_before, count_after;
	uint64_t bytes_before, bytes_after;
	uint64_t retained_before, retained_after; /**< as in a histogram */
	uint64_t new_count, new_bytes;		  /**< that were not there before */
	uint64_t gone_count, gone_bytes;	  /**< that are not there any more */
};
/** A node that retains more than before. */
struct strobe_diff_grown {
	uint64_t node;				  /**< in the later graph */
	uint64_t retained_before, retained_after; /**< before: 0 if it was not there */
	bool is_new;
};
/** Options. Zero-initialise, then set `size`. */
struct strobe_graph_diff_options {
	size_t size;	    /**< sizeof(struct strobe_graph_diff_options) */
	size_t grown_limit; /**< nodes kept of those that grew most; 0 = 20 */
};
/**
 * Compares; `before` and `after` stay the caller's and outlive it. A node is among the grown ones only if it is the place
 * where growth gathers: what holds little else than one grown node is left out for that. Errors: NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *
strobe_graph_diff_open(struct strobe_graph *before, struct strobe_graph *after,
		       const struct strobe_graph_diff_options *options,
		       struct strobe_graph_diff **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_graph_diff *strobe_graph_diff_close(struct strobe_graph_diff *diff);
/** Types of allocated blocks on either side: those that grew most in bytes first, those that shrank most last. */
STROBE_EXPORT size_t strobe_graph_diff_row_count(const struct strobe_graph_diff *diff);
STROBE_EXPORT const struct strobe_diff_row *
strobe_graph_diff_row(const struct strobe_graph_diff *diff, size_t index);
/** Nodes that grew, most first. */
STROBE_EXPORT size_t strobe_graph_diff_grown_count(const struct strobe_graph_diff *diff);
STROBE_EXPORT const struct strobe_diff_grown *
strobe_graph_diff_grown(const struct strobe_graph_diff *diff, size_t index);

#ifdef __cplusplus
}
#endif
#endif
