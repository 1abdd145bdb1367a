// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_UTF8_H
#define GRAPH_EXPORT_UTF8_H

// Text of targets may be any bytes.

#include <stddef.h>

/** Bytes of the well-formed UTF-8 sequence that begins `text` (Unicode 15, table 3-7), of which `left` (> 0) bytes are there; 0 if there is
 *  none. */
unsigned utf8_sequence(const char *text, size_t left);
/** How many bytes of `text` are well-formed, from its beginning on. */
size_t utf8_prefix(const char *text, size_t size);

#endif
