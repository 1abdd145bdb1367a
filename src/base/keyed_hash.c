// SPDX-License-Identifier: Apache-2.0
#include "base/keyed_hash.h"

#include <blake2.h>
#include <string.h>
#include <sys/random.h>

enum { TEXT_SIZE = KEYED_HASH_SIZE * 8 / 5 }; // five bits a character

bool keyed_hash_init(struct keyed_hash *hash)
{
	return getrandom(hash->key, sizeof(hash->key), 0) == sizeof(hash->key);
}

void keyed_hash_fini(struct keyed_hash *hash)
{
	explicit_bzero(hash->key, sizeof(hash->key));
}

void keyed_hash_text(const struct keyed_hash *hash, const void *bytes, size_t size, char *ret)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; // RFC 4648
	uint8_t raw[KEYED_HASH_SIZE];
	char text[TEXT_SIZE];
	// Only sizes that are out of range make it fail.
	(void)blake2b(raw, bytes, hash->key, sizeof(raw), size, sizeof(hash->key));
	for (size_t i = 0; i < TEXT_SIZE; i++) {
		size_t bit = i * 5;
		unsigned pair = (unsigned)raw[bit / 8] << 8 |
				(bit / 8 + 1 < sizeof(raw) ? raw[bit / 8 + 1] : 0);
		text[i] = digits[pair >> (11 - bit % 8) & 31];
	}
	for (size_t i = 0; i < size; i++)
		ret[i] = text[i % TEXT_SIZE];
}
