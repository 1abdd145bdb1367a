// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_SURROGATES_H
#define GRAPH_SURROGATES_H

// What stands for what could not be had, one for each address and reason. At most a million are kept: which ones does not
// depend on the order in which they are met; one more stands for the rest.

#include <pthread.h>

#include "base/hash.h"
#include "graph/graph.h"
#include "graph/storage.h"

enum {
	SURROGATE_LIMIT = 1 << 20,
	SURROGATE_NONE = -1, // there is nothing to stand for: code, constants
};

/** One of them. */
struct surrogate {
	uint64_t address;
	uint32_t reason; // enum strobe_surrogate_reason
	uint32_t place;	 // of the sorted ones; 0 is that for the rest
};

/** Zero-initialise, but for `limit` <= SURROGATE_LIMIT, and the lock. */
struct surrogates {
	pthread_mutex_t lock;
	struct surrogate *items; // by number; [0] stands for the rest
	size_t count, capacity;
	size_t kept; // of them, by the mask
	struct hash numbers;
	uint64_t mask; // those are kept whose mixed address has none of these bits
	size_t limit;
	bool overflowed;
	bool short_of_memory;
	uint32_t *sorted; // numbers of those that are kept, by address and reason
	size_t sorted_count;
};

void surrogates_init(struct surrogates *surrogates, size_t limit);
void surrogates_fini(struct surrogates *surrogates);
/** Its number, from 0 on. Any thread. */
uint32_t surrogates_number(struct surrogates *surrogates, uint64_t address,
			   enum strobe_surrogate_reason reason);
/** Sorts those that are kept, and gives each its place. False when memory is short. */
bool surrogates_sort(struct surrogates *surrogates);
/** Place of a number, once they are sorted. */
static inline uint32_t surrogates_place(const struct surrogates *surrogates, uint32_t number)
{
	return surrogates->items[number].place;
}

#endif
