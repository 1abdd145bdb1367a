// SPDX-License-Identifier: Apache-2.0
#include "trace/stepping.h"

#include <stdlib.h>
#include <string.h>

#include "progress.h"

enum { FRAME_LIMIT = 1 << 22 }; // calls within each other that are kept apart

/** A line, and the addresses around one for which it is known. */
struct line_here {
	bool known;
	const char *file;
	unsigned line;
	uint64_t start, end;
};

/**
 * One step under way. Invariant: `returns` has an address for each call that was entered since the step began and
 * not left again; backwards, for each that was entered by its return.
 */
struct mover {
	struct command *command;
	struct strobe_cursor *cursor;
	enum step_unit unit;
	bool forwards;
	uint64_t *returns;
	size_t depth, capacity;
	bool out; // of the frame in which it began
	bool short_of_memory;
	struct line_here line; // looked up last
	struct line_here
		begin; // where the step began; backwards, once it is found, the line to begin of
	bool found;    // backwards: an instruction of the line that is wanted
	uint64_t found_id; // the oldest of them so far
};

static const struct line_here *line_of(struct mover *mover, uint64_t address)
{
	struct strobe_line line;
	struct line_here *here = &mover->line;
	if (address >= here->start && address < here->end)
		return here;
	*here = (struct line_here){.start = address, .end = address + 1};
	if (!strobe_line_at(mover->command->symbols, address, &line))
		return here;
	here->known = true;
	here->file = line.file;
	here->line = line.line;
	if (line.start <= address && address < line.end) {
		here->start = line.start;
		here->end = line.end;
	}
	return here;
}

static bool same_line(const struct line_here *a, const struct line_here *b)
{
	if (!a->known || !b->known)
		return a->known == b->known;
	return a->line == b->line &&
	       (a->file == b->file || (a->file && b->file && strcmp(a->file, b->file) == 0));
}

static void enter(struct mover *mover, uint64_t back_to)
{
	if (mover->depth == mover->capacity) {
		size_t capacity = mover->capacity ? 2 * mover->capacity : 64;
		uint64_t *returns = capacity > FRAME_LIMIT
					    ? NULL
					    : realloc(mover->returns, capacity * sizeof(*returns));
		if (!returns) {
			mover->short_of_memory = true;
			return;
		}
		mover->returns = returns;
		mover->capacity = capacity;
	}
	mover->returns[mover->depth++] = back_to;
}

// A frame that goes on at `address` is back; those within it are gone. None: the step's own frame is left.
static void leave(struct mover *mover, uint64_t address)
{
	for (size_t i = mover->depth; i-- > 0;) {
		if (mover->returns[i] != address)
			continue;
		mover->depth = i;
		return;
	}
	mover->depth = 0;
	mover->out = true;
}

// What the branch at a run's end did, given the instruction that followed it.
static void follow(struct mover *mover, const struct strobe_run *run, uint64_t next)
{
	if (run->flow == STROBE_FLOW_CALL && next == run->end)
		return; // what it called was not recorded
	if (mover->forwards && run->flow == STROBE_FLOW_CALL)
		enter(mover, run->end);
	else if (mover->forwards && run->flow == STROBE_FLOW_RETURN)
		leave(mover, next);
	else if (run->flow == STROBE_FLOW_RETURN)
		enter(mover, next);
	else if (run->flow == STROBE_FLOW_CALL)
		leave(mover, run->end);
}

static bool ends_line_forwards(struct mover *mover, uint64_t address)
{
	if (mover->depth > 0)
		return mover->unit == STEP_LINE && line_of(mover, address)->known;
	if (mover->out)
		return true;
	const struct line_here *line = line_of(mover, address);
	return line->known && !same_line(line, &mover->begin);
}

// Backwards the wanted place is where the line before begins: the oldest instruction of it in a row.
static bool ends_line_backwards(struct mover *mover, uint64_t address, uint64_t id)
{
	bool inside = mover->depth > 0;
	if (inside && (mover->unit == STEP_OVER || mover->found))
		return false; // calls within a line are part of it
	const struct line_here *line = line_of(mover, address);
	if (inside && !line->known)
		return false;
	if (inside) // from here on it is the frame that counts
		mover->depth = 0;
	if (!mover->found) {
		mover->found = true;
		mover->begin = *line;
		mover->out = false;
	} else if (mover->out || !same_line(line, &mover->begin)) {
		return true;
	}
	mover->found_id = id;
	return false;
}

/** True if the step ends at the instruction with this address, flow and id. */
static bool ends(struct mover *mover, uint64_t address, enum strobe_flow flow, uint64_t id)
{
	switch (mover->unit) {
	case STEP_INSTRUCTION:
		return true;
	case STEP_OUT:
		return mover->out;
	case STEP_CALL:
		return flow == STROBE_FLOW_CALL;
	case STEP_RETURN:
		return flow == STROBE_FLOW_RETURN;
	default:
		return mover->forwards ? ends_line_forwards(mover, address)
				       : ends_line_backwards(mover, address, id);
	}
}

// Nothing inside a run can end such a step.
static bool skips_insides(const struct mover *mover)
{
	return mover->unit == STEP_OUT || mover->unit == STEP_RETURN || mover->unit == STEP_CALL ||
	       (mover->unit == STEP_OVER && mover->depth > 0);
}

static enum strobe_flow flow_in(const struct strobe_run *run, uint64_t index)
{
	return index == run->count - 1 ? run->flow : STROBE_FLOW_OTHER;
}

// The instructions of the run behind the cursor's, in its direction; true if one of them ends the step.
static bool ends_inside(struct mover *mover, const struct strobe_run *run, uint64_t id)
{
	uint64_t index = id - run->first_id, address = run->address;
	if (skips_insides(mover) && mover->unit != STEP_CALL && mover->unit != STEP_RETURN)
		return false;
	if (skips_insides(mover)) { // only the last one can be a branch
		return mover->forwards && index < run->count - 1 &&
		       ends(mover, run->last_address, run->flow, run->first_id + run->count - 1) &&
		       strobe_cursor_go_to_id(mover->cursor, run->first_id + run->count - 1);
	}
	for (uint64_t i = 0; i < index; i++)
		address += run->lengths[i];
	while (mover->forwards ? index + 1 < run->count : index > 0) {
		if (mover->forwards)
			address += run->lengths[index++];
		else
			address -= run->lengths[--index];
		if (ends(mover, address, flow_in(run, index), run->first_id + index))
			return strobe_cursor_go_to_id(mover->cursor, run->first_id + index);
	}
	return false;
}

// To the next instruction or error; STEP_DONE if there is one of the first kind.
static enum step_result skip_events(struct mover *mover, uint64_t last_id)
{
	while (strobe_cursor_has_value(mover->cursor) &&
	       strobe_cursor_kind(mover->cursor) == STROBE_ITEM_EVENT)
		strobe_cursor_next(mover->cursor);
	if (!strobe_cursor_has_value(mover->cursor)) {
		strobe_cursor_go_to_id(mover->cursor, last_id);
		return STEP_END;
	}
	return strobe_cursor_kind(mover->cursor) == STROBE_ITEM_ERROR ? STEP_GAP : STEP_DONE;
}

// One run further; the branch between the two is followed.
static enum step_result next_run(struct mover *mover, const struct strobe_run *run, uint64_t *next)
{
	struct strobe_run other;
	uint64_t end_id = mover->forwards ? run->first_id + run->count - 1 : run->first_id;
	strobe_cursor_next_run(mover->cursor);
	enum step_result result = skip_events(mover, end_id);
	if (result != STEP_DONE || !strobe_cursor_address(mover->cursor, next))
		return result;
	if (mover->forwards)
		follow(mover, run, *next);
	else if (strobe_cursor_run(mover->cursor, &other))
		follow(mover, &other, run->address);
	return STEP_DONE;
}

static enum step_result walk(struct mover *mover)
{
	struct strobe_run run;
	uint64_t address;
	while (strobe_cursor_run(mover->cursor, &run)) {
		if (ends_inside(mover, &run, strobe_cursor_id(mover->cursor)))
			return STEP_DONE;
		enum step_result result = next_run(mover, &run, &address);
		if (result != STEP_DONE)
			return result;
		if (mover->short_of_memory)
			return STEP_NO_MEMORY;
		if (progress_interrupted())
			return STEP_INTERRUPTED;
		if (!strobe_cursor_run(mover->cursor, &run))
			break;
		uint64_t id = strobe_cursor_id(mover->cursor);
		if (ends(mover, address, flow_in(&run, id - run.first_id), id))
			return STEP_DONE;
	}
	return STEP_DONE;
}

// From an event or error there is only one way: to the next instruction.
static enum step_result leave_note(struct mover *mover)
{
	uint64_t id = strobe_cursor_id(mover->cursor);
	strobe_cursor_next(mover->cursor);
	return skip_events(mover, id);
}

enum step_result step_move(struct command *command, struct strobe_cursor *cursor,
			   enum step_unit unit)
{
	struct mover mover = {.command = command,
			      .cursor = cursor,
			      .unit = unit,
			      .forwards = strobe_cursor_is_forwards(cursor)};
	uint64_t address;
	if (!strobe_cursor_address(cursor, &address))
		return leave_note(&mover);
	mover.begin = *line_of(&mover, address);
	enum step_result result = walk(&mover);
	if (mover.found && result != STEP_INTERRUPTED && result != STEP_NO_MEMORY) {
		strobe_cursor_go_to_id(cursor, mover.found_id);
		result = STEP_DONE;
	}
	free(mover.returns);
	return result;
}
