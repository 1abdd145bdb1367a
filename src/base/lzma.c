// SPDX-License-Identifier: Apache-2.0
#include "base/lzma.h"

#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

enum { FIRST_CAPACITY = 64 * 1024 };

static struct strobe_error *grow(uint8_t **data, size_t *capacity)
{
	if (*capacity >= LZMA_UNPACKED_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "unpacks to more than %llu bytes",
				 (unsigned long long)LZMA_UNPACKED_LIMIT);
	size_t larger = *capacity ? *capacity * 2 : FIRST_CAPACITY;
	uint8_t *moved = realloc(*data, larger);
	if (!moved)
		return error_no_memory();
	*data = moved;
	*capacity = larger;
	return NULL;
}

static struct strobe_error *run(lzma_stream *stream, uint8_t **data, size_t *size)
{
	size_t capacity = 0;
	for (;;) {
		if (stream->total_out == capacity) {
			struct strobe_error *error = grow(data, &capacity);
			if (error)
				return error;
			stream->next_out = *data + stream->total_out;
			stream->avail_out = capacity - stream->total_out;
		}
		lzma_ret result = lzma_code(stream, LZMA_FINISH);
		if (result == LZMA_STREAM_END)
			break;
		if (result == LZMA_MEM_ERROR)
			return error_no_memory();
		if (result != LZMA_OK)
			return error_new(STROBE_ERROR_FORMAT,
					 "damaged xz data near byte %llu (liblzma error %d)",
					 (unsigned long long)stream->total_in, (int)result);
	}
	*size = stream->total_out;
	return NULL;
}

struct strobe_error *lzma_unpack(const uint8_t *bytes, size_t size, uint8_t **ret, size_t *ret_size)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret result = lzma_stream_decoder(&stream, LZMA_DECODER_LIMIT, 0);
	if (result != LZMA_OK)
		return error_no_memory();
	stream.next_in = bytes;
	stream.avail_in = size;
	uint8_t *data = NULL;
	struct strobe_error *error = run(&stream, &data, ret_size);
	lzma_end(&stream);
	if (error) {
		free(data);
		return error;
	}
	*ret = data;
	return NULL;
}
