// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_BUILDER_H
#define LENS_BUILDER_H

// A plan on its way, for plan_builder.c and plan_compile.c.

#include "lens/table.h"

/** Named limits: members looked at for one plan; virtual bases of one class. */
enum { PLAN_WORK_LIMIT = 100000, PLAN_BASE_LIMIT = 256 };

/** Invariants: bases[0 .. open) are those of the spans that have not ended; nothing is added once `full` or `failed`. */
struct plan_builder {
	struct lens *lens;
	struct lens_entry *entry;
	ARRAY(struct plan_step) steps;
	uint64_t base; // of what is being compiled, from the innermost open span on
	uint64_t bases[PLAN_NESTING_LIMIT];
	unsigned open;	  // spans
	unsigned nesting; // of structures and arrays
	unsigned unions;  // around
	uint64_t work;
	bool tail;     // what is being compiled ends the object
	bool inner;    // it is a member of something
	bool flexible; // a member takes what is left of the object
	bool full;     // past a limit: the rest is scanned
	bool last;     // by the step that is being added
	bool failed;   // memory was short
	// Virtual bases that have been seen to.
	struct type *seen[PLAN_BASE_LIMIT];
	unsigned seen_begin, seen_count; // of the object being compiled: [begin, count)
};

/** What is left from `offset` on is scanned, in place of the steps from number `begin` on. */
void plan_give_up(struct plan_builder *builder, size_t begin, uint64_t offset);

#endif
