// SPDX-License-Identifier: Apache-2.0
// Leaked blocks in groups.

#include <stdlib.h>
#include <string.h>
#include <strobe/graph_leaks.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "query/groups.h"
#include "query/leak_order.h"
#include "query/leak_shape.h"
#include "query/options.h"

/** A group while it is made. */
struct making {
	struct strobe_leak_group told;
	struct shape shape;
	uint64_t filled; // of its nodes
};

struct strobe_leaks {
	struct strobe_graph *graph;
	struct strobe_leak_total total;
	ARRAY(struct making) groups;
	struct arena arena; // nodes and names
};

// Blocks of one key are of one group.
static uint64_t key_of(const struct strobe_graph *graph, uint32_t node, bool guessed,
		       struct shape *shape)
{
	uint32_t group = groups_of(graph, node);
	*shape = (struct shape){0};
	if (!groups_type_name(graph, group))
		*shape = shape_of(graph, node);
	uint64_t key = (uint64_t)shape->pointers << 32 | (uint64_t)group << 4 |
		       (uint64_t)shape->kind << 1 | guessed;
	return key | UINT64_C(1) << 63;
}

static struct strobe_error *group_of(struct strobe_leaks *leaks, struct hash *known, uint32_t node,
				     bool guessed, uint32_t *ret)
{
	struct shape shape;
	uint64_t key = key_of(leaks->graph, node, guessed, &shape);
	uintptr_t found = (uintptr_t)hash_get(known, key);
	if (!found) {
		struct making group = {.shape = shape};
		group.told.guessed = guessed;
		group.told.least_bytes = UINT64_MAX;
		group.told.type = groups_type_name(leaks->graph, groups_of(leaks->graph, node));
		if (!array_push(&leaks->groups, group) ||
		    !hash_put(known, key, (void *)(uintptr_t)leaks->groups.count))
			return error_no_memory();
		found = leaks->groups.count;
	}
	*ret = (uint32_t)found - 1;
	return NULL;
}

static void count_block(struct strobe_leak_group *group, uint64_t size, bool direct)
{
	group->blocks++;
	group->size_bytes += size;
	if (size < group->least_bytes)
		group->least_bytes = size;
	if (size > group->most_bytes)
		group->most_bytes = size;
	group->direct_blocks += direct;
	group->direct_bytes += direct ? size : 0;
}

static struct strobe_error *count_blocks(struct strobe_leaks *leaks, const struct leak_order *order,
					 bool guessed, uint32_t *group_of_block)
{
	struct hash known = {0};
	struct strobe_error *error = NULL;
	for (uint32_t i = 0; !error && i < order->count; i++) {
		error = group_of(leaks, &known, order->nodes[i], guessed, &group_of_block[i]);
		if (!error)
			count_block(&leaks->groups.items[group_of_block[i]].told,
				    graph_node_size(leaks->graph, order->nodes[i]),
				    order->owner[i] == i);
	}
	hash_fini(&known);
	return error;
}

static struct strobe_error *make_lists(struct strobe_leaks *leaks, size_t from)
{
	for (size_t i = from; i < leaks->groups.count; i++) {
		struct making *group = &leaks->groups.items[i];
		cleanup_text struct text pattern = {0};
		group->told.nodes =
			arena_alloc(&leaks->arena, group->told.blocks * sizeof(*group->told.nodes));
		if (!group->told.type) {
			shape_name(&group->shape, &pattern);
			group->told.pattern = arena_copy_string(
				&leaks->arena, text_string(&pattern), pattern.size);
		}
		if (!group->told.nodes || pattern.failed ||
		    (!group->told.type && !group->told.pattern))
			return error_no_memory();
	}
	return NULL;
}

// Lists the blocks that are direct, or those that are not, behind what is there.
static void fill_lists(struct strobe_leaks *leaks, const struct leak_order *order,
		       const uint32_t *group_of_block, bool direct)
{
	for (uint32_t i = 0; i < order->count; i++) {
		struct making *group = &leaks->groups.items[group_of_block[i]];
		if ((order->owner[i] == i) != direct)
			continue;
		uint64_t *nodes = (uint64_t *)group->told.nodes; // the arena's, and ours to fill
		nodes[group->filled++] = order->nodes[i];
	}
}

static void count_held(struct strobe_leaks *leaks, const struct leak_order *order,
		       const uint32_t *group_of_block)
{
	for (uint32_t i = 0; i < order->count; i++) {
		struct strobe_leak_group *holder =
			&leaks->groups.items[group_of_block[order->owner[i]]].told;
		if (order->owner[i] == i)
			continue;
		holder->held_blocks++;
		holder->held_bytes += graph_node_size(leaks->graph, order->nodes[i]);
	}
}

static struct strobe_error *make_groups(struct strobe_leaks *leaks, enum leak_set set)
{
	struct leak_order order;
	size_t from = leaks->groups.count;
	struct strobe_error *error = leak_order_init(&order, leaks->graph, set);
	if (error)
		return error;
	uint32_t *group_of_block = malloc(((size_t)order.count + 1) * sizeof(*group_of_block));
	if (!group_of_block)
		error = error_no_memory();
	else
		error = count_blocks(leaks, &order, set == LEAK_SET_GUESSED, group_of_block);
	if (!error)
		error = make_lists(leaks, from);
	if (!error) {
		fill_lists(leaks, &order, group_of_block, true);
		fill_lists(leaks, &order, group_of_block, false);
		count_held(leaks, &order, group_of_block);
	}
	free(group_of_block);
	leak_order_fini(&order);
	return error;
}

static int worst_first(const void *first, const void *second)
{
	const struct strobe_leak_group *a = first, *b = second;
	uint64_t lost_a = a->direct_bytes + a->held_bytes, lost_b = b->direct_bytes + b->held_bytes;
	if (a->guessed != b->guessed)
		return a->guessed ? 1 : -1;
	if (lost_a != lost_b)
		return lost_a < lost_b ? 1 : -1;
	if (a->size_bytes != b->size_bytes)
		return a->size_bytes < b->size_bytes ? 1 : -1;
	return (a->nodes[0] > b->nodes[0]) - (a->nodes[0] < b->nodes[0]);
}

static void add_up(struct strobe_leaks *leaks)
{
	struct strobe_leak_total *total = &leaks->total;
	for (size_t i = 0; i < leaks->groups.count; i++) {
		const struct strobe_leak_group *group = &leaks->groups.items[i].told;
		if (group->guessed) {
			total->guessed_blocks += group->blocks;
			total->guessed_bytes += group->size_bytes;
			continue;
		}
		total->blocks += group->blocks;
		total->size_bytes += group->size_bytes;
		total->direct_blocks += group->direct_blocks;
		total->direct_bytes += group->direct_bytes;
	}
}

struct strobe_error *strobe_leaks_open(struct strobe_graph *graph,
				       const struct strobe_leak_options *options,
				       struct strobe_leaks **ret)
{
	struct strobe_leak_options wanted = {0};
	OPTIONS_TAKE(&wanted, options);
	struct strobe_leaks *leaks = calloc(1, sizeof(*leaks));
	if (!leaks)
		return error_no_memory();
	leaks->graph = graph;
	struct strobe_error *error = make_groups(leaks, LEAK_SET_SURE);
	if (!error && wanted.guessed)
		error = make_groups(leaks, LEAK_SET_GUESSED);
	if (error) {
		strobe_leaks_close(leaks);
		return error;
	}
	// struct making begins with what is told.
	if (leaks->groups.count)
		qsort(leaks->groups.items, leaks->groups.count, sizeof(*leaks->groups.items),
		      worst_first);
	add_up(leaks);
	*ret = leaks;
	return NULL;
}

struct strobe_leaks *strobe_leaks_close(struct strobe_leaks *leaks)
{
	if (!leaks)
		return NULL;
	array_fini(&leaks->groups);
	arena_fini(&leaks->arena);
	free(leaks);
	return NULL;
}

void strobe_leaks_total(const struct strobe_leaks *leaks, struct strobe_leak_total *ret)
{
	*ret = leaks->total;
}

size_t strobe_leaks_count(const struct strobe_leaks *leaks)
{
	return leaks->groups.count;
}

const struct strobe_leak_group *strobe_leaks_get(const struct strobe_leaks *leaks, size_t index)
{
	return &leaks->groups.items[index].told;
}
