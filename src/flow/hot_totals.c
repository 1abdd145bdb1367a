// SPDX-License-Identifier: Apache-2.0
// What functions cost with all that they called: from a walk of the calls, where a function that is active
// several times counts once.

#include "base/error.h"
#include "flow/calls.h"
#include "flow/hot.h"

struct function_total {
	uint64_t active; // calls of it that are open
	uint64_t entry_count;
	uint64_t instruction_count;
	double time_ns;
};

struct totals {
	ARRAY(struct function_total) functions; // by function_id
	bool no_memory;
};

static struct function_total *total_of(struct totals *totals, uint32_t function_id)
{
	while (totals->functions.count <= function_id)
		if (!array_push(&totals->functions, (struct function_total){0})) {
			totals->no_memory = true;
			return NULL;
		}
	return &totals->functions.items[function_id];
}

static bool enter(void *context, const struct strobe_call *call)
{
	struct function_total *total = total_of(context, call->function_id);
	if (!total)
		return false;
	total->active++;
	total->entry_count += call->kind != STROBE_CALL_CALLER;
	return true;
}

static bool leave(void *context, const struct strobe_call *call)
{
	struct totals *totals = context;
	struct function_total *total = &totals->functions.items[call->function_id];
	if (--total->active)
		return true;
	total->instruction_count += call->instruction_count;
	if (call->has_time)
		total->time_ns += call->last_time_ns - call->first_time_ns;
	return true;
}

static void take(struct strobe_hot *hot, const struct totals *totals)
{
	for (uint32_t id = 0; id < totals->functions.count; id++) {
		const struct function_total *total = &totals->functions.items[id];
		const void *known = hash_get(&hot->row_keys, id);
		if (!known)
			continue; // it called, but none of its own instructions is there
		struct strobe_hot_row *row = &hot->rows.items[(uintptr_t)known - 1];
		row->entry_count = total->entry_count;
		row->total_count = total->instruction_count;
		row->total_ns = total->time_ns;
	}
}

struct strobe_error *hot_add_totals(struct strobe_hot *hot, struct strobe_trace *trace,
				    size_t thread_index, const struct strobe_hot_options *options,
				    uint64_t end_id)
{
	struct totals totals = {0};
	struct strobe_calls_summary summary;
	struct strobe_calls_options what = {
		.size = sizeof(what),
		.first_id = options->first_id,
		.end_id = end_id,
		.times = !options->no_times,
	};
	struct strobe_calls_visitor visitor = {.enter = enter, .leave = leave, .context = &totals};
	struct strobe_error *error =
		calls_walk(trace, thread_index, &hot->places, &what, &visitor, &summary);
	if (!error && totals.no_memory)
		error = error_no_memory();
	if (!error)
		take(hot, &totals);
	array_fini(&totals.functions);
	return error;
}
