// SPDX-License-Identifier: Apache-2.0
#include "graph_export/number_set.h"

#include <stdlib.h>

bool number_set_init(struct number_set *set, size_t count)
{
	size_t size = 64;
	while (size < count + count / 2)
		size *= 2;
	set->mask = size - 1;
	set->slots = calloc(size, sizeof(*set->slots));
	return set->slots;
}

/** True if `number` was not there, and is now. */
static bool put(struct number_set *set, uint32_t number)
{
	size_t at = (number >> 1) * UINT32_C(0x9e3779b1) & set->mask;
	for (; set->slots[at]; at = (at + 1) & set->mask)
		if (set->slots[at] == number)
			return false;
	set->slots[at] = number;
	return true;
}

uint32_t number_set_take(struct number_set *set, uint64_t key)
{
	uint32_t number;
	// The mix of splitmix64 (Steele, Lea, Flood 2014): a bijection, so that keys meet in the upper bits only by chance.
	do {
		key += UINT64_C(0x9e3779b97f4a7c15);
		uint64_t mixed = (key ^ key >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
		number = (uint32_t)(mixed >> 32) | 1;
	} while (number == 1 || !put(set, number));
	return number;
}

void number_set_fini(struct number_set *set)
{
	free(set->slots);
	set->slots = NULL;
}
