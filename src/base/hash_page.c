// SPDX-License-Identifier: Apache-2.0
#include "base/hash_page.h"

#include <xxhash.h>

uint64_t page_hash(const void *page, size_t size)
{
	return XXH3_64bits(page, size);
}
