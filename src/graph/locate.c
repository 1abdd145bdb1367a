// SPDX-License-Identifier: Apache-2.0
#include "graph/locate.h"

#include <assert.h>

#include "base/error.h"
#include "graph/storage.h"

static_assert(sizeof(struct locate_page) == 40, "1.2 bytes a node");

enum { PAGE = 1 << LOCATE_PAGE_SHIFT };

uint32_t locate_search(const uint64_t *addresses, uint32_t low, uint32_t high, uint64_t address)
{
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if (addresses[middle] <= address)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static size_t count_pages(const struct locate *locate)
{
	uint64_t last = UINT64_MAX;
	size_t count = 0;
	for (uint32_t node = 1; node <= locate->count; node++) {
		uint64_t page = locate->addresses[node] >> LOCATE_PAGE_SHIFT;
		count += page != last;
		last = page;
	}
	return count;
}

/** The place of a page's number in its leaf; NULL when memory is short. */
static uint32_t *place_of(struct locate *locate, uint64_t page)
{
	uintptr_t *entry = &locate->top[page / LOCATE_LEAF_COUNT];
	if (!*entry)
		*entry = (uintptr_t)pages_new(LOCATE_LEAF_COUNT * sizeof(uint32_t));
	return *entry ? (uint32_t *)*entry + page % LOCATE_LEAF_COUNT : NULL;
}

/** Pages [from, to) have nothing in them but `node`. */
static bool cover(struct locate *locate, uint32_t node, uint64_t from, uint64_t to)
{
	const uint64_t limit = (uint64_t)LOCATE_TOP_COUNT * LOCATE_LEAF_COUNT;
	if (to > limit)
		to = limit;
	while (from < to) {
		uint64_t end = (from / LOCATE_LEAF_COUNT + 1) * LOCATE_LEAF_COUNT;
		if (from % LOCATE_LEAF_COUNT == 0 && end <= to) {
			locate->top[from / LOCATE_LEAF_COUNT] = (uintptr_t)node << 1 | 1;
			from = end;
			continue;
		}
		uint32_t *place = place_of(locate, from);
		if (!place)
			return false;
		for (end = end < to ? end : to; from < end; from++)
			*place++ = LOCATE_COVERED | node;
	}
	return true;
}

static void mark(struct locate_page *page, uint64_t address)
{
	unsigned place = address >> 4 & 255;
	uint64_t bit = UINT64_C(1) << (place % 64);
	if (page->begins[place / 64] & bit || address % 16)
		page->crowded = true;
	page->begins[place / 64] |= bit;
}

static void count_in(struct locate_page *page)
{
	uint32_t count = 0;
	for (unsigned i = 0; i < 3; i++) {
		count += locate_count_bits(page->begins[i]);
		page->counts[i] = (uint8_t)count;
	}
}

/** The pages of one node, and those up to the next. */
static bool add(struct locate *locate, uint32_t node)
{
	uint64_t address = locate->addresses[node], page = address >> LOCATE_PAGE_SHIFT;
	uint64_t size = locate_size(locate, node);
	struct locate_page *record = &locate->pages[locate->page_count];
	if (node == 1 || page != locate->addresses[node - 1] >> LOCATE_PAGE_SHIFT) {
		if (locate->page_count)
			count_in(record);
		record = &locate->pages[++locate->page_count];
		record->before = node - 1;
		uint32_t *place =
			page / LOCATE_LEAF_COUNT < LOCATE_TOP_COUNT ? place_of(locate, page) : NULL;
		if (place)
			*place = (uint32_t)locate->page_count;
		else if (page / LOCATE_LEAF_COUNT < LOCATE_TOP_COUNT)
			return false;
	}
	mark(record, address);
	uint64_t last = (address + (size ? size - 1 : 0)) >> LOCATE_PAGE_SHIFT;
	uint64_t next = node < locate->count ? locate->addresses[node + 1] >> LOCATE_PAGE_SHIFT
					     : UINT64_MAX;
	return cover(locate, node, page + 1, last < next ? last + 1 : next);
}

struct strobe_error *locate_init(struct locate *locate)
{
	size_t count = count_pages(locate);
	locate->page_count = 0;
	locate->top = pages_new(LOCATE_TOP_COUNT * sizeof(*locate->top));
	locate->pages = pages_new((count + 2) * sizeof(*locate->pages));
	if (!locate->top || !locate->pages) {
		locate->page_count = count;
		return error_no_memory();
	}
	for (uint32_t node = 1; node <= locate->count; node++) {
		if (!add(locate, node)) {
			locate->page_count = count;
			return error_no_memory();
		}
	}
	if (locate->page_count)
		count_in(&locate->pages[locate->page_count]);
	locate->pages[count + 1].before = locate->count;
	return NULL;
}

void locate_fini(struct locate *locate)
{
	for (size_t i = 0; locate->top && i < LOCATE_TOP_COUNT; i++)
		if (locate->top[i] && !(locate->top[i] & 1))
			pages_free((void *)locate->top[i], LOCATE_LEAF_COUNT * sizeof(uint32_t));
	pages_free(locate->top, LOCATE_TOP_COUNT * sizeof(*locate->top));
	pages_free(locate->pages, (locate->page_count + 2) * sizeof(*locate->pages));
	locate->top = NULL;
	locate->pages = NULL;
}
