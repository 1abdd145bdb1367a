// SPDX-License-Identifier: Apache-2.0
#include "pt/stream.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

enum {
	// A PSB of a growing stream counts once so much stands behind it: PSB+ is whole then.
	HEADER_MAX = 256,
	RELEASE_EVERY = 1 << 20,
};

static const uint8_t psb[STREAM_PSB_SIZE] = {2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82,
					     2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82};

struct strobe_error *stream_update(struct stream *stream, const struct pt_stream *input)
{
	stream->pieces = input->pieces.items;
	if (!array_reserve(&stream->piece_starts, input->pieces.count))
		return error_no_memory();
	// The last piece may have become longer.
	uint64_t start = 0;
	stream->piece_starts.count = 0;
	for (size_t i = 0; i < input->pieces.count; i++) {
		if (!array_push(&stream->piece_starts, start))
			return error_no_memory();
		start += input->pieces.items[i].size;
	}
	stream->piece_count = input->pieces.count;
	stream->size = start;
	return NULL;
}

void stream_fini(struct stream *stream)
{
	array_fini(&stream->piece_starts);
	array_fini(&stream->marks);
	memset(stream, 0, sizeof(*stream));
}

static size_t piece_at(const struct stream *stream, uint64_t offset)
{
	size_t low = 0, high = stream->piece_count;
	assert(offset < stream->size);
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (stream->piece_starts.items[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

const uint8_t *stream_at(const struct stream *stream, uint64_t offset, uint64_t *size)
{
	size_t piece = piece_at(stream, offset);
	uint64_t inside = offset - stream->piece_starts.items[piece];
	*size = stream->pieces[piece].size - inside;
	return stream->pieces[piece].data + inside;
}

size_t stream_copy(const struct stream *stream, uint64_t offset, void *buffer, size_t size)
{
	size_t done = 0;
	while (done < size && offset + done < stream->size) {
		uint64_t row = 0;
		const uint8_t *bytes = stream_at(stream, offset + done, &row);
		size_t piece = row < size - done ? (size_t)row : size - done;
		memcpy((uint8_t *)buffer + done, bytes, piece);
		done += piece;
	}
	return done;
}

void stream_release(const struct stream *stream, uint64_t offset, uint64_t size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = offset + size;
	while (offset < end && offset < stream->size) {
		size_t piece = piece_at(stream, offset);
		uint64_t row = 0;
		const uint8_t *bytes = stream_at(stream, offset, &row);
		if (row > end - offset)
			row = end - offset;
		uintptr_t first = ((uintptr_t)bytes + page - 1) / page * page;
		uintptr_t last = ((uintptr_t)bytes + row) / page * page;
		if (stream->pieces[piece].mapped && first < last)
			(void)madvise((void *)first, last - first, MADV_DONTNEED);
		offset += row;
	}
}

// Each PSB holds eight bytes at a multiple of eight whole: a word that is one of two.
static const uint8_t *find_pattern(const uint8_t *bytes, size_t size)
{
	static const uint64_t even = UINT64_C(0x8202820282028202);
	static const uint64_t odd = UINT64_C(0x0282028202820282);
	for (size_t at = 0; size >= STREAM_PSB_SIZE && at <= size - sizeof(uint64_t);
	     at += sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, bytes + at, sizeof(word));
		if (word != even && word != odd)
			continue;
		size_t first = at < sizeof(word) ? 0 : at - sizeof(word) + 1;
		for (size_t low = first; low <= at && size - low >= STREAM_PSB_SIZE; low++)
			if (memcmp(bytes + low, psb, sizeof(psb)) == 0)
				return bytes + low;
	}
	return NULL;
}

// Of a longer row of 02 82 the last sixteen bytes are the PSB: the first may end another packet.
static uint64_t end_of_row(const struct stream *stream, uint64_t offset)
{
	uint8_t next[2];
	while (stream_copy(stream, offset + STREAM_PSB_SIZE, next, 2) == 2 &&
	       memcmp(next, psb, 2) == 0)
		offset += 2;
	return offset;
}

uint64_t stream_psb(const struct stream *stream, uint64_t from)
{
	uint8_t seam[2 * STREAM_PSB_SIZE];
	while (from < stream->size) {
		uint64_t row = 0;
		const uint8_t *bytes = stream_at(stream, from, &row);
		const uint8_t *found = find_pattern(bytes, row);
		if (found)
			return end_of_row(stream, from + (uint64_t)(found - bytes));
		// One that lies on both sides of the piece's end?
		uint64_t tail = row < STREAM_PSB_SIZE - 1 ? row : STREAM_PSB_SIZE - 1;
		size_t size = stream_copy(stream, from + row - tail, seam,
					  (size_t)tail + STREAM_PSB_SIZE - 1);
		found = find_pattern(seam, size);
		if (found)
			return end_of_row(stream, from + row - tail + (uint64_t)(found - seam));
		from += row;
	}
	return STREAM_NONE;
}

uint64_t stream_block_end(const struct stream *stream, uint64_t start)
{
	uint64_t end = stream->size - start > STREAM_BLOCK_MIN
			       ? stream_psb(stream, start + STREAM_BLOCK_MIN)
			       : STREAM_NONE;
	return end == STREAM_NONE ? stream->size : end;
}

uint64_t stream_block_start(const struct stream *stream, uint64_t index)
{
	uint64_t start = stream->marks.items[index / STREAM_MARK_EVERY];
	assert(index < stream->count);
	for (uint64_t i = index % STREAM_MARK_EVERY; i > 0; i--)
		start = stream_block_end(stream, start);
	return start;
}

struct strobe_error *stream_scan(struct stream *stream, bool finished)
{
	uint64_t released = stream->next_start;
	while (stream->next_start < stream->size) {
		uint64_t end = stream_block_end(stream, stream->next_start);
		if (!finished && stream->size - end < HEADER_MAX)
			break;
		if (stream->count % STREAM_MARK_EVERY == 0 &&
		    !array_push(&stream->marks, stream->next_start))
			return error_no_memory();
		stream->count++;
		stream->next_start = end;
		if (end - released >= RELEASE_EVERY) {
			stream_release(stream, released, end - released);
			released = end;
		}
	}
	return NULL;
}
