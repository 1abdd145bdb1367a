// SPDX-License-Identifier: Apache-2.0
#include "flow/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool arrive(struct walk *walk, uint64_t id, uint64_t address,
		   const struct shadow_place *place)
{
	struct shadow_step step;
	shadow_arrive(&walk->shadow, id, address, place, &step);
	if (step.move == SHADOW_STAY || !walk->ops.step)
		return true;
	return walk->ops.step(walk->ops.context, &step, id, address);
}

static bool tell_gap(struct walk *walk)
{
	if (walk->error_first == STROBE_NO_ID)
		return true;
	bool goes_on = !walk->ops.gap ||
		       walk->ops.gap(walk->ops.context, walk->error_first, walk->error_last,
				     walk->error_text ? walk->error_text : "");
	free(walk->error_text);
	walk->error_text = NULL;
	walk->error_first = STROBE_NO_ID;
	return goes_on;
}

static void note_error(struct walk *walk, uint64_t id)
{
	if (walk->error_first == STROBE_NO_ID) {
		const char *text = strobe_cursor_error(walk->cursor);
		walk->error_first = id;
		walk->error_text = text && walk->ops.gap ? strdup(text) : NULL;
	}
	walk->error_last = id;
	shadow_lose(&walk->shadow);
}

/** The thread was at `address` when something came between. */
static bool interrupt(struct walk *walk, uint64_t id, bool has_address, uint64_t address,
		      bool signalled)
{
	bool goes_on = true;
	if (has_address && shadow_is_between(&walk->shadow)) // first the branch, then that
		goes_on = arrive(walk, id + 1, address, &places_at(walk->places, address)->shadow);
	shadow_interrupt(&walk->shadow, has_address ? address : 0, signalled);
	return goes_on;
}

static bool note_event(struct walk *walk, uint64_t id)
{
	struct strobe_event event;
	if (!strobe_cursor_event(walk->cursor, &event))
		return true;
	switch (event.type) {
	case STROBE_EVENT_ASYNC_BRANCH:
		return interrupt(walk, id, event.has_address, event.address, false);
	case STROBE_EVENT_DISABLED_SOFTWARE:
		shadow_leave(&walk->shadow);
		return interrupt(walk, id, event.has_address, event.address, false);
	case STROBE_EVENT_SIGNAL:
		return interrupt(walk, id, event.has_address, event.address, true);
	case STROBE_EVENT_DISABLED_HARDWARE:
	case STROBE_EVENT_SKIPPED:
	case STROBE_EVENT_STOP:
		shadow_leave(&walk->shadow);
		return true;
	case STROBE_EVENT_EXEC:
		shadow_forget(&walk->shadow);
		return true;
	default:
		return true;
	}
}

static bool note(struct walk *walk)
{
	uint64_t id = strobe_cursor_id(walk->cursor);
	switch (strobe_cursor_kind(walk->cursor)) {
	case STROBE_ITEM_ERROR:
		note_error(walk, id);
		return true;
	case STROBE_ITEM_EVENT:
		return note_event(walk, id);
	case STROBE_ITEM_INSTRUCTION:
		break;
	}
	return true;
}

/** Cuts the run's instructions before the walk's first, and from its end on. */
static void cut_run(const struct walk *walk, struct strobe_run *run, uint32_t *ret_skip)
{
	uint64_t at = strobe_cursor_id(walk->cursor);
	*ret_skip = (uint32_t)(at - run->first_id);
	if (run->first_id + run->count <= walk->end_id)
		return;
	run->count = (uint32_t)(walk->end_id - run->first_id);
	run->last_address = run->address;
	for (uint32_t i = 0; i + 1 < run->count; i++)
		run->last_address += run->lengths[i];
	run->end = run->last_address + run->lengths[run->count - 1];
	run->flow = STROBE_FLOW_OTHER;
	run->has_target = false;
}

/** From segment `from` on, those of the same real function. */
static uint32_t segments_of_function(const struct walk *walk, const struct place *place,
				     uint32_t from, uint32_t count)
{
	const struct scope *scopes = walk->places->scopes.items;
	uint32_t function = scopes[place->segments[from].scope].function, i = from + 1;
	while (i < place->segment_count && place->segments[i].first < count &&
	       scopes[place->segments[i].scope].function == function)
		i++;
	return i;
}

static uint64_t address_of(const struct strobe_run *run, uint32_t index)
{
	uint64_t address = run->address;
	for (uint32_t i = 0; i < index; i++)
		address += run->lengths[i];
	return address;
}

/** A run that begins or ends in the middle, or goes through several functions. */
static bool follow_slowly(struct walk *walk, const struct strobe_run *run,
			  const struct place *place, uint32_t skip)
{
	uint32_t at = 0;
	while (at + 1 < place->segment_count && place->segments[at + 1].first <= skip)
		at++;
	while (skip < run->count) {
		uint32_t end = segments_of_function(walk, place, at, run->count);
		uint32_t until =
			end < place->segment_count && place->segments[end].first < run->count
				? place->segments[end].first
				: run->count;
		uint64_t address = address_of(run, skip);
		bool is_start = skip == 0;
		struct walk_piece piece = {.first_id = run->first_id + skip,
					   .count = until - skip,
					   .address = address,
					   .last_address = address_of(run, until - 1),
					   .place = place,
					   .segment = at,
					   .segment_end = end,
					   .skip = skip};
		struct shadow_place here =
			is_start ? place->shadow : places_at(walk->places, address)->shadow;
		if (!arrive(walk, piece.first_id, address, &here) ||
		    (walk->ops.piece && !walk->ops.piece(walk->ops.context, &piece)))
			return false;
		if (until < run->count)
			shadow_depart(&walk->shadow, STROBE_FLOW_OTHER, address_of(run, until),
				      false, 0);
		skip = until;
		at = end;
	}
	return true;
}

static bool follow(struct walk *walk, struct strobe_run *run)
{
	uint32_t skip;
	if (!tell_gap(walk))
		return false;
	cut_run(walk, run, &skip);
	const struct place *place = places_of_run(walk->places, run);
	if (walk->places->no_memory)
		return false;
	bool whole = skip == 0 && (place->segment_count == 1 || !place->crosses);
	if (!whole) {
		if (!follow_slowly(walk, run, place, skip))
			return false;
	} else {
		struct walk_piece piece = {.first_id = run->first_id,
					   .count = run->count,
					   .address = run->address,
					   .last_address = run->last_address,
					   .place = place,
					   .segment_end = place->segment_count};
		if (!arrive(walk, run->first_id, run->address, &place->shadow) ||
		    (walk->ops.piece && !walk->ops.piece(walk->ops.context, &piece)))
			return false;
	}
	shadow_depart(&walk->shadow, run->flow, run->end, run->has_target, run->target);
	return true;
}

struct strobe_error *walk_items(struct walk *walk, uint64_t first_id, uint64_t end_id)
{
	struct strobe_run run;
	bool goes_on = true;
	walk->end_id = end_id;
	walk->error_first = STROBE_NO_ID;
	strobe_cursor_set_forwards(walk->cursor, true);
	if (!strobe_cursor_go_to_id(walk->cursor, first_id))
		return NULL;
	while (goes_on && strobe_cursor_has_value(walk->cursor) &&
	       strobe_cursor_id(walk->cursor) < end_id) {
		goes_on = strobe_cursor_run(walk->cursor, &run) ? follow(walk, &run) : note(walk);
		strobe_cursor_next_run(walk->cursor);
		if (walk->shadow.no_memory || walk->places->no_memory)
			goes_on = false;
	}
	if (goes_on)
		tell_gap(walk);
	free(walk->error_text);
	walk->error_text = NULL;
	return walk->shadow.no_memory || walk->places->no_memory ? error_no_memory() : NULL;
}

struct strobe_error *walk_plan(struct strobe_cursor *cursor, struct places *places,
			       uint64_t first_id, uint64_t end_id, struct shadow_plan *plan)
{
	struct walk walk = {.cursor = cursor, .places = places};
	walk.shadow.plan = plan;
	walk.shadow.makes_plan = true;
	struct strobe_error *error = walk_items(&walk, first_id, end_id);
	if (!error)
		shadow_plan_end(&walk.shadow);
	shadow_fini(&walk.shadow);
	return error;
}
