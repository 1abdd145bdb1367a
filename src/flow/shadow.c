// SPDX-License-Identifier: Apache-2.0
#include "flow/shadow.h"

#include <assert.h>
#include <string.h>

#include "flow/shadow_plan.h"

/** An arrival, while it is worked out. */
struct arrival {
	uint64_t id, address;
	const struct shadow_place *place;
	struct shadow_step *step;
};

void shadow_fini(struct shadow *shadow)
{
	array_fini(&shadow->frames);
	array_fini(&shadow->marks);
	array_fini(&shadow->bases);
}

#define COPY_ARRAY(to, from)                                                                       \
	(array_reserve((to), (from)->count) &&                                                     \
	 ((from)->count == 0 ||                                                                    \
	  memcpy((to)->items, (from)->items, (from)->count * sizeof(*(from)->items))) &&           \
	 (((to)->count = (from)->count), true))

bool shadow_copy(struct shadow *copy, const struct shadow *shadow)
{
	*copy = *shadow;
	memset(&copy->frames, 0, sizeof(copy->frames));
	memset(&copy->marks, 0, sizeof(copy->marks));
	memset(&copy->bases, 0, sizeof(copy->bases));
	return COPY_ARRAY(&copy->frames, &shadow->frames) &&
	       COPY_ARRAY(&copy->marks, &shadow->marks) && COPY_ARRAY(&copy->bases, &shadow->bases);
}

static struct shadow_frame *top_of(struct shadow *shadow)
{
	assert(shadow->frames.count > 0);
	return &shadow->frames.items[shadow->frames.count - 1];
}

static void push(struct shadow *shadow, const struct shadow_frame *frame)
{
	if (!array_push(&shadow->frames, *frame))
		shadow->no_memory = true;
}

static void push_arrival(struct shadow *shadow, const struct arrival *arrival,
			 enum shadow_kind kind, uint64_t return_address, uint64_t resume)
{
	if (shadow->frames.count >= SHADOW_DEPTH_LIMIT) { // the outermost half is forgotten
		shadow_gap_begin(shadow, arrival->id, arrival->place, arrival->step);
		return;
	}
	arrival->step->move = SHADOW_PUSH;
	push(shadow, &(struct shadow_frame){.return_address = return_address,
					    .resume = resume,
					    .function = arrival->place->function,
					    .place = arrival->place->place,
					    .kind = (uint8_t)kind,
					    .saves = arrival->place->saves});
}

/** Another function runs in the innermost frame. */
static void swap(struct shadow *shadow, const struct arrival *arrival)
{
	struct shadow_frame *top = top_of(shadow);
	arrival->step->move = SHADOW_SWAP;
	arrival->step->swapped = true;
	arrival->step->returned = shadow->pending == PENDING_RETURN;
	top->function = arrival->place->function;
	top->place = arrival->place->place;
	top->saves |= arrival->place->saves;
	top->kind = shadow->left ? SHADOW_CALLED : SHADOW_TAIL; // left: called back
}

/** Execution goes on in frame keep - 1; if that is not where it is, another function runs there now. */
static void settle(struct shadow *shadow, const struct arrival *arrival)
{
	if (top_of(shadow)->function == arrival->place->function)
		return;
	enum shadow_move move = arrival->step->move;
	swap(shadow, arrival);
	arrival->step->move = move;
}

/** Frames from `keep` > 0 on have ended. */
static void unwind(struct shadow *shadow, const struct arrival *arrival, size_t keep)
{
	shadow_gap_resolve(shadow, keep, false);
	arrival->step->move = SHADOW_UNWIND;
	arrival->step->keep = (uint32_t)keep;
	shadow_cut(shadow, keep);
	settle(shadow, arrival);
}

static void note_return(struct shadow *shadow, const struct shadow_frame *from, uint64_t address)
{
	size_t frame = shadow->frames.count - 1;
	if (!from->saves || shadow->marks.count >= SHADOW_MARK_LIMIT)
		return;
	for (size_t i = shadow->marks.count; i-- > 0;)
		if (shadow->marks.items[i].frame != frame)
			break;
		else if (shadow->marks.items[i].address == address)
			return;
	if (!array_push(&shadow->marks, (struct shadow_mark){address, (uint32_t)frame}))
		shadow->no_memory = true;
}

/** Frame `index` > 0 has returned, with all that it called. */
static void return_from(struct shadow *shadow, const struct arrival *arrival, size_t index)
{
	struct shadow_frame from = shadow->frames.items[index];
	arrival->step->move = index + 1 == shadow->frames.count ? SHADOW_RETURN : SHADOW_UNWIND;
	shadow_gap_resolve(shadow, index + 1, top_of(shadow)->is_base);
	arrival->step->keep = (uint32_t)index;
	shadow_cut(shadow, index);
	note_return(shadow, &from, arrival->address);
	settle(shadow, arrival);
}

/** First frame of the innermost fragment: those before it stood before a gap. */
static size_t fragment(const struct shadow *shadow)
{
	if (!shadow->makes_plan || !shadow->bases.count)
		return 0;
	return shadow->bases.items[shadow->bases.count - 1].frame;
}

/** The innermost frame that returns to `address`; before the gap, only if it is the only one. 0 = none:
 *  the first frame has no caller to return to. */
static size_t find_return(const struct shadow *shadow, uint64_t address)
{
	size_t base = fragment(shadow), found = 0;
	for (size_t i = shadow->frames.count; i-- > base;)
		if (shadow->frames.items[i].return_address == address)
			return i;
	for (size_t i = base; i-- > 0;) {
		if (shadow->frames.items[i].return_address != address)
			continue;
		if (found)
			return 0;
		found = i;
	}
	return found;
}

/** Likewise of frames that `function` runs in: frames to keep, 0 = none. */
static size_t find_function(const struct shadow *shadow, uint32_t function)
{
	size_t base = fragment(shadow), found = 0;
	if (function == SHADOW_UNKNOWN)
		return 0;
	for (size_t i = shadow->frames.count; i-- > base;)
		if (shadow->frames.items[i].function == function)
			return i + 1;
	for (size_t i = base; i-- > 0;) {
		if (shadow->frames.items[i].function != function)
			continue;
		if (found)
			return 0;
		found = i + 1;
	}
	return found;
}

/** Where setjmp() had returned to, or in the middle of a function that is active further out. */
static bool land(struct shadow *shadow, const struct arrival *arrival)
{
	size_t keep = 0;
	for (size_t i = shadow->marks.count; i-- > 0 && !keep;)
		if (shadow->marks.items[i].address == arrival->address)
			keep = shadow->marks.items[i].frame + 1;
	if (!keep && !arrival->place->is_entry)
		keep = find_function(shadow, arrival->place->function);
	if (!keep)
		return false;
	if (keep < shadow->frames.count)
		unwind(shadow, arrival, keep);
	return true;
}

static bool is_same(struct shadow *shadow, const struct arrival *arrival)
{
	return top_of(shadow)->function == arrival->place->function;
}

/** Execution stopped somewhere and went on here. */
static void arrive_async(struct shadow *shadow, const struct arrival *arrival, uint64_t resume)
{
	uint64_t address = arrival->address;
	if (resume && address == resume && is_same(shadow, arrival))
		return;
	for (size_t i = shadow->frames.count; i-- > 1;) {
		const struct shadow_frame *frame = &shadow->frames.items[i];
		if (frame->resume && frame->resume == address) {
			return_from(shadow, arrival, i);
			arrival->step->move = SHADOW_UNWIND;
			return;
		}
	}
	bool enters_kernel = arrival->place->is_kernel && !shadow->in_kernel;
	if (enters_kernel && shadow->pending == PENDING_SYSTEM)
		push_arrival(shadow, arrival, SHADOW_SYSTEM, resume, resume);
	else if (shadow->left && address == top_of(shadow)->return_address &&
		 shadow->frames.count > 1)
		return_from(shadow, arrival, shadow->frames.count - 1);
	else if (arrival->place->is_entry || enters_kernel)
		push_arrival(shadow, arrival, SHADOW_INTERRUPT, 0, resume);
	else if (is_same(shadow, arrival) || land(shadow, arrival))
		return;
	else if (shadow->signalled)
		push_arrival(shadow, arrival, SHADOW_INTERRUPT, 0, resume);
	else
		shadow_gap_begin(shadow, arrival->id, arrival->place, arrival->step);
}

static void arrive_call(struct shadow *shadow, const struct arrival *arrival)
{
	bool is_next = arrival->address == shadow->end; // "call 1f; 1: pop", or not traced
	if (is_next && (shadow->left || (shadow->has_target && shadow->target == shadow->end)))
		return;
	if (shadow->left && !arrival->place->is_entry && land(shadow, arrival))
		return; // what it called ended in a longjmp() or an exception
	push_arrival(shadow, arrival, SHADOW_CALLED, shadow->end, 0);
}

static void arrive_jump(struct shadow *shadow, const struct arrival *arrival)
{
	if (!shadow->has_target) {
		size_t found = is_same(shadow, arrival) ? 0 : find_return(shadow, arrival->address);
		if (found)
			return_from(shadow, arrival, found); // pop %rcx; jmp *%rcx
		else if (!is_same(shadow, arrival) && !land(shadow, arrival)) {
			if (arrival->place->is_entry ||
			    arrival->place->function == SHADOW_UNKNOWN ||
			    top_of(shadow)->function == SHADOW_UNKNOWN)
				swap(shadow, arrival);
			else
				shadow_gap_begin(shadow, arrival->id, arrival->place,
						 arrival->step);
		}
	} else if (arrival->address != shadow->target && arrival->address != shadow->end) {
		arrive_async(shadow, arrival, 0);
	} else if (!is_same(shadow, arrival)) {
		swap(shadow, arrival);
	}
}

static void arrive_return(struct shadow *shadow, const struct arrival *arrival)
{
	size_t found = find_return(shadow, arrival->address);
	const struct shadow_frame *top = top_of(shadow);
	bool below = top->is_base && found < fragment(shadow);
	if (found && !below)
		return_from(shadow, arrival, found);
	else if (arrival->place->is_entry) // a stub that "returns" to what it found
		swap(shadow, arrival);
	else if (top->is_base)
		shadow_gap_caller(shadow, arrival->address, arrival->place, arrival->step);
	else if (!land(shadow, arrival)) {
		if (!top->return_address) // a signal handler: to the code that ends it
			swap(shadow, arrival);
		else
			shadow_gap_begin(shadow, arrival->id, arrival->place, arrival->step);
	}
}

static void arrive_far(struct shadow *shadow, const struct arrival *arrival)
{
	size_t found = find_return(shadow, arrival->address);
	if (found)
		return_from(shadow, arrival, found);
	else
		arrive_async(shadow, arrival, 0);
}

static void arrive_fall(struct shadow *shadow, const struct arrival *arrival)
{
	if (arrival->address != shadow->end)
		arrive_async(shadow, arrival, shadow->end);
	else if (!is_same(shadow, arrival))
		swap(shadow, arrival);
}

void shadow_arrive(struct shadow *shadow, uint64_t id, uint64_t address,
		   const struct shadow_place *place, struct shadow_step *ret)
{
	struct arrival arrival = {id, address, place, ret};
	*ret = (struct shadow_step){.move = SHADOW_STAY, .keep = (uint32_t)shadow->frames.count};
	switch (shadow->pending) {
	case PENDING_NOTHING:
		shadow_gap_begin(shadow, id, place, ret);
		break;
	case PENDING_FALL:
		arrive_fall(shadow, &arrival);
		break;
	case PENDING_JUMP:
		arrive_jump(shadow, &arrival);
		break;
	case PENDING_CALL:
		arrive_call(shadow, &arrival);
		break;
	case PENDING_RETURN:
		arrive_return(shadow, &arrival);
		break;
	case PENDING_SYSTEM:
		if (address != shadow->end)
			arrive_async(shadow, &arrival, shadow->end);
		break;
	case PENDING_FAR:
		arrive_far(shadow, &arrival);
		break;
	case PENDING_ASYNC:
		arrive_async(shadow, &arrival, shadow->resume);
		break;
	}
	shadow->left = shadow->signalled = false;
	shadow->in_kernel = place->is_kernel;
}

void shadow_lose(struct shadow *shadow)
{
	shadow->pending = PENDING_NOTHING;
	shadow->left = shadow->signalled = false;
}

void shadow_forget(struct shadow *shadow)
{
	shadow_lose(shadow);
	if (shadow->makes_plan)
		shadow_cut(shadow, 0);
}

void shadow_leave(struct shadow *shadow)
{
	shadow->left = true;
}

void shadow_interrupt(struct shadow *shadow, uint64_t resume, bool signalled)
{
	if (shadow->pending == PENDING_NOTHING)
		return;
	shadow->signalled |= signalled;
	if (!resume && shadow_is_between(shadow)) {
		shadow->left = true; // where the branch led stays unknown
		return;
	}
	if (!resume && (shadow->pending == PENDING_FALL || shadow->pending == PENDING_SYSTEM))
		resume = shadow->end;
	else if (!resume && shadow->pending == PENDING_ASYNC)
		resume = shadow->resume;
	shadow->resume = resume;
	shadow->pending = PENDING_ASYNC;
}

bool shadow_is_between(const struct shadow *shadow)
{
	return shadow->pending == PENDING_JUMP || shadow->pending == PENDING_CALL ||
	       shadow->pending == PENDING_RETURN;
}
