// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_TEXT_H
#define SNAPSHOT_WRITE_TEXT_H

// Printable text in memory: ASCII and UTF-8.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Can the byte be part of text? Where it cannot, no text runs across it. */
bool text_may_hold(uint8_t byte);
/** The next run of text characters at or after `*start`: false if there is none. */
bool text_next_run(const uint8_t *bytes, size_t size, size_t *start, size_t *end);

#endif
