// SPDX-License-Identifier: Apache-2.0
#include "base/compress_frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

// RFC 8878, 3.1.1
enum {
	FRAME_MAGIC_SIZE = 4,
	DESCRIPTOR = 0x80 | 0x20 | 0x04, // 4 bytes of content size, single segment, checksum
	BLOCK_MAX = 128 << 10,
	BLOCK_LAST = 1,
	BLOCK_RLE = 1 << 1,
	BLOCK_SIZE_AT = 3,
};

struct frame_maker {
	ZSTD_CCtx *context;
};

/** Heaps repeat themselves nearby: at the fastest level, distances that take fewer bits win 0.3 to
 *  0.6 %, in less time. */
static bool tune(ZSTD_CCtx *context, int level)
{
	return level != 1 || !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 18));
}

struct frame_maker *frame_maker_new(int level)
{
	struct frame_maker *maker = malloc(sizeof(*maker));
	if (!maker)
		return NULL;
	maker->context = ZSTD_createCCtx();
	if (!maker->context ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(maker->context, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(maker->context, ZSTD_c_checksumFlag, 1)) ||
	    !tune(maker->context, level))
		return frame_maker_free(maker);
	return maker;
}

struct frame_maker *frame_maker_free(struct frame_maker *maker)
{
	if (maker)
		ZSTD_freeCCtx(maker->context);
	free(maker);
	return NULL;
}

size_t frame_bound(size_t size)
{
	return ZSTD_compressBound(size) + FRAME_CHECKSUM_SIZE;
}

size_t frame_make(struct frame_maker *maker, const void *bytes, size_t size, void *ret)
{
	size_t made = ZSTD_compress2(maker->context, ret, frame_bound(size), bytes, size);
	return ZSTD_isError(made) ? 0 : made; // there is room: only memory can be short
}

static bool hash_zeros(uint32_t size, uint32_t *ret)
{
	static const uint8_t zeros[4096];
	XXH64_state_t *state = XXH64_createState();
	if (!state)
		return false;
	XXH64_reset(state, 0);
	for (uint32_t done = 0, piece; done < size; done += piece) {
		piece = size - done < sizeof(zeros) ? size - done : (uint32_t)sizeof(zeros);
		XXH64_update(state, zeros, piece);
	}
	*ret = (uint32_t)XXH64_digest(state);
	XXH64_freeState(state);
	return true;
}

size_t frame_make_zeros(uint32_t size, void *ret)
{
	uint8_t *at = ret;
	uint32_t magic = ZSTD_MAGICNUMBER, checksum;
	if (!hash_zeros(size, &checksum))
		return 0;
	memcpy(at, &magic, FRAME_MAGIC_SIZE);
	at += FRAME_MAGIC_SIZE;
	*at++ = DESCRIPTOR;
	memcpy(at, &size, 4);
	at += 4;
	uint32_t left = size;
	do {
		uint32_t block = left < BLOCK_MAX ? left : BLOCK_MAX;
		left -= block;
		uint32_t header = block << BLOCK_SIZE_AT | BLOCK_RLE | (left ? 0 : BLOCK_LAST);
		memcpy(at, &header, 3);
		at[3] = 0; // the byte that is repeated
		at += 4;
	} while (left);
	memcpy(at, &checksum, FRAME_CHECKSUM_SIZE);
	return (size_t)(at - (uint8_t *)ret) + FRAME_CHECKSUM_SIZE;
}
