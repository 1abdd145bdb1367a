// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A map from uint64_t keys to pointers (open addressing, linear probing, at most 3/4 full).
 * Zero-initialise; values are borrowed. One thread at a time.
 */
struct hash {
	struct hash_slot *slots;
	size_t count;
	size_t capacity; // a power of two, or 0
};

struct hash_slot {
	uint64_t key;
	void *value; // NULL = empty slot
};

/** The value put under `key`, or NULL. */
void *hash_get(const struct hash *hash, uint64_t key);
/** Puts `value` (not NULL), replacing an earlier one; false when memory is short. */
bool hash_put(struct hash *hash, uint64_t key, void *value);
void hash_fini(struct hash *hash);
/** 64-bit FNV-1a of a byte string, to key by text (compare the text after a hit). */
uint64_t hash_bytes(const void *bytes, size_t size);

#endif
