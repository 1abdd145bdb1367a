// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_LARGEST_H
#define QUERY_LARGEST_H

// Keeps the largest of what is put in: a heap whose top is the least of those kept.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct largest_item {
	uint64_t bytes;
	uint32_t node;
};
/** Invariant: count <= limit. Of equal bytes, lower nodes are kept. */
struct largest {
	struct largest_item *items;
	size_t count, capacity, limit;
	bool failed; // memory was short
};

void largest_init(struct largest *largest, size_t limit);
void largest_fini(struct largest *largest);
void largest_put(struct largest *largest, uint64_t bytes, uint32_t node);
/** Sorts what was kept, largest first; nothing is put afterwards. */
void largest_sort(struct largest *largest);

#endif
