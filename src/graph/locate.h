// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_LOCATE_H
#define GRAPH_LOCATE_H

// From an address to the node that holds it, in constant time. Pages (4 KiB) in which nodes begin have a record: a bit for
// each 16 bytes in which one begins, and how many nodes come before; pages that a node covers know that node. A table of
// leaves of 1 GiB leads to them. 40 bytes such a page and 4 bytes a page of memory that is near any: 1.2 bytes a node
// of 112 bytes.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "graph/graph.h"

enum {
	LOCATE_PAGE_SHIFT = 12,
	LOCATE_LEAF_SHIFT = 30,
	LOCATE_TOP_BITS = 47, // addresses of programs; those beyond are searched for
	LOCATE_TOP_COUNT = 1 << (LOCATE_TOP_BITS - LOCATE_LEAF_SHIFT),
	LOCATE_LEAF_COUNT = 1 << (LOCATE_LEAF_SHIFT - LOCATE_PAGE_SHIFT),
};
#define LOCATE_COVERED 0x80000000u

/** A page in which nodes begin. */
struct locate_page {
	uint64_t begins[4]; // a bit for each 16 bytes
	uint32_t before;    // the last node that begins before the page
	uint8_t counts[3];  // nodes that begin in the first 64, 128, 192 of them
	bool crowded; // two nodes begin in the same 16 bytes, or not at their start: search instead
};

/** Borrows the arrays of nodes: 1 to `count`, ascending by address, not overlapping. */
struct locate {
	const uint64_t *addresses;
	const uint32_t *sizes;
	const uint64_t *large_sizes;
	uint32_t count;
	/** By address >> 30: 0, a leaf's address, or a node that covers all of it, shifted, and 1. A leaf has by page:
	 *  0, the number of its record, or LOCATE_COVERED and the node. */
	uintptr_t *top;
	struct locate_page *pages; // [0] is unused; one more than there are
	size_t page_count;
};

/** `locate` has the first four members set. Errors: NO_MEMORY; fini() is right after that, too. */
struct strobe_error *locate_init(struct locate *locate) STROBE_MUST_CHECK;
void locate_fini(struct locate *locate);

/** The last node in [low, high] that begins at or before `address`, `low` if none does: O(log n). */
uint32_t locate_search(const uint64_t *addresses, uint32_t low, uint32_t high, uint64_t address);

static inline uint64_t locate_size(const struct locate *locate, uint32_t node)
{
	uint32_t size = locate->sizes[node];
	return size & NODE_LARGE ? locate->large_sizes[size & ~NODE_LARGE] : size;
}

static inline uint32_t locate_count_bits(uint64_t bits)
{
#ifdef __POPCNT__
	return (uint32_t)__builtin_popcountll(bits);
#else // the compiler's own is a call
	bits -= bits >> 1 & 0x5555555555555555;
	bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (uint32_t)(bits * 0x0101010101010101 >> 56);
#endif
}

/** What the leaf says of an address; 0 = nothing is there. */
static inline uint32_t locate_entry(const struct locate *locate, uint64_t address)
{
	uint64_t leaf = address >> LOCATE_LEAF_SHIFT;
	if (leaf >= LOCATE_TOP_COUNT)
		return LOCATE_COVERED | locate_search(locate->addresses, 0, locate->count, address);
	uintptr_t entry = locate->top[leaf];
	if (!entry)
		return 0;
	if (entry & 1)
		return LOCATE_COVERED | (uint32_t)(entry >> 1);
	return ((const uint32_t *)entry)[address >> LOCATE_PAGE_SHIFT & (LOCATE_LEAF_COUNT - 1)];
}

/** The node that holds `address`, by what locate_entry() said; 0 if there is none. `*start`: it is known, without a look at the
 *  node, that it begins there. */
static inline uint32_t locate_resolve(const struct locate *locate, uint32_t entry, uint64_t address,
				      bool *start)
{
	uint32_t node;
	*start = false;
	if (!entry)
		return 0;
	if (entry & LOCATE_COVERED) {
		node = entry & ~LOCATE_COVERED;
	} else if (locate->pages[entry].crowded) {
		const struct locate_page *page = &locate->pages[entry];
		node = locate_search(locate->addresses, page->before, page[1].before, address);
	} else {
		const struct locate_page *page = &locate->pages[entry];
		unsigned place = address >> 4 & 255, word = place / 64, bit = place % 64;
		node = page->before +
		       locate_count_bits(page->begins[word] & ((UINT64_C(2) << bit) - 1));
		if (word)
			node += page->counts[word - 1];
		if (page->begins[word] >> bit & 1 && address % 16 == 0) {
			*start = true;
			return node;
		}
	}
	if (!node)
		return 0;
	// An allocation of no bytes is still found by its address.
	uint64_t offset = address - locate->addresses[node];
	return !offset || offset < locate_size(locate, node) ? node : 0;
}

static inline uint32_t locate_node(const struct locate *locate, uint64_t address)
{
	bool start;
	return locate_resolve(locate, locate_entry(locate, address), address, &start);
}

#endif
