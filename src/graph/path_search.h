// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_PATH_SEARCH_H
#define GRAPH_PATH_SEARCH_H

// Breadth-first searches for the nearest of some nodes, one after the other on the same graph.

#include "graph/graph.h"

/** Of a way that does not exist, or is not known. */
#define PATH_FAR UINT32_MAX

/** A node that was seen, and the step that led to it; step 0 is where the search began. */
struct path_step {
	uint32_t node, parent;
};

struct path_search {
	const struct strobe_graph *graph;
	bool (*is_target)(void *context, uint32_t node);
	void *context;
	bool precise;		 // no guessed edges
	uint64_t work, max_work; // edges looked at; max_work 0 = no limit
	struct path_step *steps; // of the last search
	uint32_t step_count;
	uint32_t *marks, epoch; // nodes that were seen, or are not to be entered
	/** Edges from a node to the nearest target at least, PATH_FAR if there is no way; NULL until
	 *  path_search_measure(). */
	uint32_t *distances;
};

/** `graph`, `is_target`, `context`, `precise` and `max_work` are set, all else is zero. Errors: NO_MEMORY. */
struct strobe_error *path_search_init(struct path_search *search) STROBE_MUST_CHECK;
void path_search_fini(struct path_search *search);
/** Fills `distances`: one search backwards from all targets. Errors: NO_MEMORY, LIMIT (of work). */
struct strobe_error *path_search_measure(struct path_search *search) STROBE_MUST_CHECK;

/** Begins anew: no node is marked. */
void path_search_begin(struct path_search *search);
/** A node that is not to be entered by the next search. */
static inline void path_search_exclude(struct path_search *search, uint32_t node)
{
	search->marks[node] = search->epoch;
}
static inline bool path_search_excludes(const struct path_search *search, uint32_t node)
{
	return search->marks[node] == search->epoch;
}
static inline bool path_search_may_use(const struct path_search *search, uint64_t edge)
{
	return !(search->precise && search->graph->edges[edge] & EDGE_GUESSED);
}
/** Counts work; false when there was enough of it. */
bool path_search_works(struct path_search *search, uint64_t edges);

/** Where a search begins, and how far it goes. */
struct path_search_from {
	uint32_t node;		// is not looked at itself, and not entered again
	uint32_t length;	// edges that lead to it
	uint32_t bound;		// edges in all, at most; needs `distances` unless it is PATH_FAR
	bool direct;		// the bound is the least by `distances`: go straight, if that goes
	const uint32_t *banned; // where not to go from `node` at once: sorted
	size_t banned_count;
};
/**
 * The nearest target, from step 0 to `*last`; PATH_FAR if there is none within the bound: then `*more` edges in all is the
 * least that one can have, PATH_FAR if there is none at all. Of those equally near, the first by the numbers of the nodes
 * that lead to it. False when there was enough of work.
 */
bool path_search_run(struct path_search *search, const struct path_search_from *from,
		     uint32_t *last, uint32_t *more);

#endif
