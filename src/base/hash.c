// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <stdlib.h>

static size_t slot_of(const struct hash *hash, uint64_t key)
{
	// Fibonacci hashing: addresses and offsets are regular in their low bits.
	uint64_t mixed = key * UINT64_C(0x9e3779b97f4a7c15);
	mixed ^= mixed >> 32;
	return (size_t)mixed & (hash->capacity - 1);
}

void *hash_get(const struct hash *hash, uint64_t key)
{
	if (!hash->capacity)
		return NULL;
	for (size_t i = slot_of(hash, key); hash->slots[i].value;
	     i = (i + 1) & (hash->capacity - 1)) {
		if (hash->slots[i].key == key)
			return hash->slots[i].value;
	}
	return NULL;
}

static void insert(struct hash *hash, uint64_t key, void *value)
{
	size_t i = slot_of(hash, key);
	while (hash->slots[i].value && hash->slots[i].key != key)
		i = (i + 1) & (hash->capacity - 1);
	if (!hash->slots[i].value)
		hash->count++;
	hash->slots[i] = (struct hash_slot){.key = key, .value = value};
}

bool hash_put(struct hash *hash, uint64_t key, void *value)
{
	if ((hash->count + 1) * 4 > hash->capacity * 3) {
		struct hash grown = {.capacity = hash->capacity ? hash->capacity * 2 : 16};
		grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
		if (!grown.slots)
			return false;
		for (size_t i = 0; i < hash->capacity; i++) {
			if (hash->slots[i].value)
				insert(&grown, hash->slots[i].key, hash->slots[i].value);
		}
		free(hash->slots);
		*hash = grown;
	}
	insert(hash, key, value);
	return true;
}

void hash_fini(struct hash *hash)
{
	free(hash->slots);
	*hash = (struct hash){0};
}

uint64_t hash_bytes(const void *bytes, size_t size)
{
	const unsigned char *p = bytes;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}
