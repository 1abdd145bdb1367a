// SPDX-License-Identifier: Apache-2.0
#ifndef HEAP_ALLOCATOR_H
#define HEAP_ALLOCATOR_H

// What every allocator's reader offers, and what it is given. One reader a family: glibc*.c, jemalloc*.c, musl*.c,
// pymalloc*.c.

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"
#include <strobe/heap.h>

struct allocator;

/** One allocator found in the process. Made by a reader's `find`, freed by its `close`. */
struct allocator {
	const struct allocator_reader *reader;
	struct strobe_heap_allocator told;
	size_t index; // among the heap's allocators
	void *state;  // the reader's own
};

/** A family of allocators. */
struct allocator_reader {
	const char *name;
	/** Adds the allocators of this family to the heap by heap_add_allocator(), their arenas and regions by
	 *  heap_add_arena() and heap_add_region(). Bad memory is damage, never an error. Errors: NO_MEMORY. */
	struct strobe_error *(*find)(struct strobe_heap *heap);
	/** Visits the blocks of one region, ascending. Must end within the region, whatever stands there:
	 *  time linear in the region's bytes. `*stop` is set when the visitor had enough. */
	struct strobe_error *(*blocks)(struct strobe_heap *heap, struct allocator *allocator,
				       const struct strobe_heap_region *region,
				       strobe_heap_visit visit, void *context, bool *stop);
	void (*close)(struct allocator *allocator);
};

extern const struct allocator_reader glibc_reader;
extern const struct allocator_reader jemalloc_reader;
extern const struct allocator_reader musl_reader;
extern const struct allocator_reader pymalloc_reader;

struct strobe_heap {
	struct strobe_symbols *symbols;
	const struct strobe_view *view;
	struct arena arena; // strings
	ARRAY(struct allocator) allocators;
	ARRAY(struct strobe_heap_arena) arenas;
	ARRAY(struct strobe_heap_region) regions; // sorted once all readers have run
	ARRAY(struct strobe_heap_damage) damages;
	uint64_t damage_total;
	size_t told_regions; // the first so many have told all their damage
	bool damage_is_told; // while one of them is visited again
};

/** The strings are copied; its index is the last. `state` stays the caller's if this fails. */
struct strobe_error *heap_add_allocator(struct strobe_heap *heap,
					const struct allocator_reader *reader,
					const struct strobe_heap_allocator *told, void *state)
	STROBE_MUST_CHECK;
/** `*ret` (may be NULL) is its index. The name is copied. */
struct strobe_error *heap_add_arena(struct strobe_heap *heap, size_t allocator, const char *name,
				    uint64_t address, size_t *ret) STROBE_MUST_CHECK;
/** Overlaps are cut off, and told as damage, when all are known. Adds to the arena's mapped_bytes. */
struct strobe_error *heap_add_region(struct strobe_heap *heap, size_t arena, uint64_t start,
				     uint64_t end) STROBE_MUST_CHECK;
/** Tells of damage; never fails. */
void heap_damage(struct strobe_heap *heap, uint64_t address, uint64_t lost_bytes,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
