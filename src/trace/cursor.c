// SPDX-License-Identifier: Apache-2.0
#include "trace/cursor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define MISFIT "the index does not fit the trace here: it has to be rebuilt"

static uint64_t item_count(const struct strobe_cursor *cursor)
{
	return cursor->trace->rows.items[cursor->thread].info.item_count;
}

static void release_window(struct strobe_cursor *cursor)
{
	cursor->window = window_cache_unpin(&cursor->trace->cache, cursor->window);
	cursor->parts = NULL;
}

void cursor_leave(struct strobe_cursor *cursor, bool before)
{
	release_window(cursor);
	cursor->lengths = NULL;
	cursor->stretch = NULL;
	cursor->note = NULL;
	cursor->at = cursor->count = 0;
	cursor->parts_first = UINT32_MAX;
	cursor->parts_end = 0;
	cursor->before = before;
	cursor->kind = STROBE_ITEM_ERROR;
	cursor->id = STROBE_NO_ID;
	cursor->off = item_count(cursor);
}

/** Stands at a note; `id` is set. */
static void stand_at_note(struct strobe_cursor *cursor, const struct window_note *note)
{
	cursor->lengths = NULL;
	cursor->stretch = NULL;
	cursor->note = note;
	cursor->at = 0;
	cursor->count = 1;
	cursor->address = 0;
	cursor->kind = note->is_error ? STROBE_ITEM_ERROR : STROBE_ITEM_EVENT;
}

/** Stands in part `part`, a run: at its first or last instruction, or at the one numbered `at`. */
static inline void stand_in_run(struct strobe_cursor *cursor, uint32_t part, uint32_t at)
{
	const struct window_part *what = &cursor->parts[part];
	const struct code_stretch *stretch = code_tables_stretch(cursor->code, what->what);
	const uint8_t *lengths = code_tables_lengths(cursor->code, stretch);
	cursor->part = part;
	cursor->count = what[1].first_item - what->first_item;
	cursor->stretch = stretch;
	cursor->lengths = lengths;
	cursor->note = NULL;
	cursor->at = at;
	cursor->kind = STROBE_ITEM_INSTRUCTION;
	uint64_t address = stretch->address;
	if (at + 1u == stretch->count)
		address = stretch->end - lengths[at];
	else
		for (uint32_t i = 0; i < at; i++)
			address += lengths[i];
	cursor->address = address;
}

/** Stands in part `part` of the window, `at` items behind its first. */
static inline void stand_in_part(struct strobe_cursor *cursor, uint32_t part, uint32_t at)
{
	uint32_t what = cursor->parts[part].what;
	if (__builtin_expect(!(what & WINDOW_NOTE), 1)) {
		stand_in_run(cursor, part, at);
		return;
	}
	cursor->part = part;
	stand_at_note(cursor, &cursor->window->window.notes.items[what & ~WINDOW_NOTE]);
}

/** Stands at a note that no part of a window is. */
static void stand_at_own_note(struct strobe_cursor *cursor)
{
	cursor->parts_first = UINT32_MAX;
	cursor->parts_end = 0;
	stand_at_note(cursor, &cursor->own);
}

/** An error in the place of what cannot be decoded; the window is let go, so that it is tried again. */
static void stand_at_gap(struct strobe_cursor *cursor, const char *why)
{
	snprintf(cursor->text, sizeof(cursor->text), "%s", why);
	release_window(cursor);
	cursor->own = (struct window_note){.is_error = true, .text = cursor->text};
	stand_at_own_note(cursor);
}

static void stand_at_cpu_change(struct strobe_cursor *cursor)
{
	cursor->own = (struct window_note){.type = STROBE_EVENT_CPU_CHANGED,
					   .value = (uint64_t)cursor->unit.cpu};
	stand_at_own_note(cursor);
}

struct strobe_error *cursor_unit_window(struct strobe_trace *trace, const struct unit *unit,
					uint32_t enough, struct cached_window **ret)
{
	if (unit->stream >= trace->indexed.count ||
	    unit->block >= trace->indexed.items[unit->stream])
		return error_new(STROBE_ERROR_FORMAT, MISFIT);
	// Where a cut begins is not known before it is decoded; the first one begins at 0.
	struct source_want want = {.part = unit->part,
				   .enough = unit->cut == 0 ? enough : UINT32_MAX};
	return window_cache_get(&trace->cache, &trace->source, trace->decoder, unit->stream,
				unit->block, &want, ret);
}

void cursor_unit_extent(const struct unit *unit, const struct window *window, uint32_t *ret_first,
			uint32_t *ret_end)
{
	const struct window_cut *cuts = window->cuts.items;
	*ret_first =
		unit->cut < window->cuts.count ? cuts[unit->cut].first_item : window->item_count;
	*ret_end = unit->cut + 1 < window->cuts.count ? cuts[unit->cut + 1].first_item
						      : window->item_count;
}

/** Number of the part that begins at `item`, which is a cut's first or the window's end. */
static uint32_t part_from(const struct window *window, uint32_t item)
{
	return item < window->item_count ? window_part_at(window, item)
					 : (uint32_t)window->parts.count;
}

/** Has the unit's window decoded at least up to item `enough` of the cut; false = it stands at a gap now. */
static bool get_window(struct strobe_cursor *cursor, uint32_t enough)
{
	struct strobe_trace *trace = cursor->trace;
	const struct unit *unit = &cursor->unit;
	struct cached_window *window = cursor->window;
	if (window &&
	    (window->window.complete || cursor->window_end - cursor->window_first > enough))
		return true;
	struct strobe_error *error = cursor_unit_window(trace, unit, enough, &window);
	if (error) {
		stand_at_gap(cursor, strobe_error_message(error));
		strobe_error_free(error);
		return false;
	}
	window_cache_unpin(&trace->cache, cursor->window);
	cursor->window = window;
	cursor->parts = window->window.parts.items;
	cursor_unit_extent(unit, &window->window, &cursor->window_first, &cursor->window_end);
	cursor->unit_parts_first = part_from(&window->window, cursor->window_first);
	cursor->unit_parts_end = part_from(&window->window, cursor->window_end);
	return true;
}

/** Stands at item `offset` of the unit that the cursor is in. */
static void stand_in_unit(struct strobe_cursor *cursor, uint64_t offset, bool all)
{
	const struct unit *unit = &cursor->unit;
	cursor->id = unit->first_id + offset;
	if (unit->cpu_changed && offset == 0) {
		stand_at_cpu_change(cursor);
		return;
	}
	uint64_t item = offset - unit->cpu_changed;
	if (!get_window(cursor, all || item >= UINT32_MAX ? UINT32_MAX : (uint32_t)item))
		return;
	if (item >= cursor->window_end - cursor->window_first) {
		stand_at_gap(cursor, MISFIT);
		return;
	}
	uint32_t at = cursor->window_first + (uint32_t)item;
	uint32_t part = window_part_at(&cursor->window->window, at);
	cursor->parts_first = cursor->unit_parts_first;
	cursor->parts_end = cursor->unit_parts_end;
	stand_in_part(cursor, part, at - cursor->parts[part].first_item);
}

static void load_unit(struct strobe_cursor *cursor, uint64_t index)
{
	release_window(cursor);
	cursor->unit = *units_get(cursor->trace, cursor->thread, index);
	cursor->unit_index = index;
}

static void enter_unit(struct strobe_cursor *cursor, uint64_t index, uint64_t offset, bool all)
{
	if (cursor->count == 0 || cursor->unit_index != index)
		load_unit(cursor, index);
	stand_in_unit(cursor, offset, all);
}

void cursor_enter_unit(struct strobe_cursor *cursor, uint64_t index, uint64_t offset)
{
	enter_unit(cursor, index, offset, false);
}

void cursor_enter(struct strobe_cursor *cursor, uint64_t id)
{
	const struct unit *unit = &cursor->unit;
	uint64_t index = cursor->unit_index;
	if (cursor->count == 0 || id < unit->first_id || id - unit->first_id >= unit->item_count)
		index = units_find(cursor->trace, cursor->thread, id);
	if (cursor->count == 0 || cursor->unit_index != index)
		load_unit(cursor, index);
	stand_in_unit(cursor, id - unit->first_id, false);
}

/** To another unit's item, to one that must be decoded yet, or off the end. */
static bool leave_parts_forwards(struct strobe_cursor *cursor)
{
	if (cursor->count == 0) {
		uint64_t id = cursor->before ? 0 : cursor->off;
		if (id < item_count(cursor))
			cursor_enter(cursor, id);
		return cursor->count != 0;
	}
	uint64_t next = cursor->id + (cursor->count - cursor->at) - cursor->unit.first_id;
	if (next < cursor->unit.item_count)
		stand_in_unit(cursor, next, true);
	else if (cursor->unit_index + 1 < units_count(cursor->trace, cursor->thread))
		enter_unit(cursor, cursor->unit_index + 1, 0, true);
	else
		cursor_leave(cursor, false);
	return cursor->count != 0;
}

static bool leave_parts_backwards(struct strobe_cursor *cursor)
{
	if (cursor->count == 0) {
		if (!cursor->before && cursor->off > 0)
			cursor_enter(cursor, cursor->off - 1);
		return cursor->count != 0;
	}
	uint64_t offset = cursor->id - cursor->at - cursor->unit.first_id;
	if (offset > 0) {
		stand_in_unit(cursor, offset - 1, false);
	} else if (cursor->unit_index > 0) {
		load_unit(cursor, cursor->unit_index - 1);
		stand_in_unit(cursor, cursor->unit.item_count - 1, true);
	} else {
		cursor_leave(cursor, true);
	}
	return cursor->count != 0;
}

bool cursor_step_forwards(struct strobe_cursor *cursor)
{
	uint32_t part = cursor->part + 1;
	if (__builtin_expect(part >= cursor->parts_end, 0))
		return leave_parts_forwards(cursor);
	cursor->id += cursor->count - cursor->at;
	stand_in_part(cursor, part, 0);
	return true;
}

bool cursor_step_backwards(struct strobe_cursor *cursor)
{
	uint32_t part = cursor->part;
	if (__builtin_expect(part <= cursor->parts_first, 0))
		return leave_parts_backwards(cursor);
	cursor->id -= cursor->at + 1;
	stand_in_part(cursor, part - 1,
		      cursor->parts[part].first_item - cursor->parts[part - 1].first_item - 1);
	return true;
}

bool strobe_cursor_next(struct strobe_cursor *cursor)
{
	if (cursor->forwards) {
		if (cursor->at + 1 >= cursor->count)
			return cursor_step_forwards(cursor);
		cursor->address += cursor->lengths[cursor->at++];
		cursor->id++;
		return true;
	}
	if (cursor->at == 0)
		return cursor_step_backwards(cursor);
	cursor->address -= cursor->lengths[--cursor->at];
	cursor->id--;
	return true;
}

struct strobe_error *strobe_cursor_open(struct strobe_trace *trace, size_t thread_index,
					struct strobe_cursor **ret)
{
	if (thread_index >= trace->rows.count)
		return error_new(STROBE_ERROR_INVALID, "no thread with index %zu: there are %zu",
				 thread_index, (size_t)trace->rows.count);
	struct strobe_cursor *cursor = calloc(1, sizeof(*cursor));
	if (!cursor)
		return error_no_memory();
	cursor->trace = trace;
	cursor->thread = thread_index;
	cursor->code = code_map_tables(trace->map);
	trace->cursor_count++;
	cursor_leave(cursor, false);
	cursor_step_backwards(cursor);
	*ret = cursor;
	return NULL;
}

struct strobe_cursor *strobe_cursor_close(struct strobe_cursor *cursor)
{
	if (!cursor)
		return NULL;
	release_window(cursor);
	cursor->trace->cursor_count--;
	free(cursor);
	return NULL;
}

struct strobe_error *strobe_cursor_clone(const struct strobe_cursor *cursor,
					 struct strobe_cursor **ret)
{
	struct strobe_cursor *copy = malloc(sizeof(*copy));
	if (!copy)
		return error_no_memory();
	*copy = *cursor;
	if (copy->window)
		window_cache_pin(copy->window);
	if (copy->note == &cursor->own)
		copy->note = &copy->own;
	if (copy->own.text == cursor->text)
		copy->own.text = copy->text;
	copy->trace->cursor_count++;
	*ret = copy;
	return NULL;
}

struct strobe_trace *strobe_cursor_trace(const struct strobe_cursor *cursor)
{
	return cursor->trace;
}

size_t strobe_cursor_thread_index(const struct strobe_cursor *cursor)
{
	return cursor->thread;
}

void strobe_cursor_set_forwards(struct strobe_cursor *cursor, bool forwards)
{
	cursor->forwards = forwards;
}

bool strobe_cursor_is_forwards(const struct strobe_cursor *cursor)
{
	return cursor->forwards;
}

bool strobe_cursor_has_value(const struct strobe_cursor *cursor)
{
	return cursor->count != 0;
}

uint64_t strobe_cursor_id(const struct strobe_cursor *cursor)
{
	return cursor->id;
}

bool strobe_cursor_go_to_id(struct strobe_cursor *cursor, uint64_t id)
{
	if (id < item_count(cursor))
		cursor_enter(cursor, id);
	else
		cursor_leave(cursor, false);
	return cursor->count != 0;
}

bool strobe_cursor_seek(struct strobe_cursor *cursor, int64_t offset, enum strobe_seek origin)
{
	__int128 target = offset;
	if (origin == STROBE_SEEK_CURRENT)
		target += cursor->count	   ? (__int128)cursor->id
			  : cursor->before ? -1
					   : (__int128)cursor->off;
	else if (origin == STROBE_SEEK_END)
		target += (__int128)item_count(cursor) - 1;
	if (target < 0 || target >= item_count(cursor))
		cursor_leave(cursor, target < 0);
	else
		cursor_enter(cursor, (uint64_t)target);
	return cursor->count != 0;
}

bool strobe_cursor_has_item(const struct strobe_cursor *cursor, uint64_t id)
{
	return id < item_count(cursor);
}

void cursor_check(const struct strobe_cursor *cursor)
{
	if (cursor->count == 0) {
		assert(!cursor->lengths && !cursor->note && !cursor->window && cursor->at == 0);
		assert(cursor->id == STROBE_NO_ID);
		return;
	}
	const struct unit *unit = &cursor->unit;
	assert(cursor->at < cursor->count && cursor->id < item_count(cursor));
	assert(cursor->id >= unit->first_id && cursor->id - unit->first_id < unit->item_count);
	assert((cursor->lengths != NULL) == (cursor->kind == STROBE_ITEM_INSTRUCTION));
	assert((cursor->lengths != NULL) == (cursor->note == NULL));
	assert(cursor->note == &cursor->own || cursor->window);
	if (cursor->note == &cursor->own)
		return;
	const struct window_part *part = &cursor->parts[cursor->part];
	assert(cursor->part >= cursor->parts_first && cursor->part < cursor->parts_end);
	assert(cursor->count == part[1].first_item - part->first_item);
	assert(cursor->window->pins > 0);
	assert(part->first_item + cursor->at ==
	       cursor->window_first + (cursor->id - unit->first_id) - unit->cpu_changed);
}
