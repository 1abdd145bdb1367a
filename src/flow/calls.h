// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_CALLS_H
#define FLOW_CALLS_H

#include <strobe/calls.h>

struct places;

/** strobe_calls_walk() with the caller's `places`: function_id is theirs. options->no_inlined is ignored. */
struct strobe_error *calls_walk(struct strobe_trace *trace, size_t thread_index,
				struct places *places, const struct strobe_calls_options *options,
				const struct strobe_calls_visitor *visitor,
				struct strobe_calls_summary *ret) STROBE_MUST_CHECK;

#endif
