// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_REVERSE_H
#define GRAPH_REVERSE_H

// The edges turned round: who leads to a node.

#include "graph/arrays.h"

/** The arrays' counterparts. Memory is the caller's. */
struct graph_reverse {
	uint32_t *begin;   // node_count + 1, zeroed
	uint64_t *base;	   // one a chunk, as chunk_base
	uint32_t *sources; // as many as there are edges
};

/** Fills it: sources of node n are begin[n] to begin[n + 1], each from its chunk's base on, ascending; one an edge.
 *  False if more than 2^32 edges lead to one chunk. */
bool graph_reverse(const struct graph_arrays *arrays, const struct graph_reverse *reverse);

static inline uint64_t graph_reverse_at(const struct graph_reverse *reverse, uint32_t node)
{
	return reverse->base[node >> GRAPH_CHUNK_SHIFT] + reverse->begin[node];
}

#endif
