// SPDX-License-Identifier: Apache-2.0
#ifndef PT_STREAM_H
#define PT_STREAM_H

// One byte stream of packets, wherever its pieces lie, and its blocks: some PSBs together, at least
// STREAM_BLOCK_MIN bytes of packets, so that a trace with many PSBs has no more blocks than one with few. Where
// blocks begin follows from the bytes alone. Memory: a quarter of a byte a block.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/array.h"
#include "pt/input.h"

enum {
	STREAM_PSB_SIZE = 16,
	STREAM_BLOCK_MIN = 2048,
	STREAM_MARK_EVERY = 32, // blocks
};
#define STREAM_NONE UINT64_MAX

/**
 * Invariants:
 *  1. piece_starts[i] is the sum of the sizes of the pieces before i; `size` that of all.
 *  2. marks[i] is where block i * STREAM_MARK_EVERY begins. Block 0 begins at 0: bytes before the first PSB are
 *     its. A block ends at the first PSB that is STREAM_BLOCK_MIN bytes or more behind its start.
 *  3. `count` blocks are known; the next one begins at `next_start`, and is whole only if the stream is finished.
 */
struct stream {
	const struct pt_piece *pieces; // the input's
	size_t piece_count;
	ARRAY(uint64_t) piece_starts;
	uint64_t size;
	ARRAY(uint64_t) marks;
	uint64_t count;
	uint64_t next_start;
};

/** Takes note of the pieces, when there are new ones too. */
struct strobe_error *stream_update(struct stream *stream, const struct pt_stream *input)
	STROBE_MUST_CHECK;
/** Finds the blocks in what was not looked at yet. One pass; its pages do not stay in memory. */
struct strobe_error *stream_scan(struct stream *stream, bool finished) STROBE_MUST_CHECK;
void stream_fini(struct stream *stream);

/** Where the bytes at `offset` < size lie, and how many in a row. */
const uint8_t *stream_at(const struct stream *stream, uint64_t offset, uint64_t *size);
/** Copies bytes; returns how many there are, up to `size`. */
size_t stream_copy(const struct stream *stream, uint64_t offset, void *buffer, size_t size);
/** Offset of the first PSB at or behind `from`; STREAM_NONE if there is none. */
uint64_t stream_psb(const struct stream *stream, uint64_t from);
/** Where block `index` < count begins. O(STREAM_MARK_EVERY blocks). */
uint64_t stream_block_start(const struct stream *stream, uint64_t index);
/** Where the block that begins at `start` ends. */
uint64_t stream_block_end(const struct stream *stream, uint64_t start);
/** Says that bytes are not needed soon: their pages may go. */
void stream_release(const struct stream *stream, uint64_t offset, uint64_t size);

#endif
