// SPDX-License-Identifier: Apache-2.0
#include "base/array.h"

#include <stdint.h>

bool array_grow(void **items, size_t *capacity, size_t needed, size_t item_size)
{
	size_t grown = *capacity < 8 ? 8 : *capacity;
	while (grown < needed) {
		if (grown > SIZE_MAX / 2)
			return false;
		grown *= 2;
	}
	void *moved = reallocarray(*items, grown, item_size);
	if (!moved)
		return false;
	*items = moved;
	*capacity = grown;
	return true;
}
