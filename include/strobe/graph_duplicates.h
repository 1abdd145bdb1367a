// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_DUPLICATES_H
#define STROBE_GRAPH_DUPLICATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Blocks with the same content. */
struct strobe_duplicates;
/** What is compared. Zero-initialise, then set `size`. */
struct strobe_duplicate_options {
	size_t size; /**< sizeof(struct strobe_duplicate_options) */
	/** Blocks that hold one text (UTF-8, ended by NUL), up to its end: of characters, and of no type, or of a
	 *  structure with a text behind it. There it may stand behind a header, which does not count: redis's strings,
	 *  old std::strings. Of less than 4 bytes such texts are left out. Else all blocks, all bytes. */
	bool strings;
	uint64_t min_bytes;		/**< leave out shorter content; 0 = 1 */
	strobe_graph_progress progress; /**< may be NULL */
	void *progress_context;
};
/** A content that is there more than once. */
struct strobe_duplicate_group {
	uint64_t node; /**< the lowest block that has it */
	uint64_t address;
	uint64_t count;		/**< blocks */
	uint64_t content_bytes; /**< of one: a text without its NUL */
	uint64_t wasted_bytes;	/**< sizes of all of these blocks but the lowest */
	const char *type;	/**< of the lowest; NULL = untyped */
	uint64_t text_offset;	/**< of strings: where in the lowest block the text begins */
	const char *text; /**< of strings, the first 256 bytes of it, whole characters; else NULL */
	const uint64_t *nodes; /**< the blocks, ascending */
};
/** Reads all blocks and compares what they hold, by hashes of 96 bits. Errors: NO_MEMORY, LIMIT with "cancelled". */
STROBE_EXPORT struct strobe_error *
strobe_duplicates_open(struct strobe_graph *graph, const struct strobe_duplicate_options *options,
		       struct strobe_duplicates **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_duplicates *
strobe_duplicates_close(struct strobe_duplicates *duplicates);
/** What was compared, and all that is wasted. */
struct strobe_duplicate_total {
	uint64_t compared_blocks, compared_bytes;
	uint64_t unreadable_blocks; /**< left out */
	uint64_t groups, wasted_blocks, wasted_bytes;
};
STROBE_EXPORT void strobe_duplicates_total(const struct strobe_duplicates *duplicates,
					   struct strobe_duplicate_total *ret);
/** Groups, those that waste most first. */
STROBE_EXPORT size_t strobe_duplicates_count(const struct strobe_duplicates *duplicates);
STROBE_EXPORT const struct strobe_duplicate_group *
strobe_duplicates_get(const struct strobe_duplicates *duplicates, size_t index);

#ifdef __cplusplus
}
#endif
#endif
