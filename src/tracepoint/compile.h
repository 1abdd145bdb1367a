// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_COMPILE_H
#define TRACEPOINT_COMPILE_H

// Conditions of native programs as programs (program.h): integers, pointers, members, elements, C's operators on them. What it cannot say is
// evaluated outside, on the hit, with the same result.

#include "tracepoint/program.h"
#include "tracepoint/native_scope.h"

/**
 * The condition as it is to be evaluated at run-time `pc`; of the calls that are inlined there, the one at `line`, 0 = the function
 * itself. malloc'ed; NULL with `*why` (static) if it cannot be said, or memory is short.
 */
struct probe_program *compile_condition(struct strobe_symbols *symbols, const char *condition,
					uint64_t pc, uint32_t line, const char **why);

#endif
