// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_STORE_FORMAT_H
#define GRAPH_STORE_FORMAT_H

// The stored graph's file: docs/format/graph.md. Little-endian; each section begins at a multiple of 64.

#include "graph/graph.h"

enum {
	STORE_VERSION = 2,
	STORE_ALIGNMENT = 64,
	STORE_CHUNK = 1 << 20, // of a section, that has a checksum of its own
	STORE_SUMMARY_COUNT = sizeof(struct strobe_graph_summary) / 8,
};
#define STORE_MAGIC "STROBEGR"

/** The arrays of struct strobe_graph, in the order of the file. */
enum store_section_kind {
	STORE_ADDRESSES,
	STORE_SIZES,
	STORE_TYPES,
	STORE_EDGE_BEGIN,
	STORE_IDOM,
	STORE_RETAINED,
	STORE_CHUNK_BASE,
	STORE_EDGES,
	STORE_LARGE_SIZES,
	STORE_ROOTS,
	STORE_GRAPH_TYPES,
	STORE_EXTENTS,
	STORE_FREE_BLOCKS,
	STORE_REASONS,
	STORE_VALUES,
	STORE_STRINGS,
	STORE_SECTION_COUNT,
};

/** What a graph was made of. */
struct store_identity {
	uint64_t snapshot[2];	      // of which capture it is, or of parts of the file
	uint64_t size_bytes;	      // of the snapshot's file
	int64_t modified, nanosecond; // its time; 0 where the capture has an id
	uint64_t files;		      // of the files that tell types
	uint64_t options;	      // that change the graph
};

struct store_section {
	uint64_t offset, size; // bytes
};

struct store_header {
	char magic[8];
	uint32_t version, size; // of the header
	uint64_t builder;	// which version of Strobe made it
	uint64_t file_size;
	struct store_identity identity;
	uint32_t node_count, memory_count, surrogate_begin, precise;
	uint64_t edge_count;
	uint64_t summary[STORE_SUMMARY_COUNT]; // struct strobe_graph_summary
	uint64_t surrogate_counts[STROBE_SURROGATE_REASON_COUNT];
	struct store_section sections[STORE_SECTION_COUNT];
	struct store_section sums; // uint64_t: of each chunk of each section
	uint64_t sums_sum;	   // of these
	uint64_t header_sum;	   // of all before it
};
_Static_assert(STORE_SUMMARY_COUNT == 22, "on disk");
_Static_assert(sizeof(struct store_header) == 624, "on disk");
_Static_assert(sizeof(struct graph_root) == 36, "on disk");
_Static_assert(sizeof(struct graph_type) == 48, "on disk");
_Static_assert(sizeof(struct graph_extent) == 16, "on disk");
_Static_assert(sizeof(struct graph_free_block) == 24, "on disk");

/** Sums of a section of so many bytes. */
static inline uint64_t store_sum_count(uint64_t size)
{
	return size / STORE_CHUNK + (size % STORE_CHUNK != 0);
}

#endif
