// SPDX-License-Identifier: Apache-2.0
// Semi-NCA: Georgiadis, "Linear-time algorithms for dominators and related problems" (2005), after Lengauer and Tarjan
// (1979). Time goes into waiting for memory, so everything is laid out to wait little:
//  - The search is depth-first and cannot be divided; the other processor makes the reverse table meanwhile.
//  - It knows nodes that were seen, and those without edges, by two bits each. Nodes without edges are numbered when they are seen.
//  - The first edge of a node is found by asking for it, and by a guess from a small table at the same time.
//  - Behind the search all is by number in preorder; who is asked next is known ahead, and is prefetched.
#include "graph/dominators.h"

#include <string.h>

#include "base/error.h"
#include "graph/parts.h"
#include "graph/reverse.h"
#include "graph/storage.h"

enum {
	COARSE_SHIFT = 6, // nodes of one entry of `coarse`, as a power of two
	SMALL = 50000,	  // nodes and edges that are not worth a thread
	EDGE_AHEAD =
		24, // edges that are looked at in advance, when they are passed through in a row
	NODE_AHEAD = 16,     // nodes likewise, by their number
	CHOICE = 8,	     // edges among which a child is chosen
	LINE_EDGES = 64 / 4, // of a cache line
	WAYS = 64,	     // ways that are gone ahead of time: a power of two
	WAYS_APART = 12,     // of them, one in so many goes a step at a time
};
/** The last of a node's predecessors. */
#define LAST 0x80000000u
#define NUMBER 0x7fffffffu

/** A node whose other edges are still to be followed. */
struct waiting {
	uint32_t number; // in preorder
	uint32_t done;	 // edges of it
};

/** Where a node stands in the forest of those that were looked at: `label` is the lowest semidominator from the node up
 *  to `up`, without that. */
struct link {
	uint32_t up, label;
};

/** All that is at work. Arrays are by node or by number in preorder; some use memory of others that are done. */
struct work {
	struct graph_arrays in;
	uint64_t edge_count;
	uint32_t *idom;	  // the result, by node, at last; before that:
	uint32_t *parent; // = idom: by number, the number of the parent
	uint32_t *order;  // by number: the node
	uint32_t reached;
	bool own_order, failed;
	unsigned threads;
	// One block, three times 4 bytes a node.
	uint32_t *block;
	struct waiting *stack;			       // the first two thirds, while searching
	uint32_t *before_by_number, *semi, *dominator; // the first third, then, one after the other
	uint32_t *number;			       // the second third: by node
	struct link *links;			       // the last two thirds, at last: by number
	// Others.
	struct graph_reverse before; // predecessors: nodes, then numbers; `begin` is the last third
	uint64_t *seen, *leaves;     // a bit a node: met by the search; without edges
	uint32_t *coarse;
};

static size_t chunk_count(const struct work *work)
{
	return ((size_t)work->in.node_count >> GRAPH_CHUNK_SHIFT) + 1;
}

static size_t coarse_count(const struct work *work)
{
	return ((size_t)work->in.node_count >> COARSE_SHIFT) + 2;
}

static size_t bits_size(const struct work *work)
{
	return ((size_t)work->in.node_count / 64 + 1) * 8;
}

static bool allocate(struct work *work)
{
	size_t nodes = work->in.node_count;
	work->own_order = !work->order;
	work->block = pages_new((nodes * 3 + 1) * 4);
	work->before.sources = pages_new(work->edge_count * 4);
	work->before.base = pages_new(chunk_count(work) * 8);
	work->seen = pages_new(bits_size(work));
	work->leaves = pages_new(bits_size(work));
	work->coarse = pages_new(coarse_count(work) * 4);
	if (work->own_order)
		work->order = pages_new(nodes * 4);
	work->parent = work->idom;
	if (!work->block)
		return false;
	work->stack = (struct waiting *)work->block;
	work->before_by_number = work->semi = work->dominator = work->block;
	work->number = work->block + nodes;
	work->before.begin = work->block + 2 * nodes;
	work->links = (struct link *)(work->block + nodes);
	return work->before.sources && work->before.base && work->seen && work->leaves &&
	       work->coarse && work->order;
}

static void release(struct work *work)
{
	size_t nodes = work->in.node_count;
	pages_free(work->block, (nodes * 3 + 1) * 4);
	pages_free(work->before.sources, work->edge_count * 4);
	pages_free(work->before.base, chunk_count(work) * 8);
	pages_free(work->seen, bits_size(work));
	pages_free(work->leaves, bits_size(work));
	pages_free(work->coarse, coarse_count(work) * 4);
	if (work->own_order)
		pages_free(work->order, nodes * 4);
}

// The search.

/** Which nodes have no edges, and about where those of the others are. */
static void look_through_nodes(struct work *work)
{
	const struct graph_arrays *in = &work->in;
	for (uint32_t node = 0; node < in->node_count; node++) {
		if (node % (1 << COARSE_SHIFT) == 0)
			work->coarse[node >> COARSE_SHIFT] = in->edge_begin[node];
		bool leaf = graph_arrays_begin(in, node + 1) == graph_arrays_begin(in, node);
		work->leaves[node / 64] |= (uint64_t)leaf << node % 64;
	}
}

static void prefetch_node(const struct work *work, uint32_t node)
{
	const struct graph_arrays *in = &work->in;
	const uint32_t *coarse = &work->coarse[node >> COARSE_SHIFT];
	uint32_t span =
		coarse[1] > coarse[0] ? coarse[1] - coarse[0] : 0; // 0 behind a chunk's last
	uint32_t part = (uint32_t)((uint64_t)span * (node % (1 << COARSE_SHIFT)) >> COARSE_SHIFT);
	const uint32_t *guess = in->edges + in->chunk_base[node >> GRAPH_CHUNK_SHIFT] + coarse[0] +
				(part > LINE_EDGES / 2 ? part - LINE_EDGES / 2 : 0);
	__builtin_prefetch(&in->edge_begin[node]);
	__builtin_prefetch(guess);
	__builtin_prefetch(guess + LINE_EDGES);
}

static void give_number(struct work *work, uint32_t node, uint32_t parent)
{
	work->order[work->reached] = node;
	work->parent[work->reached] = parent;
	work->reached++;
}

/** What is waiting is gone on with soon. */
static void prefetch_waiting(const struct work *work, uint32_t top)
{
	const struct graph_arrays *in = &work->in;
	if (top > 6)
		__builtin_prefetch(&work->order[work->stack[top - 6].number]);
	if (top > 4)
		__builtin_prefetch(&in->edge_begin[work->order[work->stack[top - 4].number]]);
	if (top > 2) {
		const struct waiting *waiting = &work->stack[top - 2];
		__builtin_prefetch(in->edges +
				   graph_arrays_begin(in, work->order[waiting->number]) +
				   waiting->done);
	}
}

static uint32_t distance(uint32_t a, uint32_t b)
{
	return a > b ? a - b : b - a;
}

/**
 * Follows edges of `node` from `*at` on: numbers nodes without edges, and returns one that has some and was not seen;
 * NODE_NONE if there is none. `*at` is then where another one is, or the end. Of the next few the one is taken that is nearest in
 * memory: an allocator gives what is made together places that are near.
 */
static uint32_t find_child(struct work *work, uint32_t node, uint32_t number, uint64_t *at,
			   uint64_t end)
{
	const uint32_t *edges = work->in.edges;
	uint32_t child = NODE_NONE;
	uint64_t child_at = end, other = end;
	for (uint64_t i = *at; i < end && (other == end || i < *at + CHOICE); i++) {
		uint32_t to = edges[i] & EDGE_TARGET;
		uint64_t *seen = &work->seen[to / 64], bit = UINT64_C(1) << to % 64;
		if (*seen & bit || to == child)
			continue;
		if (work->leaves[to / 64] & bit) {
			*seen |= bit;
			give_number(work, to, number);
			continue;
		}
		prefetch_node(work, to);
		bool better = child == NODE_NONE ||
			      (i < *at + CHOICE && distance(to, node) < distance(child, node));
		uint64_t left = better ? child_at : i;
		other = left < other ? left : other;
		child = better ? to : child;
		child_at = better ? i : child_at;
	}
	if (child != NODE_NONE)
		work->seen[child / 64] |= UINT64_C(1) << child % 64;
	*at = other;
	return child;
}

static void search(struct work *work)
{
	const struct graph_arrays *in = &work->in;
	uint32_t top = 0, node = 0, number = 0;
	look_through_nodes(work);
	work->seen[0] |= 1;
	give_number(work, 0, 0);
	uint64_t at = graph_arrays_begin(in, 0), end = graph_arrays_begin(in, 1);
	for (;;) {
		uint32_t child = find_child(work, node, number, &at, end);
		if (child == NODE_NONE) {
			if (top == 0)
				break;
			prefetch_waiting(work, top);
			number = work->stack[--top].number;
			node = work->order[number];
			at = graph_arrays_begin(in, node) + work->stack[top].done;
			end = graph_arrays_begin(in, node + 1);
			continue;
		}
		if (at < end)
			work->stack[top++] = (struct waiting){
				number, (uint32_t)(at - graph_arrays_begin(in, node))};
		node = child;
		give_number(work, node, number);
		number = work->reached - 1;
		at = graph_arrays_begin(in, node);
		end = graph_arrays_begin(in, node + 1);
	}
}

static uint64_t before_at(const struct work *work, uint32_t node)
{
	return graph_reverse_at(&work->before, node);
}

static void search_or_reverse(void *context, unsigned part)
{
	struct work *work = context;
	if (part == 0)
		search(work);
	else
		work->failed = !graph_reverse(&work->in, &work->before);
}

// From nodes to numbers.

static uint32_t share(uint32_t count, unsigned part, unsigned parts)
{
	return (uint32_t)((uint64_t)count * part / parts);
}

static void number_nodes(void *context, unsigned part)
{
	struct work *work = context;
	uint32_t end = share(work->reached, part + 1, work->threads);
	for (uint32_t i = share(work->reached, part, work->threads); i < end; i++) {
		if (i + EDGE_AHEAD < end)
			__builtin_prefetch(&work->number[work->order[i + EDGE_AHEAD]], 1);
		work->number[work->order[i]] = i;
	}
}

/** Predecessors as numbers; NUMBER for those that are not reached. Before it the last one of a node is marked. */
static void number_predecessors(void *context, unsigned part)
{
	struct work *work = context;
	uint32_t first = share(work->in.node_count, part, work->threads);
	uint32_t last = share(work->in.node_count, part + 1, work->threads);
	uint32_t *before = work->before.sources;
	uint64_t i = before_at(work, first), stop = before_at(work, last);
	for (uint32_t node = first; node < last; node++) {
		uint64_t end = before_at(work, node + 1);
		for (; i < end; i++) {
			if (i + EDGE_AHEAD < stop)
				__builtin_prefetch(&work->number[before[i + EDGE_AHEAD]]);
			before[i] = work->number[before[i]] & NUMBER;
			before[i] |= i + 1 == end ? LAST : 0;
		}
	}
}

static void order_predecessors(void *context, unsigned part)
{
	struct work *work = context;
	uint32_t end = share(work->reached, part + 1, work->threads);
	for (uint32_t i = share(work->reached, part, work->threads); i < end; i++) {
		if (i + EDGE_AHEAD < end)
			__builtin_prefetch(&work->before.begin[work->order[i + EDGE_AHEAD]]);
		work->before_by_number[i] = work->before.begin[work->order[i]];
	}
}

static void begin_links(void *context, unsigned part)
{
	struct work *work = context;
	uint32_t end = share(work->reached, part + 1, work->threads);
	for (uint32_t i = share(work->reached, part, work->threads); i < end; i++)
		work->links[i] = (struct link){.up = work->parent[i], .label = i};
}

static void renumber(struct work *work)
{
	memset(work->number, 0xff, (size_t)work->in.node_count * 4);
	parts_run(work->threads, number_nodes, work);
	parts_run(work->threads, number_predecessors, work);
	parts_run(work->threads, order_predecessors, work);
	parts_run(work->threads, begin_links, work);
}

// Semidominators. Ways up the forest are many and long, and each of their steps waits for memory. So those that are asked for
// next are gone ahead of time, many at once, a step at a time, as far as the forest has grown.

/** A way that will be asked for: from `before` up, for `number`. */
struct way {
	uint32_t before, number;
	bool halfway;
};

struct ways {
	struct way ring[WAYS];
	uint32_t first, count; // of those in the ring
	uint32_t number;       // whose predecessors come next; 0 when there are no more
	uint32_t semi;	       // the lowest of them so far, but for ways
	const uint32_t *at;    // its next predecessor; NULL before the first
};

/** A step of the way from `number` up: what was halfway is there now. Ways are halved as they are gone, and `number` has all of its own
 *  at hand. False where it ends: at what is not linked yet, i.e. numbered up to `limit`. */
static inline bool step(struct link *links, uint32_t number, uint32_t limit, bool *halfway)
{
	struct link *link = &links[number];
	if (link->up <= limit)
		return false;
	struct link *above = &links[link->up];
	if (above->up > limit) {
		const struct link *next = &links[above->up];
		if (!*halfway) {
			__builtin_prefetch(next, 1);
			*halfway = true;
			return true;
		}
		above->label = next->label < above->label ? next->label : above->label;
		above->up = next->up;
	}
	*halfway = false;
	link->label = above->label < link->label ? above->label : link->label;
	link->up = above->up;
	__builtin_prefetch(&links[link->up], 1);
	return true;
}

static const uint32_t *predecessors_of(const struct work *work, uint32_t number)
{
	return work->before.sources + work->before.base[work->order[number] >> GRAPH_CHUNK_SHIFT] +
	       work->before_by_number[number];
}

/** Takes the next predecessors, until one is a way, or there are no more. */
static void find_way(struct work *work, struct ways *ways)
{
	while (ways->number) {
		if (!ways->at) {
			ways->at = predecessors_of(work, ways->number);
			ways->semi = work->parent[ways->number];
			if (ways->number > NODE_AHEAD)
				__builtin_prefetch(
					predecessors_of(work, ways->number - NODE_AHEAD));
		}
		uint32_t number = ways->number, word = *ways->at++, before = word & NUMBER;
		if (before < ways->semi)
			ways->semi = before;
		if (word & LAST) {
			work->semi[number] = ways->semi; // where before_by_number[number] was
			ways->number--;
			ways->at = NULL;
		}
		if (before > number && before < work->reached) {
			__builtin_prefetch(&work->links[before], 1);
			ways->ring[(ways->first + ways->count++) % WAYS] =
				(struct way){.before = before, .number = number};
			return;
		}
	}
}

/** Goes a step of some of the ways, those that come sooner more often. */
static inline void go_ahead(struct work *work, struct ways *ways, uint32_t limit)
{
	for (uint32_t i = WAYS_APART; i < ways->count; i += WAYS_APART) {
		struct way *way = &ways->ring[(ways->first + i) % WAYS];
		step(work->links, way->before, limit, &way->halfway);
	}
}

/** The lowest semidominator on the first way. */
static uint32_t take_way(struct work *work, struct ways *ways)
{
	struct way *way = &ways->ring[ways->first];
	while (step(work->links, way->before, way->number, &way->halfway))
		;
	ways->first = (ways->first + 1) % WAYS;
	ways->count--;
	return work->links[way->before].label;
}

static void find_semidominators(struct work *work)
{
	struct ways ways = {.number = work->reached - 1};
	for (uint32_t number = work->reached; number-- > 1;) {
		uint32_t lowest = UINT32_MAX;
		for (;;) {
			while (ways.count < WAYS && ways.number)
				find_way(work, &ways);
			if (!ways.count || ways.ring[ways.first].number != number)
				break;
			go_ahead(work, &ways, number);
			uint32_t label = take_way(work, &ways);
			lowest = label < lowest ? label : lowest;
		}
		if (lowest < work->semi[number])
			work->semi[number] = lowest;
		work->links[number].label = work->semi[number];
	}
}

/** The dominator is the nearest one of the parent that is not below the semidominator. */
static void find_dominators(struct work *work)
{
	work->dominator[0] = 0;
	for (uint32_t number = 1; number < work->reached; number++) {
		uint32_t semi = work->semi[number], up = work->parent[number];
		while (up > semi)
			up = work->dominator[up];
		work->dominator[number] = up; // where semi[number] was
	}
}

static void give_back(void *context, unsigned part)
{
	struct work *work = context;
	uint32_t end = share(work->reached, part + 1, work->threads);
	for (uint32_t i = share(work->reached, part, work->threads); i < end; i++) {
		if (i + EDGE_AHEAD < end) {
			__builtin_prefetch(&work->idom[work->order[i + EDGE_AHEAD]], 1);
			__builtin_prefetch(&work->order[work->dominator[i + EDGE_AHEAD]]);
		}
		work->idom[work->order[i]] = work->order[work->dominator[i]];
	}
}

static void find(struct work *work)
{
	if (work->threads > 1) {
		parts_run(2, search_or_reverse, work);
	} else {
		search(work);
		work->failed = !graph_reverse(&work->in, &work->before);
	}
	if (work->failed)
		return;
	renumber(work);
	find_semidominators(work);
	find_dominators(work);
	memset(work->idom, 0xff, (size_t)work->in.node_count * 4);
	parts_run(work->threads, give_back, work);
	work->idom[0] = NODE_NONE;
}

static unsigned thread_count(const struct work *work, unsigned wanted)
{
	if (work->in.node_count + work->edge_count < SMALL)
		return 1;
	unsigned count = wanted ? wanted : parts_processors();
	return count < PARTS_MAX ? count : PARTS_MAX;
}

struct strobe_error *graph_dominators_in_order(const struct graph_arrays *arrays, unsigned threads,
					       uint32_t *idom, uint32_t *order, uint32_t *reached)
{
	struct work work = {.in = *arrays, .idom = idom, .order = order};
	struct strobe_error *error = NULL;
	work.edge_count = graph_arrays_begin(arrays, arrays->node_count);
	work.threads = thread_count(&work, threads);
	if (allocate(&work))
		find(&work);
	else
		error = error_no_memory();
	if (work.failed)
		error = error_new(STROBE_ERROR_LIMIT, "too many references lead to a few objects");
	if (reached)
		*reached = work.reached;
	release(&work);
	return error;
}

struct strobe_error *graph_dominators(uint32_t node_count, const uint32_t *edge_begin,
				      const uint64_t *chunk_base, const uint32_t *edges,
				      uint32_t *idom)
{
	const struct graph_arrays arrays = {node_count, edge_begin, chunk_base, edges};
	return graph_dominators_in_order(&arrays, 0, idom, NULL, NULL);
}
