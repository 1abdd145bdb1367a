// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_QUERY_H
#define STROBE_GRAPH_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>
#include <strobe/value.h>

#ifdef __cplusplus
extern "C" {
#endif

// What people ask an object graph. More questions, one header a noun: graph_paths.h, graph_leaks.h, graph_duplicates.h,
// graph_find.h, graph_suspects.h, graph_diff.h, graph_arenas.h. All of them need time and memory that grow with the graph
// and no faster, and none recurses. What they return is malloc'ed in one piece, the caller's to free().

/** How sizes are counted in a histogram. */
struct strobe_histogram_row {
	const char *type; /**< name; "(untyped, 32 bytes)" for what has none, by size class */
	uint64_t count;
	uint64_t size_bytes;
	/** What they retain one by one, nothing counted twice: at least that goes with all of them. What goes
	 *  with all of them exactly is strobe_graph_retained_of()'s to say. Of leaked ones, their own bytes. */
	uint64_t retained_bytes;
};
/** Which nodes count. Zero = allocated blocks, reachable or not. */
struct strobe_histogram_options {
	size_t size;	 /**< sizeof(struct strobe_histogram_options) */
	bool with_roots; /**< variables and areas too */
	bool leaked_only;
	bool reachable_only;
	/** Rows by module: that of an object's virtual table, else one that describes its type; "(untyped)" for the rest. */
	bool by_module;
};
/** A histogram. `*ret` is an array of `*count` rows, biggest first (by size, then name). Errors: NO_MEMORY. */
STROBE_EXPORT struct strobe_error *
strobe_graph_histogram(struct strobe_graph *graph, const struct strobe_histogram_options *options,
		       struct strobe_histogram_row **ret, size_t *count) STROBE_MUST_CHECK;

/**
 * The nodes of a type, ascending: `type` is its name ("struct conn"; "conn" where only one tag goes before it), or a
 * fnmatch(3) pattern of names. Arrays of it belong to it, and so do blocks in which std::make_shared() put one.
 * `*ret` may be empty: the type is known, but no node has it.
 * Errors: NOT_FOUND (no such type, with what may have been meant), NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_graph_nodes_of_type(struct strobe_graph *graph,
							      const char *type, uint64_t **ret,
							      size_t *count) STROBE_MUST_CHECK;

/** What a set of nodes retains together. */
struct strobe_retained {
	uint64_t nodes;		 /**< in the set, each once */
	uint64_t size_bytes;	 /**< their own */
	uint64_t retained_nodes; /**< that would go with them, they included */
	uint64_t retained_bytes;
};
/** What would go if the `count` nodes did: nothing is counted twice. Errors: INVALID (no such node), NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_graph_retained_of(struct strobe_graph *graph,
							    const uint64_t *nodes, size_t count,
							    struct strobe_retained *ret)
	STROBE_MUST_CHECK;

/** Which nodes are biggest. Zero-initialise, then set `size`. */
struct strobe_top_options {
	size_t size;	  /**< sizeof(struct strobe_top_options) */
	const char *type; /**< as in strobe_graph_nodes_of_type(); NULL = any */
	size_t limit;	  /**< 0 = 20; SIZE_MAX = all */
	bool blocks_only; /**< no variables, areas, threads, frames */
	bool with_owners; /**< threads, frames and groups too */
	bool roots_only;  /**< no blocks; registers too */
	bool heads_only; /**< without blocks that one of their own type dominates: lists and trees count once */
};
/** The nodes that retain most, biggest first (then by address). Errors: as strobe_graph_nodes_of_type(). */
STROBE_EXPORT struct strobe_error *strobe_graph_top(struct strobe_graph *graph,
						    const struct strobe_top_options *options,
						    uint64_t **ret, size_t *count)
	STROBE_MUST_CHECK;
/**
 * Who holds a node: the outermost of those that all paths to it go through, in words, as a path begins: "thread 12
 * \"worker\" > frame serve:120 > req". "(several roots)" where there is none but the root of all, NULL where nothing reaches it. malloc'ed.
 */
STROBE_EXPORT char *strobe_graph_holder(struct strobe_graph *graph, uint64_t node);

/** What is shown of the dominator tree. Zero-initialise, then set `size`. */
struct strobe_tree_options {
	size_t size;	/**< sizeof(struct strobe_tree_options) */
	uint64_t node;	/**< where it begins; 0 = the root of all */
	unsigned depth; /**< levels below that; 0 = 5 */
	double min_share; /**< leave out what retains less than this part (0 to 1) of the first node */
	size_t children;   /**< at most so many of one node; 0 = 10 */
	bool whole_chains; /**< do not sum up chains: see strobe_tree_entry.chain */
};
/** A node of the tree as it is shown. */
struct strobe_tree_entry {
	uint64_t node;
	uint64_t retained_bytes;
	unsigned depth; /**< 0 = where it began */
	uint64_t
		chain; /**< nodes of its type, one held by the other, that were passed over down to `chain_end`, whose children
				* come next: a list's. 0 = none */
	uint64_t chain_end;
	uint64_t children;     /**< that it has in all */
	uint64_t hidden;       /**< of them that are not shown: too small, too many, too deep */
	uint64_t hidden_bytes; /**< what these retain */
};
/** Called for each; return false to stop. */
typedef bool (*strobe_tree_visit)(void *context, const struct strobe_tree_entry *entry);
/** Visits the dominator tree, each node before its children, these by what they retain. Errors: INVALID, NO_MEMORY. */
STROBE_EXPORT struct strobe_error *
strobe_graph_dominator_tree(struct strobe_graph *graph, const struct strobe_tree_options *options,
			    strobe_tree_visit visit, void *context) STROBE_MUST_CHECK;

/**
 * The object of a node as a value: of its type, an array if it holds several. `*ret` is NULL if it has no type or is in
 * no memory. The value is closed before the graph. Errors: NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_graph_value(struct strobe_graph *graph, uint64_t node,
						      struct strobe_value **ret) STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
