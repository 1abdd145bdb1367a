// SPDX-License-Identifier: Apache-2.0
// What an address of B belongs to: its mapping, and on a stack the thread, the frame, the local.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/diff.h"
#include "diff/walk.h"
#include "stack/frame.h"
#include "value/value.h"

/** Named limits: frames of a stack that are looked at; what may be used below the stack pointer. */
enum { PLACE_FRAME_LIMIT = 10000, RED_ZONE = 128 };

/** A variable of the frame looked at last. */
struct local {
	uint64_t start, size;
	const char *name;
	struct type *type;
};

/** Invariants: `stacks` is sorted by sp; `stack` is thread `thread`'s; `locals` are those of its
 *  frame `frame`. */
struct places {
	ARRAY(struct top {
		uint64_t sp;
		size_t thread; // index
	})
	stacks;
	struct strobe_stack *stack;
	size_t thread, frame;
	ARRAY(struct local) locals;
	char name[WALK_NAME_SIZE];
};

struct places *places_free(struct places *places)
{
	if (!places)
		return NULL;
	strobe_stack_close(places->stack);
	array_fini(&places->stacks);
	array_fini(&places->locals);
	free(places);
	return NULL;
}

static int compare_tops(const void *a, const void *b)
{
	const struct top *left = a, *right = b;
	return left->sp < right->sp ? -1 : left->sp > right->sp;
}

static struct places *places_of(struct strobe_diff *diff)
{
	if (diff->places)
		return diff->places;
	struct places *places = calloc(1, sizeof(*places));
	size_t count = strobe_view_thread_count(diff->b);
	if (!places)
		return NULL;
	places->thread = places->frame = SIZE_MAX;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_thread *thread = strobe_view_thread(diff->b, i);
		if (thread->has_registers &&
		    !array_push(&places->stacks, (struct top){thread->sp, i}))
			return places_free(places);
	}
	if (places->stacks.count > 1)
		qsort(places->stacks.items, places->stacks.count, sizeof(*places->stacks.items),
		      compare_tops);
	diff->places = places;
	return places;
}

/** The thread whose stack pointer is the next below `address`, in the same mapping; SIZE_MAX. */
static size_t owner(const struct places *places, const struct strobe_mapping *mapping,
		    uint64_t address)
{
	size_t low = 0, high = places->stacks.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (places->stacks.items[middle].sp - RED_ZONE <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || places->stacks.items[low - 1].sp < mapping->start)
		return SIZE_MAX;
	return places->stacks.items[low - 1].thread;
}

/** Makes `places->stack` that of the thread; false if it cannot be had. */
static bool choose_stack(struct strobe_diff *diff, struct places *places, size_t thread)
{
	struct strobe_stack_options options = {.size = sizeof(options),
					       .max_frames = PLACE_FRAME_LIMIT};
	if (places->thread == thread)
		return places->stack != NULL;
	places->stack = strobe_stack_close(places->stack);
	places->thread = thread;
	places->frame = SIZE_MAX;
	strobe_error_free(strobe_stack_open(diff->new_symbols, thread, &options, &places->stack));
	return places->stack != NULL;
}

/** The innermost frame that ends above `address`; SIZE_MAX if none does. */
static size_t frame_of(const struct strobe_stack *stack, uint64_t address)
{
	size_t low = 0, count = strobe_stack_frame_count(stack), high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strobe_stack_frame(stack, middle)->cfa <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count ? low : SIZE_MAX;
}

static bool keep_local(void *context, const struct strobe_variable *variable,
		       const struct strobe_value *value)
{
	struct places *places = context;
	struct local local = {
		.name = variable->name, .size = strobe_value_size(value), .type = value->type};
	if (variable->is_static || !local.size || !strobe_value_address(value, &local.start))
		return true;
	return array_push(&places->locals, local);
}

/** The local of frame `frame` that holds `address`, with its part, in places->name; NULL if none. */
static const char *find_local(struct strobe_diff *diff, struct places *places, size_t frame,
			      uint64_t address)
{
	if (places->frame != frame) {
		places->frame = frame;
		places->locals.count = 0;
		strobe_error_free(strobe_frame_variables(places->stack, frame, keep_local, places));
	}
	for (size_t i = 0; i < places->locals.count; i++) {
		const struct local *local = &places->locals.items[i];
		if (address - local->start >= local->size)
			continue;
		snprintf(places->name, sizeof(places->name), "%s", local->name);
		walk_part_name(diff->new_symbols, local->type, address - local->start, places->name,
			       sizeof(places->name));
		return places->name;
	}
	return NULL;
}

static void find_frame(struct strobe_diff *diff, struct places *places, uint64_t address,
		       struct strobe_diff_place *ret)
{
	size_t frame = frame_of(places->stack, address);
	if (frame == SIZE_MAX)
		return;
	ret->frame = frame;
	ret->function = strobe_stack_frame(places->stack, frame)->function;
	uint64_t cfa = strobe_stack_frame(places->stack, frame)->cfa;
	size_t count = strobe_stack_frame_count(places->stack);
	// Inlined calls share the frame of the function they are in.
	for (size_t i = frame; i < count && strobe_stack_frame(places->stack, i)->cfa == cfa; i++) {
		ret->variable = find_local(diff, places, i, address);
		if (!ret->variable)
			continue;
		ret->frame = i;
		ret->function = strobe_stack_frame(places->stack, i)->function;
		return;
	}
}

void strobe_diff_place(struct strobe_diff *diff, uint64_t address, struct strobe_diff_place *ret)
{
	const struct strobe_mapping *mapping = strobe_view_mapping_at(diff->b, address);
	*ret = (struct strobe_diff_place){.frame = SIZE_MAX};
	if (!mapping)
		return;
	ret->mapping = mapping->path ? mapping->path : "[anonymous]";
	struct places *places = places_of(diff);
	size_t thread = places ? owner(places, mapping, address) : SIZE_MAX;
	if (thread == SIZE_MAX)
		return;
	ret->tid = strobe_view_thread(diff->b, thread)->tid;
	if (choose_stack(diff, places, thread))
		find_frame(diff, places, address, ret);
}
