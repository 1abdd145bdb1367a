// SPDX-License-Identifier: Apache-2.0
// Paths from the roots, with the names of their edges.

#include <stdlib.h>
#include <strobe/graph_paths.h>

#include "base/error.h"
#include "query/edge_name.h"
#include "query/groups.h"
#include "query/options.h"
#include "query/short_paths.h"

enum { WORK_DEFAULT = 1000000000 };

/** A path that is being told; strings are offsets until all of them stand in `strings`. */
struct telling {
	struct strobe_graph *graph;
	ARRAY(struct strobe_path_step) steps;
	struct text strings;
	const uint64_t *marks; // a bit a node: the targets
	strobe_path_visit visit;
	void *context;
	struct strobe_error *error;
};

// Strings move while `strings` grows: until then a step has their offsets, 0 for none.
static const char *keep(struct telling *t, const char *string)
{
	if (!string)
		return NULL;
	if (!t->strings.size)
		text_append_char(&t->strings, '\0');
	uintptr_t offset = t->strings.size;
	text_append(&t->strings, string);
	text_append_char(&t->strings, '\0');
	return (const char *)offset;
}

static void place(struct telling *t, const char **string)
{
	if (*string)
		*string = t->strings.data + (uintptr_t)*string;
}

static struct strobe_error *add_step(struct telling *t, uint32_t from, uint32_t to, uint64_t edge)
{
	struct strobe_node node;
	struct edge_name name;
	strobe_graph_node(t->graph, to, &node);
	struct strobe_path_step step = {.node = to,
					.kind = node.kind,
					.address = node.address,
					.name = keep(t, node.name),
					.type_name = keep(t, node.type_name)};
	struct strobe_error *error = edge_name_find(t->graph, from, edge, &name);
	if (error)
		return error;
	step.edge = keep(t, text_string(&name.text));
	step.guessed = name.guessed;
	step.maybe = name.maybe;
	edge_name_fini(&name);
	return t->strings.failed || !array_push(&t->steps, step) ? error_no_memory() : NULL;
}

// A graph_path's visitor: false after an error, or when the caller has enough.
static bool tell(void *context, const struct graph_path *path)
{
	struct telling *t = context;
	t->steps.count = 0;
	text_truncate(&t->strings, 0);
	for (size_t i = 0; !t->error && i < path->edges.count; i++)
		t->error = add_step(t, path->nodes.items[i], path->nodes.items[i + 1],
				    path->edges.items[i]);
	if (t->error)
		return false;
	struct strobe_path told = {.steps = t->steps.items, .count = t->steps.count};
	for (size_t i = 0; i < t->steps.count; i++) {
		struct strobe_path_step *step = &t->steps.items[i];
		place(t, &step->name);
		place(t, &step->type_name);
		place(t, &step->edge);
		told.guessed |= step->guessed;
	}
	return t->visit(t->context, &told);
}

static bool is_target(void *context, uint32_t node)
{
	const struct telling *t = context;
	return t->marks[node / 64] >> (node % 64) & 1;
}

static struct strobe_error *check(const struct strobe_graph *graph, const uint64_t *nodes,
				  size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (nodes[i] == 0 || nodes[i] >= graph->node_count)
			return error_new(STROBE_ERROR_INVALID, "the graph has no such node");
	return NULL;
}

struct strobe_error *strobe_graph_paths(struct strobe_graph *graph, const uint64_t *nodes,
					size_t count, const struct strobe_path_options *options,
					strobe_path_visit visit, void *context)
{
	struct strobe_path_options wanted = {0};
	struct telling t = {.graph = graph, .visit = visit, .context = context};
	OPTIONS_TAKE(&wanted, options);
	struct strobe_error *error = check(graph, nodes, count);
	uint64_t *marks = error ? NULL : calloc(graph->node_count / 64 + 1, sizeof(*marks));
	if (!error && !marks)
		error = error_no_memory();
	for (size_t i = 0; !error && i < count; i++)
		marks[nodes[i] / 64] |= UINT64_C(1) << nodes[i] % 64;
	t.marks = marks;
	struct graph_path_options search = {.precise = wanted.precise,
					    .limit = wanted.count ? wanted.count : 1,
					    .max_work = wanted.max_work ? wanted.max_work
									: WORK_DEFAULT};
	if (!error && count)
		error = graph_paths(graph, is_target, &t, &search, tell, &t);
	if (!error)
		error = t.error;
	free(marks);
	array_fini(&t.steps);
	text_fini(&t.strings);
	return error;
}

/** Searches for paths to many nodes: `first` is asked before `second`, if there is one. */
struct searches {
	struct short_paths first, second;
	bool has_second;
};

static struct strobe_error *searches_init(struct searches *searches,
					  const struct strobe_graph *graph,
					  const struct strobe_path_options *options)
{
	*searches = (struct searches){.has_second = options->prefer_precise && !options->precise};
	struct strobe_error *error = short_paths_init(&searches->first, graph,
						      options->precise || options->prefer_precise);
	if (!error && searches->has_second)
		error = short_paths_init(&searches->second, graph, false);
	return error;
}

static const struct short_paths *searches_find(const struct searches *searches, uint32_t node)
{
	if (short_paths_reaches(&searches->first, node))
		return &searches->first;
	if (searches->has_second && short_paths_reaches(&searches->second, node))
		return &searches->second;
	return NULL;
}

struct strobe_error *strobe_graph_path_each(struct strobe_graph *graph, const uint64_t *nodes,
					    size_t count, const struct strobe_path_options *options,
					    strobe_path_visit visit, void *context)
{
	struct strobe_path_options wanted = {0};
	struct telling t = {.graph = graph, .visit = visit, .context = context};
	struct searches searches;
	struct graph_path path = {0};
	bool more = true;
	OPTIONS_TAKE(&wanted, options);
	struct strobe_error *error = check(graph, nodes, count);
	if (error)
		return error;
	error = searches_init(&searches, graph, &wanted);
	for (size_t i = 0; !error && more && i < count; i++) {
		const struct short_paths *search = searches_find(&searches, (uint32_t)nodes[i]);
		if (!search)
			continue;
		error = short_paths_path(search, (uint32_t)nodes[i], &path);
		if (!error)
			more = tell(&t, &path);
		if (!error)
			error = t.error;
	}
	short_paths_fini(&searches.first);
	short_paths_fini(&searches.second);
	array_fini(&path.nodes);
	array_fini(&path.edges);
	array_fini(&t.steps);
	text_fini(&t.strings);
	return error;
}
