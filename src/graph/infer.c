// SPDX-License-Identifier: Apache-2.0
// Types of blocks that no pointer tells the type of: a block is of the type of others of its size when its words are what that
// type's would be, at least one of them says something, and no other type fits.
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "graph/walking.h"

enum {
	CANDIDATE_LIMIT = 8, // types of one size: with more, none is believed
	OFFSET_LIMIT = 128,  // pointers of a type that are told apart from other words
	WORD = 8,
};

/** Types that blocks of one size have. */
struct candidates {
	uint32_t count;
	uint32_t types[CANDIDATE_LIMIT];
};

struct inference {
	struct walk *walk;
	struct hash by_size; // of a block -> struct candidates
	struct arena arena;
	uint64_t inferred;
};

/** Does a block fit a type? */
struct fit {
	const struct walker *walker;
	uint32_t type;
	unsigned agreeing; // references that lead to what the type says, or to what may be that
	bool wrong;
	unsigned offset_count;
	uint32_t offsets[OFFSET_LIMIT];
};

static uint32_t type_of(const struct walk *walk, uint32_t node)
{
	return __atomic_load_n(&walk->types[node], __ATOMIC_RELAXED) & NODE_TYPE_MASK;
}

static bool is_single(uint64_t type_size, uint64_t size)
{
	return type_size && type_size <= size && size < type_size * 2;
}

static bool visit(void *context, const struct lens_reference *reference)
{
	struct fit *fit = context;
	const struct walk *walk = fit->walker->walk;
	const struct build *build = walk->build;
	if (fit->offset_count < OFFSET_LIMIT)
		fit->offsets[fit->offset_count++] = (uint32_t)reference->offset;
	else
		fit->wrong = true;
	if (reference->code || reference->guessed || !reference->target)
		return !fit->wrong;
	uint32_t node = locate_node(&build->locate, reference->target);
	if (!node) {
		fit->wrong |= graph_memory_state(build->memory, reference->target) !=
			      GRAPH_MEMORY_READABLE;
		return !fit->wrong;
	}
	uint32_t type = type_of(walk, node);
	bool block = walk->types[node] & NODE_BLOCK;
	bool start = reference->target == build_addresses(build)[node];
	if (start && reference->type && type == reference->type)
		fit->agreeing++;
	else if (block && start && reference->type && !type &&
		 walk->by_id[reference->type].size_bytes <= build_node_size(build, node))
		fit->agreeing++;
	else if (block && !start && (!type || type == fit->type))
		fit->agreeing++;
	else if (block && start && reference->type)
		fit->wrong = true;
	return !fit->wrong;
}

static bool is_visited(const struct fit *fit, uint64_t offset)
{
	for (unsigned i = 0; i < fit->offset_count; i++)
		if (fit->offsets[i] == offset)
			return true;
	return false;
}

/** A word that is no pointer by the type must not lead to a block. */
static bool has_other_pointer(const struct fit *fit, uint64_t address, uint64_t size)
{
	const struct walk *walk = fit->walker->walk;
	bool start;
	for (uint64_t offset = 0; offset + WORD <= size; offset += WORD) {
		uint64_t word;
		if (!graph_reader_word(fit->walker->probe, address + offset, &word))
			return true;
		if (word - walk->low >= walk->high - walk->low || is_visited(fit, offset))
			continue;
		const struct locate *locate = &walk->build->locate;
		uint32_t node = locate_resolve(locate, locate_entry(locate, word), word, &start);
		if (node && start && walk->types[node] & NODE_BLOCK)
			return true;
	}
	return false;
}

static bool fits(const struct walker *walker, uint32_t node, uint32_t type)
{
	const struct walk *walk = walker->walk;
	struct fit fit = {.walker = walker, .type = type};
	uint64_t address = build_addresses(walk->build)[node];
	uint64_t size = walk->by_id[type].size_bytes;
	lens_walk(walk->lens, &walker->memory, type, address, size, 1, true, visit, &fit, NULL);
	return !fit.wrong && fit.agreeing && !has_other_pointer(&fit, address, size);
}

/** The one type that fits; 0 if there is none, or another. */
static uint32_t only_fit(const struct walker *walker, const struct candidates *candidates,
			 uint32_t node)
{
	uint32_t found = 0;
	for (uint32_t i = 0; i < candidates->count; i++) {
		if (!fits(walker, node, candidates->types[i]))
			continue;
		if (found)
			return 0;
		found = candidates->types[i];
	}
	return found;
}

static bool infer_part(void *context, unsigned thread, uint64_t from, uint64_t to)
{
	struct inference *inference = context;
	struct walk *walk = inference->walk;
	struct walker *walker = &walk->walkers[thread];
	for (uint32_t node = (uint32_t)from; node < to && node <= walk->build->memory_count;
	     node++) {
		uint32_t word = walk->types[node];
		if (!(word & NODE_BLOCK) || word & NODE_TYPE_MASK)
			continue;
		const struct candidates *candidates =
			hash_get(&inference->by_size, build_node_size(walk->build, node) + 1);
		if (!candidates || candidates->count > CANDIDATE_LIMIT)
			continue;
		uint32_t type = only_fit(walker, candidates, node);
		if (!type)
			continue;
		walk->claims[node] =
			(uint32_t)EVIDENCE_ALIKE << CLAIM_SHIFT | walk->by_id[type].rank;
		walk_push(walker, node);
		__atomic_add_fetch(&inference->inferred, 1, __ATOMIC_RELAXED);
	}
	return true;
}

static bool add_candidate(struct inference *inference, uint64_t size, uint32_t type)
{
	struct candidates *candidates = hash_get(&inference->by_size, size + 1);
	if (!candidates) {
		candidates = arena_alloc(&inference->arena, sizeof(*candidates));
		if (!candidates || !hash_put(&inference->by_size, size + 1, candidates))
			return false;
	}
	for (uint32_t i = 0; i < candidates->count && i < CANDIDATE_LIMIT; i++)
		if (candidates->types[i] == type)
			return true;
	if (candidates->count < CANDIDATE_LIMIT)
		candidates->types[candidates->count] = type;
	if (candidates->count <= CANDIDATE_LIMIT)
		candidates->count++;
	return true;
}

/** What blocks are of, that are of one object; `*untyped`: there are blocks that are of nothing yet. */
static bool find_candidates(struct inference *inference, bool *untyped)
{
	const struct walk *walk = inference->walk;
	const struct build *build = walk->build;
	uint32_t last_type = 0;
	uint64_t last_size = 0;
	*untyped = false;
	for (uint32_t node = 1; node <= build->memory_count; node++) {
		uint32_t word = walk->types[node], type = word & NODE_TYPE_MASK;
		if (!(word & NODE_BLOCK))
			continue;
		*untyped |= !type;
		uint64_t size = build_node_size(build, node);
		if (!type || (type == last_type && size == last_size) ||
		    walk_claim_of(walk, word) >> CLAIM_SHIFT <= EVIDENCE_ALIKE ||
		    !is_single(walk->by_id[type].size_bytes, size) ||
		    lens_type(walk->lens, type)->plan->leaf)
			continue;
		last_type = type;
		last_size = size;
		if (!add_candidate(inference, size, type))
			return false;
	}
	return true;
}

struct strobe_error *walk_infer(struct walk *walk, bool *ret)
{
	struct inference inference = {.walk = walk};
	bool untyped;
	struct strobe_error *error = NULL;
	if (!find_candidates(&inference, &untyped))
		error = error_no_memory();
	if (!error && untyped)
		workers_run(walk->build->workers, 0, walk->build->memory_count + 1, PART,
			    infer_part, &inference);
	hash_fini(&inference.by_size);
	arena_fini(&inference.arena);
	*ret = inference.inferred;
	return error;
}
