// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_CONTENT_HASH_H
#define BASE_CONTENT_HASH_H

#include <stddef.h>
#include <stdint.h>

/** A hash of bytes that come in pieces: XXH3 of 128 bits, seed 0. Not for keeping secrets: who wants to can make two
 *  contents with one hash. */
struct content_hash;

/** NULL when memory is short. */
struct content_hash *content_hash_new(void);
struct content_hash *content_hash_free(struct content_hash *hash);
/** Begins anew. */
void content_hash_begin(struct content_hash *hash);
void content_hash_add(struct content_hash *hash, const void *bytes, size_t size);
void content_hash_end(const struct content_hash *hash, uint64_t *low, uint64_t *high);

#endif
