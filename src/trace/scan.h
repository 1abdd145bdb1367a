// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_SCAN_H
#define TRACE_SCAN_H

// What an index has to know of a decoded window.

#include <stdint.h>
#include <strobe/error.h>

#include "base/arena.h"
#include "base/array.h"
#include "code/code_map.h"
#include "trace/units.h"
#include "trace/window.h"

enum { SCAN_EARLY_POINTS = 8 };

/** A unit before its thread's row is known: ids count from its own first item, nothing is carried over. It may have
 *  no items: then it tells the time only. */
struct scanned_unit {
	uint32_t thread; // WINDOW_NOBODY = of no traced thread
	uint64_t raw_bytes;
	bool has_start;
	uint64_t start; // when it began, by its stream's clock: at least this
	struct unit unit;
	// Its first few points: those that its thread has seen already do not count.
	struct clock_point early[SCAN_EARLY_POINTS];
	uint32_t early_count;
};

struct scanned_error {
	uint32_t thread;
	uint64_t count;
	const char *text; // numbers left out
};

/** A block, part by part. */
struct scanned_block {
	ARRAY(struct scanned_unit) units;
	ARRAY(struct scanned_error) errors;
	struct arena arena;
	uint64_t item_count; // nobody's included
};

void scanned_block_fini(struct scanned_block *block);
/** Adds window `part` of a block. Errors: out of memory. */
struct strobe_error *scan_window(struct scanned_block *block, const struct window *window,
				 const struct code_map *map, uint32_t stream, uint64_t index,
				 uint32_t part) STROBE_MUST_CHECK;
/** Shares the block's bytes out among its units, by items. */
void scan_share_bytes(struct scanned_block *block, uint64_t size_bytes);
/** Length of an error's text without the address or number at its end. */
size_t scan_error_text_size(const char *text);

#endif
