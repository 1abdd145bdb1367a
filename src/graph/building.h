// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_BUILDING_H
#define GRAPH_BUILDING_H

// A graph while it is built: build.c has the order of things, nodes.c, walk.c, infer.c, edges.c and totals.c a step each.

#include <strobe/heap.h>

#include "base/hash.h"
#include "base/text.h"
#include "graph/graph.h"
#include "graph/locate.h"
#include "graph/memory.h"
#include "graph/storage.h"
#include "graph/workers.h"

/** Bits of a node's word that are there while the graph is built. */
enum {
	NODE_EXTENT = 1 << 30, // its count of elements is in `extents`
};
/** Words that are no pointers by their object's type lead to it, and nothing else does. */
#define NODE_RESCUED 0x80000000u

/** Growing memory from pages_new(). */
struct pages {
	void *items;
	size_t count, capacity, item_size;
};
/** Room for `count` items; false when memory is short. */
bool pages_reserve(struct pages *pages, size_t count);
void pages_fini(struct pages *pages);

/** Two nodes, or entities. */
struct node_pair {
	uint32_t from, to;
};

/** What is in no memory: groups, threads, frames, registers. Its node is memory_count + 1 + its number. */
struct entity {
	struct graph_root root; // `node` and `parent` are set once there are nodes
	uint32_t parent;	// its number; UINT32_MAX: node 0
	uint32_t type;		// of values
};

/** A piece of memory that is a root, before there are nodes. */
struct root_piece {
	uint64_t address, size;
	uint32_t type, name, entity;	// what holds it
	uint32_t thread, frame, module; // UINT32_MAX = none
	uint8_t kind;			// enum root_kind
};

/** A root in memory that lies in another's: what holds it refers to that one's node. */
struct alias {
	uint64_t address;
	uint32_t entity;
};

struct build {
	struct strobe_symbols *symbols;
	const struct strobe_view *view;
	struct strobe_graph_options options;
	struct strobe_graph *graph;
	struct graph_memory *memory;
	struct workers *workers;
	struct graph_reader *readers[WORKERS_LIMIT]; // one a thread, for what is walked
	struct graph_reader *probes[WORKERS_LIMIT];  // and one for what is looked at meanwhile
	struct strobe_heap *heap;
	struct lens *lens;

	// Nodes; [0] of each is node 0.
	struct pages addresses, sizes, types; // uint64_t, uint32_t, uint32_t
	struct pages claims;		      // uint32_t; then the dominators
	ARRAY(uint64_t) large_sizes;
	uint32_t memory_count, node_count;
	uint64_t limit_address; // from here on there are blocks without nodes; UINT64_MAX
	struct locate locate;
	ARRAY(struct graph_free_block) free_blocks;
	uint64_t block_bytes; // of all blocks, free ones included

	// Roots.
	ARRAY(struct entity) entities;
	ARRAY(struct root_piece) pieces;
	ARRAY(struct graph_root) roots; // of nodes in memory
	ARRAY(struct alias) aliases;
	struct pages holds; // struct node_pair: an entity, and a node in memory; sorted
	ARRAY(uint64_t) values;

	struct hash extents; // node -> elements
	struct text strings;
	struct hash string_places; // hash of a string -> its offset + 1
	uint64_t *
		rescue_filter; // a bit a page, folded: nodes with NODE_RESCUED may be there; NULL: there are none
	bool retyped; // a type was changed after it had been walked: marks may be too many

	// Edges.
	struct pages edge_begin, chunk_base, edges; // uint32_t, uint64_t, uint32_t
	struct pages children;			    // struct node_pair: of what is in no memory
	struct pages surrogate_reasons;		    // uint8_t
};

static inline uint64_t *build_addresses(const struct build *build)
{
	return build->addresses.items;
}
static inline uint32_t *build_sizes(const struct build *build)
{
	return build->sizes.items;
}
static inline uint32_t *build_types(const struct build *build)
{
	return build->types.items;
}
/** Elements that are known of a node with NODE_EXTENT: LENS_COUNT_NONE if none. Any thread, while nobody changes them. */
static inline uint64_t build_extent(const struct build *build, uint32_t node)
{
	return (uint64_t)(uintptr_t)hash_get(&build->extents, node);
}
static inline uint64_t build_node_size(const struct build *build, uint32_t node)
{
	uint32_t size = build_sizes(build)[node];
	return size & NODE_LARGE ? build->large_sizes.items[size & ~NODE_LARGE] : size;
}
/** Adds a node behind the others; false when memory is short. */
bool build_add_node(struct build *build, uint64_t address, uint64_t size, uint32_t type);
enum { FILTER_BITS = 1 << 20, FILTER_SIZE = FILTER_BITS / 8, FILTER_PAGE_SHIFT = 12 };
static inline bool build_is_filtered(const struct build *build, uint64_t address)
{
	uint64_t page = address >> FILTER_PAGE_SHIFT & (FILTER_BITS - 1);
	return build->rescue_filter[page / 64] >> (page % 64) & 1;
}
/** The offset of a string in `strings`; 0, which is "", when memory is short. */
uint32_t build_string(struct build *build, const char *text);
/** Tells how far it is; an error if it is cancelled. The thread that builds. */
struct strobe_error *build_progress(struct build *build, const char *what, double done)
	STROBE_MUST_CHECK;

/** roots.c: pieces and entities of all roots. */
struct strobe_error *build_roots(struct build *build) STROBE_MUST_CHECK;
/** nodes.c: the nodes, what is free, and what entities hold. */
struct strobe_error *build_nodes(struct build *build) STROBE_MUST_CHECK;
/** walk.c: types and marks, by typed references; then by guesses too. */
struct strobe_error *build_walk(struct build *build) STROBE_MUST_CHECK;
/** edges.c: edges and surrogates. */
struct strobe_error *build_edges(struct build *build) STROBE_MUST_CHECK;
/** totals.c: dominators, types, extents, summary. */
struct strobe_error *build_totals(struct build *build) STROBE_MUST_CHECK;

#endif
