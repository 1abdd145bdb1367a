// SPDX-License-Identifier: Apache-2.0
#include <lzma.h>

#include "base/lzma.h"
#include "check.h"

static size_t pack(const uint8_t *bytes, size_t size, uint8_t *out, size_t room)
{
	size_t used = 0;
	CHECK(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, bytes, size, out, &used, room) ==
	      LZMA_OK);
	return used;
}

static void unpacks(void)
{
	static uint8_t plain[300000], packed[300000];
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i / 1000);
	size_t size = pack(plain, sizeof(plain), packed, sizeof(packed));
	uint8_t *back;
	size_t back_size;
	CHECK_OK(lzma_unpack(packed, size, &back, &back_size));
	CHECK_EQUAL(back_size, sizeof(plain));
	CHECK(memcmp(back, plain, sizeof(plain)) == 0);
	free(back);
	CHECK_ERROR(lzma_unpack(packed, size - 9, &back, &back_size), STROBE_ERROR_FORMAT);
	CHECK_ERROR(lzma_unpack(packed, 0, &back, &back_size), STROBE_ERROR_FORMAT);
	packed[size / 2] ^= 0x55;
	CHECK_ERROR(lzma_unpack(packed, size, &back, &back_size), STROBE_ERROR_FORMAT);
}

static void a_bomb_meets_the_limit(void)
{
	size_t large = (size_t)LZMA_UNPACKED_LIMIT + 1000;
	uint8_t *zeros = calloc(large, 1);
	uint8_t *packed = malloc(1 << 20);
	size_t size = pack(zeros, large, packed, 1 << 20);
	free(zeros);
	uint8_t *back;
	size_t back_size;
	CHECK_ERROR(lzma_unpack(packed, size, &back, &back_size), STROBE_ERROR_LIMIT);
	free(packed);
}

CHECK_MAIN({"unpacks what xz packed and refuses damage", unpacks},
	   {"a bomb meets the limit", a_bomb_meets_the_limit})
