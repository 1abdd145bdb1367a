// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_RECORDER_TRUTH_H
#define TESTS_RECORDER_TRUTH_H

// A brute-force single-stepper, and recordings of the same programs.

#include <stdint.h>
#include <strobe/record.h>
#include <strobe/trace.h>

#include "base/array.h"

struct addresses {
	ARRAY(uint64_t) list;
};

/** Steps through a program by plain ptrace, from `start` on; repetitions of a string instruction are one. False if it
 *  could not. */
bool truth_step(const char *const *arguments, uint64_t start, struct addresses *ret);
/** Instructions of a trace's thread, from the first at `start` on (0 = all). */
struct strobe_error *truth_read(struct strobe_trace *trace, size_t thread, uint64_t start,
				struct addresses *ret);
/** Where both begin to differ; SIZE_MAX if they do not. */
size_t truth_compare(const struct addresses *a, const struct addresses *b);

#endif
