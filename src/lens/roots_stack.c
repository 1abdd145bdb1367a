// SPDX-License-Identifier: Apache-2.0
#include "lens/roots_stack.h"

#include <string.h>

enum {
	RED_ZONE = 128,		// below the stack pointer: x86-64 psABI
	JOIN_LIMIT = 64 * 1024, // between frames whose size is not known
	DEAD_LIMIT = 64 * 1024, // below the frames of a stack that may share its mapping
	GROUP_LIMIT = 1024,
	SIGNAL_FRAME = 16 * 1024, // of registers; where its stack is not told
	// struct ucontext of x86-64: flags, link, stack: pointer, flags, size.
	UCONTEXT_STACK = 16,
	UCONTEXT_STACK_SIZE = 32,
};

/** The lowest stack pointer of another thread above `address`. */
static uint64_t next_stack_pointer(const struct roots *roots, uint64_t address)
{
	size_t low = 0, high = roots->stack_pointers.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (roots->stack_pointers.items[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < roots->stack_pointers.count ? roots->stack_pointers.items[low] - RED_ZONE
						 : UINT64_MAX;
}

/** A stack that a frame begins at; false if its memory is not to be had. */
static bool begin_group(struct roots *roots, struct stack_memory *memory, uint64_t start,
			uint64_t sp, const struct strobe_mapping *mapping)
{
	uint64_t limit = mapping->end, next = next_stack_pointer(roots, sp);
	if (memory->above > sp && memory->above < limit)
		limit = memory->above;
	if (next > sp && next < limit)
		limit = next;
	for (size_t i = 0; i < memory->groups.count; i++) {
		struct stack_group *other = &memory->groups.items[i];
		if (start < other->end && sp >= other->start)
			return false; // a stack that leads into itself
		if (other->start > sp && other->start < limit)
			limit = other->start;
		if (other->start <= sp && other->limit > start)
			other->limit = start;
	}
	if (start < mapping->start)
		start = mapping->start;
	limit = roots_free_end(roots, sp, limit);
	if (limit <= sp || memory->groups.count >= GROUP_LIMIT)
		return false;
	if (!roots_is_free(roots, start, limit))
		start = sp;
	if (!array_push(&memory->groups, (struct stack_group){start, start, limit, mapping, sp}))
		roots->short_of_memory = true;
	return !roots->short_of_memory;
}

/** Where the stack ends that a signal's frame stands on, if that is not the stack it interrupted. */
static uint64_t signal_end(const struct roots *roots, uint64_t sp, uint64_t limit)
{
	uint64_t base, size;
	if (view_read_unsigned(roots->view, sp + UCONTEXT_STACK, 8, &base) &&
	    view_read_unsigned(roots->view, sp + UCONTEXT_STACK_SIZE, 8, &size) && base <= sp &&
	    sp - base < size)
		return base + size < limit ? base + size : limit;
	return limit - sp > SIGNAL_FRAME ? sp + SIGNAL_FRAME : limit;
}

static struct stretch take(struct roots *roots, struct stack_memory *memory,
			   const struct physical_frame *frame)
{
	static const struct stretch nothing;
	uint64_t sp = frame->registers[FRAME_RSP];
	struct stack_group *group =
		memory->groups.count ? &memory->groups.items[memory->groups.count - 1] : NULL;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(roots->view, sp);
	bool follows = group && mapping == group->mapping && sp >= group->last_sp &&
		       sp < group->limit && (sp <= group->end || sp - group->end <= JOIN_LIMIT);
	if (!mapping || !(frame->known >> FRAME_RSP & 1))
		return nothing;
	if (!follows) {
		uint64_t start = frame->innermost ? sp - RED_ZONE : sp;
		if (!begin_group(roots, memory, start, sp, mapping))
			return nothing;
		group = &memory->groups.items[memory->groups.count - 1];
	}
	uint64_t end = sp;
	if (frame->has_cfa && frame->cfa > sp && frame->cfa <= group->limit)
		end = frame->cfa;
	else if (frame->signal_frame)
		end = signal_end(roots, sp, group->limit);
	if (end < group->end)
		end = group->end;
	struct stretch stretch = {group->end, end};
	group->end = end;
	group->last_sp = sp;
	return stretch;
}

bool stack_memory_find(struct roots *roots, const struct strobe_stack *stack, uint64_t above,
		       struct stack_memory *ret)
{
	ret->frames.count = ret->groups.count = 0;
	ret->above = above;
	for (size_t i = 0; i < stack->entries.count; i++) {
		if (stack->entries.items[i].physical < ret->frames.count)
			continue; // inlined into the same frame
		const struct physical_frame *frame = stack_physical(stack, i);
		if (!frame || !array_push(&ret->frames, take(roots, ret, frame)))
			roots->short_of_memory = true;
		if (roots->short_of_memory)
			return false;
	}
	return true;
}

bool stack_memory_holds(const struct stack_memory *memory, uint64_t address, uint64_t size)
{
	for (size_t i = 0; i < memory->groups.count; i++) {
		const struct stack_group *group = &memory->groups.items[i];
		if (address >= group->start && address < group->end && size <= group->end - address)
			return true;
	}
	return false;
}

bool stack_memory_overlaps(const struct stack_memory *memory, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < memory->groups.count; i++)
		if (start < memory->groups.items[i].end && end > memory->groups.items[i].start)
			return true;
	return false;
}

/** Does memory that nobody may read lie below the mapping? Such is put below stacks. */
static bool has_guard(const struct roots *roots, const struct strobe_mapping *mapping)
{
	const struct strobe_mapping *below =
		strobe_view_mapping_at(roots->view, mapping->start - 1);
	return below && !(below->permissions & STROBE_PERMISSION_READ);
}

/** Is all of the mapping below the frames stack? The kernel's, the C library's, or one with a guard. A program's own stack
 *  may be in one mapping with whatever it mapped besides. */
static bool is_whole_stack(const struct roots *roots, const struct stack_group *group)
{
	const char *path = group->mapping->path;
	return (path && strcmp(path, "[stack]") == 0) || has_guard(roots, group->mapping);
}

bool stack_memory_claim(struct roots *roots, const struct stack_memory *memory,
			uint64_t end_of_last)
{
	for (size_t i = 0; i < memory->groups.count; i++) {
		const struct stack_group *group = &memory->groups.items[i];
		uint64_t floor = group->mapping->start;
		uint64_t end = group->end;
		if (i + 1 == memory->groups.count && end_of_last > end)
			end = end_of_last;
		if (!is_whole_stack(roots, group) && group->start - floor > DEAD_LIMIT)
			floor = group->start - DEAD_LIMIT;
		// Of a variable that is used as a stack, the rest is a variable.
		bool own = group->mapping->module_index == SIZE_MAX;
		if (!roots_claim(roots, group->start, end) ||
		    (own && !array_push(&roots->dead, (struct root_dead){floor, group->start})))
			roots->short_of_memory = true;
	}
	return !roots->short_of_memory;
}

void stack_memory_fini(struct stack_memory *memory)
{
	array_fini(&memory->frames);
	array_fini(&memory->groups);
}
