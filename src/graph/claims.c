// SPDX-License-Identifier: Apache-2.0
// What a reference says of the node that it leads to. Several threads may do this at once: what they do is the same in any
// order, since marks are only added, and of claims the greatest stays.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/walking.h"
#include "symbols/type.h"

// Types.

struct ranked {
	uint64_t size;
	uint32_t id;
};

static int order(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return x->id > y->id ? -1 : x->id < y->id;
}

/** Are there parts that are scanned, or of which it is not known? */
static bool may_guess(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i].kind == PLAN_SCAN || plan->steps[i].kind == PLAN_CALL)
			return true;
	return plan->leaf; // characters are
}

static void describe(struct walk *walk, uint32_t id)
{
	const struct lens_type *type = lens_type(walk->lens, id);
	walk->by_id[id] = (struct walk_type){
		.vtable_offset = type->vtable_offset < UINT32_MAX ? (uint32_t)type->vtable_offset
								  : UINT32_MAX,
		.size_bytes = type->size_bytes,
		.plan = type->plan,
		.simple = chain_is_simple(type),
		.guesses = may_guess(type->plan),
		.may_link = !type->plan->leaf && type->type &&
			    (type->type->kind == TYPE_STRUCT || type->type->kind == TYPE_CLASS),
		.links = walk->by_id[id].links,
	};
}

/** Room for a bit more for each type that is new. */
static struct strobe_error *grow_links(struct walk *walk, uint32_t count)
{
	size_t before = (walk->type_count + 63) / 64, after = (count + 63) / 64;
	for (unsigned i = 0; i < walk->walker_count; i++) {
		struct walker *walker = &walk->walkers[i];
		uint64_t *links = realloc(walker->links, after * sizeof(*links));
		if (!links)
			return error_no_memory();
		memset(links + before, 0, (after - before) * sizeof(*links));
		walker->links = links;
	}
	walk->type_count = count;
	return NULL;
}

struct strobe_error *walk_learn_links(struct walk *walk, bool *ret)
{
	ARRAY(uint32_t) all = {0};
	struct strobe_error *error = NULL;
	for (uint32_t id = 1; id < walk->type_count && !error; id++) {
		bool any = false;
		for (unsigned i = 0; i < walk->walker_count; i++)
			any |= walk->walkers[i].links[id / 64] >> (id % 64) & 1;
		walk->by_id[id].links |= any;
		if (any && !array_push(&all, id))
			error = error_no_memory();
	}
	for (unsigned i = 0; i < walk->walker_count; i++)
		memset(walk->walkers[i].links, 0, (walk->type_count + 63) / 64 * sizeof(uint64_t));
	*ret = all.count;
	if (!error && all.count)
		error = lens_learn_links(walk->build->lens, all.items, all.count);
	array_fini(&all);
	return error ? error : walk_types_update(walk);
}

struct strobe_error *walk_types_update(struct walk *walk)
{
	uint32_t count = lens_type_count(walk->lens) + 1;
	if (count == walk->type_count)
		return NULL;
	struct ranked *ranked = calloc(count, sizeof(*ranked));
	struct walk_type *by_id = realloc(walk->by_id, count * sizeof(*by_id));
	uint32_t *by_rank = realloc(walk->by_rank, count * sizeof(*by_rank));
	if (by_id)
		walk->by_id = by_id;
	if (by_rank)
		walk->by_rank = by_rank;
	if (!ranked || !by_id || !by_rank) {
		free(ranked);
		return error_no_memory();
	}
	memset(walk->by_id + walk->type_count, 0,
	       (count - walk->type_count) * sizeof(*walk->by_id));
	walk->by_id[0] = (struct walk_type){.vtable_offset = 0, .guesses = true};
	for (uint32_t id = 1; id < count; id++) {
		describe(walk, id);
		ranked[id] = (struct ranked){walk->by_id[id].size_bytes, id};
	}
	qsort(ranked + 1, count - 1, sizeof(*ranked), order);
	walk->by_rank[0] = 0;
	for (uint32_t rank = 1; rank < count; rank++) {
		walk->by_rank[rank] = ranked[rank].id;
		walk->by_id[ranked[rank].id].rank = rank;
	}
	free(ranked);
	return grow_links(walk, count);
}

uint32_t walk_claim_of(const struct walk *walk, uint32_t word)
{
	uint32_t evidence = (word & NODE_EVIDENCE_MASK) >> NODE_EVIDENCE_SHIFT;
	return evidence << CLAIM_SHIFT | walk->by_id[word & NODE_TYPE_MASK].rank;
}

// References.

void walk_push(struct walker *walker, uint32_t node)
{
	uint64_t *word = &walker->walk->next[node / 64], bit = UINT64_C(1) << (node % 64);
	if (__atomic_load_n(word, __ATOMIC_RELAXED) & bit)
		return;
	if (walker->walk->walker_count == 1)
		*word |= bit;
	else if (__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit)
		return;
	if (walker->found < LIST_LIMIT)
		walker->list[walker->found] = node;
	walker->found++;
}

/** Adds marks; true if one of them is new. */
static bool mark(struct walker *walker, uint32_t node, uint32_t marks)
{
	uint32_t *word = &walker->walk->types[node];
	uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
	if (!(marks & ~old))
		return false;
	old = __atomic_fetch_or(word, marks, __ATOMIC_RELAXED);
	return marks & ~old;
}

/** The greatest claim stays. */
static void claim(struct walker *walker, uint32_t node, uint32_t made)
{
	uint32_t *place = &walker->walk->claims[node];
	uint32_t old = __atomic_load_n(place, __ATOMIC_RELAXED);
	while (old < made && !__atomic_compare_exchange_n(place, &old, made, true, __ATOMIC_RELAXED,
							  __ATOMIC_RELAXED))
		;
}

/** A word that the lens must look up. */
static void put_down(struct walker *walker, uint64_t word)
{
	size_t count = walker->unknown.count;
	// Objects of one class come in rows.
	for (size_t i = count; i > 0 && count - i < 8; i--)
		if (walker->unknown.items[i - 1] == word)
			return;
	if (!array_push(&walker->unknown, word))
		walker->short_of_memory = true;
}

uint32_t walk_vtable_claim(struct walker *walker, uint32_t node, uint64_t address, bool *unknown)
{
	const struct walk *walk = walker->walk;
	uint64_t vtable, offset_to_top;
	uint32_t type;
	if (!graph_reader_word(walker->probe, address, &vtable) ||
	    !lens_may_be_vtable(walk->lens, vtable))
		return 0;
	if (!lens_vtable_type(walk->lens, vtable, &type, &offset_to_top)) {
		put_down(walker, vtable);
		*unknown = true;
		return 0;
	}
	const struct build *build = walk->build;
	if (!type || type >= walk->type_count ||
	    address - offset_to_top != build_addresses(build)[node] ||
	    walk->by_id[type].size_bytes > build_node_size(build, node))
		return 0;
	return (uint32_t)EVIDENCE_VTABLE << CLAIM_SHIFT | walk->by_id[type].rank;
}

/** What a pointer to a member says of the block that the member is in: its claim, 0 if that is nothing. `offset` is the
 *  member's. */
static uint32_t container_claim(struct walker *walker, uint32_t link, uint32_t node,
				uint64_t offset, uint32_t has)
{
	const struct walk *walk = walker->walk;
	const struct walk_type *type = &walk->by_id[link];
	uint32_t evidence = offset ? EVIDENCE_LINK : EVIDENCE_POINTER;
	uint32_t word = __atomic_load_n(&walk->types[node], __ATOMIC_RELAXED);
	if (!type->may_link || has >> CLAIM_SHIFT > evidence || !(word & NODE_BLOCK))
		return 0;
	if (!type->links) {
		walker->links[link / 64] |= UINT64_C(1) << (link % 64);
		return 0;
	}
	uint32_t container =
		lens_container_of(walk->lens, link, offset, build_node_size(walk->build, node));
	return container && container < walk->type_count
		       ? evidence << CLAIM_SHIFT | walk->by_id[container].rank
		       : 0;
}

/** A pointer into the middle of an object may be to one of its bases, which has a virtual table, or to one of its members. */
static void look_at_part(struct walker *walker, const struct walk_reference *reference,
			 uint32_t node)
{
	const struct walk *walk = walker->walk;
	uint32_t vtable = walk->by_id[reference->type].vtable_offset, made = 0;
	uint32_t has = walk_claim_of(walk, __atomic_load_n(&walk->types[node], __ATOMIC_RELAXED));
	uint64_t offset = reference->target - build_addresses(walk->build)[node];
	bool unknown = false;
	if (has >> CLAIM_SHIFT >= EVIDENCE_VTABLE)
		return;
	if (vtable != UINT32_MAX)
		made = walk_vtable_claim(walker, node, reference->target + vtable, &unknown);
	if (!made)
		made = container_claim(walker, reference->type, node, offset, has);
	if (made > has) {
		claim(walker, node, made);
		walk_push(walker, node);
	}
	if (unknown) // then this object is walked again
		walk_push(walker, reference->from);
}

static uint64_t elements(uint64_t count)
{
	return count == LENS_COUNT_NONE ? 0 : count;
}

/** How many elements there are, where that is fewer than fit. What is known of it grows. */
static void keep_count(struct walker *walker, const struct walk_reference *reference, uint32_t node)
{
	const struct walk *walk = walker->walk;
	const struct build *build = walk->build;
	uint64_t size = walk->by_id[reference->type].size_bytes;
	uint64_t fit = build_node_size(build, node) / size;
	uint32_t word = __atomic_load_n(&walk->types[node], __ATOMIC_RELAXED);
	if (elements(reference->count) >= fit || lens_type(walk->lens, reference->type)->plan->leaf)
		return;
	if (word & NODE_EXTENT && (word & NODE_TYPE_MASK) == reference->type &&
	    elements(build_extent(build, node)) >= elements(reference->count))
		return;
	struct walk_count kept = {node, reference->type, reference->count};
	if (!array_push(&walker->counts, kept))
		walker->short_of_memory = true;
	walk_push(walker, node);
}

/** A typed reference that is plausible; true if it may change its node's type. */
static bool claim_type(struct walker *walker, const struct walk_reference *reference, uint32_t node)
{
	const struct walk *walk = walker->walk;
	const struct walk_type *type = &walk->by_id[reference->type];
	if (!reference->start && reference->target != build_addresses(walk->build)[node]) {
		look_at_part(walker, reference, node);
		return false;
	}
	uint32_t word = __atomic_load_n(&walk->types[node], __ATOMIC_RELAXED);
	uint32_t has = walk_claim_of(walk, word);
	uint32_t made = (uint32_t)reference->evidence << CLAIM_SHIFT | type->rank;
	if (type->may_link && !reference->count &&
	    type->size_bytes * 2 <= build_node_size(walk->build, node)) {
		uint32_t container = container_claim(walker, reference->type, node, 0, has);
		made = container > made ? container : made;
	}
	if (reference->count && type->size_bytes && made >= has)
		keep_count(walker, reference, node);
	if (made <= has)
		return false;
	claim(walker, node, made);
	return true;
}

/** What is there cannot be of that type: then it is led to by a guess at best. */
static bool is_implausible(const struct walk *walk, const struct walk_reference *reference,
			   uint32_t node)
{
	const struct build *build = walk->build;
	uint64_t size = walk->by_id[reference->type].size_bytes;
	if (size <= 1)
		return false;
	uint64_t offset = reference->start ? 0 : reference->target - build_addresses(build)[node];
	return size > build_node_size(build, node) - offset;
}

/** Has its node that type already, or another reference of this round said so? Then it is plausible, and all is known. */
static bool is_known(const struct walk *walk, const struct walk_reference *reference, uint32_t node,
		     uint32_t word)
{
	if (!reference->start || reference->count || walk->by_id[reference->type].links)
		return false;
	uint32_t made =
		(uint32_t)reference->evidence << CLAIM_SHIFT | walk->by_id[reference->type].rank;
	return (word & NODE_TYPE_MASK) == reference->type ||
	       __atomic_load_n(&walk->claims[node], __ATOMIC_RELAXED) == made;
}

/** A word that is no pointer by its object's type counts if nothing else has led to where it leads. */
static void rescue(struct walker *walker, uint32_t node)
{
	const struct walk *walk = walker->walk;
	if (walk->lost[node / 64] >> (node % 64) & 1 &&
	    mark(walker, node, NODE_REACHABLE | NODE_RESCUED))
		walk_push(walker, node);
}

static void apply(struct walker *walker, const struct walk_reference *reference)
{
	const struct walk *walk = walker->walk;
	uint32_t node = reference->entry;
	uint32_t word = __atomic_load_n(&walk->types[node], __ATOMIC_RELAXED);
	uint32_t marks = (reference->reachable ? NODE_REACHABLE : 0) |
			 (reference->precise ? NODE_PRECISE : 0);
	bool known = !reference->evidence || is_known(walk, reference, node, word);
	if (known && !(marks & ~word))
		return;
	if (!known && is_implausible(walk, reference, node)) {
		known = true;
		// A link may lead to where its list begins, in an object of another type.
		if (reference->evidence != EVIDENCE_LINK) {
			if (walk->precise)
				return;
			marks &= ~(uint32_t)NODE_PRECISE;
		}
	}
	bool fresh = mark(walker, node, marks);
	if (!known && claim_type(walker, reference, node))
		fresh = true;
	if (fresh)
		walk_push(walker, node);
}

static void empty_bin(struct walker *walker, unsigned bin)
{
	const struct walk *walk = walker->walk;
	const struct locate *locate = &walk->build->locate;
	struct walk_reference *references = walker->bins + (size_t)bin * BIN_SIZE;
	unsigned count = walker->in_bin[bin];
	walker->in_bin[bin] = 0;
	walker->filled &= ~(UINT64_C(1) << bin);
	for (unsigned i = 0; i < count; i++) {
		references[i].entry = locate_entry(locate, references[i].target);
		if (!(references[i].entry & LOCATE_COVERED))
			__builtin_prefetch(&locate->pages[references[i].entry]);
	}
	for (unsigned i = 0; i < count; i++) {
		struct walk_reference *reference = &references[i];
		reference->entry = locate_resolve(locate, reference->entry, reference->target,
						  &reference->start);
		__builtin_prefetch(&walk->types[reference->entry], 1);
		if (reference->evidence)
			__builtin_prefetch(&walk->claims[reference->entry], 1);
	}
	for (unsigned i = 0; i < count; i++) {
		if (references[i].entry && references[i].rescue)
			rescue(walker, references[i].entry);
		else if (references[i].entry)
			apply(walker, &references[i]);
	}
}

void walk_flush(struct walker *walker)
{
	while (walker->filled)
		empty_bin(walker, (unsigned)__builtin_ctzll(walker->filled));
}

bool walk_visit(void *context, const struct lens_reference *reference)
{
	struct walker *walker = context;
	const struct walk *walk = walker->walk;
	if (reference->target - walk->low >= walk->high - walk->low || reference->code) {
		if (reference->unknown) { // then this object is walked again
			put_down(walker, reference->target);
			walk_push(walker, walker->from);
		}
		return true;
	}
	if (walk->guesses_alone && !reference->guessed)
		return true;
	if (walker->rescue && !build_is_filtered(walk->build, reference->target))
		return true;
	unsigned bin = reference->target >> BIN_SHIFT & (BIN_COUNT - 1);
	uint32_t type = reference->type < walk->type_count ? reference->type : 0;
	walker->bins[bin * BIN_SIZE + walker->in_bin[bin]] = (struct walk_reference){
		.target = reference->target,
		.count = reference->count,
		.type = type,
		.from = walker->from,
		.evidence = type ? reference->evidence : 0,
		.reachable = walker->reachable,
		.precise = walker->precise && !reference->guessed,
		.rescue = walker->rescue,
	};
	walker->filled |= UINT64_C(1) << bin;
	if (++walker->in_bin[bin] == BIN_SIZE)
		empty_bin(walker, bin);
	return true;
}

// The end of a round.

/** A block that has just become of `type` and has room for several is one of it, or an array. */
static void decide_number(struct walker *walker, uint32_t node, uint32_t type)
{
	const struct walk *walk = walker->walk;
	const struct walk_type *decided = &walk->by_id[type];
	if (!type || !decided->size_bytes || decided->plan->leaf ||
	    build_node_size(walk->build, node) < 2 * decided->size_bytes ||
	    plural_is_array(walker, node, type))
		return;
	if (!array_push(&walker->singles, (struct walk_count){node, type, 1}))
		walker->short_of_memory = true;
}

void walk_decide(struct walker *walker, uint32_t node)
{
	struct walk *walk = walker->walk;
	uint32_t word = walk->types[node], has = walk_claim_of(walk, word);
	uint32_t made = walk->claims[node], type = word & NODE_TYPE_MASK;
	bool unknown = false;
	walk->claims[node] = 0;
	if (made > has) {
		type = walk->by_rank[made & CLAIM_RANK];
		has = made;
	}
	if (has >> CLAIM_SHIFT < EVIDENCE_VTABLE && (type || word & NODE_BLOCK) &&
	    walk->by_id[type].vtable_offset != UINT32_MAX) {
		uint64_t address = build_addresses(walk->build)[node];
		made = address ? walk_vtable_claim(walker, node,
						   address + walk->by_id[type].vtable_offset,
						   &unknown)
			       : 0;
		if (made > has) {
			type = walk->by_rank[made & CLAIM_RANK];
			has = made;
		}
	}
	if (unknown && !array_push(&walker->pending, node))
		walker->short_of_memory = true;
	if (type != (word & NODE_TYPE_MASK)) {
		// A node that has been walked may have led to what it does not lead to any more.
		walker->retyped |= (word & NODE_TYPE_MASK) != 0 || !walk->precise;
		walk->types[node] = (word & ~(uint32_t)(NODE_TYPE_MASK | NODE_EXTENT)) | type;
		decide_number(walker, node, type);
	}
	walk->types[node] = (walk->types[node] & ~(uint32_t)NODE_EVIDENCE_MASK) |
			    (has >> CLAIM_SHIFT) << NODE_EVIDENCE_SHIFT;
}
