// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_TEXT_BYTES_H
#define QUERY_TEXT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Length of the well-formed UTF-8 sequence at `bytes` (`size` > 0), 0 if there is none. */
size_t text_bytes_sequence(const uint8_t *bytes, size_t size);
/**
 * Does a text stand at the beginning: UTF-8 without control characters other than tabs and line ends, not empty, ended by
 * a zero byte? `*length` is its bytes up to there. Where the bytes are not `whole`, it may also go on behind them.
 */
bool text_bytes_begin(const uint8_t *bytes, size_t size, bool whole, size_t *length);

/** Bytes of the largest header that a text is looked for behind. */
enum { TEXT_HEADER_LIMIT = 64 };
/** A text with a header before it. */
struct text_behind {
	size_t offset, length;
};
/**
 * Does a text stand behind a small binary header of `least` bytes or more, as many of `size` as there are, in a block of
 * `block_bytes`? The header tells its length (an integer of 1, 2, 4 or 8 bytes, or the upper five bits of the byte before
 * it), or nothing but what allocators round up by comes behind it. Of several the longest, of those that are told before others.
 */
bool text_bytes_behind(const uint8_t *bytes, size_t size, uint64_t block_bytes, size_t least,
		       struct text_behind *ret);
/** May the first byte of a text of `length` bytes be a header that says how long the rest is (redis's sdshdr5)? */
bool text_bytes_short_header(const uint8_t *bytes, size_t length);

struct strobe_view;
/** Are the first eight bytes an address of something that is mapped? Six letters may be one; a text of theirs is none. */
bool text_bytes_address(const struct strobe_view *view, const uint8_t *bytes, size_t size);

#endif
