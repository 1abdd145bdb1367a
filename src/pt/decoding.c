// SPDX-License-Identifier: Apache-2.0
#include "pt/decoding.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

struct strobe_error *decoding_note(struct decoder *decoder, const struct window_note *note)
{
	runs_close(&decoder->runs);
	return window_add_note(decoder->window, note);
}

struct strobe_error *decoding_error(struct decoder *decoder, const char *format, ...)
{
	struct window_note note = {.is_error = true};
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	note.text = arena_strdup(&decoder->window->arena, text);
	return note.text ? decoding_note(decoder, &note) : error_no_memory();
}

// The last execution that began at or before `clock`; SIZE_MAX if none did.
static size_t find_execution(const struct pt_cpu_schedule *schedule, uint64_t clock)
{
	size_t low = 0, high = schedule->executions.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (schedule->executions.items[middle].start <= clock)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

static uint32_t thread_of(const struct pt_source *source, const struct pt_execution *execution)
{
	uintptr_t found = (uintptr_t)hash_get(&source->threads, (uint64_t)(unsigned)execution->tid);
	if (!found || source->input.threads.items[found - 1].pid != execution->pid)
		return WINDOW_NOBODY;
	return (uint32_t)(found - 1);
}

// Who ran on the CPU at `clock`, and for how long.
static void find_owner(struct decoder *decoder, uint64_t clock)
{
	const struct pt_cpu_schedule *schedule = decoder->schedule;
	size_t count = schedule->executions.count, index = find_execution(schedule, clock);
	size_t next = index + 1; // SIZE_MAX + 1 is 0
	decoder->now.owner_from = 0;
	decoder->now.owner_until =
		next < count ? schedule->executions.items[next].start : UINT64_MAX;
	decoder->now.owner = WINDOW_NOBODY;
	if (index == SIZE_MAX)
		return;
	const struct pt_execution *execution = &schedule->executions.items[index];
	if (clock < execution->end) {
		decoder->now.owner_from = execution->start;
		decoder->now.owner_until = execution->end;
		decoder->now.owner = thread_of(decoder->source, execution);
	} else {
		decoder->now.owner_from = execution->end;
	}
}

// Gives what follows to whoever runs now.
static struct strobe_error *cut_at(struct decoder *decoder, uint64_t clock)
{
	struct window *window = decoder->window;
	struct moment before = decoder->now;
	bool known = before.owner_known;
	if (!decoder->schedule ||
	    (known && clock >= decoder->now.owner_from && clock < decoder->now.owner_until))
		return NULL;
	find_owner(decoder, clock);
	decoder->now.owner_known = true;
	// What came before the first clock value is the same thread's.
	if (!known && window->cuts.count == 1)
		window->cuts.items[0] =
			(struct window_cut){.thread = decoder->now.owner, .clock = clock};
	// The same thread again may have been on another CPU in between.
	if (!known ||
	    (decoder->now.owner == before.owner &&
	     (before.owner == WINDOW_NOBODY || before.owner_from == decoder->now.owner_from)))
		return NULL;
	runs_close(&decoder->runs);
	// It is the switch that ends what came before; the clock itself says when the next one goes on.
	return window_add_cut(window, decoder->now.owner,
			      before.owner_until < clock ? before.owner_until : clock);
}

// Is the event one of this stream's?
static bool concerns(const struct decoder *decoder, const struct pt_sideband_event *event)
{
	const struct pt_stream *stream = &decoder->source->input.streams.items[decoder->stream];
	return (event->tid < 0 || event->tid == stream->tid) &&
	       (event->cpu < 0 || event->cpu == stream->cpu);
}

struct strobe_error *decoding_events(struct decoder *decoder, uint64_t clock)
{
	const struct pt_input *input = &decoder->source->input;
	struct strobe_error *error = NULL;
	if (clock > decoder->events_until)
		clock = decoder->events_until;
	while (!error && decoder->now.event < input->events.count &&
	       input->events.items[decoder->now.event].clock <= clock) {
		const struct pt_sideband_event *event = &input->events.items[decoder->now.event++];
		struct window_note note = event->note;
		if (!concerns(decoder, event))
			continue;
		note.text = note.text ? note.text : "";
		error = cut_at(decoder, event->clock);
		if (!error)
			error = decoding_note(decoder, &note);
	}
	return error;
}

struct strobe_error *decoding_clock(struct decoder *decoder, uint64_t value)
{
	if (value <= decoder->now.clock && decoder->now.clock)
		return NULL;
	struct strobe_error *error = decoding_events(decoder, value);
	if (!error)
		error = cut_at(decoder, value);
	decoder->now.clock = value;
	return error ? error : window_add_clock(decoder->window, value);
}

struct strobe_error *decoding_tick(struct decoder *decoder, uint64_t value)
{
	struct strobe_error *error = decoding_clock(decoder, value);
	if (error || decoder->now.tick == value)
		return error;
	struct window_note note = {.type = STROBE_EVENT_CLOCK_TICK, .value = value, .text = ""};
	decoder->now.tick = value;
	return decoding_note(decoder, &note);
}
