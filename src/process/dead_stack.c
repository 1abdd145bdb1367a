// SPDX-License-Identifier: Apache-2.0
#include "process/dead_stack.h"

#include <stdlib.h>
#include <unistd.h>

#include "process/proc.h"

enum {
	RED_ZONE = 128,
	HEADROOM = 8192, // below the chain: were we to die, a signal handler may run there
	GAP = 8192,	 // above it: were we to die, the stack's owner may run on
};

static const struct stopped_thread *leader_of(const struct threads *threads)
{
	for (size_t i = 0; i < threads->list.count; i++)
		if (threads->list.items[i].tid == threads->pid)
			return &threads->list.items[i];
	return NULL;
}

static bool all_zero(int mem_fd, uint64_t start, size_t size)
{
	uint8_t *bytes = malloc(size);
	bool zero = bytes && pread(mem_fd, bytes, size, (off_t)start) == (ssize_t)size;
	for (size_t i = 0; zero && i < size; i++)
		zero = bytes[i] == 0;
	free(bytes);
	return zero;
}

/** The low end of the main stack: dead as long as no stack pointer is near. */
static uint64_t room_on_main_stack(const struct threads *threads, const struct proc_mapping *stack,
				   size_t size)
{
	const struct stopped_thread *leader = leader_of(threads);
	uint64_t base = (stack->start + HEADROOM + 63) & ~UINT64_C(63);
	for (size_t i = 0; i < threads->list.count; i++) {
		const struct stopped_thread *thread = &threads->list.items[i];
		uint64_t sp = thread->regs.rsp;
		if (thread->state == THREAD_STOPPED && sp >= stack->start && sp < stack->end &&
		    sp < base + size + GAP + RED_ZONE)
			return 0;
	}
	bool on_it = leader && leader->state == THREAD_STOPPED &&
		     leader->regs.rsp >= stack->start && leader->regs.rsp < stack->end;
	if (base + size > stack->end)
		return 0;
	// Where its owner is elsewhere (a coroutine, a program that switches stacks), what is in use
	// cannot be told from a register: only what was never written to is dead.
	return on_it || all_zero(threads->mem_fd, stack->start, base + size - stack->start) ? base
											    : 0;
}

/** Below the red zone of a thread's own stack, if it surely is one: a guard page below, and the
 *  thread's control block, where libc puts it, above. */
static uint64_t room_on_own_stack(const struct stopped_thread *thread, const char *maps,
				  size_t size)
{
	struct proc_mapping mapping, before = {0};
	uint64_t sp = thread->regs.rsp;
	while (proc_next_mapping(&maps, &mapping)) {
		if (sp >= mapping.start && sp < mapping.end) {
			bool guarded =
				before.end == mapping.start && !before.readable && !before.writable;
			bool control =
				thread->regs.fs_base > sp && thread->regs.fs_base < mapping.end;
			uint64_t base = (sp - RED_ZONE - size - 64) & ~UINT64_C(63);
			return guarded && control && mapping.writable && !mapping.shared &&
					       sp - mapping.start > size + RED_ZONE + HEADROOM
				       ? base
				       : 0;
		}
		before = mapping;
	}
	return 0;
}

uint64_t dead_stack_find(const struct threads *threads, const struct stopped_thread *maker,
			 const char *maps, size_t size)
{
	struct proc_mapping mapping;
	const char *at = maps;
	while (proc_next_mapping(&at, &mapping)) {
		if (proc_mapping_is(&mapping, "[stack]") && mapping.writable && !mapping.shared) {
			uint64_t base = room_on_main_stack(threads, &mapping, size);
			if (base)
				return base;
		}
	}
	return room_on_own_stack(maker, maps, size);
}
