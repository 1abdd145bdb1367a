// SPDX-License-Identifier: Apache-2.0
#include "trace/window.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

void window_init(struct window *window)
{
	memset(window, 0, sizeof(*window));
	window->cpu = -1;
}

void window_fini(struct window *window)
{
	array_fini(&window->parts);
	array_fini(&window->notes);
	array_fini(&window->clocks);
	array_fini(&window->cuts);
	arena_fini(&window->arena);
	window_init(window);
}

void window_clear(struct window *window)
{
	window->item_count = window->instruction_count = 0;
	window->complete = window->more = false;
	window->cpu = -1;
	window->parts.count = window->notes.count = 0;
	window->clocks.count = window->cuts.count = 0;
	if (window->arena.chunks)
		arena_fini(&window->arena);
}

static struct strobe_error *add_part(struct window *window, uint32_t what, uint32_t count)
{
	if (!array_push(&window->parts,
			(struct window_part){.first_item = window->item_count, .what = what}))
		return error_no_memory();
	window->item_count += count;
	return NULL;
}

struct strobe_error *window_add_run(struct window *window, uint32_t stretch, uint32_t count)
{
	assert(count > 0 && !(stretch & WINDOW_NOTE));
	struct strobe_error *error = add_part(window, stretch, count);
	if (!error)
		window->instruction_count += count;
	return error;
}

struct strobe_error *window_add_note(struct window *window, const struct window_note *note)
{
	if (!array_reserve(&window->notes, window->notes.count + 1))
		return error_no_memory();
	struct strobe_error *error =
		add_part(window, WINDOW_NOTE | (uint32_t)window->notes.count, 1);
	if (!error)
		window->notes.items[window->notes.count++] = *note;
	return error;
}

struct strobe_error *window_add_error(struct window *window, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	struct window_note note = {.is_error = true, .text = arena_strdup(&window->arena, text)};
	if (!note.text)
		return error_no_memory();
	return window_add_note(window, &note);
}

struct strobe_error *window_add_clock(struct window *window, uint64_t value)
{
	size_t count = window->clocks.count;
	struct window_clock *last = count ? &window->clocks.items[count - 1] : NULL;
	if (last && value <= last->value)
		return NULL;
	if (last && last->item == window->item_count) {
		last->value = value;
		return NULL;
	}
	return array_push(&window->clocks,
			  (struct window_clock){.item = window->item_count, .value = value})
		       ? NULL
		       : error_no_memory();
}

struct strobe_error *window_add_cut(struct window *window, uint32_t thread, uint64_t clock)
{
	size_t count = window->cuts.count;
	struct window_cut cut = {
		.first_item = window->item_count, .thread = thread, .clock = clock};
	if (count && window->cuts.items[count - 1].first_item == window->item_count) {
		window->cuts.items[count - 1] = cut;
		return NULL;
	}
	return array_push(&window->cuts, cut) ? NULL : error_no_memory();
}

static uint32_t part_end(const struct window *window, size_t part)
{
	return part + 1 < window->parts.count ? window->parts.items[part + 1].first_item
					      : window->item_count;
}

void window_truncate(struct window *window, uint32_t item_count)
{
	while (window->parts.count &&
	       window->parts.items[window->parts.count - 1].first_item >= item_count) {
		size_t last = window->parts.count - 1;
		if (window->parts.items[last].what & WINDOW_NOTE)
			window->notes.count--;
		else
			window->instruction_count -=
				part_end(window, last) - window->parts.items[last].first_item;
		window->item_count = window->parts.items[last].first_item;
		window->parts.count--;
	}
	if (window->item_count > item_count) {
		window->instruction_count -= window->item_count - item_count;
		window->item_count = item_count;
	}
	while (window->clocks.count &&
	       window->clocks.items[window->clocks.count - 1].item > item_count)
		window->clocks.count--;
	while (window->cuts.count > 1 &&
	       window->cuts.items[window->cuts.count - 1].first_item >= item_count)
		window->cuts.count--;
}

uint32_t window_part_at(const struct window *window, uint32_t item)
{
	uint32_t low = 0, high = (uint32_t)window->parts.count;
	assert(item < window->item_count);
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (window->parts.items[middle].first_item <= item)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void window_check(const struct window *window)
{
	uint32_t notes = 0, instructions = 0;
	for (size_t i = 0; i < window->parts.count; i++) {
		uint32_t count = part_end(window, i) - window->parts.items[i].first_item;
		bool note = window->parts.items[i].what & WINDOW_NOTE;
		assert(count > 0 && count <= window->item_count);
		assert(!note || count == 1);
		assert(!note || (window->parts.items[i].what & ~WINDOW_NOTE) == notes);
		notes += note;
		instructions += note ? 0 : count;
	}
	assert(notes == window->notes.count);
	assert(instructions == window->instruction_count);
	assert(window->parts.count == 0 || window->parts.items[0].first_item == 0);
	for (size_t i = 1; i < window->clocks.count; i++) {
		assert(window->clocks.items[i - 1].item < window->clocks.items[i].item);
		assert(window->clocks.items[i - 1].value < window->clocks.items[i].value);
	}
	for (size_t i = 1; i < window->cuts.count; i++)
		assert(window->cuts.items[i - 1].first_item < window->cuts.items[i].first_item);
}
