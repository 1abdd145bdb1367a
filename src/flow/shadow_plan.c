// SPDX-License-Identifier: Apache-2.0
// What goes on behind a gap: found out in a first pass, used in a second one.

#include "flow/shadow_plan.h"

#include <assert.h>

enum { NONE = UINT32_MAX };

void shadow_plan_fini(struct shadow_plan *plan)
{
	array_fini(&plan->gaps);
	array_fini(&plan->callers);
}

void shadow_cut(struct shadow *shadow, size_t keep)
{
	shadow->frames.count = keep;
	while (shadow->marks.count > 0 &&
	       shadow->marks.items[shadow->marks.count - 1].frame >= keep)
		shadow->marks.count--;
	while (shadow->bases.count > 0) {
		struct shadow_base *base = &shadow->bases.items[shadow->bases.count - 1];
		if (base->frame < keep)
			break;
		if (base->floor < keep) { // in a caller of what began behind the gap
			base->frame = (uint32_t)keep - 1;
			break;
		}
		shadow->bases.count--;
	}
}

static void push(struct shadow *shadow, const struct shadow_frame *frame)
{
	if (!array_push(&shadow->frames, *frame))
		shadow->no_memory = true;
}

static void push_base(struct shadow *shadow, uint32_t floor, uint32_t gap)
{
	struct shadow_base base = {
		.frame = (uint32_t)shadow->frames.count - 1, .floor = floor, .gap = gap};
	if (!array_push(&shadow->bases, base))
		shadow->no_memory = true;
}

static void begin_unknown(struct shadow *shadow, uint64_t id, const struct shadow_place *place)
{
	struct shadow_gap gap = {.id = id, .into = NONE, .callers = NONE};
	if (shadow->bases.count >= SHADOW_BASE_LIMIT || shadow->frames.count >= SHADOW_DEPTH_LIMIT)
		shadow_cut(shadow, 0);
	if (!array_push(&shadow->plan->gaps, gap)) {
		shadow->no_memory = true;
		return;
	}
	push(shadow, &(struct shadow_frame){.function = place->function,
					    .place = place->place,
					    .kind = SHADOW_FIRST,
					    .is_base = true,
					    .saves = place->saves});
	push_base(shadow, (uint32_t)shadow->frames.count - 1,
		  (uint32_t)shadow->plan->gaps.count - 1);
}

/** What the plan says of the fragment that begins at `id`; NONE = nothing. */
static uint32_t find_gap(struct shadow *shadow, uint64_t id)
{
	const struct shadow_plan *plan = shadow->plan;
	while (plan && shadow->next_gap < plan->gaps.count &&
	       plan->gaps.items[shadow->next_gap].id < id)
		shadow->next_gap++;
	bool found = plan && shadow->next_gap < plan->gaps.count &&
		     plan->gaps.items[shadow->next_gap].id == id;
	return found ? (uint32_t)shadow->next_gap : NONE;
}

/** Frames that go on behind `gap`. */
static size_t frames_kept(const struct shadow *shadow, const struct shadow_gap *gap)
{
	if (gap->into == NONE)
		return 0;
	for (size_t i = shadow->bases.count; i-- > 0;) {
		const struct shadow_base *base = &shadow->bases.items[i];
		if (base->gap != gap->into)
			continue;
		size_t keep = (size_t)base->frame + gap->offset + 1;
		return keep < shadow->frames.count ? keep : shadow->frames.count;
	}
	return 0;
}

/** `frame` goes on as another function, or is put on top. */
static void place_frame(struct shadow *shadow, bool goes_on, const struct shadow_frame *frame,
			struct shadow_step *step)
{
	if (!goes_on) {
		push(shadow, frame);
		return;
	}
	struct shadow_frame *kept = &shadow->frames.items[shadow->frames.count - 1];
	if (kept->function == frame->function && frame->function != SHADOW_UNKNOWN)
		return;
	step->swapped = true;
	kept->function = frame->function;
	kept->kind = frame->kind;
	kept->place = frame->place;
	kept->saves |= frame->saves;
}

static void begin_planned(struct shadow *shadow, uint32_t index, const struct shadow_place *place,
			  struct shadow_step *step)
{
	static const struct shadow_gap nothing = {.into = NONE, .callers = NONE};
	const struct shadow_gap *gap = index == NONE ? &nothing : &shadow->plan->gaps.items[index];
	size_t keep = frames_kept(shadow, gap);
	bool goes_on = gap->is_kept && keep > 0;
	uint64_t return_address = 0;
	shadow_cut(shadow, keep);
	step->keep = (uint32_t)keep;
	uint32_t floor = (uint32_t)(goes_on ? keep - 1 : keep);
	for (uint32_t i = gap->callers; i != NONE; i = shadow->plan->callers.items[i].inner) {
		const struct shadow_caller *caller = &shadow->plan->callers.items[i];
		struct shadow_frame frame = {.return_address = return_address,
					     .function = caller->function,
					     .place = caller->place,
					     .kind = SHADOW_CALLER,
					     .is_base = !return_address};
		place_frame(shadow, goes_on, &frame, step);
		goes_on = false;
		return_address = caller->address;
	}
	struct shadow_frame frame = {.return_address = return_address,
				     .function = place->function,
				     .place = place->place,
				     .kind = SHADOW_FIRST,
				     .is_base = !return_address,
				     .saves = place->saves};
	place_frame(shadow, goes_on, &frame, step);
	push_base(shadow, floor, index);
}

void shadow_gap_begin(struct shadow *shadow, uint64_t id, const struct shadow_place *place,
		      struct shadow_step *step)
{
	step->move = SHADOW_GAP;
	if (shadow->makes_plan)
		begin_unknown(shadow, id, place);
	else
		begin_planned(shadow, find_gap(shadow, id), place, step);
}

/** Adds a caller to what is known of the fragment. */
static void note_caller(struct shadow *shadow, const struct shadow_base *base, uint64_t address,
			const struct shadow_place *place)
{
	struct shadow_gap *gap = &shadow->plan->gaps.items[base->gap];
	struct shadow_caller caller = {address, place->function, place->place, gap->callers};
	gap->callers = (uint32_t)shadow->plan->callers.count;
	if (!array_push(&shadow->plan->callers, caller))
		shadow->no_memory = true;
}

/** Would frame `index` return to `address` in `function`? */
static bool returns_to(const struct shadow *shadow, size_t index, uint64_t address,
		       uint32_t function)
{
	return shadow->frames.items[index].return_address == address &&
	       shadow->frames.items[index - 1].function == function;
}

/** The one frame from before the gap that does; 0 = none, or several. */
static uint32_t find_only(const struct shadow *shadow, size_t limit, uint64_t address,
			  uint32_t function)
{
	uint32_t found = 0;
	for (size_t i = limit; i-- > 1;) {
		if (!returns_to(shadow, i, address, function))
			continue;
		if (found)
			return 0;
		found = (uint32_t)i;
	}
	return found;
}

/** The fragment returned as the frames from base->match down would: they are the same. */
static void commit(struct shadow *shadow, size_t index)
{
	const struct shadow_base base = shadow->bases.items[index];
	shadow->bases.count = index + 1;
	shadow_gap_resolve(shadow, base.match - base.length + 1, false);
	shadow_cut(shadow, base.match - base.length + 1);
}

/** A return below what began behind the gap: like one of before it? */
static void match(struct shadow *shadow, uint64_t address, uint32_t function)
{
	struct shadow_base *base = &shadow->bases.items[shadow->bases.count - 1];
	const struct shadow_frame *frames = shadow->frames.items;
	if (base->length && returns_to(shadow, base->match - base->length, address, function)) {
		base->length++;
	} else {
		base->match = find_only(shadow, base->frame, address, function);
		base->length = base->match ? 1 : 0;
	}
	if (base->length >= SHADOW_MATCH_ENOUGH ||
	    (base->length && frames[base->match - base->length].is_base))
		commit(shadow, shadow->bases.count - 1);
}

void shadow_gap_caller(struct shadow *shadow, uint64_t address, const struct shadow_place *place,
		       struct shadow_step *step)
{
	step->move = SHADOW_RETURN;
	if (shadow->makes_plan) {
		note_caller(shadow, &shadow->bases.items[shadow->bases.count - 1], address, place);
		match(shadow, address, place->function);
	}
	struct shadow_frame *top = &shadow->frames.items[shadow->frames.count - 1];
	step->keep = (uint32_t)shadow->frames.count - 1; // not planned: it begins a tree of its own
	top->function = place->function;
	top->kind = SHADOW_CALLER;
	top->place = place->place;
}

void shadow_plan_end(struct shadow *shadow)
{
	while (shadow->bases.count > 0) {
		size_t last = shadow->bases.count - 1;
		if (shadow->bases.items[last].length)
			commit(shadow, last);
		else
			shadow_cut(shadow, shadow->bases.items[last].frame);
	}
}

/** Frames [0, keep) go on behind the gap that base `index` began at. */
static void resolve(struct shadow *shadow, size_t index, size_t keep, bool is_kept)
{
	const struct shadow_base *base = &shadow->bases.items[index];
	struct shadow_gap *gap = &shadow->plan->gaps.items[base->gap];
	if (base->length && keep <= base->match - base->length + 1) {
		// What it returned to were older frames: they went on as well.
		for (uint32_t i = 0; i < base->length; i++)
			gap->callers = shadow->plan->callers.items[gap->callers].inner;
		keep = (size_t)base->match + 1;
		is_kept = true;
	}
	while (index > 0 && shadow->bases.items[index].frame >= keep)
		index--;
	const struct shadow_base *into = &shadow->bases.items[index];
	gap->into = into->gap;
	gap->offset = (uint32_t)keep - 1 - into->frame;
	gap->is_kept = is_kept;
}

void shadow_gap_resolve(struct shadow *shadow, size_t keep, bool is_kept)
{
	if (!shadow->makes_plan)
		return;
	for (size_t i = shadow->bases.count; i-- > 1;) {
		if (shadow->bases.items[i].frame < keep)
			break;
		resolve(shadow, i, keep, is_kept && i + 1 == shadow->bases.count);
	}
}
