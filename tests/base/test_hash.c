// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include "check.h"

static void keeps_what_was_put(void)
{
	static int values[5000];
	struct hash hash = {0};
	CHECK(!hash_get(&hash, 1));
	for (size_t i = 0; i < 5000; i++)
		CHECK(hash_put(&hash, i * 4096, &values[i]));
	CHECK(hash_put(&hash, 4096, &values[7]));
	CHECK_EQUAL(hash.count, 5000);
	for (size_t i = 0; i < 5000; i++)
		CHECK(hash_get(&hash, i * 4096) == &values[i == 1 ? 7 : i]);
	CHECK(!hash_get(&hash, 5));
	hash_fini(&hash);
}

static void bytes_hash_as_fnv1a(void)
{
	// Test vectors of the FNV reference.
	CHECK_EQUAL(hash_bytes("", 0), UINT64_C(0xcbf29ce484222325));
	CHECK_EQUAL(hash_bytes("foobar", 6), UINT64_C(0x85944171f73967e8));
}

CHECK_MAIN({"keeps what was put", keeps_what_was_put},
	   {"bytes hash as FNV-1a", bytes_hash_as_fnv1a})
