// SPDX-License-Identifier: Apache-2.0
#include "flow/unit_stack.h"

#include <string.h>

#include "base/error.h"
#include "flow/walk.h"
#include "trace/units.h"

enum { NONE = UINT32_MAX };

/** What a stretch of items does to the stack. */
struct effect {
	struct walk walk; // its frames: [0] stood before, the others are calls that it leaves open
	struct shadow_plan plan;
	uint32_t fragments;
	bool is_plain; // calls, returns and tail calls alone
};

/** The question, and what has been found out so far. */
struct question {
	struct strobe_cursor *cursor;
	struct places *places;
	const struct strobe_trace *trace;
	size_t thread;
	uint64_t item_count;
	unsigned budget;
	struct unit_stack *ret;
};

static bool look_at_step(void *context, const struct shadow_step *step, uint64_t id,
			 uint64_t address)
{
	struct effect *effect = context;
	const struct shadow *shadow = &effect->walk.shadow;
	uint8_t kind = shadow->frames.items[shadow->frames.count - 1].kind;
	bool interrupts = step->move == SHADOW_PUSH && kind != SHADOW_CALLED;
	if (step->move == SHADOW_GAP)
		effect->fragments++;
	// A function in the place of one that returned: a handler's end, or a call back.
	if (step->move == SHADOW_UNWIND || interrupts || step->returned || effect->fragments > 1)
		effect->is_plain = false;
	return effect->is_plain;
}

static void effect_fini(struct effect *effect)
{
	shadow_fini(&effect->walk.shadow);
	shadow_plan_fini(&effect->plan);
}

/** Walks [first_id, end_id). */
static struct strobe_error *walk_effect(struct question *question, uint64_t first_id,
					uint64_t end_id, struct effect *effect)
{
	memset(effect, 0, sizeof(*effect));
	effect->is_plain = true;
	effect->walk = (struct walk){.cursor = question->cursor,
				     .places = question->places,
				     .ops = {.step = look_at_step, .context = effect}};
	effect->walk.shadow.plan = &effect->plan;
	effect->walk.shadow.makes_plan = true;
	struct strobe_error *error = walk_items(&effect->walk, first_id, end_id);
	if (!effect->walk.shadow.frames.count)
		effect->is_plain = false; // no instruction is in it
	if (question->budget)
		question->budget--;
	else
		effect->is_plain = false;
	return error;
}

/** Behind the first instruction from item `id` on: that shows where the last one before led. */
static uint64_t behind_next_instruction(struct question *question, uint64_t id)
{
	strobe_cursor_set_forwards(question->cursor, true);
	bool found = strobe_cursor_go_to_id(question->cursor, id);
	while (found && strobe_cursor_kind(question->cursor) != STROBE_ITEM_INSTRUCTION)
		found = strobe_cursor_next(question->cursor);
	return found ? strobe_cursor_id(question->cursor) + 1 : question->item_count;
}

/** May more than calls and returns have happened in the unit? */
static bool has_events(const struct unit *unit)
{
	static const uint8_t types[] = {STROBE_EVENT_DISABLED_SOFTWARE,
					STROBE_EVENT_DISABLED_HARDWARE,
					STROBE_EVENT_ASYNC_BRANCH,
					STROBE_EVENT_STOP,
					STROBE_EVENT_SIGNAL,
					STROBE_EVENT_EXEC,
					STROBE_EVENT_SKIPPED,
					STROBE_EVENT_TSX};
	for (size_t i = 0; i < sizeof(types); i++)
		if (unit->event_counts[types[i]])
			return true;
	return unit->error_count > 0;
}

static uint32_t count_callers(const struct effect *effect)
{
	uint32_t count = 0,
		 at = effect->plan.gaps.count ? effect->plan.gaps.items[0].callers : NONE;
	for (; at != NONE; at = effect->plan.callers.items[at].inner)
		count++;
	return count;
}

static bool add_return(struct question *question, uint64_t address)
{
	return array_push(&question->ret->returns, address);
}

/** Adds the open calls of `effect` but the `skip` innermost ones. */
static struct strobe_error *add_calls(struct question *question, const struct effect *effect,
				      uint64_t skip)
{
	const struct shadow *shadow = &effect->walk.shadow;
	for (size_t i = shadow->frames.count - skip; i-- > 1;)
		if (!add_return(question, shadow->frames.items[i].return_address))
			return error_no_memory();
	return NULL;
}

/** Does the innermost frame of `effect` that is still there run the code that made the call inside it? */
static bool fits(struct question *question, const struct effect *effect, uint64_t skip)
{
	size_t count = question->ret->returns.count;
	if (!count)
		return true;
	const struct shadow *shadow = &effect->walk.shadow;
	uint64_t site = question->ret->returns.items[count - 1] - 1;
	uint32_t function = places_at(question->places, site)->shadow.function;
	return function == shadow->frames.items[shadow->frames.count - 1 - skip].function;
}

/** Walks back from unit `index`, whose stack lacks `skip` frames of those before it. */
static struct strobe_error *look_back(struct question *question, uint64_t index, uint64_t skip)
{
	struct strobe_error *error = NULL;
	while (index-- > 0 && question->ret->is_known && !error) {
		const struct unit unit = *units_get(question->trace, question->thread, index);
		uint64_t left = unit.pushes > skip ? unit.pushes - skip : 0;
		if (left || has_events(&unit)) {
			struct effect effect;
			uint64_t end = unit.first_id + unit.item_count;
			error = walk_effect(question, unit.first_id,
					    behind_next_instruction(question, end), &effect);
			size_t frames = effect.walk.shadow.frames.count;
			if (!error && (!effect.is_plain || frames - 1 != unit.pushes ||
				       count_callers(&effect) != unit.pops ||
				       (left && !fits(question, &effect, skip))))
				question->ret->is_known = false;
			else if (!error && left)
				error = add_calls(question, &effect, skip);
			effect_fini(&effect);
		}
		skip = (unit.pushes > skip ? 0 : skip - unit.pushes) + unit.pops;
	}
	return error;
}

/** Adds callers that `effect` returned to below `depth` known frames. */
static struct strobe_error *add_callers(struct question *question, const struct effect *effect,
					uint64_t depth)
{
	uint32_t count = count_callers(effect), known = (uint32_t)question->ret->returns.count;
	uint32_t at = effect->plan.gaps.items[0].callers;
	// The list begins with the outermost one.
	for (uint32_t i = count; i-- > depth; at = effect->plan.callers.items[at].inner) {
		if (!add_return(question, 0))
			return error_no_memory();
		uint64_t *place = &question->ret->returns.items[known];
		memmove(place + 1, place,
			(question->ret->returns.count - known - 1) * sizeof(*place));
		*place = effect->plan.callers.items[at].address;
		question->ret->caller_count++;
	}
	return NULL;
}

/** One stretch on the way forward, with `*depth` frames that are known below it. */
static struct strobe_error *look_ahead_in(struct question *question, uint64_t first_id,
					  uint64_t end_id, uint64_t *depth)
{
	struct effect effect;
	struct strobe_error *error = walk_effect(question, first_id, end_id, &effect);
	if (!error && !effect.is_plain)
		question->ret->is_known = false;
	if (!error && question->ret->is_known) {
		uint32_t pops = count_callers(&effect);
		if (pops > *depth)
			error = add_callers(question, &effect, *depth);
		*depth = (pops > *depth ? 0 : *depth - pops) + effect.walk.shadow.frames.count - 1;
	}
	effect_fini(&effect);
	return error;
}

/** Callers from before the trace: where the thread returns to later, below all that is known. */
static struct strobe_error *look_ahead(struct question *question, uint64_t id, uint64_t index)
{
	uint64_t count = units_count(question->trace, question->thread);
	const struct unit *unit = units_get(question->trace, question->thread, index);
	uint64_t end = unit->first_id + unit->item_count, depth = question->ret->returns.count;
	struct strobe_error *error =
		look_ahead_in(question, id, behind_next_instruction(question, end), &depth);
	while (++index < count && question->ret->is_known && !error) {
		const struct unit now = *units_get(question->trace, question->thread, index);
		end = now.first_id + now.item_count;
		if (now.pops > depth || has_events(&now))
			error = look_ahead_in(question, now.first_id,
					      behind_next_instruction(question, end), &depth);
		else
			depth = depth - now.pops + now.pushes;
	}
	return error;
}

struct strobe_error *unit_stack_at(struct strobe_cursor *cursor, struct places *places, uint64_t id,
				   struct unit_stack *ret)
{
	struct strobe_trace *trace = strobe_cursor_trace(cursor);
	size_t thread = strobe_cursor_thread_index(cursor);
	struct question question = {.cursor = cursor,
				    .places = places,
				    .trace = trace,
				    .thread = thread,
				    .item_count = strobe_trace_thread(trace, thread)->item_count,
				    .budget = UNIT_STACK_BUDGET,
				    .ret = ret};
	struct effect effect;
	uint64_t index = units_find(trace, thread, id);
	uint64_t first_id = units_get(trace, thread, index)->first_id;
	ret->returns.count = ret->caller_count = 0;
	ret->is_known = true;
	struct strobe_error *error = walk_effect(&question, first_id, id + 1, &effect);
	if (!error && !effect.is_plain)
		ret->is_known = false;
	if (!error && ret->is_known)
		error = add_calls(&question, &effect, 0);
	if (!error && ret->is_known)
		error = look_back(&question, index, count_callers(&effect));
	effect_fini(&effect);
	if (!error && ret->is_known)
		error = look_ahead(&question, id, index);
	return error;
}
