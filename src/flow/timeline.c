// SPDX-License-Identifier: Apache-2.0
#include "flow/timeline.h"

#include <string.h>

#include "base/array.h"
#include "base/error.h"

/** A call that is open. */
struct open_call {
	struct strobe_call call;
	double time_ns;
	bool told;
};

/**
 * Invariants:
 *  1. `open` are the calls around where the walk is, outermost first; those told come before those not.
 *  2. `now_ns` never falls.
 */
struct timeline {
	const struct strobe_trace_export_options *options;
	const struct timeline_sink *sink;
	struct strobe_trace_export_summary *summary;
	struct strobe_cursor *notes; // at the next event or error that was not told
	bool has_note, has_time;
	uint64_t from_id, end_id, now_id;
	double now_ns;
	uint32_t steps;
	ARRAY(struct open_call) open;
	struct strobe_error *error;
};

const char *timeline_call_name(const struct strobe_call *call)
{
	if (call->function)
		return call->function;
	return call->module ? call->module : "[unknown]";
}

bool timeline_has_time(const struct strobe_trace *trace, size_t thread_index)
{
	return strobe_trace_thread(trace, thread_index)->has_time;
}

/** The clock at item `id`, whose time is `time_ns` if that is known. */
static double advance(struct timeline *timeline, bool known, double time_ns, uint64_t id)
{
	if (!timeline->has_time && id != STROBE_NO_ID)
		time_ns = (double)id;
	if ((known || (!timeline->has_time && id != STROBE_NO_ID)) && time_ns > timeline->now_ns)
		timeline->now_ns = time_ns;
	if (id != STROBE_NO_ID)
		timeline->now_id = id;
	return timeline->now_ns;
}

/** Keeps the error; false ends the walk. */
static bool keep(struct timeline *timeline, struct strobe_error *error)
{
	if (!error)
		return true;
	timeline->error = error;
	return false;
}

/** Tells the calls that have lasted long enough by `now_ns`. */
static bool tell_open(struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->open.count; i++) {
		struct open_call *open = &timeline->open.items[i];
		if (open->told)
			continue;
		if (timeline->now_ns - open->time_ns < timeline->options->min_duration_ns)
			break; // and so have those within it
		open->told = true;
		timeline->summary->calls++;
		if (!keep(timeline,
			  timeline->sink->begin(timeline->sink->context, &open->call,
						timeline_call_name(&open->call), open->time_ns)))
			return false;
	}
	return true;
}

static bool next_note(struct timeline *timeline)
{
	// Clocks and PSBs are how a trace is made, not what the program did.
	static const struct strobe_sought notes = {
		.event_types = ((UINT32_C(1) << STROBE_EVENT_TYPE_COUNT) - 1) &
			       ~(UINT32_C(1) << STROBE_EVENT_CLOCK_TICK |
				 UINT32_C(1) << STROBE_EVENT_SYNC_POINT |
				 UINT32_C(1) << STROBE_EVENT_MAINTENANCE),
		.errors = true,
	};
	return timeline->has_note = strobe_cursor_find(timeline->notes, &notes) &&
				    strobe_cursor_id(timeline->notes) < timeline->end_id;
}

/** Tells the events and errors before item `id`. */
static bool tell_notes(struct timeline *timeline, uint64_t id)
{
	while (timeline->has_note && strobe_cursor_id(timeline->notes) < id) {
		struct timeline_note note = {.id = strobe_cursor_id(timeline->notes)};
		double time_ns = 0;
		bool known = strobe_cursor_time_ns(timeline->notes, &time_ns);
		note.time_ns = advance(timeline, known, time_ns, note.id);
		note.error = strobe_cursor_error(timeline->notes);
		if (!note.error && !strobe_cursor_event(timeline->notes, &note.event))
			return true;
		++*(note.error ? &timeline->summary->errors : &timeline->summary->events);
		if (!tell_open(timeline) ||
		    !keep(timeline, timeline->sink->note(timeline->sink->context, &note)))
			return false;
		next_note(timeline);
	}
	return true;
}

static bool tell_progress(struct timeline *timeline)
{
	enum { TELL_EVERY = 1 << 12 };
	const struct strobe_trace_export_options *options = timeline->options;
	if (++timeline->steps % TELL_EVERY || !options->progress)
		return true;
	if (options->progress(options->progress_context, timeline->now_id - timeline->from_id,
			      timeline->end_id - timeline->from_id))
		return true;
	return keep(timeline, error_new(STROBE_ERROR_LIMIT, "cancelled"));
}

static bool enter(void *context, const struct strobe_call *call)
{
	struct timeline *timeline = context;
	if (call->first_id != STROBE_NO_ID && !tell_notes(timeline, call->first_id))
		return false;
	struct open_call open = {.call = *call};
	open.time_ns = advance(timeline, call->has_time, call->first_time_ns, call->first_id);
	if (!array_push(&timeline->open, open))
		return keep(timeline, error_no_memory());
	return tell_open(timeline) && tell_progress(timeline);
}

static bool leave(void *context, const struct strobe_call *call)
{
	struct timeline *timeline = context;
	uint64_t behind = call->last_id == STROBE_NO_ID ? STROBE_NO_ID : call->last_id + 1;
	if (behind != STROBE_NO_ID && !tell_notes(timeline, behind))
		return false;
	advance(timeline, call->has_time, call->last_time_ns, behind);
	if (!tell_open(timeline))
		return false;
	struct open_call *open = &timeline->open.items[timeline->open.count - 1];
	bool told = open->told;
	timeline->open.count--;
	timeline->summary->left_out += !told;
	return !told ||
	       keep(timeline, timeline->sink->end(timeline->sink->context, call,
						  timeline_call_name(call), timeline->now_ns));
}

static struct strobe_error *walk(struct timeline *timeline, struct strobe_trace *trace,
				 struct strobe_symbols *symbols, size_t thread_index)
{
	struct strobe_calls_options calls = {
		.size = sizeof(calls),
		.first_id = timeline->from_id,
		.end_id = timeline->end_id,
		.times = timeline->has_time,
		.no_inlined = timeline->options->no_inlined,
		.max_depth = timeline->options->max_depth,
	};
	struct strobe_calls_visitor visitor = {.enter = enter, .leave = leave, .context = timeline};
	struct strobe_calls_summary summary;
	struct strobe_error *error =
		strobe_calls_walk(trace, thread_index, symbols, &calls, &visitor, &summary);
	if (!error && !timeline->error)
		tell_notes(timeline, timeline->end_id);
	if (!error)
		return timeline->error;
	strobe_error_free(timeline->error);
	return error;
}

static void start_notes(struct timeline *timeline)
{
	strobe_cursor_set_forwards(timeline->notes, true);
	if (timeline->from_id)
		strobe_cursor_go_to_id(timeline->notes, timeline->from_id - 1);
	else
		strobe_cursor_seek(timeline->notes, -1, STROBE_SEEK_BEGIN);
	if (!timeline->options->no_events)
		next_note(timeline);
}

struct strobe_error *timeline_walk(struct strobe_trace *trace, struct strobe_symbols *symbols,
				   size_t thread_index,
				   const struct strobe_trace_export_options *options,
				   const struct timeline_sink *sink,
				   struct strobe_trace_export_summary *summary)
{
	struct timeline timeline = {.options = options, .sink = sink, .summary = summary};
	uint64_t count = strobe_trace_thread(trace, thread_index)->item_count;
	timeline.has_time = timeline_has_time(trace, thread_index);
	timeline.from_id = options->from_id;
	timeline.end_id = options->end_id && options->end_id < count ? options->end_id : count;
	if (timeline.from_id >= timeline.end_id)
		return NULL;
	struct strobe_error *error = strobe_cursor_open(trace, thread_index, &timeline.notes);
	if (error)
		return error;
	if (timeline.has_time)
		timeline.now_ns = strobe_trace_thread(trace, thread_index)->first_time_ns;
	start_notes(&timeline);
	error = walk(&timeline, trace, symbols, thread_index);
	strobe_cursor_close(timeline.notes);
	array_fini(&timeline.open);
	return error;
}
