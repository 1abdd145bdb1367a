// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_SUSPECTS_H
#define STROBE_GRAPH_SUSPECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What may be wrong with a heap: the few things whose size, or growth, explains most of it. */
struct strobe_suspects;
/** What is suspect. Zero-initialise, then set `size`. */
struct strobe_suspect_options {
	size_t size;	  /**< sizeof(struct strobe_suspect_options) */
	double min_share; /**< of the allocated bytes, or of the growth; 0 = 0.1 */
	size_t limit;	  /**< at most so many; 0 = 10 */
	struct strobe_graph *
		before; /**< an earlier graph of the same program: growth counts, not size; NULL = none */
};
/** Why something is a suspect. */
enum strobe_suspect_kind {
	STROBE_SUSPECT_OBJECT, /**< one object holds that much */
	STROBE_SUSPECT_TYPE,   /**< many objects of one type hold that much together */
	STROBE_SUSPECT_LEAK,   /**< leaked blocks of one type, with what they hold */
};
/** One of them. */
struct strobe_suspect {
	enum strobe_suspect_kind kind;
	uint64_t node; /**< OBJECT: it; others: the biggest of them, or the lowest leaked */
	/** OBJECT: the node at the end of the heavy line below it, where the weight falls apart into many;
	 *  TYPE: the node that holds all of them; UINT64_MAX = `node` itself, or none. */
	uint64_t accumulation;
	const char *type;	 /**< name; NULL = untyped */
	const char *name;	 /**< of `node`, if it has one; NULL = none */
	uint64_t count;		 /**< objects: 1 of OBJECT */
	uint64_t retained_bytes; /**< of blocks alone */
	/** Of the retained bytes, or their growth, those that are not another suspect's further down. */
	uint64_t explained_bytes;
	uint64_t
		before_bytes; /**< what the same retained earlier; 0 = was not there, or no earlier graph */
	/** OBJECT: nodes that the accumulation point holds directly; if it is the head of a list or tree
	 *  of its own type, the nodes of that type in it. */
	uint64_t children;
	const char *
		child_type; /**< OBJECT: that most of these bytes are in; NULL = untyped, or none */
	uint64_t child_type_count; /**< children of that type */
	double share;		   /**< explained_bytes of the allocated bytes, or of the growth */
	const char *text;	   /**< all this in a sentence */
};
/** Finds them. `options` may be NULL. Errors: NO_MEMORY. */
STROBE_EXPORT struct strobe_error *
strobe_suspects_open(struct strobe_graph *graph, const struct strobe_suspect_options *options,
		     struct strobe_suspects **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_suspects *strobe_suspects_close(struct strobe_suspects *suspects);
/** Biggest share first. */
STROBE_EXPORT size_t strobe_suspects_count(const struct strobe_suspects *suspects);
STROBE_EXPORT const struct strobe_suspect *
strobe_suspects_get(const struct strobe_suspects *suspects, size_t index);

#ifdef __cplusplus
}
#endif
#endif
