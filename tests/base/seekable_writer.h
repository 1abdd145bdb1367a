// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_SEEKABLE_WRITER_H
#define TESTS_SEEKABLE_WRITER_H

// Writes the seekable zstd format, for tests. Running out of memory aborts.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

static inline void seekable_put(uint8_t *at, uint64_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/** `size` bytes in frames of `frame` bytes; malloc'ed. */
static inline uint8_t *seekable_write(const uint8_t *bytes, size_t size, size_t frame,
				      int checksums, size_t *ret_size)
{
	size_t count = (size + frame - 1) / frame, entry = checksums ? 12 : 8, at = 0;
	size_t room = ZSTD_compressBound(frame) * (count + 1) + count * entry + 17;
	uint8_t *file = malloc(room), *table = malloc(count * entry + 1);
	if (!file || !table)
		abort();
	for (size_t i = 0; i < count; i++) {
		size_t part = size - i * frame < frame ? size - i * frame : frame;
		size_t packed = ZSTD_compress(file + at, room - at, bytes + i * frame, part, 1);
		if (ZSTD_isError(packed))
			abort();
		seekable_put(table + i * entry, packed);
		seekable_put(table + i * entry + 4, part);
		if (checksums)
			seekable_put(table + i * entry + 8, XXH64(bytes + i * frame, part, 0));
		at += packed;
	}
	seekable_put(file + at, 0x184d2a5e);
	seekable_put(file + at + 4, count * entry + 9);
	memcpy(file + at + 8, table, count * entry);
	at += 8 + count * entry;
	seekable_put(file + at, count);
	file[at + 4] = checksums ? 0x80 : 0;
	seekable_put(file + at + 5, 0x8f92eab1);
	free(table);
	*ret_size = at + 9;
	return file;
}

#endif
