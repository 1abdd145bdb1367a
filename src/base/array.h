// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/**
 * Growable arrays. Declare `ARRAY(struct foo) foos;` inside a struct or on the stack, zeroed;
 * `foos.items[i]`, `foos.count`. array_push() and array_reserve() are false when memory is short
 * (the array stays as it was). Growth doubles: amortised O(1). Release with array_fini().
 */
#define ARRAY(type)                                                                                \
	struct {                                                                                   \
		type *items;                                                                       \
		size_t count;                                                                      \
		size_t capacity;                                                                   \
	}

bool array_grow(void **items, size_t *capacity, size_t needed, size_t item_size);

#define array_reserve(a, needed)                                                                   \
	((needed) <= (a)->capacity ||                                                              \
	 array_grow((void **)&(a)->items, &(a)->capacity, (needed), sizeof(*(a)->items)))
#define array_push(a, ...)                                                                         \
	(array_reserve((a), (a)->count + 1) ? ((a)->items[(a)->count++] = (__VA_ARGS__), true)     \
					    : false)
#define array_fini(a)                                                                              \
	do {                                                                                       \
		free((a)->items);                                                                  \
		(a)->items = NULL;                                                                 \
		(a)->count = (a)->capacity = 0;                                                    \
	} while (0)

#endif
