// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_BEHIND_H
#define SNAPSHOT_WRITE_BEHIND_H

// Blocks of pages on their way to the output: a thread writes them while the next are read.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "snapshot/write_output.h"

enum { BLOCK_PAGES = 256 }; // 1 MiB: read, looked at and written in one go

/** Pages of the file in the making. */
struct block {
	uint8_t *bytes;
	size_t count;		   // of pages
	bool zero[BLOCK_PAGES];	   // these are not written but skipped,
	bool dropped[BLOCK_PAGES]; // or have no place in the file at all
	uint64_t skip;		   // so many bytes of zeros behind them
};

struct behind;

/** `output` is borrowed, and this one's alone from the first behind_send() until behind_finish(),
 *  but for writing ahead. */
struct strobe_error *behind_new(struct output *output, struct behind **ret) STROBE_MUST_CHECK;
/** Waits for what is being written, and drops the rest. */
struct behind *behind_free(struct behind *behind);
/** The block to fill, empty at first; valid until it is sent. */
struct block *behind_block(struct behind *behind);
/** Hands the block over and makes another one behind_block(). Errors: NO_MEMORY; what writing
 *  failed with, this block or an earlier one. */
struct strobe_error *behind_send(struct behind *behind) STROBE_MUST_CHECK;
/** Sends the last block and waits until all are written. Errors: as behind_send(). */
struct strobe_error *behind_finish(struct behind *behind) STROBE_MUST_CHECK;

#endif
