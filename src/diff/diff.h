// SPDX-License-Identifier: Apache-2.0
#ifndef DIFF_DIFF_H
#define DIFF_DIFF_H

// A comparison under way: what its sections share. Each section is one function, in a file of its
// own; all of them report through diff_report().

#include <strobe/diff.h>

#include "base/array.h"
#include "diff/compare.h"
#include "view/view.h"

struct places;

/** Invariants: `done` has the sections that were run; `visit` is not NULL while one runs; `failed`
 *  (out of memory) and `stopped` end it. */
struct strobe_diff {
	struct strobe_symbols *old_symbols, *new_symbols;
	const struct strobe_view *a, *b;
	struct strobe_diff_options options;
	uint64_t last; // address of B that may be compared last: options.end - 1
	struct compare compare;
	struct strobe_diff_totals totals;
	unsigned done;
	strobe_diff_visit visit;
	void *context;
	bool stopped;
	bool failed;
	struct places *places; // place.c, made at first use
};

/** Passes a change on; false when the comparison ends with it. */
bool diff_report(struct strobe_diff *diff, const struct strobe_diff_item *item);
/** True if threads with that id are compared. */
bool diff_wants(const struct strobe_diff *diff, int tid);
/** True for two equal strings, or two NULLs. */
bool diff_same_text(const char *a, const char *b);

void diff_process(struct strobe_diff *diff);	   // process.c
void diff_threads(struct strobe_diff *diff);	   // threads.c
void diff_registers(struct strobe_diff *diff);	   // threads.c
void diff_mappings(struct strobe_diff *diff);	   // mappings.c
void diff_descriptors(struct strobe_diff *diff);   // process.c
void diff_memory(struct strobe_diff *diff);	   // memory.c
void diff_globals(struct strobe_diff *diff);	   // globals.c
struct places *places_free(struct places *places); // place.c

#endif
