// SPDX-License-Identifier: Apache-2.0
#include "graph_export/phrase.h"

#include <string.h>

bool phrases_number(struct phrases *phrases, const char *string, uint32_t *ret)
{
	uint64_t key = hash_bytes(string, strlen(string));
	void *found;
	for (; (found = hash_get(&phrases->known, key)); key++) {
		*ret = (uint32_t)((uintptr_t)found - 1);
		if (strcmp(phrases->list.items[*ret], string) == 0)
			return true;
	}
	size_t number = phrases->list.count;
	const char *kept = arena_strdup(&phrases->strings, string);
	if (!kept || number >= UINT32_MAX - 1 || !array_push(&phrases->list, kept))
		return false;
	*ret = (uint32_t)number;
	return hash_put(&phrases->known, key, (void *)(uintptr_t)(number + 1));
}

void phrases_fini(struct phrases *phrases)
{
	arena_fini(&phrases->strings);
	array_fini(&phrases->list);
	hash_fini(&phrases->known);
}
