// SPDX-License-Identifier: Apache-2.0
#include "query/largest.h"

#include <stdlib.h>

#include "base/array.h"

void largest_init(struct largest *largest, size_t limit)
{
	*largest = (struct largest){.limit = limit};
}

void largest_fini(struct largest *largest)
{
	free(largest->items);
	*largest = (struct largest){0};
}

// Is `a` to go before `b` is?
static bool is_less(const struct largest_item *a, const struct largest_item *b)
{
	return a->bytes != b->bytes ? a->bytes < b->bytes : a->node > b->node;
}

static void swap(struct largest_item *a, struct largest_item *b)
{
	struct largest_item old = *a;
	*a = *b;
	*b = old;
}

static void sift_up(struct largest *largest, size_t at)
{
	for (; at > 0; at = (at - 1) / 2) {
		if (!is_less(&largest->items[at], &largest->items[(at - 1) / 2]))
			return;
		swap(&largest->items[at], &largest->items[(at - 1) / 2]);
	}
}

static void sift_down(struct largest *largest, size_t at)
{
	for (;;) {
		size_t least = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < largest->count &&
			    is_less(&largest->items[child], &largest->items[least]))
				least = child;
		if (least == at)
			return;
		swap(&largest->items[at], &largest->items[least]);
		at = least;
	}
}

void largest_put(struct largest *largest, uint64_t bytes, uint32_t node)
{
	struct largest_item item = {bytes, node};
	if (largest->limit == 0 || largest->failed)
		return;
	if (largest->count == largest->limit) {
		if (is_less(&largest->items[0], &item)) {
			largest->items[0] = item;
			sift_down(largest, 0);
		}
		return;
	}
	if (largest->count == largest->capacity &&
	    !array_grow((void **)&largest->items, &largest->capacity, largest->count + 1,
			sizeof(*largest->items))) {
		largest->failed = true;
		return;
	}
	largest->items[largest->count++] = item;
	if (largest->limit != SIZE_MAX) // all are kept: order comes at the end
		sift_up(largest, largest->count - 1);
}

static int larger_first(const void *first, const void *second)
{
	const struct largest_item *a = first, *b = second;
	return is_less(a, b) - is_less(b, a);
}

void largest_sort(struct largest *largest)
{
	if (largest->count)
		qsort(largest->items, largest->count, sizeof(*largest->items), larger_first);
}
