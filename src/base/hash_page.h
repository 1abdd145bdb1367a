// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_HASH_PAGE_H
#define BASE_HASH_PAGE_H

#include <stddef.h>
#include <stdint.h>

/** The hash of a page in NT_STROBE_PAGE_HASHES: XXH3 of 64 bits, seed 0. */
uint64_t page_hash(const void *page, size_t size);

#endif
