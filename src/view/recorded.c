// SPDX-License-Identifier: Apache-2.0
#include "view/recorded.h"

#include <string.h>

#include "base/error.h"
#include "view/build.h"

static struct strobe_error *copy_stack(struct strobe_view *view, const struct recorded_stack *stack)
{
	size_t size = stack->count * sizeof(*stack->frames);
	struct recorded_stack *copy = arena_alloc(&view->arena, sizeof(*copy));
	struct recorded_frame *frames = arena_alloc(&view->arena, size);
	if (!copy || !frames)
		return error_no_memory();
	memcpy(frames, stack->frames, size);
	*copy = (struct recorded_stack){.thread_index = view->threads.count,
					.frames = frames,
					.count = stack->count,
					.end = arena_strdup(&view->arena, stack->end)};
	if (!copy->end)
		return error_no_memory();
	view->recorded = copy;
	return NULL;
}

struct strobe_error *view_add_recorded(struct strobe_view *view, int tid, const char *name,
				       const struct recorded_stack *stack)
{
	struct strobe_thread thread = view_thread(tid);
	uint8_t *general = arena_alloc(&view->arena, USER_REGISTERS_SIZE);
	struct register_blocks blocks = {.general = general,
					 .general_missing = ~(1u << USER_RIP / 8)};
	struct strobe_error *error = copy_stack(view, stack);
	if (error)
		return error;
	thread.name = arena_strdup(&view->arena, name);
	thread.has_registers = true;
	thread.pc = stack->frames[0].pc;
	if (!general || (name && !thread.name))
		return error_no_memory();
	memcpy(general + USER_RIP, &thread.pc, sizeof(thread.pc));
	if (!array_push(&view->threads, thread) || !array_push(&view->registers, blocks) ||
	    !hash_put(&view->tids, (uint32_t)tid, (void *)(uintptr_t)view->threads.count))
		return error_no_memory();
	return NULL;
}

const struct recorded_stack *view_recorded_stack(const struct strobe_view *view,
						 size_t thread_index)
{
	return view->recorded && view->recorded->thread_index == thread_index ? view->recorded
									      : NULL;
}
