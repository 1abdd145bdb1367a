// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_WINDOW_H
#define TRACE_WINDOW_H

// A window: a decoded stretch of a trace, as items. Instructions stand in runs, 8 bytes each, which point
// into a code map (code/code_map.h) for addresses: a run is the first `count` instructions of a stretch of
// straight code, the last of which may be a branch. Events and errors are notes.
//
// Invariants:
//  1. Parts cover items [0, item_count): part i holds [parts[i].first_item, parts[i + 1].first_item), the last one up
//     to item_count; none is empty; a note is one item.
//  2. clocks are sorted by item; values never fall, nor do two neighbours have the same item.
//  3. cuts are sorted by first_item; cut i's items end where cut i + 1 begins. There is at least one.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/cursor.h>

#include "base/arena.h"
#include "base/array.h"

/** Decoding a window ends when it has so many parts; the block goes on in the next one. */
enum { WINDOW_MAX_PARTS = 1 << 18 };

/** In window_part.what: the rest is the index of a note. */
#define WINDOW_NOTE UINT32_C(0x80000000)

struct window_part {
	uint32_t first_item;
	uint32_t what; // index of a stretch in the code map, or WINDOW_NOTE | index of a note
};

struct window_note {
	bool is_error;
	bool has_address, has_target;
	uint8_t type;	  // enum strobe_event_type, if not an error
	uint64_t address; // as in struct strobe_event
	uint64_t target;
	uint64_t value, value_2;
	const char *text; // of errors, and of events whose data need words; in the window's arena
};

/** From `item` on the hardware clock reads at least `value`. */
struct window_clock {
	uint32_t item;
	uint64_t value;
};

/** From `first_item` on the items belong to `thread`. */
struct window_cut {
	uint32_t first_item;
	uint32_t thread; // index in the source; WINDOW_NOBODY = of no traced thread
	uint64_t clock;	 // when the items before it ended, or it began; 0 = not known
};
#define WINDOW_NOBODY UINT32_MAX

struct window {
	uint32_t item_count;
	uint32_t instruction_count;
	bool complete; // false: decoding ended early, because enough was there (see source.h)
	bool more;     // the block goes on in another window, `part` + 1
	int cpu;       // -1 = not known
	ARRAY(struct window_part) parts;
	ARRAY(struct window_note) notes;
	ARRAY(struct window_clock) clocks;
	ARRAY(struct window_cut) cuts;
	struct arena arena; // for texts
};

void window_init(struct window *window);
void window_fini(struct window *window);
/** Empties it, and keeps its memory. */
void window_clear(struct window *window);

/** Appends `count` > 0 instructions of stretch `stretch` of the code map. */
struct strobe_error *window_add_run(struct window *window, uint32_t stretch, uint32_t count)
	STROBE_MUST_CHECK;
/** Appends an event or error; `note->text` must live as long as the window's content. */
struct strobe_error *window_add_note(struct window *window, const struct window_note *note)
	STROBE_MUST_CHECK;
/** An error item with a text made here. */
struct strobe_error *window_add_error(struct window *window, const char *format, ...)
	STROBE_MUST_CHECK __attribute__((format(printf, 2, 3)));
/** The clock reads `value` from the next item on; lower values than before are ignored. */
struct strobe_error *window_add_clock(struct window *window, uint64_t value) STROBE_MUST_CHECK;
/** What follows belongs to `thread`. */
struct strobe_error *window_add_cut(struct window *window, uint32_t thread, uint64_t clock)
	STROBE_MUST_CHECK;
/** Drops items from `item_count` on. */
void window_truncate(struct window *window, uint32_t item_count);
/** Index of the part that holds `item` < item_count. O(log n). */
uint32_t window_part_at(const struct window *window, uint32_t item);
/** Asserts the invariants. */
void window_check(const struct window *window);

#endif
