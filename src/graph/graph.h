// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

// The graph as its own layer and the questions (src/query, src/graph_export) see it: arrays by node, that are the same in memory
// and in a stored file. See docs/decisions/0013.

#include <strobe/graph.h>

#include "base/array.h"
#include "lens/lens.h"
#include "lens/roots.h"

/** Bits of a node's word in `types`: its type (24), evidence (3), and what follows. */
enum {
	NODE_TYPE_MASK = (1 << 24) - 1,
	NODE_EVIDENCE_SHIFT = 24,
	NODE_EVIDENCE_MASK = 7 << NODE_EVIDENCE_SHIFT,
	NODE_REACHABLE = 1 << 27,
	NODE_PRECISE = 1 << 28, // reachable without a guess
	NODE_BLOCK = 1 << 29,	// an allocation
};
/** Bits of an edge. */
#define EDGE_GUESSED 0x80000000u
#define EDGE_TARGET 0x7fffffffu
/** A size that does not fit: its number in `large_sizes`. */
#define NODE_LARGE 0x80000000u
/** Edges of node n begin at chunk_base[n >> 16] + edge_begin[n]; the last entry is behind the last node. */
enum { GRAPH_CHUNK_SHIFT = 16 };
/** idom of node 0 and of what is not reachable. */
#define NODE_NONE UINT32_MAX

/** What is known of a node that is no block: a root, thread, frame, group. Strings are offsets in `strings`. */
struct graph_root {
	uint32_t node;
	uint32_t parent; // node: its frame, thread, group; 0 for those
	uint32_t name;	 // offset in `strings`
	uint8_t kind; // enum root_kind; of threads, frames and groups ROOT_KIND_NODE + enum strobe_node_kind
	uint8_t padding[3];
	uint32_t thread, frame, module;	   // UINT32_MAX = none
	uint32_t value_begin, value_count; // in `values`: of a root that is in no memory
};
enum { ROOT_KIND_NODE = 128 };

/** A type of the stored graph. */
enum graph_type_flag {
	GRAPH_TYPE_IN_TYPES = 1, // its DIE is in .debug_types
	GRAPH_TYPE_OPEN =
		2, // its last member takes what is left of the object: a node is one of it
};
struct graph_type {
	uint32_t name, language; // offsets in `strings`
	uint64_t size_bytes;
	uint32_t module; // index in the view; UINT32_MAX = the lens's own
	uint32_t flags;	 // enum graph_type_flag
	uint64_t place;	 // of its DIE: see lens_type_find()
	uint64_t count, total_bytes;
};

/** An element count that is not what the size of the node says (a vector's). Sorted by node. */
struct graph_extent {
	uint32_t node, padding;
	uint64_t count;
};

/** A free block, or one that is the allocator's own; kept for `free`. Sorted by address. */
struct graph_free_block {
	uint64_t address, size_bytes;
	uint32_t arena;
	uint32_t state; // enum strobe_heap_state
};

/**
 * Invariants (graph_check() has them):
 *  1. node 0 is the root of all; nodes 1 .. memory_count are memory, ascending by address, not overlapping; those behind are
 *     in no memory (registers, frames, threads, groups), then surrogates from surrogate_begin on;
 *  2. edges of a node are in the order in which lens_walk() visits them, groups' in the order of the nodes they hold;
 *  3. idom[n] is NODE_NONE iff n is 0 or not reachable; retained[n] >= its own size for all nodes; both follow from the edges
 *     that hold: graph_edge_holds();
 *  4. no array is written once the graph is open.
 */
struct strobe_graph {
	struct strobe_symbols *symbols;
	const struct strobe_view *view;
	struct strobe_heap *heap; // NULL until asked for, if stored
	struct lens *lens;	  // made when first asked for, if stored: graph_lens()
	struct strobe_graph_summary summary;
	uint64_t surrogate_counts[STROBE_SURROGATE_REASON_COUNT];
	uint32_t node_count, memory_count, surrogate_begin;
	uint64_t edge_count;
	// By node.
	const uint64_t *addresses;
	const uint32_t *sizes;
	const uint32_t *types;
	const uint32_t *edge_begin; // node_count + 1
	const uint32_t *idom;
	const uint64_t *retained;
	// Others.
	const uint64_t *chunk_base;
	const uint32_t *edges;
	const uint64_t *large_sizes;
	size_t large_count;
	const struct graph_root *roots; // sorted by node
	size_t root_count;
	const struct graph_type *graph_types; // [0] stands for untyped
	size_t type_count;		      // with [0]
	const struct graph_extent *extents;
	size_t extent_count;
	const struct graph_free_block *free_blocks;
	size_t free_count;
	const uint8_t *surrogate_reasons; // by node - surrogate_begin
	const uint64_t *values;
	size_t value_count;
	const char *strings;
	size_t strings_size;
	struct graph_storage
		*storage;  // what all of it lies in: graph/build or graph/store own this
	struct file *file; // likewise, if it was stored
	uint32_t *referrer_begin, *referrers; // made when first asked for: graph_referrers_make()
	uint64_t *referrer_base;
	bool stored;		   // read from a file
	bool precise;		   // built without guesses
	uint32_t *lens_types;	   // the lens's ids, by type; with `lens`
	struct graph_walks *walks; // what graph_walk_node() reads with; made when first asked for
	struct text name_cache, type_cache;
};

static inline uint64_t graph_edges_begin(const struct strobe_graph *graph, uint32_t node)
{
	return graph->chunk_base[node >> GRAPH_CHUNK_SHIFT] + graph->edge_begin[node];
}
/**
 * Does the edge hold what it leads to, so that it counts for dominators and retained sizes? A guess holds only what nothing
 * sure does: a word left on the stack is not to hold half a list that a variable holds. So what is reached without a guess
 * is held by such edges alone.
 */
static inline bool graph_edge_holds(const struct strobe_graph *graph, uint32_t from, uint32_t edge)
{
	bool sure = !(edge & EDGE_GUESSED) && (from == 0 || graph->types[from] & NODE_PRECISE);
	return sure || !(graph->types[edge & EDGE_TARGET] & NODE_PRECISE);
}
/** Behind the last edge of `node`. */
uint64_t graph_edges_end(const struct strobe_graph *graph, uint32_t node);
uint64_t graph_node_size(const struct strobe_graph *graph, uint32_t node);
/** What is known of a node as a root; NULL if it is none. O(log n). */
const struct graph_root *graph_root_of(const struct strobe_graph *graph, uint32_t node);
enum strobe_node_kind graph_node_kind(const struct strobe_graph *graph, uint32_t node);
/** Its type, an index of graph_types; 0 = untyped. */
uint32_t graph_node_type(const struct strobe_graph *graph, uint32_t node);
/** Of a surrogate. */
enum strobe_surrogate_reason graph_surrogate_reason(const struct strobe_graph *graph,
						    uint32_t node);
/** The string at `offset` of `strings`; "" if there is none. */
const char *graph_string(const struct strobe_graph *graph, uint32_t offset);
/** How many elements of its type the node has where that is known: LENS_COUNT_NONE if none; 0 = as many as fit. */
uint64_t graph_extent(const struct strobe_graph *graph, uint32_t node);
/** Elements of its type in the node. */
uint64_t graph_element_count(const struct strobe_graph *graph, uint32_t node);
/** The node that holds `address`, 0 if there is none. */
uint32_t graph_node_find(const struct strobe_graph *graph, uint64_t address);
/** The lens, with the graph's types registered; made when first asked for. NULL when memory is short. */
struct lens *graph_lens(struct strobe_graph *graph);
/** The lens's id of the graph's type: they differ once the graph was stored. */
uint32_t graph_lens_type(struct strobe_graph *graph, uint32_t type);
/** Makes the table of referrers. Errors: NO_MEMORY. */
struct strobe_error *graph_referrers_make(struct strobe_graph *graph) STROBE_MUST_CHECK;
/** Frees it. */
void graph_referrers_forget(struct strobe_graph *graph);
/** Who has an edge to `node`, ascending, once for each: numbers [begin, *end) of `referrers`. After graph_referrers_make(). */
uint64_t graph_referrers_of(const struct strobe_graph *graph, uint32_t node, uint64_t *end);

/** Immediate dominators, from the arrays of any graph whose node 0 is the root (semi-NCA; no recursion). `idom` has
 *  `node_count` entries. Nodes that are not reachable get NODE_NONE. 16 bytes a node and 4 an edge while it runs. */
struct strobe_error *graph_dominators(uint32_t node_count, const uint32_t *edge_begin,
				      const uint64_t *chunk_base, const uint32_t *edges,
				      uint32_t *idom) STROBE_MUST_CHECK;

/** A path: nodes from a root's to `to`. */
struct graph_path {
	ARRAY(uint32_t) nodes; // node 0 first
	ARRAY(uint64_t)
	edges; // edges[i] (a number in graph->edges) leads from nodes[i] to nodes[i + 1]
};
/** Which edges a search may use. */
struct graph_path_options {
	bool precise;	   // no guessed edges
	size_t limit;	   // paths wanted
	uint64_t max_work; // edges looked at; 0 = no limit
};
/** The shortest paths from node 0 to any node for which `is_target` holds, shortest first, no node twice in a path; of
 *  those equally long, the one by lower node numbers first. (Yen 1971, on breadth-first trees.) */
struct strobe_error *graph_paths(struct strobe_graph *graph,
				 bool (*is_target)(void *context, uint32_t node), void *context,
				 const struct graph_path_options *options,
				 bool (*visit)(void *context, const struct graph_path *path),
				 void *visit_context) STROBE_MUST_CHECK;
/** What a set of nodes retains together: bytes that are reached only through one of them, their own included. `mark` (may be
 *  NULL) has a bit a node, set for all that is retained. */
struct strobe_error *graph_retained_of(struct strobe_graph *graph, const uint32_t *nodes,
				       size_t count, uint64_t *ret_bytes, uint64_t *ret_nodes,
				       uint64_t *mark) STROBE_MUST_CHECK;
/** Called for each edge of a node: what refers, the edge's number in `edges`, and where it leads. False stops. */
typedef bool (*graph_walk_visit)(void *context, const struct lens_reference *reference,
				 uint64_t edge, uint32_t to);
/** Visits the edges from a node as the lens sees them now, in the order of `edges`. What groups hold has offset 0; edges that are
 *  not found again have offset UINT64_MAX. Visitors may walk other nodes. Errors: NO_MEMORY. */
struct strobe_error *graph_walk_node(struct strobe_graph *graph, uint32_t node,
				     graph_walk_visit visit, void *context) STROBE_MUST_CHECK;
struct graph_walks *graph_walks_free(struct graph_walks *walks);
/** Is it a root that is in no memory, and has values? */
bool graph_has_values(const struct strobe_graph *graph, uint32_t node);
/** Appends the name of a place in a node as it continues a path: "->next" of blocks, ".next" of variables, "+0x18"; "?" for
 *  UINT64_MAX. */
void graph_place_name(struct strobe_graph *graph, uint32_t node, uint64_t offset, struct text *ret);

#endif
