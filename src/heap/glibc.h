// SPDX-License-Identifier: Apache-2.0
#ifndef HEAP_GLIBC_H
#define HEAP_GLIBC_H

// What the files of glibc's reader share: malloc of 2.28 to 2.43, x86-64.
//
// A chunk is a header of two words, the size of the chunk before it (if that is free) and its own size
// with three flags, and what the program may use: up to and with the first word of the next chunk's
// header. A chunk is free if the next one's PREV_INUSE is clear; those in a thread's cache or in a fast bin
// keep it, so that these lists are read first. malloc/malloc.c and malloc/arena.c of glibc say it all.

#include "heap/allocator.h"
#include "heap/glibc_memory.h"

enum {
	CHUNK_PREV_INUSE = 1,
	CHUNK_MMAPPED = 2,
	CHUNK_NON_MAIN = 4,
	CHUNK_FLAGS = 7,
	CHUNK_HEADER = 16,
	CHUNK_MIN = 32,
	CHUNK_ALIGNMENT = 16,
	CHUNK_FENCE = 16, // size of what ends a segment that could not grow
};

// struct malloc_state. Its `bins` are what it is known by: each empty one points to itself.
enum {
	STATE_BINS = 127,
	STATE_BINS_SIZE = STATE_BINS * 16,
	STATE_FAST_BINS = 10,
	STATE_OFFSET_OF_BINS = 112,	     // 2.27 to 2.42
	STATE_OFFSET_WITHOUT_FAST_BINS = 24, // 2.43
	// From `bins` on:
	STATE_FLAGS_FROM_START = 4,
	STATE_FAST_BINS_AT = -96,
	STATE_TOP_AT = -16,
	STATE_NEXT_AT = STATE_BINS_SIZE + 16, // behind the bit map of bins
	STATE_SYSTEM_MEM_AT = STATE_NEXT_AT + 24,
	STATE_NONCONTIGUOUS = 2, // in its flags
	STATE_GOOD_BINS = 64,	 // so many in order make it one
};

// Heaps of other arenas than the main one begin at multiples of this; 64 MiB is usual, more if huge pages are.
enum { HEAP_ALIGNMENT = 8 << 20 };

// Named limits.
enum { MAX_ARENAS = 16384, MAX_RING_STEPS = 1 << 22, PAGE_SIZE = 4096 };

/** An arena: a malloc_state. */
struct glibc_arena {
	uint64_t bins; // address of its bins[0]
	uint64_t top;  // chunk; 0 = none, or damaged
	size_t index;  // in the heap's arenas
	bool is_main;
	size_t unwalked;  // of its segments: that were not visited wholly yet
	uint64_t balance; // of links in those that were: see glibc_link_balance()
};

/** A stretch of memory with chunks in a row, or one mmapped chunk. Some become regions. */
struct glibc_segment {
	uint64_t start, end;
	uint64_t first; // chunk
	size_t arena;	// in glibc.arenas; SIZE_MAX: one mmapped chunk
	bool walked;	// all of it was visited
};

/** A chunk whose state its own header does not tell. */
struct glibc_listed {
	uint64_t chunk;
	enum strobe_heap_state state;
};

/** struct malloc_par. */
struct glibc_parameters {
	uint64_t address; // 0 = not found
	uint64_t sbrk_base;
	uint64_t mmapped_count, mmapped_bytes;
	uint64_t huge_page_bytes; // of arenas' heaps; 0 = none
};

/**
 * One malloc. Invariants once it is found:
 *  1. `arenas[0]` is the main one, if there is a main one.
 *  2. `segments` is sorted by start; none overlaps another.
 *  3. `listed` is sorted by chunk; each once.
 */
struct glibc {
	struct strobe_heap *heap;
	const struct strobe_view *view;
	size_t module;		 // whose data has the main arena; SIZE_MAX if unknown
	uint64_t offset_of_bins; // in malloc_state
	bool trailing_header;	 // of mmapped chunks: their size leaves it out, since 2.43
	unsigned ring_steps;	 // how many may still be made
	uint64_t links_left;	 // likewise, of lists with one direction
	bool fetched;		 // memory is fetched, not mapped
	bool mangled;		 // links of lists with one direction: since 2.32
	size_t mmapped_index;	 // in the heap's arenas; SIZE_MAX: none yet
	struct glibc_parameters parameters;
	ARRAY(struct glibc_arena) arenas;
	ARRAY(struct glibc_segment) segments;
	ARRAY(struct glibc_listed) listed;
	ARRAY(uint64_t) likely_caches;	   // addresses of blocks
	struct glibc_window window, ahead; // for walking, and for looking further
};

/** A chunk's header. */
struct glibc_header {
	uint64_t prev_size, head;
	uint64_t links[2]; // forward and back, of a free one; the program's bytes in others
};
static inline uint64_t glibc_size(uint64_t head)
{
	return head & ~(uint64_t)CHUNK_FLAGS;
}

/** Two words from anywhere, fast if there are many; false if unreadable. */
bool glibc_peek(const struct glibc *glibc, uint64_t address, uint64_t ret[2]);
/** Private memory that may be written and is no file's. */
bool glibc_is_anonymous(const struct strobe_mapping *mapping);
/** The end of the anonymous mappings in a row that `address` lies in; 0 if it lies in none. */
uint64_t glibc_span_end(const struct strobe_view *view, uint64_t address);
/** The segment that holds `address`; NULL if none. */
const struct glibc_segment *glibc_segment_at(const struct glibc *glibc, uint64_t address);
/** Index of the first segment that ends behind `address`; their count if none does. */
size_t glibc_segment_after(const struct glibc *glibc, uint64_t address);
/** Keeps `segments` sorted; one that overlaps others is cut, or left out. */
struct strobe_error *glibc_add_segment(struct glibc *glibc, struct glibc_segment segment)
	STROBE_MUST_CHECK;

// glibc_state.c: malloc_state by its bins.

/** How many of the bins at `bins` are in order: 0 to STATE_BINS. */
unsigned glibc_good_bins(const struct strobe_view *view, uint64_t bins);
/** Calls `found` for each thing that looks like the bins of a malloc_state in [start, end). */
typedef struct strobe_error *(*glibc_bins_found)(void *context, uint64_t bins);
struct strobe_error *glibc_scan_bins(struct glibc_window *window, uint64_t start, uint64_t end,
				     glibc_bins_found found, void *context) STROBE_MUST_CHECK;
/** Are these the bins of another arena than a main one? */
bool glibc_bins_are_in_heap(const struct strobe_view *view, uint64_t bins);
/** Follows the ring of arenas from the main one's bins and fills `arenas`, `offset_of_bins`. */
struct strobe_error *glibc_follow_ring(struct glibc *glibc, uint64_t main_bins) STROBE_MUST_CHECK;
/** Adds segments of all arenas but the main one. */
struct strobe_error *glibc_find_heaps(struct glibc *glibc) STROBE_MUST_CHECK;
/** Address of the main arena's bins as any other arena's ring tells; 0 if there is none. */
uint64_t glibc_main_from_heaps(const struct strobe_view *view);

// glibc_parameters.c

/** Looks for malloc_par in the data of the module; `parameters.address` stays 0 if it is not there. */
void glibc_find_parameters(struct glibc *glibc);
/** "2.36", written into `ret`; false if the module does not tell. */
bool glibc_find_version(struct glibc *glibc, char *ret, size_t size);

// glibc_main.c

/** Adds segments of the main arena: what sbrk gave, and what was mapped when it gave no more. */
struct strobe_error *glibc_find_main(struct glibc *glibc) STROBE_MUST_CHECK;

// glibc_mmapped.c

/** Adds segments of one mmapped chunk each. */
struct strobe_error *glibc_find_mmapped(struct glibc *glibc) STROBE_MUST_CHECK;

// glibc_lists.c

/** Fills `listed` from the threads' caches and the fast bins. */
struct strobe_error *glibc_read_lists(struct glibc *glibc) STROBE_MUST_CHECK;
/** What the lists say of the chunk at `chunk`; ALLOCATED if nothing. */
enum strobe_heap_state glibc_listed_state(const struct glibc *glibc, uint64_t chunk);
/** Index of the first listed chunk at or after `chunk`; their count if there is none. */
size_t glibc_listed_after(const struct glibc *glibc, uint64_t chunk);
/** Tells of bins that are not in order, once all segments of the arena are walked. */
void glibc_check_bins(struct glibc *glibc, size_t arena);
/**
 * What a chunk of a list with two directions adds to a sum that is 0 if all links are in order: each link forward is
 * then one back from elsewhere. So lists are checked without following them.
 */
static inline uint64_t glibc_link_balance(uint64_t chunk, const uint64_t links[2])
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15), other = UINT64_C(0xff51afd7ed558ccd);
	uint64_t forward = (chunk ^ links[0] * odd) * other,
		 back = (links[1] ^ chunk * odd) * other;
	return (forward ^ forward >> 29) * odd - (back ^ back >> 29) * odd;
}

// glibc_cache.c

/** Visits blocks: notes what could be a thread's cache, in `likely_caches`. `context` is the glibc. */
bool glibc_note_cache(void *context, const struct strobe_heap_block *block);

// glibc_walk.c

/** How a walk along a segment's chunks ended. */
enum glibc_end {
	GLIBC_END_TOP,
	GLIBC_END_FENCE,
	GLIBC_END_WHOLE, // at the segment's end
	GLIBC_END_LOST,	 // nothing that could be a chunk followed
	GLIBC_END_STOPPED,
};
/** What a walk leaves behind. */
struct glibc_walked {
	enum glibc_end how;
	uint64_t end;	  // of the last chunk
	uint64_t balance; // of free chunks' links
};
/** Visits the segment's chunks. */
struct glibc_walked glibc_walk(struct glibc *glibc, const struct glibc_segment *segment,
			       strobe_heap_visit visit, void *context);
/** The first address in [from, to), a multiple of `step`, where chunks of `arena` begin that hold
 *  together; `end` as a segment's end would be. 0 if there is none. */
uint64_t glibc_find_chunks(struct glibc *glibc, size_t arena, uint64_t from, uint64_t to,
			   uint64_t end, uint64_t step);

#endif
