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
	BLOCK_HEADER_SIZE = 3,
	BLOCK_LAST = 1,
	BLOCK_RAW = 0,
	BLOCK_RLE = 1 << 1,
	BLOCK_SIZE_AT = 3,
};

enum {
	PAGE = 4096,
	RAW_LEVEL_MAX = 3,   // who asks for more wants it to be tried
	RAW_MIN = 256 << 10, // less is compressed at once
	RAW_PAGES_MAX = 4096,
	SAMPLES = 4,
	SAMPLE_SIZE = 16 << 10,
	SEEN_SLOTS = 2 * RAW_PAGES_MAX,
	DISTINCT_BYTES =
		256, // looked at in a page; of random ones some 162 differ, hardly ever < 140
	DISTINCT_MIN = 136,
};

struct frame_maker {
	ZSTD_CCtx *context;
	int level;
	uint64_t seen[SEEN_SLOTS]; // what pages begin with; 0 = free
};

/** Heaps repeat themselves nearby, and words at a time: at the fastest level, distances that take fewer bits win 0.3 to
 *  0.6 %, in less time, and matches of five bytes up to 0.9 % (a server's heap; 0.1 % of Python's) in as much. */
static bool tune(ZSTD_CCtx *context, int level)
{
	return level != 1 ||
	       (!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 18)) &&
		!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, 5)));
}

struct frame_maker *frame_maker_new(int level)
{
	struct frame_maker *maker = malloc(sizeof(*maker));
	if (!maker)
		return NULL;
	maker->level = level;
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

static bool looks_random(const uint8_t *page)
{
	uint64_t seen[4] = {0};
	for (size_t i = 0; i < PAGE; i += PAGE / DISTINCT_BYTES)
		seen[page[i] >> 6] |= UINT64_C(1) << (page[i] & 63);
	int distinct = 0;
	for (size_t i = 0; i < 4; i++)
		distinct += __builtin_popcountll(seen[i]);
	return distinct >= DISTINCT_MIN;
}

/** Has another page begun like this one? Remembers it. */
static bool was_seen(struct frame_maker *maker, const uint8_t *page)
{
	uint64_t begin;
	memcpy(&begin, page, sizeof(begin));
	if (!begin)
		return true; // zeros, most likely
	size_t slot = begin * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	for (;; slot++) {
		uint64_t *seen = &maker->seen[slot % SEEN_SLOTS];
		if (*seen == begin)
			return true;
		if (!*seen) {
			*seen = begin;
			return false;
		}
	}
}

/** Would compression gain nothing? Surely not if any page looks as if it would, or like another. */
static bool is_incompressible(struct frame_maker *maker, const uint8_t *bytes, size_t size,
			      void *room)
{
	if (maker->level > RAW_LEVEL_MAX || size < RAW_MIN || size / PAGE > RAW_PAGES_MAX ||
	    size % PAGE)
		return false;
	memset(maker->seen, 0, sizeof(maker->seen));
	for (size_t at = 0; at < size; at += PAGE)
		if (!looks_random(bytes + at) || was_seen(maker, bytes + at))
			return false;
	for (size_t i = 0; i < SAMPLES; i++) {
		const uint8_t *sample = bytes + (size - SAMPLE_SIZE) / (SAMPLES - 1) * i;
		size_t made = ZSTD_compress2(maker->context, room, frame_bound(SAMPLE_SIZE), sample,
					     SAMPLE_SIZE);
		if (ZSTD_isError(made) || made < SAMPLE_SIZE)
			return false;
	}
	return true;
}

/** Up to where its first block begins. */
static uint8_t *put_header(uint8_t *at, uint32_t size)
{
	uint32_t magic = ZSTD_MAGICNUMBER;
	memcpy(at, &magic, FRAME_MAGIC_SIZE);
	at += FRAME_MAGIC_SIZE;
	*at++ = DESCRIPTOR;
	memcpy(at, &size, 4);
	return at + 4;
}

/** The header of the next block of `left` bytes; returns the block's size. */
static uint32_t put_block(uint8_t *at, uint32_t left, uint32_t type)
{
	uint32_t block = left < BLOCK_MAX ? left : BLOCK_MAX;
	uint32_t header = block << BLOCK_SIZE_AT | type | (left == block ? BLOCK_LAST : 0);
	memcpy(at, &header, BLOCK_HEADER_SIZE);
	return block;
}

static size_t make_raw(const uint8_t *bytes, uint32_t size, uint8_t *ret)
{
	uint8_t *at = put_header(ret, size);
	uint32_t checksum = (uint32_t)XXH64(bytes, size, 0);
	for (uint32_t done = 0, block; done < size; done += block) {
		block = put_block(at, size - done, BLOCK_RAW);
		memcpy(at + BLOCK_HEADER_SIZE, bytes + done, block);
		at += BLOCK_HEADER_SIZE + block;
	}
	memcpy(at, &checksum, FRAME_CHECKSUM_SIZE);
	return (size_t)(at - ret) + FRAME_CHECKSUM_SIZE;
}

size_t frame_make(struct frame_maker *maker, const void *bytes, size_t size, void *ret)
{
	if (is_incompressible(maker, bytes, size, ret))
		return make_raw(bytes, (uint32_t)size, ret);
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
	uint8_t *at = put_header(ret, size);
	uint32_t checksum;
	if (!hash_zeros(size, &checksum))
		return 0;
	uint32_t done = 0;
	do {
		done += put_block(at, size - done, BLOCK_RLE);
		at[BLOCK_HEADER_SIZE] = 0; // the byte that is repeated
		at += BLOCK_HEADER_SIZE + 1;
	} while (done < size);
	memcpy(at, &checksum, FRAME_CHECKSUM_SIZE);
	return (size_t)(at - (uint8_t *)ret) + FRAME_CHECKSUM_SIZE;
}
