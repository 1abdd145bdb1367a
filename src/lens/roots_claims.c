// SPDX-License-Identifier: Apache-2.0
#include "lens/roots_claims.h"

#include <string.h>

enum { CLAIMS_RECENT = 256 };

static int by_start(const void *a, const void *b)
{
	const struct stretch *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/** Sorts the recent ones in among the others, from behind. */
static bool merge(struct claims *claims)
{
	size_t old = claims->sorted.count, more = claims->recent.count;
	if (!array_reserve(&claims->sorted, old + more))
		return false;
	qsort(claims->recent.items, more, sizeof(*claims->recent.items), by_start);
	struct stretch *items = claims->sorted.items;
	for (size_t at = old + more; more;) {
		bool take = old && items[old - 1].start > claims->recent.items[more - 1].start;
		items[--at] = take ? items[--old] : claims->recent.items[--more];
	}
	claims->sorted.count += claims->recent.count;
	claims->recent.count = 0;
	return true;
}

bool claims_add(struct claims *claims, uint64_t start, uint64_t end)
{
	if (start >= end)
		return true;
	struct stretch *last =
		claims->sorted.count ? &claims->sorted.items[claims->sorted.count - 1] : NULL;
	// In order, as who tells memory upward does it.
	if (!claims->recent.count && (!last || last->end <= start))
		return array_push(&claims->sorted, (struct stretch){start, end});
	return array_push(&claims->recent, (struct stretch){start, end}) &&
	       (claims->recent.count < CLAIMS_RECENT || merge(claims));
}

/** How many of the sorted ones begin before `address`. */
static size_t count_before(const struct claims *claims, uint64_t address)
{
	size_t low = 0, high = claims->sorted.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (claims->sorted.items[middle].start < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool claims_next(const struct claims *claims, uint64_t address, struct stretch *ret)
{
	size_t index = count_before(claims, address);
	bool found = false;
	if (index && claims->sorted.items[index - 1].end > address)
		index--;
	if (index < claims->sorted.count) {
		*ret = claims->sorted.items[index];
		found = true;
	}
	for (size_t i = 0; i < claims->recent.count; i++) {
		const struct stretch *stretch = &claims->recent.items[i];
		if (stretch->end > address && (!found || stretch->start < ret->start)) {
			*ret = *stretch;
			found = true;
		}
	}
	return found;
}

bool claims_before(const struct claims *claims, uint64_t address, struct stretch *ret)
{
	size_t index = count_before(claims, address);
	bool found = index != 0;
	if (found)
		*ret = claims->sorted.items[index - 1];
	for (size_t i = 0; i < claims->recent.count; i++) {
		const struct stretch *stretch = &claims->recent.items[i];
		if (stretch->start < address && (!found || stretch->start > ret->start)) {
			*ret = *stretch;
			found = true;
		}
	}
	return found;
}

bool claims_free(const struct claims *claims, uint64_t start, uint64_t end, struct stretch *ret)
{
	struct stretch next;
	while (start < end) {
		if (!claims_next(claims, start, &next) || next.start >= end) {
			*ret = (struct stretch){start, end};
			return true;
		}
		if (next.start > start) {
			*ret = (struct stretch){start, next.start};
			return true;
		}
		start = next.end;
	}
	return false;
}

void claims_fini(struct claims *claims)
{
	array_fini(&claims->sorted);
	array_fini(&claims->recent);
}
