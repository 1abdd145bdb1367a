// SPDX-License-Identifier: Apache-2.0
#ifndef HEAP_GLIBC_MEMORY_H
#define HEAP_GLIBC_MEMORY_H

// Memory read in big stretches, by who goes through it upwards.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strobe_view;

enum { GLIBC_SPILL = 64 };

/** The stretch that was read last. */
struct glibc_window {
	const struct strobe_view *view;
	uint8_t *buffer; // for what has to be fetched; NULL: what is fetched is kept
	size_t buffer_size;
	const uint8_t *bytes;
	uint64_t start, size;	    // of `bytes`; size 0 = none
	uint8_t spill[GLIBC_SPILL]; // what lies across the end of a stretch
};

/** With a buffer of `buffer_size` what is fetched is kept nowhere else; with 0 it is fetched once and kept: for who goes
 *  to and fro. False when memory is short. */
bool glibc_window_init(struct glibc_window *window, const struct strobe_view *view,
		       size_t buffer_size);
void glibc_window_fini(struct glibc_window *window);
/** `size` (at most GLIBC_SPILL) bytes at `address`, until the next call; NULL if unreadable. */
const uint8_t *glibc_window_fetch(struct glibc_window *window, uint64_t address, size_t size);

static inline const uint8_t *glibc_window_at(struct glibc_window *window, uint64_t address,
					     size_t size)
{
	uint64_t offset = address - window->start;
	if (offset < window->size && window->size - offset >= size)
		return window->bytes + offset;
	return glibc_window_fetch(window, address, size);
}

/** The same if the window holds them already; else NULL. */
static inline const uint8_t *glibc_window_has(const struct glibc_window *window, uint64_t address,
					      size_t size)
{
	uint64_t offset = address - window->start;
	return offset < window->size && window->size - offset >= size ? window->bytes + offset
								      : NULL;
}

/** Two words in a row; false if unreadable. */
static inline bool glibc_window_pair(struct glibc_window *window, uint64_t address, uint64_t ret[2])
{
	const uint8_t *bytes = glibc_window_at(window, address, 16);
	if (bytes)
		memcpy(ret, bytes, 16);
	return bytes != NULL;
}

/** A word from anywhere; false if unreadable. */
bool glibc_read_word(const struct strobe_view *view, uint64_t address, uint64_t *ret);

#endif
