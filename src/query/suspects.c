// SPDX-License-Identifier: Apache-2.0
// The few things whose size, or growth, explains most of a heap.

#include "query/suspects.h"

#include <stdlib.h>
#include <string.h>
#include <strobe/graph_leaks.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/heavy.h"
#include "query/match.h"
#include "query/options.h"

static const double share_default = 0.1;
enum { LIMIT_DEFAULT = 10 };

/** One search. */
struct search {
	struct strobe_suspects *suspects;
	struct strobe_graph *graph, *before;
	double min_share;
	uint64_t whole, least; // bytes: of the heap or its growth, and of a suspect
	struct tree tree;
	struct match match;
	uint64_t *blocks, *growth; // bytes by node; `growth` is NULL without `before`
	struct heavy heavy;
};

static struct strobe_error *push(struct search *s, const struct strobe_suspect *suspect)
{
	struct strobe_suspect added = *suspect;
	added.share = (double)added.explained_bytes / (double)s->whole;
	return array_push(&s->suspects->items, added) ? NULL : error_no_memory();
}

static uint64_t before_of(const struct search *s, uint32_t node)
{
	uint32_t old = s->before ? s->match.before_of[node] : NODE_NONE;
	return old == NODE_NONE ? 0 : s->before->retained[old];
}

static struct strobe_error *add_objects(struct search *s)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < s->heavy.items.count; i++) {
		const struct heavy_item *item = &s->heavy.items.items[i];
		struct strobe_suspect suspect = {
			.kind = STROBE_SUSPECT_OBJECT,
			.node = item->node,
			.accumulation =
				item->accumulation == item->node ? UINT64_MAX : item->accumulation,
			.type = groups_type_name(s->graph, groups_of(s->graph, item->node)),
			.count = 1,
			.retained_bytes = s->blocks[item->node],
			.explained_bytes = item->explained,
			.before_bytes = before_of(s, item->node)};
		error = push(s, &suspect);
	}
	return error;
}

static struct strobe_error *add_types(struct search *s)
{
	struct strobe_error *error = NULL;
	for (uint32_t i = 0; !error && i < groups_count(s->graph); i++) {
		const struct heavy_group *group = &s->heavy.groups[i];
		if (group->weight < s->least)
			continue;
		struct strobe_suspect suspect = {
			.kind = STROBE_SUSPECT_TYPE,
			.node = group->biggest,
			.accumulation = group->parent && group->parent != NODE_NONE ? group->parent
										    : UINT64_MAX,
			.type = groups_type_name(s->graph, i),
			.count = group->count,
			.retained_bytes = group->weight,
			.explained_bytes = group->weight};
		error = push(s, &suspect);
	}
	return error;
}

static uint64_t lost_by(const struct strobe_leak_group *group)
{
	return group->direct_bytes + group->held_bytes;
}

// What groups of the same type and pattern lost in the earlier graph.
static uint64_t lost_before(const struct strobe_leaks *before,
			    const struct strobe_leak_group *group)
{
	uint64_t lost = 0;
	for (size_t i = 0; before && i < strobe_leaks_count(before); i++) {
		const struct strobe_leak_group *old = strobe_leaks_get(before, i);
		bool same = old->type && group->type
				    ? strcmp(old->type, group->type) == 0
				    : !old->type && !group->type &&
					      old->most_bytes == group->most_bytes &&
					      strcmp(old->pattern, group->pattern) == 0;
		if (same)
			lost += lost_by(old);
	}
	return lost;
}

static struct strobe_error *add_leak_groups(struct search *s, const struct strobe_leaks *leaks,
					    const struct strobe_leaks *before)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < strobe_leaks_count(leaks); i++) {
		const struct strobe_leak_group *group = strobe_leaks_get(leaks, i);
		uint64_t lost = lost_by(group), old = lost_before(before, group);
		if (lost < old || lost - old < s->least)
			continue;
		struct strobe_suspect suspect = {.kind = STROBE_SUSPECT_LEAK,
						 .node = group->nodes[0],
						 .accumulation = UINT64_MAX,
						 .type = group->type,
						 .count = group->direct_blocks,
						 .retained_bytes = lost,
						 .explained_bytes = lost - old,
						 .before_bytes = old};
		error = push(s, &suspect);
	}
	return error;
}

static struct strobe_error *add_leaks(struct search *s)
{
	struct strobe_leaks *leaks = NULL, *before = NULL;
	if (s->graph->summary.leaked_bytes < s->least)
		return NULL;
	struct strobe_error *error = strobe_leaks_open(s->graph, NULL, &leaks);
	if (!error && s->before)
		error = strobe_leaks_open(s->before, NULL, &before);
	if (!error)
		error = add_leak_groups(s, leaks, before);
	strobe_leaks_close(leaks);
	strobe_leaks_close(before);
	return error;
}

static struct strobe_error *prepare(struct search *s)
{
	struct strobe_error *error = tree_init(&s->tree, s->graph);
	if (!error)
		error = heavy_blocks(&s->tree, &s->blocks);
	if (!error && s->before)
		error = match_init(&s->match, s->before, s->graph);
	if (!error && s->before)
		error = heavy_growth(&s->match, &s->tree, &s->growth);
	if (error)
		return error;
	return heavy_init(&s->heavy, &s->tree, s->growth ? s->growth : s->blocks, s->least);
}

static struct strobe_error *find(struct search *s)
{
	struct strobe_error *error = prepare(s);
	if (!error)
		error = add_objects(s);
	if (!error)
		error = add_types(s);
	return error ? error : add_leaks(s);
}

// Bytes that suspects are measured by; 0 if nothing can be one.
static uint64_t whole_of(const struct search *s)
{
	uint64_t now = s->graph->summary.allocated_bytes;
	uint64_t old = s->before ? s->before->summary.allocated_bytes : 0;
	return now > old ? now - old : 0;
}

static int biggest_first(const void *first, const void *second)
{
	const struct strobe_suspect *a = first, *b = second;
	if (a->explained_bytes != b->explained_bytes)
		return a->explained_bytes < b->explained_bytes ? 1 : -1;
	return (a->node > b->node) - (a->node < b->node);
}

// Keeps the biggest, and says in words what they are.
static struct strobe_error *conclude(struct search *s, size_t limit)
{
	struct strobe_suspects *suspects = s->suspects;
	struct strobe_error *error = NULL;
	if (suspects->items.count)
		qsort(suspects->items.items, suspects->items.count, sizeof(*suspects->items.items),
		      biggest_first);
	if (suspects->items.count > limit)
		suspects->items.count = limit;
	for (size_t i = 0; !error && i < suspects->items.count; i++)
		error = suspects_describe(s->graph, &s->tree, s->before != NULL, &suspects->arena,
					  &suspects->items.items[i]);
	return error;
}

struct strobe_error *strobe_suspects_open(struct strobe_graph *graph,
					  const struct strobe_suspect_options *options,
					  struct strobe_suspects **ret)
{
	struct strobe_suspect_options wanted = {0};
	struct search s = {.graph = graph, .suspects = calloc(1, sizeof(*s.suspects))};
	if (!s.suspects)
		return error_no_memory();
	OPTIONS_TAKE(&wanted, options);
	s.before = wanted.before;
	s.min_share = wanted.min_share > 0 ? wanted.min_share : share_default;
	s.whole = whole_of(&s);
	s.least = (uint64_t)((double)s.whole * s.min_share);
	s.least += s.least == 0;
	struct strobe_error *error = s.whole ? find(&s) : NULL;
	if (!error)
		error = conclude(&s, wanted.limit ? wanted.limit : LIMIT_DEFAULT);
	heavy_fini(&s.heavy);
	match_fini(&s.match);
	tree_fini(&s.tree);
	free(s.blocks);
	free(s.growth);
	if (error)
		strobe_suspects_close(s.suspects);
	else
		*ret = s.suspects;
	return error;
}

struct strobe_suspects *strobe_suspects_close(struct strobe_suspects *suspects)
{
	if (!suspects)
		return NULL;
	array_fini(&suspects->items);
	arena_fini(&suspects->arena);
	free(suspects);
	return NULL;
}

size_t strobe_suspects_count(const struct strobe_suspects *suspects)
{
	return suspects->items.count;
}

const struct strobe_suspect *strobe_suspects_get(const struct strobe_suspects *suspects,
						 size_t index)
{
	return &suspects->items.items[index];
}
