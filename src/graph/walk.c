// SPDX-License-Identifier: Apache-2.0
// The walk in rounds: round k walks what round k - 1 has found something new about. What is found is put together at the
// end of each round, so that it does not depend on which thread was first.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/walking.h"

enum {
	TELL_EVERY = 4096, // rounds
	REPEAT_LIMIT =
		64, // how often all nodes may be walked, on average: types that get better and better
	REPEAT_LEAST = 1000000,
	WALKED_UNIT = 1024, // bytes that cost as much as a node
	INFER_LIMIT = 4,
	LINK_LIMIT = 8, // how often all is walked again for what structures are members of
	BINS_SIZE = BIN_COUNT * BIN_SIZE * sizeof(struct walk_reference), // of one thread
};

/** How much all walks together may cost. */
static uint64_t walk_limit(const struct build *build)
{
	uint64_t bytes = 0;
	for (uint32_t node = 1; node <= build->memory_count; node++)
		bytes += build_node_size(build, node);
	return REPEAT_LEAST + (build->node_count + bytes / WALKED_UNIT) * REPEAT_LIMIT;
}

struct strobe_error *walk_init(struct walk *walk, struct build *build)
{
	*walk = (struct walk){
		.build = build,
		.lens = build->lens,
		.types = build_types(build),
		.walker_count = workers_count(build->workers),
		.bitmap_size = ((size_t)build->node_count / 64 + 1) * 8,
	};
	uint32_t last = build->memory_count;
	if (last) {
		walk->low = build_addresses(build)[1];
		walk->high = build_addresses(build)[last] + build_node_size(build, last);
	}
	walk->walkers = calloc(walk->walker_count, sizeof(*walk->walkers));
	walk->now = pages_new(walk->bitmap_size);
	walk->next = pages_new(walk->bitmap_size);
	if (!walk->walkers || !walk->now || !walk->next ||
	    !pages_reserve(&build->claims, build->node_count))
		return error_no_memory();
	walk->claims = build->claims.items;
	for (unsigned i = 0; i < walk->walker_count; i++) {
		struct walker *walker = &walk->walkers[i];
		walker->walk = walk;
		walker->number = i;
		walker->probe = build->probes[i];
		walker->reader = build->readers[i];
		walker->memory = graph_reader_memory(build->readers[i]);
		walker->bins = pages_new(BINS_SIZE);
		if (!walker->bins)
			return error_no_memory();
	}
	walk->limit = walk_limit(build);
	return walk_types_update(walk);
}

void walk_fini(struct walk *walk)
{
	for (unsigned i = 0; walk->walkers && i < walk->walker_count; i++) {
		pages_free(walk->walkers[i].bins, BINS_SIZE);
		free(walk->walkers[i].links);
		array_fini(&walk->walkers[i].counts);
		array_fini(&walk->walkers[i].singles);
		array_fini(&walk->walkers[i].unknown);
		array_fini(&walk->walkers[i].pending);
		walk->build->retyped |= walk->walkers[i].retyped;
	}
	free(walk->walkers);
	free(walk->by_id);
	free(walk->by_rank);
	pages_free(walk->now, walk->bitmap_size);
	pages_free(walk->next, walk->bitmap_size);
	pages_free(walk->lost, walk->bitmap_size);
}

static void walk_values(struct walker *walker, const struct graph_root *root, uint32_t type)
{
	const struct walk *walk = walker->walk;
	if (root->value_count)
		graph_values_walk(walk->lens, &walker->memory,
				  walk->build->values.items + root->value_begin, root->value_count,
				  type, walk->precise, walk_visit, walker);
}

/** All words, whatever the type says. */
static void walk_words(struct walker *walker, const struct graph_object *object)
{
	struct graph_object untyped = *object;
	untyped.type = LENS_TYPE_NONE;
	walker->rescue = true;
	graph_object_walk(walker->walk->lens, &walker->memory, &untyped, walk_visit, walker, NULL);
	walker->rescue = false;
}

static void walk_node(struct walker *walker, uint32_t node)
{
	const struct walk *walk = walker->walk;
	const struct build *build = walk->build;
	// Marks that others add now bring it into the next round.
	uint32_t word = __atomic_load_n(&walk->types[node], __ATOMIC_RELAXED);
	struct graph_object object = {
		.type = word & NODE_TYPE_MASK,
		.address = build_addresses(build)[node],
		.size_bytes = build_node_size(build, node),
		.count = word & NODE_EXTENT ? build_extent(build, node) : 0,
		.low = walk->low,
		.high = walk->high,
		.precise = walk->precise,
	};
	walker->from = node;
	walker->reachable = word & NODE_REACHABLE;
	walker->precise = word & NODE_PRECISE;
	walker->walked++;
	walker->walked_bytes += object.size_bytes;
	if (object.address && !(walk->rescuing && walk->guesses_alone))
		graph_object_walk(walk->lens, &walker->memory, &object, walk_visit, walker, NULL);
	if (object.address && object.type && walk->rescuing)
		walk_words(walker, &object);
	else if (object.address)
		return;
	if (!object.address && node > build->memory_count)
		walk_values(walker, &build->entities.items[node - build->memory_count - 1].root,
			    object.type);
}

/** Walks some nodes, whose memory is asked for first. */
static void walk_nodes(struct walker *walker, const uint32_t *nodes, size_t count)
{
	const struct build *build = walker->walk->build;
	for (size_t i = 0; i < count && count > 1; i++)
		graph_reader_prefetch(walker->reader, build_addresses(build)[nodes[i]]);
	for (size_t i = 0; i < count; i++)
		walk_node(walker, nodes[i]);
}

// A round.

static bool walk_part(void *context, unsigned thread, uint64_t from, uint64_t to)
{
	struct walk *walk = context;
	struct walker *walker = &walk->walkers[thread];
	uint32_t ahead[AHEAD];
	unsigned count = 0;
	for (uint64_t i = from / 64; i < (to + 63) / 64; i++) {
		uint64_t bits = walk->now[i];
		for (walk->now[i] = 0; bits; bits &= bits - 1) {
			ahead[count++] = (uint32_t)(i * 64 + (unsigned)__builtin_ctzll(bits));
			if (count < AHEAD)
				continue;
			walk_nodes(walker, ahead, count);
			count = 0;
		}
	}
	walk_nodes(walker, ahead, count);
	walk_flush(walker);
	return !walker->short_of_memory;
}

static bool decide_part(void *context, unsigned thread, uint64_t from, uint64_t to)
{
	struct walk *walk = context;
	struct walker *walker = &walk->walkers[thread];
	for (uint64_t i = from / 64; i < (to + 63) / 64; i++) {
		for (uint64_t bits = walk->next[i]; bits; bits &= bits - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(bits);
			walk_decide(walker, (uint32_t)(i * 64 + bit));
		}
	}
	return !walker->short_of_memory;
}

/** Counts of elements belong to the node's type; the largest stays. After the round's types are decided. */
static bool keep_exact_counts(struct walk *walk)
{
	struct build *build = walk->build;
	for (unsigned i = 0; i < walk->walker_count; i++) {
		struct walker *walker = &walk->walkers[i];
		for (size_t j = 0; j < walker->counts.count; j++) {
			const struct walk_count *count = &walker->counts.items[j];
			uint32_t *word = &walk->types[count->node];
			if ((*word & NODE_TYPE_MASK) != count->type)
				continue;
			uint64_t old = *word & NODE_EXTENT ? build_extent(build, count->node)
							   : LENS_COUNT_NONE;
			bool more = old == LENS_COUNT_NONE ||
				    (count->count != LENS_COUNT_NONE && count->count > old);
			if (more && !hash_put(&build->extents, count->node,
					      (void *)(uintptr_t)count->count))
				return false;
			*word |= NODE_EXTENT;
		}
		walker->counts.count = 0;
	}
	return true;
}

static bool keep_counts(struct walk *walk)
{
	if (!keep_exact_counts(walk))
		return false;
	for (unsigned i = 0; i < walk->walker_count; i++) {
		struct walker *walker = &walk->walkers[i];
		for (size_t j = 0; j < walker->singles.count; j++) {
			const struct walk_count *single = &walker->singles.items[j];
			uint32_t *word = &walk->types[single->node];
			if ((*word & NODE_TYPE_MASK) != single->type || *word & NODE_EXTENT)
				continue;
			if (!hash_put(&walk->build->extents, single->node, (void *)(uintptr_t)1))
				return false;
			*word |= NODE_EXTENT;
		}
		walker->singles.count = 0;
	}
	return true;
}

static int order_vtables(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/** Looks up the virtual tables and handlers that were met, in order of their addresses: types' numbers come from that. */
static struct strobe_error *learn(struct walk *walk)
{
	ARRAY(uint64_t) all = {0};
	struct strobe_error *error = NULL;
	size_t kept = 0;
	for (unsigned i = 0; i < walk->walker_count; i++) {
		struct walker *walker = &walk->walkers[i];
		size_t count = walker->unknown.count;
		if (count && !array_reserve(&all, all.count + count))
			error = error_no_memory();
		if (error)
			break;
		if (count)
			memcpy(all.items + all.count, walker->unknown.items,
			       count * sizeof(*all.items));
		all.count += count;
		walker->unknown.count = 0;
	}
	if (all.count)
		qsort(all.items, all.count, sizeof(*all.items), order_vtables);
	for (size_t i = 0; i < all.count; i++)
		if (!kept || all.items[kept - 1] != all.items[i])
			all.items[kept++] = all.items[i];
	if (!error && kept)
		error = lens_learn(walk->build->lens, all.items, kept);
	array_fini(&all);
	return error ? error : walk_types_update(walk);
}

/** Nodes whose virtual tables were not known are looked at again. */
static struct strobe_error *decide_pending(struct walk *walk)
{
	bool any = false;
	for (unsigned i = 0; i < walk->walker_count; i++)
		any |= walk->walkers[i].unknown.count != 0;
	struct strobe_error *error = any ? learn(walk) : NULL;
	for (unsigned i = 0; !error && i < walk->walker_count; i++) {
		struct walker *walker = &walk->walkers[i];
		size_t count = walker->pending.count;
		for (size_t j = 0; j < count; j++) {
			walk_decide(walker, walker->pending.items[j]);
		}
		walker->pending.count = 0;
	}
	return error;
}

static struct strobe_error *round_failed(struct walk *walk)
{
	for (unsigned i = 0; i < walk->walker_count; i++)
		if (walk->walkers[i].short_of_memory)
			return error_no_memory();
	return NULL;
}

/** Puts the nodes that were found into `list`; how many there are, SIZE_MAX if they are too many. */
static size_t take_list(struct walk *walk)
{
	uint64_t found = 0;
	size_t count = 0;
	for (unsigned i = 0; i < walk->walker_count; i++)
		found += walk->walkers[i].found;
	for (unsigned i = 0; i < walk->walker_count; i++) {
		struct walker *walker = &walk->walkers[i];
		if (found <= LIST_LIMIT) {
			memcpy(walk->list + count, walker->list,
			       walker->found * sizeof(*walker->list));
			count += (size_t)walker->found;
		}
		walker->found = 0;
	}
	return found <= LIST_LIMIT ? count : SIZE_MAX;
}

/** What was found in a round that has ended becomes types and counts. */
static struct strobe_error *settle(struct walk *walk)
{
	struct strobe_error *error = decide_pending(walk);
	if (!error && !keep_counts(walk))
		error = error_no_memory();
	return error;
}

/** A round of few nodes, by this thread alone. `next` has no bits but theirs. */
static struct strobe_error *short_round(struct walk *walk, size_t count)
{
	struct walker *walker = &walk->walkers[0];
	for (size_t i = 0; i < count; i++) {
		uint32_t node = walk->list[i];
		walk->next[node / 64] &= ~(UINT64_C(1) << (node % 64));
		walk_decide(walker, node);
	}
	struct strobe_error *error = settle(walk);
	if (error)
		return error;
	if (count == 1 && walk->precise && !(walk->list[0] = chain_follow(walker, walk->list[0])))
		return NULL;
	for (size_t i = 0; i < count; i += AHEAD)
		walk_nodes(walker, walk->list + i, count - i < AHEAD ? count - i : AHEAD);
	walk_flush(walker);
	return walker->short_of_memory ? error_no_memory() : NULL;
}

/** A round of many nodes, by all threads, in order of their addresses. */
static struct strobe_error *long_round(struct walk *walk)
{
	struct build *build = walk->build;
	if (!workers_run(build->workers, 0, build->node_count, PART, decide_part, walk))
		return error_no_memory();
	struct strobe_error *error = settle(walk);
	if (error)
		return error;
	uint64_t *bits = walk->now;
	walk->now = walk->next;
	walk->next = bits;
	if (!workers_run(build->workers, 0, build->node_count, PART, walk_part, walk))
		return error_no_memory();
	return round_failed(walk);
}

/** Nodes that were walked, and their bytes by some thousands: what it costs. */
static uint64_t walked(const struct walk *walk)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < walk->walker_count; i++)
		sum += walk->walkers[i].walked + walk->walkers[i].walked_bytes / WALKED_UNIT;
	return sum;
}

struct strobe_error *walk_rounds(struct walk *walk)
{
	struct build *build = walk->build;
	const uint64_t limit = walked(walk) + walk->limit;
	struct strobe_error *error = NULL;
	for (size_t count = SIZE_MAX; !error && count; count = error ? 0 : take_list(walk)) {
		if (count == SIZE_MAX)
			error = long_round(walk);
		else
			error = short_round(walk, count);
		walk->guesses_alone = false;
		if (++walk->rounds % TELL_EVERY && count != SIZE_MAX)
			continue;
		if (!error)
			error = build_progress(build, walk->what, walk->done);
		if (walked(walk) > limit) // types that contradict each other: it is good enough
			break;
	}
	return error;
}

/** Nodes that are reached, for the first round of a walk: of all types, or of those that guesses come from. */
static void push_reached(struct walk *walk)
{
	for (uint32_t node = 0; node < walk->build->node_count; node++) {
		uint32_t word = walk->types[node];
		const struct walk_type *type = &walk->by_id[word & NODE_TYPE_MASK];
		if (!(word & NODE_REACHABLE))
			continue;
		bool ends = walk->guesses_alone && type->size_bytes && !(word & NODE_EXTENT) &&
			    build_node_size(walk->build, node) % type->size_bytes == 0;
		if (!ends || type->guesses)
			walk->next[node / 64] |= UINT64_C(1) << (node % 64);
	}
}

/** Rounds, again from the beginning as long as more is known of what structures are members of. */
static struct strobe_error *walk_linked(struct walk *walk)
{
	bool more = true;
	struct strobe_error *error = NULL;
	for (unsigned i = 0; i < LINK_LIMIT && more && !error; i++) {
		push_reached(walk);
		error = walk_rounds(walk);
		walk->guesses_alone = false;
		if (!error)
			error = walk_learn_links(walk, &more);
	}
	return error;
}

static bool is_lost(const struct walk *walk, uint32_t node)
{
	uint32_t word = walk->types[node];
	return word & NODE_BLOCK && !(word & NODE_REACHABLE);
}

/** Types of what nothing leads to: by virtual tables, and by each other. */
static struct strobe_error *walk_lost(struct walk *walk)
{
	bool any = false;
	for (uint32_t node = 1; node <= walk->build->memory_count; node++) {
		if (!is_lost(walk, node))
			continue;
		any = true;
		walk->next[node / 64] |= UINT64_C(1) << (node % 64);
	}
	return any ? walk_rounds(walk) : NULL;
}

/** What can be told of blocks without a type, as long as something can. */
static struct strobe_error *walk_inferred(struct walk *walk)
{
	bool more = !walk->build->options.precise;
	struct strobe_error *error = walk_lost(walk);
	for (unsigned i = 0; i < INFER_LIMIT && more && !error; i++) {
		error = walk_infer(walk, &more);
		if (!error && more)
			error = walk_rounds(walk);
	}
	return error;
}

/** Marks what is reached anew: types have changed, and with them what objects lead to. */
static struct strobe_error *walk_again(struct walk *walk)
{
	struct build *build = walk->build;
	const struct node_pair *pairs = build->holds.items;
	bool retyped = false;
	for (unsigned i = 0; i < walk->walker_count; i++) {
		retyped |= walk->walkers[i].retyped;
		walk->walkers[i].retyped = false;
	}
	if (!retyped)
		return NULL;
	for (uint32_t node = 1; node <= build->memory_count; node++)
		walk->types[node] &= ~(uint32_t)(NODE_REACHABLE | NODE_PRECISE);
	for (size_t i = 0; i < build->holds.count; i++)
		walk->types[pairs[i].to] |= NODE_REACHABLE | NODE_PRECISE;
	push_reached(walk);
	return walk_rounds(walk);
}

static void filter(struct build *build, uint32_t node)
{
	uint64_t first = build_addresses(build)[node] >> FILTER_PAGE_SHIFT;
	uint64_t last =
		(build_addresses(build)[node] + build_node_size(build, node)) >> FILTER_PAGE_SHIFT;
	if (last - first >= FILTER_BITS)
		last = first + FILTER_BITS - 1;
	for (uint64_t page = first; page <= last; page++)
		build->rescue_filter[page % FILTER_BITS / 64] |= UINT64_C(1) << (page % 64);
}

/** Integers may be addresses that types do not tell of: what else would be lost is looked for in all words. */
static struct strobe_error *walk_rescue(struct walk *walk)
{
	struct build *build = walk->build;
	bool any = false;
	for (uint32_t node = 1; node <= build->memory_count && !any; node++)
		any = is_lost(walk, node);
	if (!any)
		return NULL;
	walk->lost = pages_new(walk->bitmap_size);
	build->rescue_filter = pages_new(FILTER_SIZE);
	if (!walk->lost || !build->rescue_filter)
		return error_no_memory();
	for (uint32_t node = 1; node <= build->memory_count; node++) {
		uint64_t bit = UINT64_C(1) << (node % 64);
		if (is_lost(walk, node)) {
			walk->lost[node / 64] |= bit;
			filter(build, node);
		} else if (walk->types[node] & NODE_REACHABLE &&
			   walk->types[node] & NODE_TYPE_MASK) {
			walk->next[node / 64] |= bit;
		}
	}
	walk->rescuing = walk->guesses_alone = true;
	return walk_rounds(walk);
}

static struct strobe_error *walk_all(struct walk *walk)
{
	const struct build *build = walk->build;
	walk->precise = true;
	walk->what = "following types";
	walk->done = 0.2;
	struct strobe_error *error = walk_linked(walk);
	walk->precise = build->options.precise;
	walk->guesses_alone = true; // in the first round: the rest has been done
	walk->what = "scanning words";
	walk->done = 0.3;
	if (!error)
		error = build_progress(walk->build, walk->what, walk->done);
	if (!error && !walk->precise)
		error = walk_linked(walk);
	walk->guesses_alone = false;
	walk->what = "inferring types";
	walk->done = 0.4;
	if (!error)
		error = build_progress(walk->build, walk->what, walk->done);
	if (!error)
		error = walk_inferred(walk);
	if (!error)
		error = walk_again(walk);
	if (!error && !walk->precise)
		error = walk_rescue(walk);
	return error;
}

struct strobe_error *build_walk(struct build *build)
{
	struct walk walk;
	struct strobe_error *error = walk_init(&walk, build);
	if (!error)
		error = walk_all(&walk);
	walk_fini(&walk);
	return error;
}
