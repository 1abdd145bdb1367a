// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_H
#define STROBE_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/heap.h>
#include <strobe/symbols.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The object graph of a process: objects (nodes) and references (edges), from the roots on. Objects are allocated blocks of
 * the heap, variables, what else is in frames and modules, mappings, and surrogates for what could not be had. Threads, frames
 * and modules are nodes as well, so that each has a retained size. Node 0 is the root of all.
 * One thread at a time; building uses several of its own. Structures and strings that are returned are borrowed from
 * the graph. It is closed before its symbols.
 */
struct strobe_graph;

/** Called now and then while a graph is built: what is being done, and how far it is (0 to 1). False cancels. */
typedef bool (*strobe_graph_progress)(void *context, const char *what, double done);

/** How to build a graph. Zero-initialise, then set `size`. */
struct strobe_graph_options {
	size_t size;	  /**< sizeof(struct strobe_graph_options) */
	unsigned threads; /**< that build it; 0 = one a processor */
	bool precise;	  /**< no guesses: follow only what types tell */
	bool no_store;	  /**< neither read nor write a stored graph */
	const char *
		store; /**< where it is stored; NULL = beside the snapshot, as FILE.graph; views that are no files have none */
	uint64_t max_nodes;		/**< 0 = 2^31 - 2; what is beyond is a surrogate */
	size_t max_frames;		/**< of one thread; 0 = 1,000,000 */
	strobe_graph_progress progress; /**< may be NULL */
	void *progress_context;
};

/**
 * Builds the graph of the symbols' view, or opens the stored one if it belongs to this very snapshot. Memory: at most
 * 40 bytes a node, a third of a byte for what the search has seen, and 8 bytes an edge. Stored beside a snapshot when
 * there is room and permission; that it could not be stored is a warning of the view. `options` may be NULL.
 * Errors: NO_MEMORY, LIMIT with "cancelled" in its message. Damage never is one: it is in the surrogates and in
 * strobe_heap_damage().
 */
STROBE_EXPORT struct strobe_error *strobe_graph_open(struct strobe_symbols *symbols,
						     const struct strobe_graph_options *options,
						     struct strobe_graph **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_graph *strobe_graph_close(struct strobe_graph *graph);
STROBE_EXPORT struct strobe_symbols *strobe_graph_symbols(const struct strobe_graph *graph);
/** The allocators' books; opened when first asked for, if the graph was stored. NULL only when memory is short. */
STROBE_EXPORT struct strobe_heap *strobe_graph_heap(struct strobe_graph *graph);
/** Was it read from a stored graph? */
STROBE_EXPORT bool strobe_graph_was_stored(const struct strobe_graph *graph);

/** What the graph holds, in all. Bytes and blocks are the heap's alone: variables do not count there. */
struct strobe_graph_summary {
	uint64_t objects; /**< nodes that are memory: blocks, variables, mappings, ... */
	uint64_t nodes;	  /**< all: threads, frames, modules and surrogates too */
	uint64_t edges;
	uint64_t guessed_edges; /**< of these, found by scanning words */
	uint64_t maybe_edges;	/**< of these, by a union's member, one of several */
	uint64_t roots;
	uint64_t allocated_bytes, allocated_blocks;
	uint64_t reachable_bytes, reachable_blocks; /**< from roots, by any edge */
	uint64_t precise_bytes, precise_blocks;	    /**< of these, without a guess on the way */
	uint64_t leaked_bytes, leaked_blocks;	    /**< allocated, and not reachable */
	uint64_t free_bytes, free_blocks;
	uint64_t book_bytes;	    /**< the allocators' own */
	uint64_t unexplained_bytes; /**< of the heap's regions, in no block: damage */
	uint64_t typed_blocks, untyped_blocks;
	uint64_t unreadable_bytes; /**< of objects */
	uint64_t surrogates;	   /**< references to what could not be had, by reason below */
};
STROBE_EXPORT void strobe_graph_summary(const struct strobe_graph *graph,
					struct strobe_graph_summary *ret);

/** Why something is a surrogate. */
enum strobe_surrogate_reason {
	STROBE_SURROGATE_UNMAPPED,     /**< a typed pointer to where nothing is mapped */
	STROBE_SURROGATE_NOT_CAPTURED, /**< mapped, but not in the view */
	STROBE_SURROGATE_FREED,	       /**< a typed pointer to a free block */
	STROBE_SURROGATE_IMPLAUSIBLE, /**< what is there cannot be of that type: too small, not aligned */
	STROBE_SURROGATE_UNTYPED, /**< a type that is nowhere described, so nothing is known of what it holds */
	STROBE_SURROGATE_LIMIT, /**< beyond a limit of the options, or of the graph */
	STROBE_SURROGATE_REASON_COUNT,
};
/** "unmapped", "not captured", "freed", "implausible", "untyped", "limit". */
STROBE_EXPORT const char *strobe_surrogate_reason_name(enum strobe_surrogate_reason reason);
/** How many references ended so. */
STROBE_EXPORT uint64_t strobe_graph_surrogate_count(const struct strobe_graph *graph,
						    enum strobe_surrogate_reason reason);

/** What a node is. */
enum strobe_node_kind {
	STROBE_NODE_ROOT,  /**< node 0: all begins here */
	STROBE_NODE_GROUP, /**< a module, the C library, the mappings: roots together */
	STROBE_NODE_THREAD,
	STROBE_NODE_FRAME,
	STROBE_NODE_VARIABLE, /**< an argument, local, global, static or thread-local; in memory or not */
	STROBE_NODE_AREA,  /**< memory between variables: of a frame, a module's data; a mapping */
	STROBE_NODE_BLOCK, /**< an allocation */
	STROBE_NODE_SURROGATE,
};
/** How a node came by its type; higher is surer. Values are those of enum lens_evidence. */
enum strobe_evidence {
	STROBE_EVIDENCE_NONE,  /**< untyped */
	STROBE_EVIDENCE_ALIKE, /**< like other blocks in size and shape */
	STROBE_EVIDENCE_LINK, /**< a pointer to a member that only this type has there (container_of) */
	STROBE_EVIDENCE_POINTER,  /**< a typed pointer */
	STROBE_EVIDENCE_VTABLE,	  /**< its virtual table */
	STROBE_EVIDENCE_DECLARED, /**< it is a variable */
};
/** "none", "alike", "link", "pointer", "virtual table", "declared". */
STROBE_EXPORT const char *strobe_evidence_name(enum strobe_evidence evidence);

/** A node. */
struct strobe_node {
	uint64_t index;
	enum strobe_node_kind kind;
	uint64_t address;    /**< 0 = in no memory; of a surrogate, where the pointers lead */
	uint64_t size_bytes; /**< its own */
	/** What would go with it: its own and all that is reached only through it. What something sure leads to is not held by
	 *  guesses. */
	uint64_t retained_bytes;
	size_t type; /**< index of its type; SIZE_MAX = untyped */
	const char *
		type_name; /**< "struct conn"; of an array "struct conn [12]"; NULL if untyped; valid until the next call */
	uint64_t element_count; /**< of its type in it; 1 for most */
	enum strobe_evidence evidence;
	bool reachable; /**< from roots, by any edge */
	bool precise;	/**< ... without a guess on the way */
	uint64_t
		dominator; /**< node that all paths from the roots go through; UINT64_MAX: not reachable, or node 0 */
	uint64_t reference_count; /**< edges from it */
	const char *
		name; /**< of roots, threads ("thread 12 \"worker\""), frames ("serve:120"), variables, groups, areas; else
			       NULL; valid until the next call */
	enum strobe_surrogate_reason reason; /**< of a surrogate */
};
/** Number of nodes: memory first, ascending by address, but for node 0. */
STROBE_EXPORT uint64_t strobe_graph_node_count(const struct strobe_graph *graph);
/** Node `index` < count. */
STROBE_EXPORT void strobe_graph_node(struct strobe_graph *graph, uint64_t index,
				     struct strobe_node *ret);
/** The node whose memory holds `address`, and how far into it; false if there is none. */
STROBE_EXPORT bool strobe_graph_node_at(const struct strobe_graph *graph, uint64_t address,
					uint64_t *ret, uint64_t *offset);

/** An edge. */
struct strobe_edge {
	uint64_t from, to; /**< nodes */
	uint64_t
		offset; /**< in `from`, of the word that refers; UINT64_MAX: not found again, as what tells types changed */
	uint64_t target;	/**< address that it refers to */
	uint64_t target_offset; /**< in `to` */
	const char *
		name; /**< as it continues a path: "->next", ".buffers[3]", "+0x18"; "" from groups; valid until the next */
	bool guessed, maybe;
};
/** Called for each edge; return false to stop. */
typedef bool (*strobe_edge_visit)(void *context, const struct strobe_edge *edge);
/** Visits the edges from node `index`, in the order of their offsets. Reads the object again. Errors: NO_MEMORY, INVALID. */
STROBE_EXPORT struct strobe_error *strobe_graph_references(struct strobe_graph *graph,
							   uint64_t index, strobe_edge_visit visit,
							   void *context) STROBE_MUST_CHECK;
/** Visits the edges to node `index`, ascending by `from`. The first call makes a table of 4 bytes an edge and 4 a node. */
STROBE_EXPORT struct strobe_error *strobe_graph_referrers(struct strobe_graph *graph,
							  uint64_t index, strobe_edge_visit visit,
							  void *context) STROBE_MUST_CHECK;

/** A type of nodes. Totals count nodes that are reachable or allocated. */
struct strobe_graph_type {
	const char *name;
	const char *language; /**< "C", "C++" */
	uint64_t size_bytes;  /**< of one; 0 = unknown */
	uint64_t count;	      /**< nodes of it; arrays count once */
	uint64_t total_bytes; /**< their own sizes */
};
/** Types that nodes have; [0, count). */
STROBE_EXPORT size_t strobe_graph_type_count(const struct strobe_graph *graph);
STROBE_EXPORT void strobe_graph_type(const struct strobe_graph *graph, size_t index,
				     struct strobe_graph_type *ret);

#ifdef __cplusplus
}
#endif
#endif
