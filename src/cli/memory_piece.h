// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_MEMORY_PIECE_H
#define CLI_MEMORY_PIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/memory.h>

#include "command.h"

/** Bytes that are shown, and which of them are known. */
enum { PIECE_SIZE = 65536 };
struct memory_piece {
	uint64_t address;
	size_t size;
	uint8_t bytes[PIECE_SIZE]; // 0 where not known
	bool known[PIECE_SIZE];
};

/** Reads `size` (at most PIECE_SIZE) bytes; returns how many of them are known. */
size_t memory_piece_read(const struct strobe_view *view, uint64_t address, size_t size,
			 struct memory_piece *ret);
/** Line of a hex dump: at most 16 bytes of `piece` from `offset` on. */
void memory_piece_line(const struct command *command, const struct memory_piece *piece,
		       size_t offset);

#endif
