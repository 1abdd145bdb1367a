// SPDX-License-Identifier: Apache-2.0
// What follows from all notes together.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/core.h"
#include "core/proc.h"

static int order_extent(const void *a, const void *b)
{
	const struct strobe_note_extent *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int order_not_atomic(const void *a, const void *b)
{
	const struct strobe_not_atomic *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/** The writer sorts them; a damaged note may not be. */
static void sort_extents(struct strobe_view *view)
{
	struct strobe_note_extent *items = view->facts.extents.items;
	size_t kept = 0, count = view->facts.extents.count;
	uint64_t top = 0;
	if (count)
		qsort(items, count, sizeof(*items), order_extent);
	for (size_t i = 0; i < count; i++) {
		if (items[i].start < top)
			items[i].start = top;
		if (items[i].start >= items[i].end)
			continue;
		top = items[i].end;
		items[kept++] = items[i];
	}
	view->facts.extents.count = kept;
}

static int order_descriptor(const void *a, const void *b)
{
	const struct strobe_descriptor *x = a, *y = b;
	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

static int order_area(const void *a, const void *b)
{
	const struct area *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/** Does one of the `count` sorted areas hold `address`? */
static bool covers(const struct area *areas, size_t count, uint64_t address)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (areas[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < areas[low - 1].end;
}

/** The mappings are those of maps, in which each has its file; of the PT_LOADs, which are parts of
 *  them, only those remain that it lacks. */
static struct strobe_error *read_maps(struct strobe_view *view)
{
	const struct proc_file *maps = view_facts_proc_file(&view->facts, "maps");
	if (!maps || !maps->size)
		return NULL;
	__typeof__(view->areas) loads = view->areas;
	view->areas.items = NULL;
	view->areas.count = view->areas.capacity = 0;
	struct strobe_error *error = proc_read_maps(view, maps->bytes, maps->size);
	size_t count = view->areas.count;
	if (count) {
		view->ranges.count = 0; // NT_FILE
		qsort(view->areas.items, count, sizeof(struct area), order_area);
	}
	for (size_t i = 0; !error && i < loads.count; i++)
		if (!covers(view->areas.items, count, loads.items[i].start) &&
		    !array_push(&view->areas, loads.items[i]))
			error = error_no_memory();
	array_fini(&loads);
	return error;
}

/** The system call that each thread is in, from its registers. */
static void name_system_calls(struct strobe_view *view)
{
	static const unsigned arguments[6] = {USER_RDI, USER_RSI, USER_RDX,
					      USER_R10, USER_R8,  USER_R9};
	for (size_t i = 0; i < view->threads.count; i++) {
		struct strobe_thread *thread = &view->threads.items[i];
		const uint8_t *general = view->registers.items[i].general;
		if (!general || !thread->has_registers) {
			thread->in_system_call =
				thread->in_system_call > 0 ? -1 : thread->in_system_call;
			continue;
		}
		// Entered by an exception or interrupt, the kernel leaves -1 there.
		int64_t number = (int64_t)elf_number(general + USER_ORIG_RAX, 8);
		if (thread->in_system_call < 0)
			thread->in_system_call = number >= 0;
		if (thread->in_system_call != 1)
			continue;
		thread->system_call = number;
		for (size_t k = 0; k < 6; k++)
			thread->system_call_arguments[k] = elf_number(general + arguments[k], 8);
	}
}

/** The process is what its main thread is. */
static void take_from_main_thread(struct strobe_view *view)
{
	struct strobe_process_info *info = &view->info;
	const char *method = view->facts.capture.method;
	if (!method || strcmp(method, "crash") != 0) { // it lives: a thread's signal ended nothing
		info->signal = (struct strobe_signal){.sender_uid = -1};
		info->signal_tid = -1;
	}
	if (info->pid < 0 && view->threads.count)
		info->pid = view->threads.items[0].tid; // the one that led it is first
	for (size_t i = 0; i < view->threads.count; i++) {
		struct strobe_thread *thread = &view->threads.items[i];
		if (thread->tid != info->pid)
			continue;
		if (thread->state)
			info->state = thread->state;
		if (!thread->name)
			thread->name = info->name;
	}
}

struct strobe_error *strobe_notes_conclude(struct strobe_view *view)
{
	struct view_facts *facts = &view->facts;
	if (view->is_x86_64)
		name_system_calls(view);
	sort_extents(view);
	if (facts->not_atomic.count)
		qsort(facts->not_atomic.items, facts->not_atomic.count,
		      sizeof(struct strobe_not_atomic), order_not_atomic);
	if (view->descriptors.count)
		qsort(view->descriptors.items, view->descriptors.count,
		      sizeof(struct strobe_descriptor), order_descriptor);
	struct strobe_error *error = read_maps(view);
	if (!error)
		error = proc_read_files(view);
	if (!error && facts->captured)
		take_from_main_thread(view);
	return error;
}
