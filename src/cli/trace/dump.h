// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_DUMP_H
#define CLI_TRACE_DUMP_H

// What the parts of `strobe trace dump` share.

#include <stdbool.h>
#include <strobe/cursor.h>

#include "command.h"
#include "trace/emit.h"
#include "trace/range.h"
#include "trace/render.h"

/** One dump: what is asked for, and how far it is. */
struct dump {
	struct command *command;
	struct strobe_cursor *cursor;
	struct trace_range range;
	struct render_style style;
	bool forwards, raw, events, only_events, times;
	uint64_t count; // instructions that are still wanted
	struct emit emit;
	struct render *render; // NULL with `raw`
	struct place_key key;  // of the instruction shown last; meaningful if has_key
	bool has_key;
	bool was_error; // the item shown last was one
	bool filled;	// the array has an element
	struct decimal id;
};

/** An item's time, for what shows it. */
struct item_time {
	bool known;
	double ns;
};

/** The header line, or the array's beginning. */
void dump_begin(struct dump *dump);
/** "no more data" if the trace ends here, or the array's end. */
void dump_end(struct dump *dump, bool no_more);
/** The instruction whose id is `dump->id`; false if memory is short. */
bool dump_instruction(struct dump *dump, uint64_t address, enum strobe_flow flow,
		      const struct item_time *time);
/** The event or error that the cursor is at. */
void dump_note(struct dump *dump, uint64_t id, const struct item_time *time);

/** Shows items from the cursor's on, as far as asked; it is then at the next one. */
int dump_walk(struct dump *dump) STROBE_MUST_CHECK;

/** A dump that can be continued: where its next item is, and which way it goes. */
struct resume {
	bool forwards;
	struct strobe_position position;
};
/** Notes that the dump of `path`'s thread `tid` goes on at `resume`, or with NULL that it is at its end. What
 *  cannot be written is not noted. */
void resume_save(const char *path, int tid, const struct resume *resume);
/** What was noted; false if nothing was. */
bool resume_load(const char *path, int tid, struct resume *ret);
/** Where it is noted, into `buffer`; false if there is no such place. */
bool resume_place(char *buffer, size_t size);

#endif
