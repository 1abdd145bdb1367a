// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_ROWS_H
#define TRACE_ROWS_H

// Makes threads' rows of units out of what was found in blocks: in the order of blocks where a stream is one
// thread's, in the order of time where streams are of CPUs.

#include <strobe/error.h>

#include "trace/state.h"

/** Rows for the source's threads that have none yet. */
struct strobe_error *rows_add_threads(struct strobe_trace *trace) STROBE_MUST_CHECK;
/** Scans the blocks that are not in the index yet, and appends their units: all, or none if it
 *  fails. */
struct strobe_error *rows_extend(struct strobe_trace *trace) STROBE_MUST_CHECK;
/** Asserts the invariants of units. */
void rows_check(const struct strobe_trace *trace);

#endif
