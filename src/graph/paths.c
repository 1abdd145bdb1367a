// SPDX-License-Identifier: Apache-2.0
// The k shortest paths: Yen (1971), in the manner of Lawler (1972). All paths that are not told yet are divided into sets: those
// that follow a told path up to one of its nodes, and go on otherwise. Each set is in a heap with the length of its
// shortest path, or the least that it can have as long as nobody looked; of the set that gives the next path, what remains is
// divided along it. One search backwards tells how far the targets are at least, so that others look at few nodes.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/graph.h"
#include "graph/path_search.h"

enum { NO_EXTRA = UINT32_MAX, END = UINT32_MAX, MOST_SLACK = 20 };

/** A path that was told. [0] is node 0 alone, which all begin with. */
struct told {
	uint32_t parent; // the nodes up to number `at` are those of this one
	uint32_t at;
	ARRAY(uint32_t) nodes; // behind these
};

/** What is known of a set, if more than one node is banned or its path was found. */
struct extra {
	ARRAY(uint32_t) banned; // sorted
	ARRAY(uint32_t) nodes;	// of its path, behind number `at`
};

/** Paths that follow `path` up to its node number `at`, and do not go on to what is banned. */
struct set {
	uint32_t path, at;
	uint32_t length; // edges of the shortest, at least
	uint32_t banned; // a node; END: the path must not end there
	uint32_t next;	 // the node that it goes on to, at least
	uint32_t extra;	 // its number; NO_EXTRA
	uint8_t tries;
	bool exact; // `length` is that of the path in `extra`
};

struct finder {
	struct path_search search;
	ARRAY(struct told) told;
	ARRAY(struct extra) extras;
	ARRAY(struct set) heap; // the shortest first
	struct graph_path path; // that is told
};

static struct strobe_error *too_long(void)
{
	return error_new(STROBE_ERROR_LIMIT, "the search for paths became too long");
}

/** Node `number` of a told path. */
static uint32_t node_of(const struct finder *finder, uint32_t path, uint32_t number)
{
	const struct told *told = &finder->told.items[path];
	while (path != 0 && number <= told->at) {
		path = told->parent;
		told = &finder->told.items[path];
	}
	return path == 0 ? 0 : told->nodes.items[number - told->at - 1];
}

/** Node `number` of the set's path, up to the one behind number `at`. */
static uint32_t node_of_set(const struct finder *finder, const struct set *set, uint32_t number)
{
	return number <= set->at ? node_of(finder, set->path, number) : set->next;
}

/** Which of two paths of the same length has the lower nodes. They part where the path that was told later leaves, or where
 *  one of the sets does; there they differ. */
static bool is_lower(const struct finder *finder, const struct set *a, const struct set *b)
{
	uint32_t path = a->path, other = b->path, same = a->at < b->at ? a->at : b->at;
	while (path != other) {
		uint32_t *later = path > other ? &path : &other;
		uint32_t at = finder->told.items[*later].at;
		same = at < same ? at : same;
		*later = finder->told.items[*later].parent;
	}
	return node_of_set(finder, a, same + 1) < node_of_set(finder, b, same + 1);
}

/** Does `a` come before `b`? */
static bool is_before(const struct finder *finder, const struct set *a, const struct set *b)
{
	return a->length != b->length ? a->length < b->length : is_lower(finder, a, b);
}

static bool push(struct finder *finder, const struct set *set)
{
	struct set *items;
	if (!array_push(&finder->heap, *set))
		return false;
	items = finder->heap.items;
	size_t i = finder->heap.count - 1;
	for (; i > 0 && is_before(finder, set, &items[(i - 1) / 2]); i = (i - 1) / 2)
		items[i] = items[(i - 1) / 2];
	items[i] = *set;
	return true;
}

static struct set pop(struct finder *finder)
{
	struct set *items = finder->heap.items, first = items[0];
	size_t count = --finder->heap.count, i = 0;
	struct set last = items[count];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child + 1 < count && is_before(finder, &items[child + 1], &items[child]))
			child++;
		if (child >= count || !is_before(finder, &items[child], &last))
			break;
		items[i] = items[child];
		i = child;
	}
	if (count)
		items[i] = last;
	return first;
}

static struct extra *extra_of(struct finder *finder, struct set *set)
{
	if (set->extra == NO_EXTRA) {
		struct extra extra = {0};
		if (!array_push(&extra.banned, set->banned))
			return NULL;
		if (!array_push(&finder->extras, extra)) {
			array_fini(&extra.banned);
			return NULL;
		}
		set->extra = (uint32_t)finder->extras.count - 1;
	}
	return &finder->extras.items[set->extra];
}

static bool ban(struct extra *extra, uint32_t node)
{
	if (!array_push(&extra->banned, node))
		return false;
	size_t i = extra->banned.count - 1;
	for (; i > 0 && extra->banned.items[i - 1] > node; i--)
		extra->banned.items[i] = extra->banned.items[i - 1];
	extra->banned.items[i] = node;
	return true;
}

static void release(struct extra *extra)
{
	array_fini(&extra->banned);
	array_fini(&extra->nodes);
}

/** Keeps the path that the search found, without its first node. */
static bool keep_path(struct finder *finder, struct set *set, uint32_t last)
{
	const struct path_step *steps = finder->search.steps;
	struct extra *extra = extra_of(finder, set);
	uint32_t count = 0;
	if (!extra)
		return false;
	for (uint32_t i = last; i != 0; i = steps[i].parent)
		count++;
	if (!array_reserve(&extra->nodes, count))
		return false;
	extra->nodes.count = count;
	for (uint32_t i = last; i != 0; i = steps[i].parent)
		extra->nodes.items[--count] = steps[i].node;
	set->length = set->at + (uint32_t)extra->nodes.count;
	set->next = extra->nodes.items[0];
	set->exact = true;
	return true;
}

/** Marks the nodes of a told path up to number `at`. */
static bool exclude_prefix(struct finder *finder, uint32_t path, uint32_t at)
{
	path_search_begin(&finder->search);
	if (!path_search_works(&finder->search, at))
		return false;
	for (uint32_t end = at;;) {
		const struct told *told = &finder->told.items[path];
		for (uint32_t i = 0; i < told->nodes.count && told->at + 1 + i <= end; i++)
			path_search_exclude(&finder->search, told->nodes.items[i]);
		if (path == 0)
			break;
		end = told->at < end ? told->at : end;
		path = told->parent;
	}
	path_search_exclude(&finder->search, 0);
	return true;
}

/** Looks for the shortest path of a set; puts the set back unless it has none. */
static struct strobe_error *look(struct finder *finder, struct set *set)
{
	uint32_t last, more, slack = set->tries ? 1u << (set->tries - 1) : 0;
	const struct extra *extra =
		set->extra == NO_EXTRA ? NULL : &finder->extras.items[set->extra];
	const struct path_search_from from = {
		.node = node_of(finder, set->path, set->at),
		.length = set->at,
		.bound = !finder->search.distances || set->tries > MOST_SLACK ? PATH_FAR
									      : set->length + slack,
		.direct = finder->search.distances && !set->tries,
		.banned = extra ? extra->banned.items : &set->banned,
		.banned_count = extra ? extra->banned.count : 1,
	};
	if (!exclude_prefix(finder, set->path, set->at) ||
	    !path_search_run(&finder->search, &from, &last, &more))
		return too_long();
	if (last != PATH_FAR) {
		if (!keep_path(finder, set, last))
			return error_no_memory();
	} else if (more != PATH_FAR) {
		set->length = more;
		set->next = 0;
		set->tries++;
	} else {
		return NULL;
	}
	return push(finder, set) ? NULL : error_no_memory();
}

/** Sets the least length that a set's path can have, PATH_FAR if there is none, and the node that it goes on to then. The nodes
 *  of the told path are excluded up to `node`, where the set leaves it. */
static void set_least(const struct finder *finder, uint32_t node, struct set *set)
{
	const struct strobe_graph *graph = finder->search.graph;
	uint32_t best = PATH_FAR;
	uint64_t end = graph_edges_end(graph, node);
	for (uint64_t i = graph_edges_begin(graph, node); i < end; i++) {
		uint32_t to = graph->edges[i] & EDGE_TARGET;
		uint32_t left = finder->search.distances[to];
		if (left > best || (left == best && to >= set->next) || left == PATH_FAR ||
		    to == set->banned || path_search_excludes(&finder->search, to) ||
		    !path_search_may_use(&finder->search, i))
			continue;
		best = left;
		set->next = to;
	}
	set->length = best == PATH_FAR ? best : set->at + 1 + best;
}

/** Divides what follows the newest told path beyond where it left its parent. */
static struct strobe_error *divide(struct finder *finder)
{
	uint32_t path = (uint32_t)finder->told.count - 1;
	const struct told *told = &finder->told.items[path];
	const struct strobe_graph *graph = finder->search.graph;
	if (!exclude_prefix(finder, path, told->at))
		return too_long();
	for (uint32_t i = 0; i < told->nodes.count; i++) {
		uint32_t node = told->nodes.items[i];
		bool ends = i + 1 == told->nodes.count;
		struct set set = {.path = path,
				  .at = told->at + 1 + i,
				  .banned = ends ? END : told->nodes.items[i + 1],
				  .extra = NO_EXTRA};
		path_search_exclude(&finder->search, node);
		if (!path_search_works(&finder->search, graph_edges_end(graph, node) -
								graph_edges_begin(graph, node)))
			return too_long();
		set_least(finder, node, &set);
		if (set.length != PATH_FAR && !push(finder, &set))
			return error_no_memory();
	}
	return NULL;
}

/** The edge that leads from one node to the next: one that is no guess, if there is. */
static uint64_t edge_between(const struct path_search *search, uint32_t from, uint32_t to)
{
	uint64_t end = graph_edges_end(search->graph, from), guessed = end;
	for (uint64_t i = graph_edges_begin(search->graph, from); i < end; i++) {
		if ((search->graph->edges[i] & EDGE_TARGET) != to)
			continue;
		if (!(search->graph->edges[i] & EDGE_GUESSED))
			return i;
		guessed = guessed == end ? i : guessed;
	}
	return guessed;
}

/** Puts the newest told path together. */
static bool put_together(struct finder *finder)
{
	struct graph_path *path = &finder->path;
	uint32_t number = (uint32_t)finder->told.count - 1;
	const struct told *told = &finder->told.items[number];
	size_t count = told->at + 1 + told->nodes.count;
	if (!array_reserve(&path->nodes, count) || !array_reserve(&path->edges, count))
		return false;
	for (size_t end = count; number != 0; number = told->parent) {
		told = &finder->told.items[number];
		for (size_t i = told->at + (size_t)1; i < end; i++)
			path->nodes.items[i] = told->nodes.items[i - told->at - 1];
		end = told->at + (size_t)1 < end ? told->at + (size_t)1 : end;
	}
	path->nodes.items[0] = 0;
	path->nodes.count = count;
	path->edges.count = count - 1;
	for (size_t i = 0; i + 1 < count; i++)
		path->edges.items[i] = edge_between(&finder->search, path->nodes.items[i],
						    path->nodes.items[i + 1]);
	return true;
}

/** The set's path becomes a told one; what else is in the set goes back. */
static struct strobe_error *accept(struct finder *finder, struct set *set)
{
	struct extra *extra = &finder->extras.items[set->extra];
	struct told told = {.parent = set->path, .at = set->at};
	if (!ban(extra, extra->nodes.items[0]))
		return error_no_memory();
	memcpy(&told.nodes, &extra->nodes, sizeof(told.nodes));
	memset(&extra->nodes, 0, sizeof(extra->nodes));
	if (!array_push(&finder->told, told)) {
		array_fini(&told.nodes);
		return error_no_memory();
	}
	return put_together(finder) ? NULL : error_no_memory();
}

/** What remains of a set, and of what its path was. */
static struct strobe_error *go_on(struct finder *finder, struct set *set)
{
	struct strobe_error *error = NULL;
	if (!finder->search.distances) {
		error = graph_referrers_make((struct strobe_graph *)finder->search.graph);
		if (!error)
			error = path_search_measure(&finder->search);
	}
	set->exact = false;
	set->tries = 0;
	if (!error && !push(finder, set))
		error = error_no_memory();
	return error ? error : divide(finder);
}

static struct strobe_error *find(struct finder *finder, size_t limit,
				 bool (*visit)(void *context, const struct graph_path *path),
				 void *context)
{
	struct strobe_error *error = NULL;
	for (size_t count = 0; !error && finder->heap.count;) {
		struct set set = pop(finder);
		if (!set.exact) {
			error = look(finder, &set);
			continue;
		}
		error = accept(finder, &set);
		if (error || !visit(context, &finder->path) || ++count == limit)
			break;
		error = go_on(finder, &set);
	}
	return error;
}

/** The path of node 0 alone, if that is wanted, and the set of all others. */
static struct strobe_error *begin(struct finder *finder, bool *wanted)
{
	struct extra extra = {0};
	struct set set = {.extra = 0};
	if (!array_push(&finder->told, (struct told){0}) || !array_push(&finder->extras, extra) ||
	    !push(finder, &set) || !array_push(&finder->path.nodes, 0))
		return error_no_memory();
	*wanted = finder->search.is_target(finder->search.context, 0);
	return NULL;
}

static void finish(struct finder *finder)
{
	path_search_fini(&finder->search);
	for (size_t i = 0; i < finder->told.count; i++)
		array_fini(&finder->told.items[i].nodes);
	for (size_t i = 0; i < finder->extras.count; i++)
		release(&finder->extras.items[i]);
	array_fini(&finder->told);
	array_fini(&finder->extras);
	array_fini(&finder->heap);
	array_fini(&finder->path.nodes);
	array_fini(&finder->path.edges);
}

struct strobe_error *graph_paths(struct strobe_graph *graph,
				 bool (*is_target)(void *context, uint32_t node), void *context,
				 const struct graph_path_options *options,
				 bool (*visit)(void *context, const struct graph_path *path),
				 void *visit_context)
{
	struct finder finder = {.search = {.graph = graph,
					   .is_target = is_target,
					   .context = context,
					   .precise = options->precise,
					   .max_work = options->max_work}};
	bool at_once = false;
	size_t limit = options->limit;
	struct strobe_error *error = limit ? path_search_init(&finder.search) : NULL;
	if (!error && limit)
		error = begin(&finder, &at_once);
	if (!error && at_once && limit && (!visit(visit_context, &finder.path) || --limit == 0))
		limit = 0;
	if (!error && limit)
		error = find(&finder, limit, visit, visit_context);
	finish(&finder);
	return error;
}
