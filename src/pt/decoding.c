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

struct strobe_error *decoding_clock(struct decoder *decoder, uint64_t value)
{
	if (value <= decoder->clock)
		return NULL;
	decoder->clock = value;
	return window_add_clock(decoder->window, value);
}

struct strobe_error *decoding_tick(struct decoder *decoder, uint64_t value)
{
	struct strobe_error *error = decoding_clock(decoder, value);
	if (error || (decoder->has_tick && decoder->tick == value))
		return error;
	struct window_note note = {.type = STROBE_EVENT_CLOCK_TICK, .value = value, .text = ""};
	decoder->has_tick = true;
	decoder->tick = value;
	return decoding_note(decoder, &note);
}
