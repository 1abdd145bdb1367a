// SPDX-License-Identifier: Apache-2.0
#include "base/zstd_seekable.h"

#include "check.h"
#include "seekable_writer.h"

enum { SIZE = 1 << 20, FRAME = 50000, ZERO_FROM = 400000, ZERO_TO = 700000 };

static uint8_t plain[SIZE];
static uint8_t copy[SIZE + 100];

static void fill(void)
{
	uint64_t state = 88172645463325252u;
	for (size_t i = 0; i < SIZE; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		plain[i] = (uint8_t)(i % 3 ? state & 15 : 7);
	}
	memset(plain + ZERO_FROM, 0, ZERO_TO - ZERO_FROM);
}

static struct zstd_seekable *open_bytes(const uint8_t *file, size_t size)
{
	struct zstd_seekable *seekable;
	CHECK_OK(zstd_seekable_open(file, size, "file", &seekable));
	return seekable;
}

static void reads_at_random(void)
{
	for (int checksums = 0; checksums < 2; checksums++) {
		size_t size;
		fill();
		uint8_t *file = seekable_write(plain, SIZE, FRAME, checksums, &size);
		struct zstd_seekable *seekable = open_bytes(file, size);
		CHECK(zstd_is(file, size) && zstd_seekable_is(file, size));
		CHECK_EQUAL(zstd_seekable_size(seekable), SIZE);
		CHECK_EQUAL(zstd_seekable_read(seekable, 0, copy, sizeof(copy)), SIZE);
		CHECK(memcmp(copy, plain, SIZE) == 0);
		uint64_t state = 1;
		for (size_t i = 0; i < 500; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			uint64_t at = (state >> 20) % SIZE, want = (state >> 45) % 120000;
			size_t got = zstd_seekable_read(seekable, at, copy, want);
			CHECK_EQUAL(got, want < SIZE - at ? want : SIZE - at);
			CHECK(memcmp(copy, plain + at, got) == 0);
		}
		CHECK_EQUAL(zstd_seekable_read(seekable, SIZE, copy, 1), 0);
		CHECK_EQUAL(zstd_seekable_read(seekable, UINT64_MAX, copy, 1), 0);
		CHECK(!zstd_seekable_problem(seekable));
		zstd_seekable_close(seekable);
		free(file);
	}
}

static void many_frames_are_found(void)
{
	size_t size;
	fill();
	uint8_t *file = seekable_write(plain, SIZE, 700, 1, &size);
	struct zstd_seekable *seekable = open_bytes(file, size);
	for (size_t at = SIZE; at-- > 0;) {
		at = at > 997 ? at - 997 : 0;
		CHECK_EQUAL(zstd_seekable_read(seekable, at, copy, 20), 20);
		CHECK(memcmp(copy, plain + at, 20) == 0);
	}
	zstd_seekable_close(seekable);
	free(file);
}

static void tells_frames_of_zeros(void)
{
	size_t size;
	uint64_t end;
	fill();
	uint8_t *file = seekable_write(plain, SIZE, FRAME, 1, &size);
	struct zstd_seekable *seekable = open_bytes(file, size);
	for (size_t at = 0; at < SIZE; at = end) {
		bool zero = zstd_seekable_zero(seekable, at, &end);
		CHECK_EQUAL(end, at + FRAME < SIZE ? at + FRAME : SIZE);
		CHECK_EQUAL(zero, at >= ZERO_FROM && end <= ZERO_TO);
	}
	zstd_seekable_close(seekable);
	free(file);
}

static void a_damaged_frame_is_named(void)
{
	size_t size;
	fill();
	uint8_t *file = seekable_write(plain, SIZE, FRAME, 1, &size);
	size_t second = ZSTD_findFrameCompressedSize(file, size);
	file[second + 1000] ^= 4;
	struct zstd_seekable *seekable = open_bytes(file, size);
	CHECK_EQUAL(zstd_seekable_read(seekable, 0, copy, SIZE), FRAME);
	char expected[80];
	snprintf(expected, sizeof(expected), "damaged: frame 1 at file offset 0x%zx: ", second);
	CHECK(zstd_seekable_problem(seekable) != NULL);
	CHECK(strncmp(zstd_seekable_problem(seekable), expected, strlen(expected)) == 0);
	CHECK_EQUAL(zstd_seekable_read(seekable, 2 * FRAME, copy, 9), 9);
	CHECK(memcmp(copy, plain + 2 * FRAME, 9) == 0);
	// It is known by now, and not unpacked again.
	file[second + 1000] ^= 4;
	CHECK_EQUAL(zstd_seekable_read(seekable, FRAME, copy, FRAME), 0);
	CHECK_EQUAL(zstd_seekable_read(seekable, FRAME + 7, copy, 9), 0);
	CHECK(strncmp(zstd_seekable_problem(seekable), expected, strlen(expected)) == 0);
	zstd_seekable_close(seekable);
	free(file);
}

/** Whatever the table says: an error of one line, or bytes that are right where they are given. */
static unsigned survive(const uint8_t *file, size_t size, bool right)
{
	struct zstd_seekable *seekable;
	uint8_t *exact = malloc(size + !size); // a sanitizer sees a step past its end
	CHECK(exact != NULL);
	memcpy(exact, file, size);
	struct strobe_error *error = zstd_seekable_open(exact, size, "file", &seekable);
	if (error) {
		CHECK(strncmp(strobe_error_message(error), "file: ", 6) == 0);
		CHECK(!strchr(strobe_error_message(error), '\n'));
		strobe_error_free(error);
		free(exact);
		return 1;
	}
	size_t got = zstd_seekable_read(seekable, 0, copy, 3 * FRAME);
	if (right)
		CHECK(memcmp(copy, plain, got) == 0);
	uint64_t end, whole = zstd_seekable_size(seekable);
	for (uint64_t at = 0, turns = 0; at < whole && turns < 100; at = end, turns++)
		zstd_seekable_zero(seekable, at, &end);
	zstd_seekable_read(seekable, whole - 1, copy, 100);
	zstd_seekable_close(seekable);
	free(exact);
	return 0;
}

static void each_byte_of_the_table_may_be_wrong(void)
{
	for (int checksums = 0; checksums < 2; checksums++) {
		size_t size;
		unsigned refused = 0;
		fill();
		uint8_t *file = seekable_write(plain, 4 * FRAME, FRAME, checksums, &size);
		size_t table = 17 + 4 * (checksums ? 12 : 8);
		for (size_t at = size - table; at < size; at++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				file[at] ^= (uint8_t)(1 << bit);
				refused += survive(file, size, checksums);
				file[at] ^= (uint8_t)(1 << bit);
			}
			uint8_t kept = file[at];
			file[at] = 0xff;
			refused += survive(file, size, checksums);
			file[at] = kept;
		}
		CHECK(refused > 100);
		free(file);
	}
}

static void a_file_may_be_cut_anywhere(void)
{
	size_t size;
	fill();
	uint8_t *file = seekable_write(plain, 2 * FRAME, FRAME, 1, &size);
	for (size_t cut = 0; cut < size; cut += cut + 100 < size ? 97 : 1)
		CHECK_EQUAL(survive(file, cut, true), 1);
	free(file);
}

static void frames_are_as_large_as_announced(void)
{
	size_t size;
	struct zstd_seekable *seekable;
	fill();
	uint8_t *file = seekable_write(plain, 2 * FRAME, FRAME, 0, &size);
	uint8_t *first = file + size - 9 - 2 * 8;
	seekable_put(first + 4, FRAME - 1); // more comes out
	seekable = open_bytes(file, size);
	CHECK_EQUAL(zstd_seekable_read(seekable, 0, copy, SIZE), 0);
	CHECK(zstd_seekable_problem(seekable) != NULL);
	zstd_seekable_close(seekable);
	seekable_put(first + 4, FRAME + 1); // less does
	seekable = open_bytes(file, size);
	CHECK_EQUAL(zstd_seekable_read(seekable, 5, copy, SIZE), 0);
	CHECK(strstr(zstd_seekable_problem(seekable), "smaller than the seek table says") != NULL);
	zstd_seekable_close(seekable);
	seekable_put(first + 4, ZSTD_SEEKABLE_FRAME_LIMIT + 1);
	CHECK_ERROR(zstd_seekable_open(file, size, "file", &seekable), STROBE_ERROR_LIMIT);
	free(file);
}

static void an_empty_table_is_an_empty_file(void)
{
	size_t size;
	uint8_t *file = seekable_write(plain, 0, FRAME, 1, &size);
	struct zstd_seekable *seekable = open_bytes(file, size);
	CHECK_EQUAL(zstd_seekable_size(seekable), 0);
	CHECK_EQUAL(zstd_seekable_read(seekable, 0, copy, 1), 0);
	zstd_seekable_close(seekable);
	free(file);
}

CHECK_MAIN({"reads at random", reads_at_random}, {"many frames are found", many_frames_are_found},
	   {"tells frames of zeros", tells_frames_of_zeros},
	   {"a damaged frame is named", a_damaged_frame_is_named},
	   {"each byte of the table may be wrong", each_byte_of_the_table_may_be_wrong},
	   {"a file may be cut anywhere", a_file_may_be_cut_anywhere},
	   {"frames are as large as announced", frames_are_as_large_as_announced},
	   {"an empty table is an empty file", an_empty_table_is_an_empty_file})
