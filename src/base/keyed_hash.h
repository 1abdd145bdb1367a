// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_KEYED_HASH_H
#define BASE_KEYED_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYED_HASH_KEY_SIZE = 32, KEYED_HASH_SIZE = 20 };

/** A secret key for BLAKE2b (RFC 7693): who does not have it cannot tell, nor try out, what was
 *  hashed. Equal bytes have equal hashes as long as the key lives. */
struct keyed_hash {
	uint8_t key[KEYED_HASH_KEY_SIZE];
};

/** Takes a random key; false if the kernel gives none (errno tells). */
bool keyed_hash_init(struct keyed_hash *hash);
/** Forgets the key. */
void keyed_hash_fini(struct keyed_hash *hash);
/** Writes the hash of `size` bytes as letters and digits (base32), repeated or cut to `size`. */
void keyed_hash_text(const struct keyed_hash *hash, const void *bytes, size_t size, char *ret);

#endif
