// SPDX-License-Identifier: Apache-2.0
// Invariants: groups.items[g].parent < g; each node that the first one dominates is in one group; `depth` is the parent's and one.

#include "graph_export/fold.h"

#include <stdlib.h>

#include "base/error.h"
#include "graph_export/dominated.h"
#include "graph_export/progress.h"

enum { GROUP_LIMIT = 1 << 22 };

/** While it is made. */
struct folding {
	struct fold *fold;
	const struct export_job *job;
	const struct fold_options *options;
	struct dominated dominated;
	uint32_t *queue;		  // nodes, from above
	uint32_t *groups;		  // of those in the queue
	uint32_t *typed;		  // by type, one and several: phrase + 1
	uint32_t smaller, deeper, leaked; // phrases
	struct text scratch;
};

const char *fold_name(const struct fold *fold, const struct fold_group *group)
{
	return fold->phrases.list.items[group->phrase];
}

void fold_fini(struct fold *fold)
{
	array_fini(&fold->groups);
	phrases_fini(&fold->phrases);
	hash_fini(&fold->places);
}

/** The phrase of what a node is called. */
static bool phrase_of(struct folding *folding, const struct member *member, uint32_t *ret)
{
	bool cached = member->type && !member->name;
	uint32_t *kept = &folding->typed[2 * member->type + (member->element_count > 1)];
	if (!cached || !*kept) {
		const char *label = member_label(folding->job->graph, member, &folding->scratch);
		if (folding->scratch.failed || !phrases_number(&folding->fold->phrases, label, ret))
			return false;
		if (cached)
			*kept = *ret + 1;
		return true;
	}
	*ret = *kept - 1;
	return true;
}

/** Adds a group; FOLD_NONE when memory is short. */
static uint32_t add(struct fold *fold, const struct fold_group *group)
{
	return array_push(&fold->groups, *group) ? (uint32_t)(fold->groups.count - 1) : FOLD_NONE;
}

/** The group below `parent` for what is called so; made of `like` if there is none. */
static uint32_t place(struct fold *fold, uint32_t parent, uint32_t phrase,
		      const struct fold_group *like)
{
	uint64_t key = (uint64_t)parent << 32 | phrase;
	uintptr_t known = (uintptr_t)hash_get(&fold->places, key);
	if (known)
		return (uint32_t)(known - 1);
	struct fold_group group = *like;
	group.parent = parent;
	group.phrase = phrase;
	group.depth = fold->groups.items[parent].depth + 1;
	uint32_t made = add(fold, &group);
	if (made == FOLD_NONE || !hash_put(&fold->places, key, (void *)((uintptr_t)made + 1)))
		return FOLD_NONE;
	return made;
}

/** The group that `member` belongs to, whose dominator is in group `parent`. */
static uint32_t group_of(struct folding *folding, const struct member *member, uint32_t parent)
{
	struct fold *fold = folding->fold;
	const struct fold_group *above = &fold->groups.items[parent];
	struct fold_group group = {.node = member->node, .kind = member->kind};
	if (above->phrase == folding->deeper || fold->groups.count >= GROUP_LIMIT)
		return parent;
	if (above->depth >= folding->options->max_depth) {
		group.node = NODE_NONE;
		return place(fold, parent, folding->deeper, &group);
	}
	if (!phrase_of(folding, member, &group.phrase))
		return FOLD_NONE;
	if (group.phrase == above->phrase && member->kind == above->kind && !member->name)
		return parent; // a list, a tree
	if (member->retained_bytes < folding->options->alone_bytes)
		return place(fold, parent, group.phrase, &group);
	group.parent = parent;
	group.depth = above->depth + 1;
	return add(fold, &group);
}

/** Counts a node in its group. */
static void count_in(struct fold *fold, uint32_t group, const struct member *member)
{
	fold->groups.items[group].count++;
	fold->groups.items[group].self_bytes += member->size_bytes;
}

static struct strobe_error *begin(struct folding *folding)
{
	struct member member;
	struct fold_group first = {.parent = FOLD_NONE, .node = folding->options->node};
	member_get(folding->job->graph, folding->options->node, &member);
	first.kind = member.kind;
	struct phrases *phrases = &folding->fold->phrases;
	if (!phrases_number(phrases, "(smaller)", &folding->smaller) ||
	    !phrases_number(phrases, "(deeper)", &folding->deeper) ||
	    !phrases_number(phrases, "(leaked)", &folding->leaked) ||
	    !phrase_of(folding, &member, &first.phrase) || add(folding->fold, &first) == FOLD_NONE)
		return error_no_memory();
	count_in(folding->fold, 0, &member);
	folding->queue[0] = member.node;
	folding->groups[0] = 0;
	return NULL;
}

/** Puts whom the node in the queue at `at` dominates into the queue. */
static bool spread(struct folding *folding, uint32_t at, uint32_t *end)
{
	const struct dominated *below = &folding->dominated;
	uint32_t node = folding->queue[at];
	for (uint32_t i = below->begin[node]; i < below->begin[node + 1]; i++) {
		struct member member;
		member_get(folding->job->graph, below->list[i], &member);
		uint32_t group = group_of(folding, &member, folding->groups[at]);
		if (group == FOLD_NONE)
			return false;
		count_in(folding->fold, group, &member);
		folding->queue[*end] = member.node;
		folding->groups[(*end)++] = group;
	}
	return true;
}

static struct strobe_error *descend(struct folding *folding)
{
	struct strobe_error *error = begin(folding);
	uint32_t end = 1;
	for (uint32_t at = 0; at < end && !error; at++) {
		if (!spread(folding, at, &end))
			error = error_no_memory();
		else if (!(at & PROGRESS_MASK))
			error = progress_tell(folding->job, "folding dominators", at,
					      folding->job->graph->node_count);
	}
	return error;
}

static struct strobe_error *add_leaked(struct folding *folding)
{
	struct strobe_graph *graph = folding->job->graph;
	struct fold *fold = folding->fold;
	struct fold_group like = {.node = NODE_NONE, .kind = STROBE_NODE_GROUP, .leaked = true};
	uint32_t top = FOLD_NONE;
	for (uint32_t i = 1; i < graph->node_count; i++) {
		struct member member;
		uint32_t phrase;
		if ((graph->types[i] & (NODE_BLOCK | NODE_REACHABLE)) != NODE_BLOCK)
			continue;
		if (top == FOLD_NONE)
			top = place(fold, 0, folding->leaked, &like);
		member_get(graph, i, &member);
		struct fold_group group = {.node = i, .kind = STROBE_NODE_BLOCK, .leaked = true};
		if (top == FOLD_NONE || !phrase_of(folding, &member, &phrase))
			return error_no_memory();
		uint32_t into = place(fold, top, phrase, &group);
		if (into == FOLD_NONE)
			return error_no_memory();
		count_in(fold, into, &member);
	}
	return NULL;
}

static void add_up(struct fold *fold)
{
	struct fold_group *groups = fold->groups.items;
	for (size_t i = 0; i < fold->groups.count; i++)
		groups[i].total_bytes = groups[i].self_bytes;
	for (size_t i = fold->groups.count; i-- > 1;)
		groups[groups[i].parent].total_bytes += groups[i].total_bytes;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x < y) - (x > y);
}

/** Who has more than that stays; 0 = all may. */
static bool find_threshold(const struct fold *fold, uint64_t limit, uint64_t *ret)
{
	size_t count = fold->groups.count;
	*ret = 0;
	if (count <= limit)
		return true;
	uint64_t *sizes = malloc(count * sizeof(*sizes));
	if (!sizes)
		return false;
	for (size_t i = 0; i < count; i++)
		sizes[i] = fold->groups.items[i].total_bytes;
	qsort(sizes, count, sizeof(*sizes), by_size);
	*ret = sizes[limit];
	free(sizes);
	return true;
}

/** Takes group `old` over into `fold`, or counts it in what is smaller; returns its number there. */
static uint32_t take_over(struct folding *folding, const struct fold_group *old, uint32_t parent,
			  bool stays)
{
	struct fold *fold = folding->fold;
	struct fold_group group = *old;
	if (stays) {
		group.parent = parent;
		return add(fold, &group);
	}
	group = (struct fold_group){
		.node = NODE_NONE, .kind = STROBE_NODE_GROUP, .leaked = old->leaked};
	uint32_t into = parent;
	if (fold->groups.items[parent].phrase != folding->smaller)
		into = place(fold, parent, folding->smaller, &group);
	if (into == FOLD_NONE)
		return FOLD_NONE;
	fold->groups.items[into].count += old->count;
	fold->groups.items[into].self_bytes += old->self_bytes;
	return into;
}

/** Sums up what is small, so that about `max_groups` stay. */
static struct strobe_error *prune(struct folding *folding)
{
	struct fold *fold = folding->fold;
	struct fold_group *old = fold->groups.items;
	size_t count = fold->groups.count;
	uint64_t threshold;
	if (!find_threshold(fold, folding->options->max_groups, &threshold))
		return error_no_memory();
	if (count <= folding->options->max_groups)
		return NULL;
	uint32_t *moved = malloc(count * sizeof(*moved));
	if (!moved)
		return error_no_memory();
	hash_fini(&fold->places);
	fold->groups.items = NULL;
	fold->groups.count = fold->groups.capacity = 0;
	bool done = true;
	for (size_t i = 0; i < count && done; i++) {
		uint32_t parent = i ? moved[old[i].parent] : FOLD_NONE;
		moved[i] = take_over(folding, &old[i], parent,
				     i == 0 || old[i].total_bytes > threshold);
		done = moved[i] != FOLD_NONE;
	}
	free(moved);
	free(old);
	return done ? NULL : error_no_memory();
}

static struct strobe_error *make(struct folding *folding)
{
	const struct strobe_graph *graph = folding->job->graph;
	size_t count = graph->node_count;
	struct strobe_error *error = dominated_make(graph, &folding->dominated);
	if (error)
		return error;
	folding->queue = malloc(count * sizeof(*folding->queue));
	folding->groups = malloc(count * sizeof(*folding->groups));
	folding->typed = calloc(2 * graph->type_count + 2, sizeof(*folding->typed));
	if (!folding->queue || !folding->groups || !folding->typed)
		return error_no_memory();
	error = descend(folding);
	if (!error && folding->options->with_unreachable)
		error = add_leaked(folding);
	return error;
}

struct strobe_error *fold_make(struct fold *fold, const struct export_job *job,
			       const struct fold_options *options)
{
	struct folding folding = {.fold = fold, .job = job, .options = options};
	*fold = (struct fold){0};
	struct strobe_error *error = make(&folding);
	dominated_fini(&folding.dominated);
	free(folding.queue);
	free(folding.groups);
	free(folding.typed);
	text_fini(&folding.scratch);
	if (!error) {
		add_up(fold);
		error = prune(&folding);
	}
	if (!error)
		add_up(fold);
	return error;
}
