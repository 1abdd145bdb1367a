// SPDX-License-Identifier: Apache-2.0
#include "view/overlay_pages.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_BITS = 64 };

/** For each level, the link that leads to the first page at or after `address`. */
static void find_links(struct overlay_pages *pages, uint64_t address,
		       struct overlay_page **links[OVERLAY_LEVELS])
{
	struct overlay_page **lists = pages->first;
	for (int level = OVERLAY_LEVELS; level-- > 0;) {
		while (lists[level] && lists[level]->address < address)
			lists = lists[level]->next;
		links[level] = &lists[level];
	}
}

struct overlay_page *overlay_pages_from(const struct overlay_pages *pages, uint64_t address)
{
	struct overlay_page *const *lists = pages->first;
	address &= ~(uint64_t)(OVERLAY_PAGE_SIZE - 1);
	for (int level = OVERLAY_LEVELS; level-- > 0;)
		while (lists[level] && lists[level]->address < address)
			lists = lists[level]->next;
	return lists[0];
}

// One in four pages goes up a level. Addresses do not choose it, nor can a file's maker: the state
// begins with where this process has its heap.
static unsigned random_levels(struct overlay_pages *pages)
{
	unsigned levels = 1;
	if (!pages->random)
		pages->random = (uint64_t)(uintptr_t)pages | 1;
	pages->random ^= pages->random << 13;
	pages->random ^= pages->random >> 7;
	pages->random ^= pages->random << 17;
	for (uint64_t bits = pages->random; (bits & 3) == 0 && levels < OVERLAY_LEVELS; bits >>= 2)
		levels++;
	return levels;
}

struct overlay_page *overlay_pages_get(struct overlay_pages *pages, uint64_t address)
{
	struct overlay_page **links[OVERLAY_LEVELS];
	find_links(pages, address, links);
	if (*links[0] && (*links[0])->address == address)
		return *links[0];
	unsigned levels = random_levels(pages);
	struct overlay_page *page = calloc(1, sizeof(*page) + levels * sizeof(page->next[0]));
	if (!page)
		return NULL;
	page->address = address;
	page->levels = levels;
	for (unsigned level = 0; level < levels; level++) {
		page->next[level] = *links[level];
		*links[level] = page;
	}
	pages->count++;
	return page;
}

void overlay_pages_remove(struct overlay_pages *pages, uint64_t address)
{
	struct overlay_page **links[OVERLAY_LEVELS];
	find_links(pages, address, links);
	struct overlay_page *page = *links[0];
	if (!page || page->address != address)
		return;
	for (unsigned level = 0; level < page->levels; level++)
		*links[level] = page->next[level];
	pages->count--;
	free(page);
}

void overlay_pages_fini(struct overlay_pages *pages)
{
	struct overlay_page *next;
	for (struct overlay_page *page = pages->first[0]; page; page = next) {
		next = page->next[0];
		free(page);
	}
	*pages = (struct overlay_pages){0};
}

static bool is_known(const struct overlay_page *page, size_t offset)
{
	return page->known[offset / WORD_BITS] >> offset % WORD_BITS & 1;
}

/** The first byte from `offset` on that is not `known` (or is, if that is false). */
static size_t run_end(const struct overlay_page *page, size_t offset, bool known)
{
	while (offset < OVERLAY_PAGE_SIZE) {
		uint64_t word = page->known[offset / WORD_BITS];
		uint64_t others = (known ? ~word : word) >> offset % WORD_BITS;
		if (others)
			return offset + (size_t)__builtin_ctzll(others);
		offset += WORD_BITS - offset % WORD_BITS;
	}
	return OVERLAY_PAGE_SIZE;
}

const uint8_t *overlay_pages_run(const struct overlay_pages *pages, uint64_t address, uint64_t *end)
{
	const struct overlay_page *page = overlay_pages_from(pages, address);
	*end = page ? page->address : 0;
	if (!page)
		return NULL;
	if (page->address > address) {
		*end += run_end(page, 0, false);
		return NULL;
	}
	size_t offset = (size_t)(address - page->address);
	bool known = is_known(page, offset);
	*end += run_end(page, offset, known);
	return known ? page->bytes + offset : NULL;
}

void overlay_page_mark(struct overlay_page *page, size_t offset, size_t size, bool known)
{
	for (size_t end = offset + size; offset < end;) {
		size_t bit = offset % WORD_BITS, count = WORD_BITS - bit;
		if (count > end - offset)
			count = end - offset;
		uint64_t bits = (count == WORD_BITS ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1)
				<< bit;
		if (known)
			page->known[offset / WORD_BITS] |= bits;
		else
			page->known[offset / WORD_BITS] &= ~bits;
		offset += count;
	}
}
