// SPDX-License-Identifier: Apache-2.0
// Physical frames, made whole again from the nearest checkpoint when asked for.

#include "stack/frame.h"

#include <stdlib.h>

#include "stack/unwind.h"

static struct physical_frame *slot_for(struct strobe_stack *stack, size_t index)
{
	if (!stack->window)
		stack->window = calloc(FRAME_WINDOW_COUNT, sizeof(struct physical_frame *));
	if (!stack->window)
		return NULL;
	struct physical_frame **slot = &stack->window[index % FRAME_WINDOW_COUNT];
	if (!*slot)
		*slot = malloc(sizeof(**slot));
	return *slot;
}

static const struct physical_frame *find_slot(const struct strobe_stack *stack, size_t index)
{
	if (!stack->window)
		return NULL;
	const struct physical_frame *frame = stack->window[index % FRAME_WINDOW_COUNT];
	return frame && frame->index == index ? frame : NULL;
}

/** What the walk found out about a frame after its registers. */
static void complete(const struct strobe_stack *stack, struct physical_frame *frame)
{
	const struct frame_record *record = &stack->records.items[frame->index];
	frame->cfa = record->cfa;
	frame->has_cfa = record->has_cfa;
	frame->signal_frame = record->signal_frame;
	frame->position = record->position;
}

static const struct physical_frame *frame_at(const struct strobe_stack *borrowed, size_t index)
{
	// Frames are kept behind a constant stack: what is asked of it does not change.
	struct strobe_stack *stack = (struct strobe_stack *)borrowed;
	const struct physical_frame *found = find_slot(stack, index);
	if (found || index >= stack->records.count)
		return found;
	struct unwinder unwinder;
	struct unwind_stop stop;
	unwinder_init(&unwinder, stack->symbols);
	size_t from = index / FRAME_CHECKPOINT_EVERY;
	struct physical_frame frame = stack->checkpoints.items[from], caller;
	for (size_t i = index; i > from * FRAME_CHECKPOINT_EVERY; i--) {
		found = find_slot(stack, i - 1); // the usual case: frames are visited in order
		if (found) {
			frame = *found;
			break;
		}
	}
	while (frame.index < index) {
		if (!unwind_step(&unwinder, &frame, &caller, &stop))
			return NULL;
		frame = caller;
	}
	struct physical_frame *slot = slot_for(stack, index);
	if (!slot)
		return NULL;
	*slot = frame;
	complete(stack, slot);
	return slot;
}

const struct physical_frame *stack_physical(const struct strobe_stack *stack, size_t index)
{
	return index < stack->entries.count ? frame_at(stack, stack->entries.items[index].physical)
					    : NULL;
}

const struct physical_frame *stack_physical_caller(const struct strobe_stack *stack, size_t index)
{
	return index < stack->entries.count
		       ? frame_at(stack, stack->entries.items[index].physical + 1)
		       : NULL;
}

const struct physical_frame *stack_caller_of(const struct strobe_stack *stack,
					     const struct physical_frame *frame)
{
	return frame_at(stack, frame->index + 1);
}

const struct code_scope *stack_scope(const struct strobe_stack *stack, size_t index)
{
	if (index >= stack->entries.count)
		return NULL;
	const struct stack_entry *entry = &stack->entries.items[index];
	if (entry->scope == SIZE_MAX)
		return NULL;
	return &stack->records.items[entry->physical].position->scopes[entry->scope];
}
