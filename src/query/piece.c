// SPDX-License-Identifier: Apache-2.0
#include "query/piece.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"

struct strobe_error *piece_reader_init(struct piece_reader *reader, const struct strobe_view *view)
{
	*reader = (struct piece_reader){
		.view = view, .buffer = malloc(PIECE_LIMIT), .joined = malloc(PIECE_LIMIT)};
	if (reader->buffer && reader->joined)
		return NULL;
	piece_reader_fini(reader);
	return error_no_memory();
}

void piece_reader_fini(struct piece_reader *reader)
{
	free(reader->buffer);
	free(reader->joined);
	*reader = (struct piece_reader){0};
}

static const uint8_t *in_window(const struct piece_reader *reader, uint64_t address, size_t size)
{
	uint64_t offset = address - reader->start;
	if (!reader->at || offset > reader->available || size > reader->available - offset)
		return NULL;
	return reader->at + offset;
}

const uint8_t *piece_read(struct piece_reader *reader, uint64_t address, size_t size)
{
	assert(size <= PIECE_LIMIT);
	const uint8_t *found = in_window(reader, address, size);
	if (found)
		return found;
	reader->available = 0;
	reader->start = address;
	reader->at =
		view_stream(reader->view, address, reader->buffer, PIECE_LIMIT, &reader->available);
	found = in_window(reader, address, size);
	if (found || !reader->at)
		return found;
	// It runs over the end of a stretch.
	return strobe_memory_read(reader->view, address, reader->joined, size) == size
		       ? reader->joined
		       : NULL;
}
