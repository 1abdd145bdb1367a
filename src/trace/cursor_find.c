// SPDX-License-Identifier: Apache-2.0
// The next item that matches: units without such events are passed over by the index's counts, runs are compared whole.
#include "trace/cursor.h"

/** Index of the first range that ends behind `address`. */
static size_t range_behind(const struct strobe_sought *sought, uint64_t address)
{
	size_t low = 0, high = sought->range_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (sought->ranges[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/** True if an instruction that begins in [start, end) might match. */
static bool may_match(const struct strobe_sought *sought, uint64_t start, uint64_t end)
{
	size_t range = range_behind(sought, start);
	return range < sought->range_count && sought->ranges[range].start < end;
}

static bool note_matches(const struct strobe_cursor *cursor, const struct strobe_sought *sought)
{
	if (cursor->note->is_error)
		return sought->errors;
	return sought->event_types >> cursor->note->type & 1;
}

/** From the cursor's instruction on (itself included), in its run: moves to the first that matches. */
static bool find_in_run(struct strobe_cursor *cursor, const struct strobe_sought *sought)
{
	const uint8_t *lengths = cursor->lengths;
	uint64_t address = cursor->address;
	uint32_t at = cursor->at;
	if (!may_match(sought, cursor->stretch->address, cursor->stretch->end))
		return false;
	while (!may_match(sought, address, address + 1)) {
		if (cursor->forwards) {
			if (at + 1 == cursor->count)
				return false;
			address += lengths[at++];
		} else {
			if (at == 0)
				return false;
			address -= lengths[--at];
		}
	}
	cursor->id += (uint64_t)at - cursor->at; // may wrap, and back
	cursor->address = address;
	cursor->at = at;
	return true;
}

/** Only events or errors are sought: goes to the first item (as it walks) of the next unit that has any. */
static void skip_units(struct strobe_cursor *cursor, const struct strobe_sought *sought)
{
	uint64_t offset = cursor->id - cursor->unit.first_id;
	bool at_start = cursor->forwards ? offset == 0 : offset + 1 == cursor->unit.item_count;
	if (sought->range_count || !at_start)
		return;
	uint64_t index = units_find_notes(cursor->trace, cursor->thread, cursor->unit_index,
					  cursor->forwards, sought->event_types, sought->errors);
	if (index == UINT64_MAX) {
		cursor_leave(cursor, !cursor->forwards);
	} else if (index != cursor->unit_index) {
		const struct unit *unit = units_get(cursor->trace, cursor->thread, index);
		cursor_enter(cursor, cursor->forwards ? unit->first_id
						      : unit->first_id + unit->item_count - 1);
	}
}

bool strobe_cursor_find(struct strobe_cursor *cursor, const struct strobe_sought *sought)
{
	if (!strobe_cursor_next(cursor))
		return false;
	for (;;) {
		skip_units(cursor, sought);
		if (cursor->count == 0)
			return false;
		if (cursor->lengths ? sought->range_count && find_in_run(cursor, sought)
				    : note_matches(cursor, sought))
			return true;
		if (!strobe_cursor_next_run(cursor))
			return false;
	}
}
