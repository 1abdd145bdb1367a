// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_NUMBER_SET_H
#define GRAPH_EXPORT_NUMBER_SET_H

// 32-bit numbers for things that have longer ones: the same for the same thing whenever it can be, and each used once.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct number_set {
	uint32_t *slots; // 0 = empty
	size_t mask;
};

/** Room for `count` numbers; false when memory is short. */
bool number_set_init(struct number_set *set, size_t count);
/** An odd number > 1 for `key`. No more than `count` may be asked for. */
uint32_t number_set_take(struct number_set *set, uint64_t key);
void number_set_fini(struct number_set *set);

#endif
