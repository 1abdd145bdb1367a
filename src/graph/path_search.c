// SPDX-License-Identifier: Apache-2.0
#include "graph/path_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/storage.h"

enum { NEAR = 8, SORTED_BY_HAND = 12 };

static size_t steps_size(const struct path_search *search)
{
	return (size_t)search->graph->node_count * sizeof(*search->steps);
}

static size_t numbers_size(const struct path_search *search)
{
	return (size_t)search->graph->node_count * sizeof(uint32_t);
}

struct strobe_error *path_search_init(struct path_search *search)
{
	search->steps = pages_new(steps_size(search));
	search->marks = pages_new(numbers_size(search));
	return search->steps && search->marks ? NULL : error_no_memory();
}

void path_search_fini(struct path_search *search)
{
	pages_free(search->steps, steps_size(search));
	pages_free(search->marks, numbers_size(search));
	pages_free(search->distances, numbers_size(search));
}

bool path_search_works(struct path_search *search, uint64_t edges)
{
	search->work += edges;
	return !search->max_work || search->work <= search->max_work;
}

void path_search_begin(struct path_search *search)
{
	if (++search->epoch == 0) {
		memset(search->marks, 0, numbers_size(search));
		search->epoch = 1;
	}
}

/** Goes back from all that is in `queue`. */
static bool measure(struct path_search *search, uint32_t *queue, uint32_t count)
{
	const struct strobe_graph *graph = search->graph;
	for (uint32_t first = 0; first < count; first++) {
		uint32_t node = queue[first];
		uint64_t end, i = graph_referrers_of(graph, node, &end);
		if (!path_search_works(search, end - i))
			return false;
		if (first + NEAR < count)
			__builtin_prefetch(&graph->referrer_begin[queue[first + NEAR]]);
		for (; i < end; i++) {
			uint32_t from = graph->referrers[i];
			if (search->distances[from] != PATH_FAR)
				continue;
			search->distances[from] = search->distances[node] + 1;
			queue[count++] = from;
		}
	}
	return true;
}

struct strobe_error *path_search_measure(struct path_search *search)
{
	size_t size = numbers_size(search);
	uint32_t *queue = pages_new(size), count = 0;
	bool enough = false;
	search->distances = pages_new(size);
	if (queue && search->distances) {
		memset(search->distances, 0xff, size);
		for (uint32_t node = 0; node < search->graph->node_count; node++) {
			if (!search->is_target(search->context, node))
				continue;
			search->distances[node] = 0;
			queue[count++] = node;
		}
		enough = !measure(search, queue, count);
	}
	pages_free(queue, size);
	if (!queue || !search->distances)
		return error_no_memory();
	return enough ? error_new(STROBE_ERROR_LIMIT, "the search for paths became too long")
		      : NULL;
}

static int by_node(const void *a, const void *b)
{
	uint32_t x = ((const struct path_step *)a)->node, y = ((const struct path_step *)b)->node;
	return (x > y) - (x < y);
}

/** Steps are mostly few, and mostly sorted. */
static void sort(struct path_step *steps, size_t count)
{
	bool sorted = true;
	for (size_t i = 1; i < count && sorted; i++)
		sorted = steps[i - 1].node < steps[i].node;
	if (sorted)
		return;
	if (count > SORTED_BY_HAND) {
		qsort(steps, count, sizeof(*steps), by_node);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		struct path_step held = steps[i];
		size_t k = i;
		for (; k > 0 && steps[k - 1].node > held.node; k--)
			steps[k] = steps[k - 1];
		steps[k] = held;
	}
}

static bool is_banned(const struct path_search_from *from, uint32_t node)
{
	size_t low = 0, high = from->banned_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (from->banned[middle] < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low < from->banned_count && from->banned[low] == node;
}

/** Sees what step `index` leads to; `length` edges lead there. */
static void expand(struct path_search *search, const struct path_search_from *from, uint32_t index,
		   uint32_t length, uint32_t *more)
{
	const struct strobe_graph *graph = search->graph;
	uint32_t node = search->steps[index].node, first = search->step_count;
	uint64_t end = graph_edges_end(graph, node);
	for (uint64_t i = graph_edges_begin(graph, node); i < end; i++) {
		uint32_t to = graph->edges[i] & EDGE_TARGET;
		if (path_search_excludes(search, to) || !path_search_may_use(search, i) ||
		    (index == 0 && is_banned(from, to)))
			continue;
		if (from->bound != PATH_FAR) {
			uint32_t left = search->distances[to];
			if (left == PATH_FAR)
				continue;
			if (length + left > from->bound) {
				*more = length + left < *more ? length + left : *more;
				continue;
			}
		}
		path_search_exclude(search, to);
		search->steps[search->step_count++] = (struct path_step){to, index};
	}
	sort(search->steps + first, search->step_count - first);
}

static void prefetch(const struct path_search *search, uint32_t index)
{
	const struct strobe_graph *graph = search->graph;
	if (index + 2 * NEAR >= search->step_count)
		return;
	__builtin_prefetch(&graph->edge_begin[search->steps[index + 2 * NEAR].node]);
	__builtin_prefetch(
		&graph->edges[graph_edges_begin(graph, search->steps[index + NEAR].node)]);
}

/** The lowest node that is one edge nearer to a target than `left`; PATH_FAR if there is none. */
static uint32_t nearer(const struct path_search *search, const struct path_search_from *from,
		       uint32_t node, uint32_t left)
{
	const struct strobe_graph *graph = search->graph;
	uint32_t best = PATH_FAR;
	uint64_t end = graph_edges_end(graph, node);
	for (uint64_t i = graph_edges_begin(graph, node); i < end; i++) {
		uint32_t to = graph->edges[i] & EDGE_TARGET;
		if (to < best && search->distances[to] == left - 1 &&
		    !path_search_excludes(search, to) && path_search_may_use(search, i) &&
		    !(search->step_count == 1 && is_banned(from, to)))
			best = to;
	}
	return best;
}

/** Goes straight to a target by the distances; false where what is excluded stands in the way. */
static bool descend(struct path_search *search, const struct path_search_from *from, bool *enough)
{
	uint32_t node = from->node;
	for (uint32_t left = from->bound - from->length; left > 0; left--) {
		*enough =
			!path_search_works(search, graph_edges_end(search->graph, node) -
							   graph_edges_begin(search->graph, node));
		node = *enough ? PATH_FAR : nearer(search, from, node, left);
		if (node == PATH_FAR)
			return false;
		search->steps[search->step_count] =
			(struct path_step){node, search->step_count - 1};
		search->step_count++;
	}
	return true;
}

/** Breadth first. */
static bool spread(struct path_search *search, const struct path_search_from *from, uint32_t *last,
		   uint32_t *more)
{
	uint32_t length = from->length, layer_end = 1;
	for (uint32_t index = 0; index < search->step_count; index++) {
		if (index == layer_end) {
			layer_end = search->step_count;
			length++;
		}
		uint32_t first = search->step_count, node = search->steps[index].node;
		if (!path_search_works(search, graph_edges_end(search->graph, node) -
						       graph_edges_begin(search->graph, node) + 1))
			return false;
		prefetch(search, index);
		expand(search, from, index, length + 1, more);
		for (uint32_t i = first; i < search->step_count; i++)
			if (search->is_target(search->context, search->steps[i].node)) {
				*last = i;
				return true;
			}
	}
	return true;
}

bool path_search_run(struct path_search *search, const struct path_search_from *from,
		     uint32_t *last, uint32_t *more)
{
	bool enough = false;
	*last = *more = PATH_FAR;
	search->steps[0] = (struct path_step){from->node, 0};
	search->step_count = 1;
	path_search_exclude(search, from->node);
	if (from->direct && descend(search, from, &enough)) {
		*last = search->step_count - 1;
		return true;
	}
	search->step_count = 1;
	return !enough && spread(search, from, last, more);
}
