// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_PATHS_H
#define STROBE_GRAPH_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A step of a path: an edge, and the node it leads to. */
struct strobe_path_step {
	uint64_t node;
	enum strobe_node_kind kind;
	uint64_t address;      /**< of the node; 0 = in no memory */
	const char *name;      /**< of a thread, frame, group, variable, area; NULL for blocks */
	const char *type_name; /**< NULL = untyped */
	const char *
		edge; /**< what follows the node before: "->next"; "" from threads, frames and groups */
	bool guessed, maybe; /**< of the edge */
};
/** A path from the roots to a node. */
struct strobe_path {
	const struct strobe_path_step
		*steps; /**< the first is the first node behind the root of all */
	size_t count;
	bool guessed; /**< one of its edges is */
};
/** What paths are wanted. Zero-initialise, then set `size`. */
struct strobe_path_options {
	size_t size;  /**< sizeof(struct strobe_path_options) */
	bool precise; /**< without guessed edges */
	bool prefer_precise; /**< of strobe_graph_path_each(): with guessed edges only where there is no other path */
	size_t count;	   /**< at most so many; 0 = 1 */
	uint64_t max_work; /**< edges looked at until it ends with what it has; 0 = 10^9 */
};
/** Called for each path; it is borrowed for the call. Return false to stop. */
typedef bool (*strobe_path_visit)(void *context, const struct strobe_path *path);
/** Visits the shortest paths to any of the `count` nodes, shortest first. Errors: INVALID, NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_graph_paths(struct strobe_graph *graph,
						      const uint64_t *nodes, size_t count,
						      const struct strobe_path_options *options,
						      strobe_path_visit visit, void *context)
	STROBE_MUST_CHECK;
/**
 * One shortest path to each of the `count` nodes, in their order, from one search; nodes that nothing reaches are passed
 * over. `options->count` is not used. Errors: INVALID, NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_graph_path_each(struct strobe_graph *graph,
							  const uint64_t *nodes, size_t count,
							  const struct strobe_path_options *options,
							  strobe_path_visit visit, void *context)
	STROBE_MUST_CHECK;
/**
 * A path in words: thread 12 "worker-3" > frame serve:120 > req > ->conn > ->buffers[3]. A name that comes again and again
 * is written once ("->next (998 times)"), and guessed edges have a "?" behind them. malloc'ed; NULL when memory is short.
 */
STROBE_EXPORT char *strobe_path_text(const struct strobe_path *path);

#ifdef __cplusplus
}
#endif
#endif
