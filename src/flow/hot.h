// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_HOT_H
#define FLOW_HOT_H

#include <strobe/cursor.h>
#include <strobe/hot.h>

#include "flow/places.h"

/** A run of code, and what it cost. */
struct hot_run {
	uint64_t address;
	uint32_t count; // instructions; 0 = was not executed
	const uint8_t *lengths;
	uint64_t executions;
	double time_ns;
};

struct strobe_hot {
	struct places places;
	struct arena arena;
	ARRAY(struct hot_run) runs;	 // by strobe_run.code_index, as first met
	ARRAY(struct hot_run) part_runs; // of other lengths
	struct hash parts;		 // code_index and length -> index + 1
	ARRAY(struct strobe_hot_row) rows;
	struct hash row_keys; // what makes a row -> index + 1
	struct strobe_hot_summary summary;
};

const uint8_t *hot_copy_lengths(struct strobe_hot *hot, const struct strobe_run *run);
/** hot_rows.c: makes rows from the runs. */
struct strobe_error *hot_make_rows(struct strobe_hot *hot, const struct strobe_hot_options *options)
	STROBE_MUST_CHECK;
/** hot_totals.c: what functions cost with all that they called. */
struct strobe_error *hot_add_totals(struct strobe_hot *hot, struct strobe_trace *trace,
				    size_t thread_index, const struct strobe_hot_options *options,
				    uint64_t end_id) STROBE_MUST_CHECK;
/** hot_rows.c: into the order of strobe_hot_row(); row_keys mean nothing then. */
void hot_sort_rows(struct strobe_hot *hot);
/** Row of function `function_id` of `hot->places`, or of another key; makes it if need be. NULL if memory is
 *  short. */
struct strobe_hot_row *hot_row(struct strobe_hot *hot, uint64_t key);

#endif
