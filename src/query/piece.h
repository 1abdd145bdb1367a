// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_PIECE_H
#define QUERY_PIECE_H

// Target memory in pieces, for who reads all blocks in the order of their addresses.

#include "view/view.h"

/** The largest piece. */
enum { PIECE_LIMIT = 1 << 20 };

/** Invariant: `at` has `available` bytes of the target from `start` on. */
struct piece_reader {
	const struct strobe_view *view;
	uint8_t *buffer, *joined; // PIECE_LIMIT each
	const uint8_t *at;
	uint64_t start;
	size_t available;
};

struct strobe_error *piece_reader_init(struct piece_reader *reader, const struct strobe_view *view)
	STROBE_MUST_CHECK;
void piece_reader_fini(struct piece_reader *reader);
/** `size` <= PIECE_LIMIT bytes at `address`, valid until the next call; NULL if one of them is unreadable. */
const uint8_t *piece_read(struct piece_reader *reader, uint64_t address, size_t size);

#endif
