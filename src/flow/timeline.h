// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_TIMELINE_H
#define FLOW_TIMELINE_H

// A thread's calls, with the events and errors in between, in the order of the trace: what exports are
// made from. Kept is the stack alone.

#include <strobe/calls.h>
#include <strobe/trace_export.h>

/** An event or an error. */
struct timeline_note {
	uint64_t id;
	double time_ns;
	const char *error;	   // NULL: it is an event
	struct strobe_event event; // if it is one
};

/** Where it is told. Each returns NULL to go on; times never fall. `name` is never NULL. */
struct timeline_sink {
	struct strobe_error *(*begin)(void *context, const struct strobe_call *call,
				      const char *name, double time_ns);
	struct strobe_error *(*end)(void *context, const struct strobe_call *call, const char *name,
				    double time_ns);
	struct strobe_error *(*note)(void *context, const struct timeline_note *note);
	void *context;
};

/** True if thread `thread_index` has times; without, an item stands for a ns. */
bool timeline_has_time(const struct strobe_trace *trace, size_t thread_index);
/** Tells thread `thread_index`; `summary` is added to. Of `options`, from_id and end_id count as well. */
struct strobe_error *timeline_walk(struct strobe_trace *trace, struct strobe_symbols *symbols,
				   size_t thread_index,
				   const struct strobe_trace_export_options *options,
				   const struct timeline_sink *sink,
				   struct strobe_trace_export_summary *summary) STROBE_MUST_CHECK;
/** What a call without a name is called: by its module, or "[unknown]". */
const char *timeline_call_name(const struct strobe_call *call);

#endif
