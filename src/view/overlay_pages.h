// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_OVERLAY_PAGES_H
#define VIEW_OVERLAY_PAGES_H

// Pages that stand in place of a view's own, sorted: a skip list.
//
// Invariants:
//  1. `address` of each page is a multiple of OVERLAY_PAGE_SIZE; list 0 has all pages, ascending.
//  2. List n + 1 is a part of list n.
//  3. A byte whose bit in `known` is 0 is not the overlay's: the view's own holds.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OVERLAY_PAGE_SIZE = 4096, OVERLAY_LEVELS = 20 };

struct overlay_page {
	uint64_t address;
	uint64_t known[OVERLAY_PAGE_SIZE / 64]; // bit n % 64 of word n / 64: byte n
	uint64_t writes;			// in force that touch it
	uint8_t bytes[OVERLAY_PAGE_SIZE];
	unsigned levels;
	struct overlay_page *next[]; // by level
};

/** Zero-initialise. */
struct overlay_pages {
	struct overlay_page *first[OVERLAY_LEVELS];
	size_t count;
	uint64_t random; // state of the generator of levels
};

/** The page that holds `address`, else the next one after it; NULL if none. O(log n). */
struct overlay_page *overlay_pages_from(const struct overlay_pages *pages, uint64_t address);
/** The page at `address`, a multiple of its size, made if need be: of a new one no byte is known.
 *  NULL when memory is short. */
struct overlay_page *overlay_pages_get(struct overlay_pages *pages, uint64_t address);
void overlay_pages_remove(struct overlay_pages *pages, uint64_t address);
void overlay_pages_fini(struct overlay_pages *pages);

/** The overlay's bytes at `address`, or NULL where the view's own hold; the answer is the same up
 *  to `*end` (0 = 2^64), at least. */
const uint8_t *overlay_pages_run(const struct overlay_pages *pages, uint64_t address,
				 uint64_t *end);

/** Marks `size` bytes from `offset` on as known or not. */
void overlay_page_mark(struct overlay_page *page, size_t offset, size_t size, bool known);

#endif
