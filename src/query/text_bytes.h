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

struct strobe_view;
/** Are the first eight bytes an address of something that is mapped? Six letters may be one; a text of theirs is none. */
bool text_bytes_address(const struct strobe_view *view, const uint8_t *bytes, size_t size);

#endif
