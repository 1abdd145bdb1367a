// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_LEAKS_H
#define STROBE_GRAPH_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Leaked blocks: allocated, and nothing that the program has leads there. */
struct strobe_leaks;
/** What counts as leaked. Zero-initialise, then set `size`. */
struct strobe_leak_options {
	size_t size; /**< sizeof(struct strobe_leak_options) */
	/** Blocks too that only guesses reach, in groups of their own: possibly leaked. */
	bool guessed;
};
/** Leaked blocks of one type; untyped ones of one size and pattern. */
struct strobe_leak_group {
	const char *type; /**< NULL = untyped */
	/** Of untyped ones, what their bytes look like: "text", "zeros", "data", "unreadable", "pointers at
	 *  +0x0 +0x8"; NULL of typed ones. */
	const char *pattern;
	bool guessed; /**< guesses reach them */
	uint64_t blocks, size_bytes;
	uint64_t least_bytes, most_bytes; /**< of one block */
	/** Of these, those that no other leaked block leads to (of a cycle, its lowest): valgrind's
	 *  "definitely lost". The rest is "indirectly lost". */
	uint64_t direct_blocks, direct_bytes;
	/** What its direct ones hold among themselves: blocks of any group, each counted for the lowest
	 *  direct block that leads there. */
	uint64_t held_blocks, held_bytes;
	const uint64_t *nodes; /**< its blocks: direct ones ascending, then the others */
};
/** All of them. */
struct strobe_leak_total {
	uint64_t blocks, size_bytes;
	uint64_t direct_blocks, direct_bytes;
	uint64_t guessed_blocks, guessed_bytes; /**< possibly leaked; 0 without the option */
};
/** Finds them. `options` may be NULL. Errors: NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_leaks_open(struct strobe_graph *graph,
						     const struct strobe_leak_options *options,
						     struct strobe_leaks **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_leaks *strobe_leaks_close(struct strobe_leaks *leaks);
STROBE_EXPORT void strobe_leaks_total(const struct strobe_leaks *leaks,
				      struct strobe_leak_total *ret);
/** Groups, sure ones first, those whose direct blocks lose most (with what they hold) first. */
STROBE_EXPORT size_t strobe_leaks_count(const struct strobe_leaks *leaks);
STROBE_EXPORT const struct strobe_leak_group *strobe_leaks_get(const struct strobe_leaks *leaks,
							       size_t index);

#ifdef __cplusplus
}
#endif
#endif
