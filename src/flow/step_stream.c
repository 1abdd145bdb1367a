// SPDX-License-Identifier: Apache-2.0
#include "flow/step_stream.h"

#include <string.h>

#include "base/error.h"

// Added to what a step is, so that kinds of steps differ.
#define RETURN_STEP UINT64_C(0x9e3779b97f4a7c15)
#define ERROR_STEP UINT64_C(0xc2b2ae3d27d4eb4f)
#define EVENT_STEP UINT64_C(0x165667b19e3779f9)

struct strobe_error *step_stream_init(struct step_stream *stream,
				      const struct strobe_trace_side *side,
				      const struct step_options *options)
{
	*stream = (struct step_stream){.symbols = side->symbols, .options = *options};
	if (side->thread_index >= strobe_trace_thread_count(side->trace))
		return error_new(STROBE_ERROR_INVALID, "no thread %zu", side->thread_index);
	struct strobe_error *error =
		strobe_cursor_open(side->trace, side->thread_index, &stream->cursor);
	if (error)
		return error;
	uint64_t count = strobe_trace_thread(side->trace, side->thread_index)->item_count;
	stream->end_id = side->end_id && side->end_id < count ? side->end_id : count;
	strobe_cursor_set_forwards(stream->cursor, true);
	stream->ended = side->from_id >= stream->end_id ||
			!strobe_cursor_go_to_id(stream->cursor, side->from_id);
	stream->entering = true; // where it begins is told, too
	return NULL;
}

void step_stream_fini(struct step_stream *stream)
{
	strobe_cursor_close(stream->cursor);
	array_fini(&stream->ahead);
	hash_fini(&stream->names);
}

static void find_module(struct step_stream *stream, uint64_t address)
{
	if (address >= stream->module_start && address < stream->module_end)
		return;
	const struct strobe_view *view = strobe_symbols_view(stream->symbols);
	size_t index = strobe_view_module_at(view, address);
	stream->module_start = address;
	stream->module_end = address + 1;
	stream->module_base = 0;
	if (index == SIZE_MAX)
		return;
	const struct strobe_module *module = strobe_view_module(view, index);
	const struct strobe_mapping *mapping = strobe_view_mapping_at(view, address);
	if (mapping) {
		stream->module_start = mapping->start;
		stream->module_end = mapping->end;
	}
	stream->module_base = hash_bytes(module->name, strlen(module->name)) - module->bias;
}

static uint64_t what_is_at(struct step_stream *stream, uint64_t address)
{
	find_module(stream, address);
	return stream->module_base + address;
}

/** Makes the run that the cursor is in the one at hand; false at the end of what counts. */
static bool load_run(struct step_stream *stream)
{
	uint64_t id = strobe_cursor_id(stream->cursor);
	if (!strobe_cursor_run(stream->cursor, &stream->run))
		return false;
	stream->index = (uint32_t)(id - stream->run.first_id);
	if (stream->end_id - stream->run.first_id < stream->run.count) {
		stream->run.count = (uint32_t)(stream->end_id - stream->run.first_id);
		stream->run.flow = STROBE_FLOW_OTHER; // its end does not count
		stream->run.last_address = stream->run.address;
		for (uint32_t i = 0; i + 1 < stream->run.count; i++)
			stream->run.last_address += stream->run.lengths[i];
	}
	stream->address = stream->run.address;
	for (uint32_t i = 0; i < stream->index; i++)
		stream->address += stream->run.lengths[i];
	stream->base = what_is_at(stream, stream->address) - stream->address;
	stream->has_run = true;
	stream->returning = stream->run.flow == STROBE_FLOW_RETURN;
	return true;
}

static void leave_run(struct step_stream *stream)
{
	stream->has_run = false;
	stream->ended = !strobe_cursor_next_run(stream->cursor);
}

static bool is_told(enum strobe_event_type type)
{
	switch (type) {
	case STROBE_EVENT_CPU_CHANGED:
	case STROBE_EVENT_CLOCK_TICK:
	case STROBE_EVENT_SYNC_POINT:
	case STROBE_EVENT_MWAIT:
	case STROBE_EVENT_POWER_ENTRY:
	case STROBE_EVENT_POWER_EXIT:
	case STROBE_EVENT_CORE_BUS_RATIO:
	case STROBE_EVENT_MAINTENANCE:
		return false;
	default:
		return true;
	}
}

/** An event or an error as a step; false if it does not count. */
static bool note_step(struct step_stream *stream, struct step *ret)
{
	struct strobe_event event;
	ret->id = strobe_cursor_id(stream->cursor);
	ret->address = 0;
	ret->what = ERROR_STEP;
	if (strobe_cursor_kind(stream->cursor) == STROBE_ITEM_ERROR)
		return true;
	if (!stream->options.events || !strobe_cursor_event(stream->cursor, &event) ||
	    !is_told(event.type))
		return false;
	ret->what = EVENT_STEP + event.type * RETURN_STEP;
	if (event.type == STROBE_EVENT_SYSTEM_CALL || event.type == STROBE_EVENT_SIGNAL ||
	    event.type == STROBE_EVENT_PTWRITE)
		ret->what += event.value * ERROR_STEP;
	return true;
}

/** Goes to the next run; true if a note before it is a step of its own. */
static bool find_run(struct step_stream *stream, struct step *ret)
{
	while (!stream->ended) {
		if (strobe_cursor_id(stream->cursor) >= stream->end_id) {
			stream->ended = true;
			break;
		}
		if (load_run(stream))
			return false;
		bool is_step = note_step(stream, ret);
		stream->ended = !strobe_cursor_next(stream->cursor);
		if (is_step)
			return true;
	}
	return false;
}

static bool read_instruction(struct step_stream *stream, struct step *ret)
{
	if (!stream->has_run && find_run(stream, ret))
		return true;
	if (!stream->has_run)
		return false;
	*ret = (struct step){
		.what = stream->base + stream->address,
		.id = stream->run.first_id + stream->index,
		.address = stream->address,
	};
	stream->address += stream->run.lengths[stream->index++];
	if (stream->index == stream->run.count)
		leave_run(stream);
	return true;
}

static uint64_t name_at(struct step_stream *stream, uint64_t address)
{
	struct strobe_function function;
	void *known = hash_get(&stream->names, address);
	if (known)
		return (uint64_t)(uintptr_t)known;
	uint64_t what = what_is_at(stream, address);
	if (strobe_function_at(stream->symbols, address, &function) && *function.name)
		what = hash_bytes(function.name, strlen(function.name));
	what |= 1;
	// Short of memory, it is found again when it is met again.
	(void)hash_put(&stream->names, address, (void *)(uintptr_t)what);
	return what;
}

static bool read_call(struct step_stream *stream, struct step *ret)
{
	for (;;) {
		if (!stream->has_run && find_run(stream, ret))
			return true;
		if (!stream->has_run)
			return false;
		if (stream->entering) {
			stream->entering = false;
			*ret = (struct step){
				.what = name_at(stream, stream->address),
				.id = stream->run.first_id + stream->index,
				.address = stream->address,
			};
			return true;
		}
		if (stream->returning) {
			stream->returning = false;
			*ret = (struct step){
				.what = RETURN_STEP,
				.id = stream->run.first_id + stream->run.count - 1,
				.address = stream->run.last_address,
			};
			return true;
		}
		stream->entering = stream->run.flow == STROBE_FLOW_CALL;
		leave_run(stream);
	}
}

static bool read_step(struct step_stream *stream, struct step *ret)
{
	return stream->options.functions ? read_call(stream, ret) : read_instruction(stream, ret);
}

bool step_stream_next(struct step_stream *stream, struct step *ret)
{
	if (stream->ahead_at == stream->ahead.count)
		return read_step(stream, ret);
	*ret = stream->ahead.items[stream->ahead_at++];
	return true;
}

bool step_stream_look_ahead(struct step_stream *stream, size_t count)
{
	struct step step;
	if (stream->ahead_at > 0) {
		stream->ahead.count -= stream->ahead_at;
		memmove(stream->ahead.items, stream->ahead.items + stream->ahead_at,
			stream->ahead.count * sizeof(step));
		stream->ahead_at = 0;
	}
	while (stream->ahead.count < count && read_step(stream, &step)) {
		if (!array_push(&stream->ahead, step))
			return false;
	}
	return true;
}

const struct step *step_stream_ahead(const struct step_stream *stream, size_t *count)
{
	*count = stream->ahead.count - stream->ahead_at;
	return stream->ahead.items + stream->ahead_at;
}

void step_stream_drop(struct step_stream *stream, size_t count)
{
	stream->ahead_at += count;
}

static bool is_at_run(struct step_stream *stream)
{
	if (stream->has_run)
		return true;
	return !stream->ended && strobe_cursor_id(stream->cursor) < stream->end_id &&
	       load_run(stream);
}

uint32_t step_stream_skip_equal(struct step_stream *a, struct step_stream *b, struct step last[2])
{
	if (a->options.functions || a->ahead_at < a->ahead.count || b->ahead_at < b->ahead.count ||
	    !is_at_run(a) || !is_at_run(b) || a->base + a->address != b->base + b->address)
		return 0;
	uint32_t rest_a = a->run.count - a->index, rest_b = b->run.count - b->index;
	uint32_t count = rest_a < rest_b ? rest_a : rest_b;
	// The code may differ though its place does not.
	if (memcmp(a->run.lengths + a->index, b->run.lengths + b->index, count - 1) != 0)
		return 0;
	struct step_stream *both[2] = {a, b};
	for (int i = 0; i < 2; i++) {
		struct step_stream *stream = both[i];
		bool whole = stream->index + count == stream->run.count;
		if (whole)
			stream->address = stream->run.last_address;
		for (uint32_t j = 0; !whole && j + 1 < count; j++)
			stream->address += stream->run.lengths[stream->index + j];
		stream->index += count - 1;
		bool more = read_instruction(stream, &last[i]);
		if (!more)
			last[i] = (struct step){0};
	}
	return count;
}
