// SPDX-License-Identifier: Apache-2.0
#ifndef DIFF_COMPARE_H
#define DIFF_COMPARE_H

// Compares memory of two views without a copy, in stretches that are of one kind on both sides.

#include <strobe/view.h>

#include "view/view.h"

/** Bytes that differ closer to each other than this make one range. */
enum { COMPARE_MERGE_BYTES = 8 };

/** What a stretch is. */
enum compare_kind {
	COMPARE_BYTES,	      // known in both: to be compared
	COMPARE_EQUAL,	      // known to be equal without reading
	COMPARE_MISSING_A,    // known in B alone
	COMPARE_MISSING_B,    // known in A alone
	COMPARE_MISSING_BOTH, // known in neither
};

struct compare_stretch {
	enum compare_kind kind;
	uint64_t size;	      // bytes, not 0
	const uint8_t *a, *b; // COMPARE_BYTES only
};

/** One side. Invariants: [run_start, run.end) is of one kind; [start, end) lies in it and is
 *  `bytes`, NULL if it cannot be read. Empty: nothing is known yet. */
struct compare_side {
	const struct strobe_view *view;
	uint64_t run_start;
	struct view_run run;
	uint64_t start, end;
	const uint8_t *bytes;
	uint8_t *buffer; // for what has to be fetched
};

struct compare {
	struct compare_side a, b;
};

/** False when memory is short. */
bool compare_init(struct compare *compare, const struct strobe_view *a,
		  const struct strobe_view *b);
void compare_fini(struct compare *compare);
/** What `size` > 0 bytes at `a` and `b` begin with. */
void compare_next(struct compare *compare, uint64_t a, uint64_t b, uint64_t size,
		  struct compare_stretch *ret);
/** Says that the bytes of a stretch are not needed soon. */
void compare_release(const struct compare *compare, const struct compare_stretch *stretch);
/** The first byte, from `offset` on, known in both that differs; `size` if there is none. */
uint64_t compare_first(struct compare *compare, uint64_t a, uint64_t b, uint64_t offset,
		       uint64_t size);

/** Ranges of differing bytes, being put together. Invariant: [start, end) is pending if not empty. */
struct compare_ranges {
	uint64_t start, end, changed;
	uint64_t changed_bytes, changed_pages; // sums
	uint64_t last_page;		       // the last one counted, + 1
	/** Return false to stop. */
	bool (*visit)(void *context, uint64_t start, uint64_t end, uint64_t changed_bytes);
	void *context;
	bool stopped;
};
/** Compares `size` bytes that stand at `address`, which ascends from call to call. */
void compare_bytes(struct compare_ranges *ranges, uint64_t address, const uint8_t *a,
		   const uint8_t *b, uint64_t size);
/** Ends the pending range. */
void compare_flush(struct compare_ranges *ranges);

#endif
