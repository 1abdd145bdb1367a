// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_QUERY_H
#define STROBE_GRAPH_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How sizes are counted in a histogram. */
struct strobe_histogram_row {
	const char *type; /**< name; "(untyped, 32 bytes)" for what has none, by size class */
	uint64_t count;
	uint64_t size_bytes;
	uint64_t retained_bytes; /**< of all of them together: nothing is counted twice */
};
/** Which nodes count. Zero = allocated blocks, reachable or not. */
struct strobe_histogram_options {
	size_t size;	 /**< sizeof(struct strobe_histogram_options) */
	bool with_roots; /**< variables and areas too */
	bool leaked_only;
	bool reachable_only;
	bool by_module; /**< rows by the module that the type is described in, or whose code allocated it where known */
};
/** A histogram. `*ret` is an array of `*count` rows, biggest first (by size, then name), malloc'ed; the strings are borrowed. */
STROBE_EXPORT struct strobe_error *
strobe_graph_histogram(struct strobe_graph *graph, const struct strobe_histogram_options *options,
		       struct strobe_histogram_row **ret, size_t *count) STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
