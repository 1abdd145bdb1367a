// SPDX-License-Identifier: Apache-2.0
#include "base/keyed_hash.h"

#include "check.h"

static void equal_text_is_equal_under_one_key(void)
{
	struct keyed_hash hash, other;
	char a[100], b[100], c[100], d[100];
	CHECK(keyed_hash_init(&hash) && keyed_hash_init(&other));
	keyed_hash_text(&hash, "a secret", 8, a);
	keyed_hash_text(&hash, "a secret", 8, b);
	keyed_hash_text(&hash, "b secret", 8, c);
	keyed_hash_text(&other, "a secret", 8, d);
	CHECK(memcmp(a, b, 8) == 0);
	CHECK(memcmp(a, c, 8) != 0);
	CHECK(memcmp(a, d, 8) != 0);
	keyed_hash_fini(&hash);
	for (size_t i = 0; i < sizeof(hash.key); i++)
		CHECK_EQUAL(hash.key[i], 0);
}

static void is_text_of_the_same_size(void)
{
	struct keyed_hash hash;
	char text[200], bytes[200] = "x";
	CHECK(keyed_hash_init(&hash));
	for (size_t size = 0; size < sizeof(text); size++) {
		memset(text, '#', sizeof(text));
		keyed_hash_text(&hash, bytes, size, text);
		for (size_t i = 0; i < sizeof(text); i++)
			CHECK((i >= size) == (text[i] == '#'));
		for (size_t i = 0; i < size; i++)
			CHECK(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", text[i]));
	}
}

CHECK_MAIN({"equal text has an equal hash, under one key", equal_text_is_equal_under_one_key},
	   {"a hash is text of the size of what it hides", is_text_of_the_same_size})
