// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_RUN_COUNTS_H
#define FLOW_RUN_COUNTS_H

// How often each instruction was executed. While a trace is walked, whole runs are counted; instructions
// afterwards. Memory: by the code that was executed, however often.

#include <strobe/cursor.h>

#include "base/arena.h"
#include "base/array.h"

/** Instructions at `address`, that follow each other and were executed together. */
struct run_count {
	struct run_count *next; // of other counts of instructions, from the same code index
	uint64_t address;
	uint64_t executions;
	uint32_t count;
	uint8_t lengths[];
};

struct instruction_count {
	uint64_t address;
	uint64_t executions;
};

struct run_counts {
	ARRAY(struct run_count *) by_code; // by code index
	ARRAY(struct run_count *) all;
	ARRAY(struct instruction_count) instructions; // sorted; made by run_counts_finish()
	uint64_t instruction_total;
	struct arena arena;
};

void run_counts_fini(struct run_counts *counts);
/** Counts `run`, or of it the instructions [first, end). */
struct strobe_error *run_counts_add(struct run_counts *counts, const struct strobe_run *run,
				    uint32_t first, uint32_t end) STROBE_MUST_CHECK;
/** Makes `instructions`. */
struct strobe_error *run_counts_finish(struct run_counts *counts) STROBE_MUST_CHECK;
/** Index of the first instruction at `address` or behind it. */
size_t run_counts_from(const struct run_counts *counts, uint64_t address);

#endif
