// SPDX-License-Identifier: Apache-2.0
// Rounds of one node: a list of ten million has ten million of them. What a round does is done here at once, where it is simple:
// pointers of one object, by a type that is steps alone, to the beginnings of blocks that nothing was known of.
#include <string.h>

#include "graph/walking.h"

enum { FRESH_LIMIT = 8 };

static bool is_simple_step(const struct plan_step *step)
{
	if (step->kind == PLAN_SCAN || step->kind == PLAN_CODE)
		return true;
	return step->kind == PLAN_POINTER && !step->self;
}

bool chain_is_simple(const struct lens_type *type)
{
	enum { STEP_LIMIT = 64 };
	const struct plan *plan = type->plan;
	if (plan->leaf || !type->size_bytes || plan->step_count > STEP_LIMIT)
		return false;
	for (uint32_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i].span || !is_simple_step(&plan->steps[i]))
			return false;
	return true;
}

/** Nodes that one object leads to and that are new. */
struct fresh {
	uint32_t count;
	uint32_t nodes[FRESH_LIMIT], words[FRESH_LIMIT];
};

/** One pointer; false: it is not simple, and nothing was done. */
static bool look_at(const struct walk *walk, const struct plan_step *step, uint64_t target,
		    uint32_t marks, struct fresh *fresh)
{
	const struct locate *locate = &walk->build->locate;
	bool start;
	if (target - walk->low >= walk->high - walk->low)
		return true;
	uint32_t node = locate_resolve(locate, locate_entry(locate, target), target, &start);
	if (!node)
		return true;
	uint32_t word = walk->types[node], type = step->type;
	if (start && (word & NODE_TYPE_MASK) == type && !(marks & ~word) &&
	    !walk->by_id[type].links)
		return true;
	const struct walk_type *told = &walk->by_id[type];
	uint64_t size = locate_size(locate, node);
	bool single =
		told->size_bytes > 1 && told->size_bytes <= size && size < told->size_bytes * 2;
	if (!start || !type || type >= walk->type_count || !single || word != NODE_BLOCK ||
	    told->vtable_offset != UINT32_MAX || fresh->count == FRESH_LIMIT)
		return false;
	for (uint32_t i = 0; i < fresh->count; i++)
		if (fresh->nodes[i] == node)
			return false;
	fresh->nodes[fresh->count] = node;
	fresh->words[fresh->count++] =
		word | marks | type | (uint32_t)EVIDENCE_POINTER << NODE_EVIDENCE_SHIFT;
	return true;
}

/** What a node leads to that is new; false: it is not simple. */
static bool look_from(struct walker *walker, uint32_t node, struct fresh *fresh)
{
	const struct walk *walk = walker->walk;
	uint32_t word = walk->types[node], type = word & NODE_TYPE_MASK;
	uint64_t address = build_addresses(walk->build)[node], size = walk->by_id[type].size_bytes;
	size_t available;
	if (!walk->by_id[type].simple || word & NODE_EXTENT || !address ||
	    build_node_size(walk->build, node) >= size * 2 ||
	    build_node_size(walk->build, node) < size)
		return false;
	const struct plan *plan = walk->by_id[type].plan;
	const uint8_t *bytes = graph_reader_at(walker->reader, address, &available);
	if (!bytes || available < size)
		return false;
	fresh->count = 0;
	for (uint32_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		uint64_t target;
		if (step->kind != PLAN_POINTER)
			continue;
		if (step->offset + sizeof(target) > size)
			return false;
		memcpy(&target, bytes + step->offset, sizeof(target));
		if (target &&
		    !look_at(walk, step, target, word & (NODE_REACHABLE | NODE_PRECISE), fresh))
			return false;
	}
	return true;
}

uint32_t chain_follow(struct walker *walker, uint32_t node)
{
	struct walk *walk = walker->walk;
	struct fresh fresh;
	// What is told now and then must still be told.
	for (unsigned i = 0; i < CHAIN_LIMIT && look_from(walker, node, &fresh); i++) {
		for (uint32_t j = 0; j < fresh.count; j++)
			walk->types[fresh.nodes[j]] = fresh.words[j];
		walker->walked++;
		if (fresh.count != 1) {
			for (uint32_t j = 0; j < fresh.count; j++)
				walk_push(walker, fresh.nodes[j]);
			return 0;
		}
		node = fresh.nodes[0];
	}
	return node;
}
