// SPDX-License-Identifier: Apache-2.0
#include "base/content_hash.h"

#include <xxhash.h>

struct content_hash *content_hash_new(void)
{
	return (struct content_hash *)XXH3_createState();
}

struct content_hash *content_hash_free(struct content_hash *hash)
{
	XXH3_freeState((XXH3_state_t *)hash);
	return NULL;
}

void content_hash_begin(struct content_hash *hash)
{
	XXH3_128bits_reset((XXH3_state_t *)hash);
}

void content_hash_add(struct content_hash *hash, const void *bytes, size_t size)
{
	XXH3_128bits_update((XXH3_state_t *)hash, bytes, size);
}

void content_hash_end(const struct content_hash *hash, uint64_t *low, uint64_t *high)
{
	XXH128_hash_t digest = XXH3_128bits_digest((const XXH3_state_t *)hash);
	*low = digest.low64;
	*high = digest.high64;
}
