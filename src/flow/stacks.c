// SPDX-License-Identifier: Apache-2.0
// The stack at a position: by the index where that tells it, else by a walk from a stack that is remembered.

#include "flow/stacks.h"

#include <stdlib.h>

#include "base/error.h"
#include "flow/unit_stack.h"
#include "flow/walk.h"

enum {
	CHECKPOINT_LIMIT = 256,
	CHECKPOINT_EVERY = 1 << 20, // items, at first: it doubles when there are too many
};

/** The stack before item `id`. */
struct checkpoint {
	uint64_t id;
	struct shadow shadow;
};

/** Invariants: 1. checkpoints are in the order of their ids, multiples of `every`, the first is 0. 2. They and `plan`
 *  hold for a trace of `item_count` items. */
struct strobe_trace_stacks {
	struct strobe_trace *trace;
	size_t thread_index;
	struct strobe_cursor *cursor;
	struct places places;
	bool planned;
	uint64_t item_count;
	struct shadow_plan plan;
	ARRAY(struct checkpoint) checkpoints;
	uint64_t every;
	ARRAY(struct strobe_trace_frame) frames;
	struct unit_stack known;
};

struct strobe_error *strobe_trace_stacks_open(struct strobe_trace *trace, size_t thread_index,
					      struct strobe_symbols *symbols,
					      struct strobe_trace_stacks **ret)
{
	if (strobe_symbols_view(symbols) != strobe_trace_view(trace))
		return error_new(STROBE_ERROR_INVALID, "the symbols are not of this trace");
	struct strobe_trace_stacks *stacks = calloc(1, sizeof(*stacks));
	if (!stacks)
		return error_no_memory();
	stacks->trace = trace;
	stacks->thread_index = thread_index;
	stacks->every = CHECKPOINT_EVERY;
	places_init(&stacks->places, symbols, true);
	struct strobe_error *error = strobe_cursor_open(trace, thread_index, &stacks->cursor);
	if (error)
		strobe_trace_stacks_close(stacks);
	else
		*ret = stacks;
	return error;
}

static void forget(struct strobe_trace_stacks *stacks)
{
	for (size_t i = 0; i < stacks->checkpoints.count; i++)
		shadow_fini(&stacks->checkpoints.items[i].shadow);
	stacks->checkpoints.count = 0;
	shadow_plan_fini(&stacks->plan);
	stacks->planned = false;
}

struct strobe_trace_stacks *strobe_trace_stacks_close(struct strobe_trace_stacks *stacks)
{
	if (!stacks)
		return NULL;
	forget(stacks);
	array_fini(&stacks->checkpoints);
	array_fini(&stacks->frames);
	array_fini(&stacks->known.returns);
	places_fini(&stacks->places);
	strobe_cursor_close(stacks->cursor);
	free(stacks);
	return NULL;
}

/** Leaves every other one. */
static void thin_out(struct strobe_trace_stacks *stacks)
{
	size_t kept = 0;
	stacks->every *= 2;
	for (size_t i = 0; i < stacks->checkpoints.count; i++)
		if (stacks->checkpoints.items[i].id % stacks->every == 0)
			stacks->checkpoints.items[kept++] = stacks->checkpoints.items[i];
		else
			shadow_fini(&stacks->checkpoints.items[i].shadow);
	stacks->checkpoints.count = kept;
}

static struct strobe_error *remember(struct strobe_trace_stacks *stacks, uint64_t id,
				     const struct shadow *shadow)
{
	struct checkpoint checkpoint = {.id = id};
	if (stacks->checkpoints.count == CHECKPOINT_LIMIT)
		thin_out(stacks);
	if (id % stacks->every)
		return NULL;
	if (!shadow_copy(&checkpoint.shadow, shadow) ||
	    !array_push(&stacks->checkpoints, checkpoint)) {
		shadow_fini(&checkpoint.shadow);
		return error_no_memory();
	}
	return NULL;
}

static struct strobe_error *make_plan(struct strobe_trace_stacks *stacks)
{
	uint64_t count = strobe_trace_thread(stacks->trace, stacks->thread_index)->item_count;
	if (stacks->planned && stacks->item_count == count)
		return NULL;
	forget(stacks);
	struct strobe_error *error =
		walk_plan(stacks->cursor, &stacks->places, 0, count, &stacks->plan);
	if (error)
		return error;
	stacks->planned = true;
	stacks->item_count = count;
	return remember(stacks, 0, &(struct shadow){.plan = &stacks->plan});
}

/** Walks from the last checkpoint before `end` up to there. */
static struct strobe_error *walk_to(struct strobe_trace_stacks *stacks, struct walk *walk,
				    uint64_t end)
{
	size_t at = stacks->checkpoints.count - 1;
	while (at > 0 && stacks->checkpoints.items[at].id >= end)
		at--;
	uint64_t from = stacks->checkpoints.items[at].id;
	if (!shadow_copy(&walk->shadow, &stacks->checkpoints.items[at].shadow))
		return error_no_memory();
	while (from < end) {
		uint64_t next = (from / stacks->every + 1) * stacks->every;
		uint64_t until = next < end ? next : end;
		struct strobe_error *error = walk_items(walk, from, until);
		size_t count = stacks->checkpoints.count;
		if (!error && until == next && next > stacks->checkpoints.items[count - 1].id)
			error = remember(stacks, next, &walk->shadow);
		if (error)
			return error;
		from = until;
	}
	return NULL;
}

/** The instruction at `id`, or the last one before it; false if there is none. */
static bool find_instruction(struct strobe_trace_stacks *stacks, uint64_t *id, uint64_t *address)
{
	struct strobe_cursor *cursor = stacks->cursor;
	strobe_cursor_set_forwards(cursor, false);
	bool found = strobe_cursor_go_to_id(cursor, *id);
	while (found && strobe_cursor_kind(cursor) != STROBE_ITEM_INSTRUCTION)
		found = strobe_cursor_next(cursor);
	*id = strobe_cursor_id(cursor);
	return found && strobe_cursor_address(cursor, address);
}

/** Frame `index` goes on there when what it called returns. */
static void describe_caller(const struct strobe_trace_stacks *stacks, const struct shadow *shadow,
			    size_t index, struct strobe_trace_frame *ret)
{
	const struct shadow_frame *frame = &shadow->frames.items[index];
	const struct shadow_frame *callee = &shadow->frames.items[index + 1];
	ret->pc = callee->return_address ? callee->return_address : callee->resume;
	ret->interrupted = !callee->return_address && callee->resume;
	ret->uncertain = !ret->pc;
	if (!ret->pc)
		ret->pc = stacks->places.scopes.items[frame->place].start;
}

static struct strobe_error *list_frames(struct strobe_trace_stacks *stacks,
					const struct shadow *shadow, uint64_t address)
{
	static const uint8_t kinds[] = {
		[SHADOW_FIRST] = STROBE_CALL_FIRST,	    [SHADOW_CALLED] = STROBE_CALL_CALLED,
		[SHADOW_CALLER] = STROBE_CALL_CALLER,	    [SHADOW_TAIL] = STROBE_CALL_TAIL,
		[SHADOW_INTERRUPT] = STROBE_CALL_INTERRUPT, [SHADOW_SYSTEM] = STROBE_CALL_SYSTEM,
	};
	if (!array_reserve(&stacks->frames, shadow->frames.count))
		return error_no_memory();
	for (size_t i = shadow->frames.count; i-- > 0;) {
		struct strobe_trace_frame frame = {.pc = address};
		if (i + 1 < shadow->frames.count)
			describe_caller(stacks, shadow, i, &frame);
		frame.kind = (enum strobe_call_kind)kinds[shadow->frames.items[i].kind];
		stacks->frames.items[stacks->frames.count++] = frame;
	}
	return NULL;
}

static struct strobe_error *check_id(const struct strobe_trace_stacks *stacks, uint64_t id)
{
	uint64_t count = strobe_trace_thread(stacks->trace, stacks->thread_index)->item_count;
	return id < count ? NULL
			  : error_new(STROBE_ERROR_INVALID, "the thread has no item %llu",
				      (unsigned long long)id);
}

struct strobe_error *stacks_walk_to(struct strobe_trace_stacks *stacks, uint64_t id,
				    const struct strobe_trace_frame **ret, size_t *ret_count)
{
	uint64_t address;
	struct strobe_error *error = check_id(stacks, id);
	if (!error)
		error = make_plan(stacks);
	stacks->frames.count = 0;
	if (!error && find_instruction(stacks, &id, &address)) {
		struct walk walk = {.cursor = stacks->cursor, .places = &stacks->places};
		error = walk_to(stacks, &walk, id + 1);
		if (!error)
			error = list_frames(stacks, &walk.shadow, address);
		shadow_fini(&walk.shadow);
	}
	if (error)
		return error;
	*ret = stacks->frames.items;
	*ret_count = stacks->frames.count;
	return NULL;
}

bool stacks_have_walked(const struct strobe_trace_stacks *stacks)
{
	return stacks->planned;
}

static struct strobe_error *list_returns(struct strobe_trace_stacks *stacks, uint64_t address)
{
	const struct unit_stack *known = &stacks->known;
	size_t count = known->returns.count;
	stacks->frames.count = 0;
	if (!array_reserve(&stacks->frames, count + 1))
		return error_no_memory();
	for (size_t i = 0; i <= count; i++) {
		struct strobe_trace_frame frame = {.pc = i ? known->returns.items[i - 1] : address,
						   .kind = STROBE_CALL_CALLED};
		// Each but the outermost calls from before the trace was entered by a call that it shows.
		if (i + known->caller_count >= count)
			frame.kind = i + known->caller_count == count ? STROBE_CALL_FIRST
								      : STROBE_CALL_CALLER;
		stacks->frames.items[stacks->frames.count++] = frame;
	}
	return NULL;
}

struct strobe_error *strobe_trace_stacks_at(struct strobe_trace_stacks *stacks, uint64_t id,
					    const struct strobe_trace_frame **ret,
					    size_t *ret_count)
{
	uint64_t address, at = id;
	struct strobe_error *error = check_id(stacks, id);
	if (error || stacks->planned || !find_instruction(stacks, &at, &address))
		return error ? error : stacks_walk_to(stacks, id, ret, ret_count);
	error = unit_stack_at(stacks->cursor, &stacks->places, at, &stacks->known);
	if (!error && !stacks->known.is_known)
		return stacks_walk_to(stacks, id, ret, ret_count);
	if (!error)
		error = list_returns(stacks, address);
	if (error)
		return error;
	*ret = stacks->frames.items;
	*ret_count = stacks->frames.count;
	return NULL;
}
