// SPDX-License-Identifier: Apache-2.0
// Along the chunks of a segment, past what is damaged.
#include "heap/glibc.h"

#include <inttypes.h>

// Named limits: so many chunks in a row that fit together are believed, and so many that end where nothing
// special is; fences in a row at most.
enum { STRONG_STEPS = 16, STRONG_AT_END = 4, MAX_FENCES = 3 };

#define likely(condition) __builtin_expect(!!(condition), 1)

/**
 * A walk. Invariants:
 *  1. Every block that is told begins behind the one before it, and ends within the segment.
 *  2. `at` only grows, and with it all that is looked through to find the next good chunk.
 */
struct walk {
	struct glibc *glibc;
	const struct glibc_arena *arena;
	uint64_t start, end; // of the segment
	uint64_t top;	     // chunk, if it is in this segment; else 0
	bool top_is_good;  // it ends where the segment does; else its size or its address is wrong
	uint64_t limit;	   // no chunk but a good top goes beyond it
	uint64_t own_flag; // of chunks in use
	uint64_t next_listed;	 // chunk; UINT64_MAX: no more
	size_t listed;		 // its index
	strobe_heap_visit visit; // NULL = nobody wants to know
	void *context;
	bool stopped;
	uint64_t balance;
};

static inline bool read_header(struct glibc_window *window, uint64_t at, struct glibc_header *ret)
{
	const uint8_t *bytes = glibc_window_at(window, at, sizeof(*ret));
	if (likely(bytes != NULL)) {
		memcpy(ret, bytes, sizeof(*ret));
		return true;
	}
	bytes = glibc_window_at(window, at, CHUNK_HEADER); // a segment's last
	*ret = (struct glibc_header){0};
	if (bytes)
		memcpy(ret, bytes, CHUNK_HEADER);
	return bytes != NULL;
}

static void walk_init(struct walk *walk, struct glibc *glibc, size_t arena, uint64_t start,
		      uint64_t end)
{
	*walk = (struct walk){.glibc = glibc,
			      .arena = &glibc->arenas.items[arena],
			      .start = start,
			      .end = end,
			      .limit = end,
			      .next_listed = UINT64_MAX};
	uint64_t top = walk->arena->top;
	struct glibc_header header;
	if (top >= start && top < end) {
		walk->top = top;
		walk->top_is_good = read_header(&glibc->ahead, top, &header) &&
				    glibc_size(header.head) == end - top;
		walk->limit = walk->top_is_good ? top : end;
	}
	walk->own_flag = walk->arena->is_main ? 0 : CHUNK_NON_MAIN;
}

/** Puts the cursor on the first listed chunk at or after `address`. */
static void seek_listed(struct walk *walk, uint64_t address)
{
	walk->listed = glibc_listed_after(walk->glibc, address);
	walk->next_listed = walk->listed < walk->glibc->listed.count
				    ? walk->glibc->listed.items[walk->listed].chunk
				    : UINT64_MAX;
}

/** Can there be a chunk at `at`, which is not the top? */
static inline bool fits(const struct walk *walk, uint64_t at, uint64_t head)
{
	uint64_t size = glibc_size(head);
	return (head & (CHUNK_MMAPPED | 8)) == 0 && size >= CHUNK_MIN && at < walk->limit &&
	       size <= walk->limit - at;
}

/** The end of the fences that begin at `at`; 0 if none do. */
static uint64_t fence_end(const struct walk *walk, struct glibc_window *window, uint64_t at,
			  uint64_t head)
{
	uint64_t size = glibc_size(head), next = at + size;
	struct glibc_header header;
	if (head & (CHUNK_MMAPPED | CHUNK_NON_MAIN) || size > CHUNK_MIN || at >= walk->end ||
	    walk->end - at < CHUNK_HEADER)
		return 0;
	if (!walk->arena->is_main) {
		if (size == 0)
			return at + CHUNK_HEADER == walk->end ? walk->end : 0;
		return next + CHUNK_HEADER == walk->end && read_header(window, next, &header) &&
				       header.head == CHUNK_PREV_INUSE
			       ? walk->end
			       : 0;
	}
	if (size != CHUNK_FENCE)
		return 0;
	for (unsigned i = 0; i < MAX_FENCES && next + CHUNK_HEADER <= walk->end; i++) {
		if (!read_header(window, next, &header) ||
		    header.head != (CHUNK_FENCE | CHUNK_PREV_INUSE))
			return i ? next : 0;
		next += CHUNK_FENCE;
	}
	return next > at + size ? next : 0;
}

/** Do chunks begin at `at` that hold together, up to something that ends them, or for long enough? */
static bool is_strong(struct walk *walk, uint64_t at)
{
	struct glibc_window *window = &walk->glibc->ahead;
	struct glibc_header header, next;
	if (!read_header(window, at, &header))
		return false;
	for (unsigned i = 0; i < STRONG_STEPS; i++) {
		if (at == walk->top && (walk->top_is_good || !fits(walk, at, header.head)))
			return i > 0 || walk->top_is_good;
		if (fence_end(walk, window, at, header.head))
			return i > 0;
		if (!fits(walk, at, header.head))
			return false;
		uint64_t size = glibc_size(header.head);
		bool used;
		at += size;
		if (at == walk->end)
			return i >= STRONG_AT_END;
		if (!read_header(window, at, &next))
			return false;
		used = next.head & CHUNK_PREV_INUSE;
		if (used ? (header.head & CHUNK_NON_MAIN) != walk->own_flag
			 : next.prev_size != size || !(header.head & CHUNK_PREV_INUSE))
			return false;
		header = next;
	}
	return true;
}

/** The first address in [from, to) where strong chunks begin; 0 if there is none. */
static uint64_t find_strong(struct walk *walk, uint64_t from, uint64_t to, uint64_t step)
{
	for (uint64_t at = (from + step - 1) & ~(step - 1); at >= from && at < to;) {
		struct glibc_header header;
		if (!read_header(&walk->glibc->window, at, &header)) {
			at = (at | (PAGE_SIZE - 1)) + 1;
			continue;
		}
		if ((fits(walk, at, header.head) || at == walk->top) && is_strong(walk, at))
			return at;
		at += step;
	}
	return 0;
}

uint64_t glibc_find_chunks(struct glibc *glibc, size_t arena, uint64_t from, uint64_t to,
			   uint64_t end, uint64_t step)
{
	struct walk walk;
	walk_init(&walk, glibc, arena, from, end);
	return find_strong(&walk, from, to, step);
}

static void tell(struct walk *walk, uint64_t address, uint64_t size, enum strobe_heap_state state)
{
	const struct strobe_heap_block block = {.address = address,
						.size_bytes = size,
						.state = state,
						.arena = walk->arena->index};
	if (walk->visit && size && address >= walk->start && !walk->visit(walk->context, &block))
		walk->stopped = true;
}

/** What the lists say of the chunk at `at`, past those that lie before it. */
static void ask_lists(struct walk *walk, uint64_t at, enum strobe_heap_state *state)
{
	const struct glibc *glibc = walk->glibc;
	while (walk->next_listed <= at) {
		const struct glibc_listed *listed = &glibc->listed.items[walk->listed];
		if (walk->next_listed < at)
			heap_damage(glibc->heap, walk->next_listed, 0,
				    "a list of free blocks leads to 0x%" PRIx64
				    ", where no chunk begins",
				    walk->next_listed);
		else if (*state == STROBE_HEAP_FREE)
			heap_damage(glibc->heap, at, 0,
				    "the chunk at 0x%" PRIx64 " is in a list of those that are not "
				    "joined, and yet free for joining",
				    at);
		if (walk->next_listed == at)
			*state = listed->state;
		walk->listed++;
		walk->next_listed = walk->listed < glibc->listed.count
					    ? glibc->listed.items[walk->listed].chunk
					    : UINT64_MAX;
	}
}

/** Tells of the chunk at `at`. */
static inline void tell_chunk(struct walk *walk, uint64_t at, uint64_t size,
			      enum strobe_heap_state state, const uint64_t links[2])
{
	if (at >= walk->next_listed)
		ask_lists(walk, at, &state);
	if (state == STROBE_HEAP_FREE)
		walk->balance += glibc_link_balance(at, links);
	uint64_t address = at + CHUNK_HEADER, usable = size - 8;
	if (usable > walk->end - address) // the last one's next has no header
		usable = walk->end - address;
	tell(walk, address, usable, state);
}

static void tell_top(struct walk *walk, uint64_t at, uint64_t head)
{
	if (!walk->top_is_good)
		heap_damage(walk->glibc->heap, at + 8, 0,
			    "the top's size is 0x%" PRIx64 ", of 0x%" PRIx64 " bytes there",
			    glibc_size(head), walk->end - at);
	if (walk->end - at > CHUNK_HEADER)
		tell(walk, at + CHUNK_HEADER, walk->end - at - CHUNK_HEADER, STROBE_HEAP_TOP);
}

/** Is the free chunk at `at` in a bin's list? */
static bool is_in_bin(const struct walk *walk, uint64_t at, const uint64_t links[2])
{
	uint64_t back;
	return glibc_read_word(walk->glibc->view, links[0] + 24, &back) && back == at &&
	       glibc_read_word(walk->glibc->view, links[1] + 16, &back) && back == at;
}

/** Tells of a chunk without a good header, which ends where that at `end` begins. */
static void tell_smashed(struct walk *walk, uint64_t at, uint64_t end,
			 const struct glibc_header *header)
{
	uint64_t pair[2];
	bool used =
		!glibc_window_pair(&walk->glibc->ahead, end, pair) || pair[1] & CHUNK_PREV_INUSE;
	if (end - at >= CHUNK_MIN)
		tell_chunk(walk, at, end - at, used ? STROBE_HEAP_ALLOCATED : STROBE_HEAP_FREE,
			   header->links);
}

/** What comes behind the chunk at `at` is not in order. Tells of the chunk; where to go on; 0: nowhere. */
static uint64_t repair(struct walk *walk, uint64_t at, const struct glibc_header *header,
		       bool readable, const struct glibc_header *next_header)
{
	const uint64_t *links = header->links;
	uint64_t size = glibc_size(header->head), next = at + size;
	struct strobe_heap *heap = walk->glibc->heap;
	bool is_free = is_in_bin(walk, at, links);
	enum strobe_heap_state state = is_free ? STROBE_HEAP_FREE : STROBE_HEAP_ALLOCATED;
	if (readable && is_strong(walk, next)) {
		heap_damage(heap, next, 0,
			    "the chunk before 0x%" PRIx64 " has 0x%" PRIx64 " bytes, 0x%" PRIx64
			    " as is told there",
			    next, size, next_header->prev_size);
		tell_chunk(walk, at, size, state, links);
		return next;
	}
	uint64_t found = find_strong(walk, at + CHUNK_MIN, walk->end, CHUNK_ALIGNMENT);
	if (found && found < next) {
		heap_damage(heap, at + 8, 0,
			    "a chunk's size is 0x%" PRIx64 ", but the next one begins 0x%" PRIx64
			    " bytes behind it",
			    size, found - at);
		tell_chunk(walk, at, found - at, state, links);
		return found;
	}
	uint64_t to = found ? found : walk->end;
	bool whole = readable && found; // one chunk: others in it would have been found
	// Cut off the top, which was not written down yet.
	bool is_top = readable && !found && walk->top && !walk->top_is_good && walk->top <= at;
	if (readable)
		heap_damage(heap, next + 8, whole || is_top ? 0 : to - next,
			    "no chunk has the size 0x%" PRIx64 " here; the next good one begins "
			    "0x%" PRIx64 " bytes further on",
			    glibc_size(next_header->head), to - next);
	else
		heap_damage(heap, next, to - next, "a chunk's header is not readable here");
	tell_chunk(walk, at, size, state, links);
	if (walk->stopped)
		return 0;
	if (whole)
		tell_smashed(walk, next, found, next_header);
	else if (is_top && walk->end - next > CHUNK_HEADER)
		tell(walk, next + CHUNK_HEADER, walk->end - next - CHUNK_HEADER, STROBE_HEAP_TOP);
	return found;
}

/** The segment's first chunk, or the first good one. False if there is none. */
static bool begin(struct walk *walk, uint64_t *at, struct glibc_header *header)
{
	struct glibc_window *window = &walk->glibc->window;
	uint64_t first = *at;
	bool readable = read_header(window, first, header);
	if (readable && (first == walk->top || fits(walk, first, header->head)))
		return true;
	*at = find_strong(walk, first, walk->end, CHUNK_ALIGNMENT);
	heap_damage(walk->glibc->heap, first + 8, (*at ? *at : walk->end) - first,
		    readable ? "no chunk has the size 0x%" PRIx64 " here"
			     : "a chunk's header is not readable here",
		    readable ? glibc_size(header->head) : 0);
	return *at && read_header(window, *at, header);
}

/** A chunk that ends where the segment does: where the top is not where the arena says, this is it. */
static void tell_last(struct walk *walk, uint64_t at, const struct glibc_header *header)
{
	bool elsewhere = walk->top && !walk->top_is_good;
	if (elsewhere)
		heap_damage(walk->glibc->heap, walk->arena->bins + STATE_TOP_AT, 0,
			    "the arena's top is 0x%" PRIx64 ", but other chunks are there",
			    walk->top);
	tell_chunk(walk, at, glibc_size(header->head),
		   elsewhere || !walk->arena->top ? STROBE_HEAP_TOP : STROBE_HEAP_ALLOCATED,
		   header->links);
}

/** The end of what is not an ordinary chunk; false if it is one. */
static bool at_end(struct walk *walk, uint64_t at, const struct glibc_header *header,
		   enum glibc_end *how, uint64_t *end)
{
	uint64_t fences;
	bool wrong = at == walk->top && !walk->top_is_good && fits(walk, at, header->head) &&
		     is_strong(walk, at);
	if (at == walk->top && !wrong) {
		tell_top(walk, at, header->head);
		*how = GLIBC_END_TOP;
		*end = walk->end;
		return true;
	}
	fences = fence_end(walk, &walk->glibc->window, at, header->head);
	if (!fences)
		return false;
	tell(walk, at + 8, fences - at - 8, STROBE_HEAP_BOOKS);
	*how = GLIBC_END_FENCE;
	*end = fences;
	return true;
}

static enum glibc_end walk_chunks(struct walk *walk, uint64_t at, uint64_t *end)
{
	struct glibc_window *window = &walk->glibc->window;
	struct glibc_header header, next;
	enum glibc_end how;
	*end = walk->end;
	if (!begin(walk, &at, &header))
		return GLIBC_END_LOST;
	while (!walk->stopped) {
		if (at == walk->top || glibc_size(header.head) <= CHUNK_MIN)
			if (at_end(walk, at, &header, &how, end))
				return how;
		uint64_t size = glibc_size(header.head), to = at + size;
		if (to == walk->end) {
			tell_last(walk, at, &header);
			return GLIBC_END_WHOLE;
		}
		bool readable = read_header(window, to, &next);
		// Cut off the top, whose header may not be written yet.
		bool cut = to == walk->top && next.prev_size != size;
		bool used = cut || next.head & CHUNK_PREV_INUSE;
		if (likely(readable && (used || next.prev_size == size) &&
			   (fits(walk, to, next.head) || to == walk->top ||
			    fence_end(walk, window, to, next.head)))) {
			if (used && (header.head & CHUNK_NON_MAIN) != walk->own_flag)
				heap_damage(walk->glibc->heap, at + 8, 0,
					    "a chunk's size, 0x%" PRIx64
					    ", says that it is of another arena",
					    header.head);
			tell_chunk(walk, at, size, used ? STROBE_HEAP_ALLOCATED : STROBE_HEAP_FREE,
				   header.links);
			at = to;
			header = next;
			continue;
		}
		at = repair(walk, at, &header, readable, &next);
		if (!at || !read_header(window, at, &header))
			return GLIBC_END_LOST;
	}
	return GLIBC_END_STOPPED;
}

struct glibc_walked glibc_walk(struct glibc *glibc, const struct glibc_segment *segment,
			       strobe_heap_visit visit, void *context)
{
	struct walk walk;
	walk_init(&walk, glibc, segment->arena, segment->start, segment->end);
	walk.visit = visit;
	walk.context = context;
	seek_listed(&walk, segment->start);
	struct glibc_walked walked = {.how = GLIBC_END_STOPPED, .end = segment->end};
	if (segment->first > segment->start)
		tell(&walk, segment->start, segment->first - segment->start, STROBE_HEAP_BOOKS);
	if (!walk.stopped)
		walked.how = walk_chunks(&walk, segment->first, &walked.end);
	if (walk.stopped)
		walked.how = GLIBC_END_STOPPED;
	walked.balance = walk.balance;
	return walked;
}
