// SPDX-License-Identifier: Apache-2.0
// What changed between two graphs of a program.

#include <stdlib.h>
#include <string.h>
#include <strobe/graph_diff.h>
#include <strobe/graph_query.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash.h"
#include "query/groups.h"
#include "query/heavy.h"
#include "query/match.h"
#include "query/options.h"

/** Nodes kept, and the part of the growth that one must have to be among them. */
enum { GROWN_DEFAULT = 20, GROWN_PART = 20 };

struct strobe_graph_diff {
	struct strobe_histogram_row *before, *after; // their strings are used
	size_t before_count, after_count;
	ARRAY(struct strobe_diff_row) rows;
	struct hash row_of; // by name: row + 1
	ARRAY(struct strobe_diff_grown) grown;
};

static struct strobe_diff_row *row_of(struct strobe_graph_diff *diff, const char *name)
{
	uint64_t key = hash_bytes(name, strlen(name));
	uintptr_t found;
	while ((found = (uintptr_t)hash_get(&diff->row_of, key))) {
		if (strcmp(diff->rows.items[found - 1].type, name) == 0)
			return &diff->rows.items[found - 1];
		key++;
	}
	if (!array_push(&diff->rows, (struct strobe_diff_row){.type = name}) ||
	    !hash_put(&diff->row_of, key, (void *)(uintptr_t)diff->rows.count))
		return NULL;
	return &diff->rows.items[diff->rows.count - 1];
}

static struct strobe_error *take_rows(struct strobe_graph_diff *diff)
{
	for (size_t i = 0; i < diff->before_count; i++) {
		const struct strobe_histogram_row *from = &diff->before[i];
		struct strobe_diff_row *row = row_of(diff, from->type);
		if (!row)
			return error_no_memory();
		row->count_before += from->count;
		row->bytes_before += from->size_bytes;
		row->retained_before += from->retained_bytes;
	}
	for (size_t i = 0; i < diff->after_count; i++) {
		const struct strobe_histogram_row *from = &diff->after[i];
		struct strobe_diff_row *row = row_of(diff, from->type);
		if (!row)
			return error_no_memory();
		row->count_after += from->count;
		row->bytes_after += from->size_bytes;
		row->retained_after += from->retained_bytes;
	}
	return NULL;
}

/** Blocks and bytes by group. */
struct group_count {
	uint64_t count, bytes;
};

// Into the rows: names are looked up once a group, not once a block.
static struct strobe_error *add_counts(struct strobe_graph_diff *diff,
				       const struct strobe_graph *graph,
				       const struct group_count *counts, bool gone)
{
	for (uint32_t i = 0; i < groups_count(graph); i++) {
		cleanup_text struct text name = {0};
		if (!counts[i].count)
			continue;
		groups_name(graph, i, &name);
		struct strobe_diff_row *row = name.failed ? NULL : row_of(diff, text_string(&name));
		if (!row)
			return error_no_memory();
		*(gone ? &row->gone_count : &row->new_count) += counts[i].count;
		*(gone ? &row->gone_bytes : &row->new_bytes) += counts[i].bytes;
	}
	return NULL;
}

static void count_node(const struct strobe_graph *graph, uint32_t node, struct group_count *counts)
{
	struct group_count *count = &counts[groups_of(graph, node)];
	count->count++;
	count->bytes += graph_node_size(graph, node);
}

static void count_changes(const struct match *match, uint64_t *kept, struct group_count *new,
			  struct group_count *gone)
{
	for (uint32_t node = 1; node <= match->after->memory_count; node++) {
		uint32_t old = match->before_of[node];
		if (!node_is_block(match->after, node))
			continue;
		if (old == NODE_NONE)
			count_node(match->after, node, new);
		else
			kept[old / 64] |= UINT64_C(1) << old % 64;
	}
	for (uint32_t node = 1; node <= match->before->memory_count; node++)
		if (node_is_block(match->before, node) && !(kept[node / 64] >> node % 64 & 1))
			count_node(match->before, node, gone);
}

static struct strobe_error *compare_blocks(struct strobe_graph_diff *diff,
					   const struct match *match)
{
	uint64_t *kept = calloc(match->before->node_count / 64 + 1, sizeof(*kept));
	struct group_count *new = calloc(groups_count(match->after), sizeof(*new));
	struct group_count *gone = calloc(groups_count(match->before), sizeof(*gone));
	struct strobe_error *error = NULL;
	if (!kept || !new || !gone) {
		error = error_no_memory();
	} else {
		count_changes(match, kept, new, gone);
		error = add_counts(diff, match->after, new, false);
		if (!error)
			error = add_counts(diff, match->before, gone, true);
	}
	free(kept);
	free(new);
	free(gone);
	return error;
}

static int most_grown_first(const void *first, const void *second)
{
	const struct strobe_diff_grown *a = first, *b = second;
	uint64_t more_a = a->retained_after - a->retained_before;
	uint64_t more_b = b->retained_after - b->retained_before;
	if (more_a != more_b)
		return more_a < more_b ? 1 : -1;
	return (a->node > b->node) - (a->node < b->node);
}

static struct strobe_error *take_grown(struct strobe_graph_diff *diff, const struct match *match,
				       const struct heavy *heavy)
{
	for (size_t i = 0; i < heavy->items.count; i++) {
		uint32_t node = heavy->items.items[i].accumulation;
		uint32_t old = match->before_of[node];
		struct strobe_diff_grown grown = {
			.node = node,
			.retained_before = old == NODE_NONE ? 0 : match->before->retained[old],
			.retained_after = match->after->retained[node],
			.is_new = old == NODE_NONE};
		if (grown.retained_after > grown.retained_before &&
		    !array_push(&diff->grown, grown))
			return error_no_memory();
	}
	if (diff->grown.count)
		qsort(diff->grown.items, diff->grown.count, sizeof(*diff->grown.items),
		      most_grown_first);
	return NULL;
}

static struct strobe_error *find_grown(struct strobe_graph_diff *diff, const struct match *match,
				       size_t limit)
{
	struct tree tree = {0};
	struct heavy heavy = {0};
	uint64_t *growth = NULL;
	struct strobe_error *error = tree_init(&tree, match->after);
	if (!error)
		error = heavy_growth(match, &tree, &growth);
	if (!error)
		error = heavy_init(&heavy, &tree, growth, growth[0] / GROWN_PART);
	if (!error)
		error = take_grown(diff, match, &heavy);
	if (diff->grown.count > limit)
		diff->grown.count = limit;
	heavy_fini(&heavy);
	tree_fini(&tree);
	free(growth);
	return error;
}

static int64_t growth_of(const struct strobe_diff_row *row)
{
	return (int64_t)(row->bytes_after - row->bytes_before);
}

static int most_bytes_first(const void *first, const void *second)
{
	const struct strobe_diff_row *a = first, *b = second;
	if (growth_of(a) != growth_of(b))
		return growth_of(a) < growth_of(b) ? 1 : -1;
	return strcmp(a->type, b->type);
}

static struct strobe_error *compare(struct strobe_graph_diff *diff, struct strobe_graph *before,
				    struct strobe_graph *after, size_t limit)
{
	struct match match = {0};
	struct strobe_error *error =
		strobe_graph_histogram(before, NULL, &diff->before, &diff->before_count);
	if (!error)
		error = strobe_graph_histogram(after, NULL, &diff->after, &diff->after_count);
	if (!error)
		error = take_rows(diff);
	if (!error)
		error = match_init(&match, before, after);
	if (!error)
		error = compare_blocks(diff, &match);
	if (!error)
		error = find_grown(diff, &match, limit);
	match_fini(&match);
	if (!error && diff->rows.count)
		qsort(diff->rows.items, diff->rows.count, sizeof(*diff->rows.items),
		      most_bytes_first);
	return error;
}

struct strobe_error *strobe_graph_diff_open(struct strobe_graph *before, struct strobe_graph *after,
					    const struct strobe_graph_diff_options *options,
					    struct strobe_graph_diff **ret)
{
	struct strobe_graph_diff_options wanted = {0};
	struct strobe_graph_diff *diff = calloc(1, sizeof(*diff));
	if (!diff)
		return error_no_memory();
	OPTIONS_TAKE(&wanted, options);
	struct strobe_error *error = compare(
		diff, before, after, wanted.grown_limit ? wanted.grown_limit : GROWN_DEFAULT);
	hash_fini(&diff->row_of);
	if (error)
		strobe_graph_diff_close(diff);
	else
		*ret = diff;
	return error;
}

struct strobe_graph_diff *strobe_graph_diff_close(struct strobe_graph_diff *diff)
{
	if (!diff)
		return NULL;
	free(diff->before);
	free(diff->after);
	array_fini(&diff->rows);
	array_fini(&diff->grown);
	hash_fini(&diff->row_of);
	free(diff);
	return NULL;
}

size_t strobe_graph_diff_row_count(const struct strobe_graph_diff *diff)
{
	return diff->rows.count;
}

const struct strobe_diff_row *strobe_graph_diff_row(const struct strobe_graph_diff *diff,
						    size_t index)
{
	return &diff->rows.items[index];
}

size_t strobe_graph_diff_grown_count(const struct strobe_graph_diff *diff)
{
	return diff->grown.count;
}

const struct strobe_diff_grown *strobe_graph_diff_grown(const struct strobe_graph_diff *diff,
							size_t index)
{
	return &diff->grown.items[index];
}
