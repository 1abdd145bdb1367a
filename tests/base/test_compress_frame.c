// SPDX-License-Identifier: Apache-2.0
#include "base/compress_frame.h"

#include <zstd.h>

#include "check.h"

enum { SIZE = 300000 };

static void frames_unpack_to_what_they_were_made_from(void)
{
	struct frame_maker *maker = frame_maker_new(1);
	static uint8_t bytes[SIZE], back[SIZE];
	uint8_t *frame = malloc(frame_bound(SIZE));
	CHECK(maker && frame);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * i >> 7);
	size_t sizes[] = {1, 4096, SIZE};
	for (size_t i = 0; i < 3; i++) {
		size_t size = frame_make(maker, bytes, sizes[i], frame);
		CHECK(size);
		CHECK_EQUAL(ZSTD_getFrameContentSize(frame, size), sizes[i]);
		CHECK_EQUAL(ZSTD_decompress(back, SIZE, frame, size), sizes[i]);
		CHECK(memcmp(back, bytes, sizes[i]) == 0);
		// Its last bytes are a checksum that is checked.
		frame[size - 1] ^= 1;
		CHECK(ZSTD_isError(ZSTD_decompress(back, SIZE, frame, size)));
	}
	free(frame);
	frame_maker_free(maker);
}

static void frames_of_zeros_need_no_content(void)
{
	static uint8_t back[12 << 20];
	uint8_t frame[512];
	uint32_t sizes[] = {1, 4096, 128 << 10, (128 << 10) + 1, 2 << 20, 12 << 20};
	for (size_t i = 0; i < 6; i++) {
		memset(back, 1, sizeof(back));
		size_t size = frame_make_zeros(sizes[i], frame);
		CHECK(size && size <= 450);
		CHECK_EQUAL(ZSTD_findFrameCompressedSize(frame, size), size);
		CHECK_EQUAL(ZSTD_decompress(back, sizeof(back), frame, size), sizes[i]);
		for (uint32_t k = 0; k < sizes[i]; k++)
			CHECK_EQUAL(back[k], 0);
		frame[size - 1] ^= 1;
		CHECK(ZSTD_isError(ZSTD_decompress(back, sizeof(back), frame, size)));
	}
}

static uint64_t state = 88172645463325252u;

static void fill_random(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += 8) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(bytes + i, &state, 8);
	}
}

/** Bytes that compression gains nothing of, with one stretch of which it does: the frame's size. */
static size_t size_of_frame(struct frame_maker *maker, uint8_t *bytes, size_t size)
{
	uint8_t *frame = malloc(frame_bound(size)), *back = malloc(size);
	CHECK(frame && back);
	size_t made = frame_make(maker, bytes, size, frame);
	CHECK(made && made <= frame_bound(size));
	CHECK_EQUAL(ZSTD_getFrameContentSize(frame, made), size);
	CHECK_EQUAL(ZSTD_findFrameCompressedSize(frame, made), made);
	CHECK_EQUAL(ZSTD_decompress(back, size, frame, made), size);
	CHECK(memcmp(back, bytes, size) == 0);
	frame[made - 1] ^= 1;
	CHECK(ZSTD_isError(ZSTD_decompress(back, size, frame, made)));
	free(frame);
	free(back);
	return made;
}

static void what_cannot_be_compressed_is_stored(void)
{
	enum { PAGE = 4096, PAGES = 900, BYTES = PAGES * PAGE };
	struct frame_maker *maker = frame_maker_new(1);
	uint8_t *bytes = malloc(BYTES);
	CHECK(maker && bytes);
	fill_random(bytes, BYTES);
	CHECK(size_of_frame(maker, bytes, BYTES) < BYTES + 256);
	// What can be compressed is, wherever it stands. (zstd finds few of the pages that are like others.)
	for (size_t page = 0; page < PAGES; page += 111) {
		uint8_t *at = bytes + page * PAGE;
		memset(at, 0, PAGE);
		CHECK(size_of_frame(maker, bytes, BYTES) < BYTES - PAGE * 3 / 4);
		memset(at, 'x', PAGE);
		CHECK(size_of_frame(maker, bytes, BYTES) < BYTES - PAGE * 3 / 4);
		memcpy(at, page ? at - PAGE : at + PAGE, PAGE);
		CHECK(size_of_frame(maker, bytes, BYTES) < BYTES + 256);
		fill_random(at, PAGE);
	}
	free(bytes);
	frame_maker_free(maker);
}

CHECK_MAIN({"frames unpack to what they were made from", frames_unpack_to_what_they_were_made_from},
	   {"what cannot be compressed is stored", what_cannot_be_compressed_is_stored},
	   {"frames of zeros are put together by hand", frames_of_zeros_need_no_content})
