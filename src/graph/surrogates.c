// SPDX-License-Identifier: Apache-2.0
#include "graph/surrogates.h"

#include <stdlib.h>

void surrogates_init(struct surrogates *surrogates, size_t limit)
{
	*surrogates =
		(struct surrogates){.limit = limit < SURROGATE_LIMIT ? limit : SURROGATE_LIMIT};
	pthread_mutex_init(&surrogates->lock, NULL);
}

void surrogates_fini(struct surrogates *surrogates)
{
	pages_free(surrogates->items, surrogates->capacity * sizeof(*surrogates->items));
	hash_fini(&surrogates->numbers);
	free(surrogates->sorted);
	pthread_mutex_destroy(&surrogates->lock);
}

/** Spreads addresses, one to one. */
static uint64_t mix(uint64_t address)
{
	address ^= address >> 33;
	address *= 0xff51afd7ed558ccd;
	address ^= address >> 33;
	address *= 0xc4ceb9fe1a85ec53;
	return address ^ address >> 33;
}

static bool add(struct surrogates *surrogates, uint64_t address, uint32_t reason)
{
	if (surrogates->count == surrogates->capacity) {
		size_t capacity = surrogates->capacity ? surrogates->capacity * 2 : 1024;
		void *items = pages_resize(surrogates->items,
					   surrogates->capacity * sizeof(*surrogates->items),
					   capacity * sizeof(*surrogates->items));
		if (!items)
			return false;
		surrogates->items = items;
		surrogates->capacity = capacity;
	}
	surrogates->items[surrogates->count++] = (struct surrogate){address, reason, 0};
	return true;
}

/** Doubles what is left out, until no more than the limit are kept. The mask that stays is the smallest for which all that
 *  were ever met are few enough. */
static void leave_out(struct surrogates *surrogates)
{
	while (surrogates->kept > surrogates->limit) {
		surrogates->mask = surrogates->mask * 2 + 1;
		surrogates->overflowed = true;
		surrogates->kept = 0;
		for (size_t i = 1; i < surrogates->count; i++)
			surrogates->kept += !(mix(surrogates->items[i].address) & surrogates->mask);
		if (surrogates->mask == UINT64_MAX)
			break;
	}
}

static uint32_t number(struct surrogates *surrogates, uint64_t address, uint32_t reason)
{
	uint64_t key = mix(address) ^ (uint64_t)reason << 61;
	for (;; key += UINT64_C(1) << 20) {
		size_t found = (size_t)(uintptr_t)hash_get(&surrogates->numbers, key);
		if (!found)
			break;
		if (surrogates->items[found].address == address &&
		    surrogates->items[found].reason == reason)
			return (uint32_t)found;
	}
	if (!surrogates->count &&
	    !(surrogates->short_of_memory = !add(surrogates, 0, STROBE_SURROGATE_LIMIT)))
		return number(surrogates, address, reason);
	size_t made = surrogates->count;
	if (surrogates->short_of_memory || !add(surrogates, address, reason) ||
	    !hash_put(&surrogates->numbers, key, (void *)(uintptr_t)made)) {
		surrogates->short_of_memory = true;
		return 0;
	}
	surrogates->kept++;
	leave_out(surrogates);
	return (uint32_t)made;
}

uint32_t surrogates_number(struct surrogates *surrogates, uint64_t address,
			   enum strobe_surrogate_reason reason)
{
	uint32_t ret = 0;
	pthread_mutex_lock(&surrogates->lock);
	if (!(mix(address) & surrogates->mask))
		ret = number(surrogates, address, reason);
	pthread_mutex_unlock(&surrogates->lock);
	return ret;
}

static int order(const void *a, const void *b, void *context)
{
	const struct surrogate *items = context;
	const struct surrogate *x = &items[*(const uint32_t *)a], *y = &items[*(const uint32_t *)b];
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->reason > y->reason) - (x->reason < y->reason);
}

bool surrogates_sort(struct surrogates *surrogates)
{
	if (surrogates->short_of_memory)
		return false;
	surrogates->sorted = calloc(surrogates->kept + 1, sizeof(*surrogates->sorted));
	if (!surrogates->sorted)
		return false;
	size_t count = 0;
	if (surrogates->overflowed) // number 0, which sorts first
		count++;
	for (size_t i = 1; i < surrogates->count; i++)
		if (!(mix(surrogates->items[i].address) & surrogates->mask))
			surrogates->sorted[count++] = (uint32_t)i;
	size_t first = surrogates->overflowed;
	if (count > first)
		qsort_r(surrogates->sorted + first, count - first, sizeof(*surrogates->sorted),
			order, surrogates->items);
	for (size_t i = 0; i < count; i++)
		surrogates->items[surrogates->sorted[i]].place = (uint32_t)i;
	surrogates->sorted_count = count;
	return true;
}
