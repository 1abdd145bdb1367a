// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_CURSOR_H
#define TRACE_CURSOR_H

// A cursor stands in a part of a window: a run of instructions, or a note. Steps inside a run need nothing but its
// first few members.
//
// Invariants:
//  1. count == 0: no value; then `off` is the id just past the end where it is, with BEFORE as -1.
//  2. count > 0: 0 <= at < count; `id` is that of the item; the part's items have ids [id - at, id - at + count).
//  3. lengths != NULL: an instruction at `address`; stretch is its code. Else note is an event or error.
//  4. In a part of the window: parts_first <= part < parts_end, which are those of the unit. Else parts_first is the
//     highest number and parts_end 0, so that no step goes from part to part.
//  5. window is pinned while the cursor stands in one of its parts. Notes that no window has (a change of the CPU,
//     what cannot be decoded) stand in `own`.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/cursor.h>

#include "trace/state.h"

/** Between two neighbouring clock points: holds for ids [from, to). */
struct clock_interval {
	bool has_first, has_until;
	uint64_t from, to;
	struct clock_point first, until;
	uint64_t unit_count; // of the thread, when it was found: a trace may grow
};

struct strobe_cursor {
	// What a step needs.
	const uint8_t *lengths; // of the run's instructions; NULL = a note
	uint64_t address;
	uint64_t id;
	uint32_t at, count;
	bool forwards;
	bool before; // off the older end, if count == 0
	uint8_t kind;
	// Where it stands.
	uint32_t part; // of the window
	uint32_t parts_first, parts_end;
	const struct window_part *parts; // of the window
	const struct code_tables *code;
	const struct code_stretch *stretch;
	const struct window_note *note;
	uint64_t off; // id just past the newer end, if count == 0 and not before
	struct strobe_trace *trace;
	size_t thread;
	uint64_t unit_index;
	struct unit unit;
	struct cached_window *window;	   // NULL: none is needed
	uint32_t window_first, window_end; // the unit's items in it, as far as they are decoded
	uint32_t unit_parts_first, unit_parts_end;
	struct window_note own;
	struct clock_interval interval; // the last one that was asked for
	char text[512];
};

/** Goes to item `id` < the thread's item_count. */
void cursor_enter(struct strobe_cursor *cursor, uint64_t id);
/** Leaves all items: off the older end, or off the newer one. */
void cursor_leave(struct strobe_cursor *cursor, bool before);
/** To the next or previous part; its first or last item. False = off the end. */
bool cursor_step_forwards(struct strobe_cursor *cursor);
bool cursor_step_backwards(struct strobe_cursor *cursor);
/** Stands in unit `index` at item `offset` of it. */
void cursor_enter_unit(struct strobe_cursor *cursor, uint64_t index, uint64_t offset);
/** The unit's window, pinned, with more than `enough` of its items (UINT32_MAX = all). */
struct strobe_error *cursor_unit_window(struct strobe_trace *trace, const struct unit *unit,
					uint32_t enough, struct cached_window **ret)
	STROBE_MUST_CHECK;
/** The unit's items in its window, as far as they are decoded: [*ret_first, *ret_end). */
void cursor_unit_extent(const struct unit *unit, const struct window *window, uint32_t *ret_first,
			uint32_t *ret_end);
/** Asserts the invariants. */
void cursor_check(const struct strobe_cursor *cursor);

#endif
