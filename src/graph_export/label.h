// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_LABEL_H
#define GRAPH_EXPORT_LABEL_H

// The edges of a node with their names, in the order and number of the graph's arrays.

#include "graph/graph.h"

struct label {
	uint32_t to;
	uint64_t offset;  // in the node, of the word that refers
	const char *name; // "->next", "+0x18"; "" where there is none; valid until the next
	bool guessed, maybe;
};
/** Return false to stop. */
typedef bool (*label_visit)(void *context, const struct label *label);

/** Visits the edges from `node`. What its memory does not tell again has no name. Errors: NO_MEMORY. */
struct strobe_error *labels_visit(struct strobe_graph *graph, uint32_t node, label_visit visit,
				  void *context) STROBE_MUST_CHECK;
/** Number of edges from `node`. */
uint64_t labels_count(const struct strobe_graph *graph, uint32_t node);

#endif
