// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_MADE_GRAPH_H
#define TESTS_MADE_GRAPH_H

// Graphs made by hand, for tests: nodes and edges as given, the rest computed as building does.

#include "graph/graph.h"

/** An edge under construction. */
struct made_edge {
	uint32_t from, to; // `to` with EDGE_GUESSED or without
};

/** What of a graph is told; all else is zero or follows. */
struct made {
	uint32_t node_count;	       // with node 0
	uint32_t memory_count;	       // 0 = all but node 0
	uint32_t surrogate_count;      // of the others, the last ones
	ARRAY(struct made_edge) edges; // in any order; a node's keep theirs
};

void made_edge(struct made *made, uint32_t from, uint32_t to);
/** A random graph: `edge_count` edges, of which some are doubled, some lead to their own node, some are guessed; not all nodes are
 *  reached. The same for the same seed. */
struct made made_random(uint64_t seed, uint32_t node_count, uint32_t edge_count);
void made_fini(struct made *made);

/**
 * The graph: node n is at 0x1000 * n, n % 7 * 8 + 8 bytes long, type n % 3 of "", "struct one", "struct two"; evens are blocks.
 * Each tenth node that is memory, from 1 on, is a variable "variable N"; those in no memory are threads. Closed by
 * strobe_graph_close(); `symbols` is NULL.
 */
struct strobe_graph *made_graph(const struct made *made);
/** Reachability, dominators and retained sizes again. */
void made_measure(struct strobe_graph *graph);

/** A random number below `limit`, from the state. */
uint32_t made_below(uint64_t *state, uint32_t limit);

#endif
