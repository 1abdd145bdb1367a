// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "view/build.h"
#include "view/process_memory.h"
#include "view/view.h"

static const uint64_t vsyscall_start = UINT64_C(0xffffffffff600000);
// The kernel starts the heap at most 1 GiB behind the program (arch_randomize_brk of x86).
static const uint64_t heap_gap_limit = UINT64_C(0x40000000);

#define ORDER_BY_START(type)                                                                       \
	static int order_##type(const void *a, const void *b)                                      \
	{                                                                                          \
		const struct type *x = a, *y = b;                                                  \
		return x->start != y->start ? (x->start < y->start ? -1 : 1)                       \
		       : x->end != y->end   ? (x->end < y->end ? 1 : -1)                           \
					    : 0;                                                     \
	}
ORDER_BY_START(area)
ORDER_BY_START(file_range)

/** Makes sorted stretches disjoint: a later one begins where the earlier ends. Returns the number
 *  of bytes that more than one claimed. */
#define MAKE_DISJOINT(list, overlap, advance)                                                      \
	do {                                                                                       \
		size_t kept = 0;                                                                   \
		uint64_t top = 0;                                                                  \
		for (size_t n = 0; n < (list)->count; n++) {                                       \
			__typeof__((list)->items) it = &(list)->items[n];                          \
			if (it->start >= it->end)                                                  \
				continue;                                                          \
			if (kept && it->start < top) {                                             \
				uint64_t cut = it->end < top ? it->end : top;                      \
				(overlap) += cut - it->start;                                      \
				uint64_t delta = cut - it->start;                                  \
				advance;                                                           \
				it->start = cut;                                                   \
				if (it->start == it->end)                                          \
					continue;                                                  \
			}                                                                          \
			top = it->end;                                                             \
			(list)->items[kept++] = *it;                                               \
		}                                                                                  \
		(list)->count = kept;                                                              \
	} while (0)

static bool emit(struct strobe_view *view, uint64_t start, uint64_t end, const struct area *area,
		 const struct file_range *range)
{
	static const char deleted[] = " (deleted)";
	struct strobe_mapping mapping = {.start = start, .end = end, .module_index = SIZE_MAX};
	struct mapping_state state = {.backing = SIZE_MAX, .permissions_guessed = !area};
	mapping.permissions = area ? area->permissions : STROBE_PERMISSION_READ;
	if (range) {
		mapping.path = range->path;
		mapping.offset_bytes = range->offset_bytes;
	} else if (area->path) {
		mapping.path = area->path;
		mapping.offset_bytes = area->offset_bytes;
	}
	if (area) {
		mapping.inode = area->inode;
		mapping.device_major = area->device_major;
		mapping.device_minor = area->device_minor;
	}
	size_t length = mapping.path ? strlen(mapping.path) : 0;
	mapping.deleted = length > sizeof(deleted) - 1 &&
			  strcmp(mapping.path + length - (sizeof(deleted) - 1), deleted) == 0;
	return array_push(&view->mappings, mapping) && array_push(&view->mapping_states, state);
}

/** One sweep over both sorted lists; their items' starts serve as cursors. */
static bool merge(struct strobe_view *view)
{
	size_t i = 0, j = 0;
	while (i < view->areas.count || j < view->ranges.count) {
		struct area *area = i < view->areas.count ? &view->areas.items[i] : NULL;
		struct file_range *range = j < view->ranges.count ? &view->ranges.items[j] : NULL;
		uint64_t start, end;
		bool use_area = area && (!range || area->start <= range->start);
		bool use_range = range && (!area || range->start <= area->start);
		if (use_area && use_range) {
			start = area->start;
			end = area->end < range->end ? area->end : range->end;
		} else if (use_area) {
			start = area->start;
			end = range && range->start < area->end ? range->start : area->end;
		} else {
			start = range->start;
			end = area && area->start < range->end ? area->start : range->end;
		}
		if (!emit(view, start, end, use_area ? area : NULL, use_range ? range : NULL))
			return false;
		if (use_area) {
			area->offset_bytes += end - start;
			area->start = end;
			i += area->start == area->end;
		}
		if (use_range) {
			range->offset_bytes += end - start;
			range->start = end;
			j += range->start == range->end;
		}
	}
	return true;
}

/** present_bytes of each mapping, in one sweep. */
static void count_present(struct strobe_view *view)
{
	size_t s = 0;
	for (size_t i = 0; i < view->mappings.count; i++) {
		struct strobe_mapping *mapping = &view->mappings.items[i];
		while (s < view->segments.count && view->segments.items[s].end <= mapping->start)
			s++;
		for (size_t k = s; k < view->segments.count; k++) {
			const struct segment *segment = &view->segments.items[k];
			if (segment->start >= mapping->end)
				break;
			uint64_t from =
				segment->start > mapping->start ? segment->start : mapping->start;
			uint64_t to = segment->end < mapping->end ? segment->end : mapping->end;
			if (segment->data || segment->lazy)
				mapping->present_bytes += to - from;
			s = k;
		}
	}
}

struct strobe_error *view_build_mappings(struct strobe_view *view)
{
	uint64_t overlap = 0, ignored = 0;
	struct strobe_error *error = view_add_extents(view);
	if (error)
		return error;
	view_sort_segments(view);
	if (view->areas.count)
		qsort(view->areas.items, view->areas.count, sizeof(struct area), order_area);
	if (view->ranges.count)
		qsort(view->ranges.items, view->ranges.count, sizeof(struct file_range),
		      order_file_range);
	MAKE_DISJOINT(&view->areas, overlap, it->offset_bytes += delta);
	MAKE_DISJOINT(&view->ranges, ignored, it->offset_bytes += delta);
	if (overlap)
		view_warn(view,
			  "%s: damaged: %" PRIu64 " bytes of address space are described twice",
			  view->info.source_path, overlap);
	if (!merge(view))
		return error_no_memory();
	array_fini(&view->areas);
	array_fini(&view->ranges);
	if (view->made_by_us && view->facts.frozen_pid)
		error = view_add_process_memory(view, view->facts.frozen_pid);
	count_present(view);
	return error;
}

static void label(struct strobe_view *view, uint64_t address, const char *name)
{
	size_t index = view_mapping_index(view, address);
	if (index != SIZE_MAX && !view->mappings.items[index].path)
		view->mappings.items[index].path = name;
}

static void label_stack(struct strobe_view *view)
{
	uint64_t address;
	for (size_t i = 0; i < view->threads.count; i++)
		if (view->threads.items[i].tid == view->info.pid &&
		    view->threads.items[i].has_registers && view->auxv.count == 0)
			label(view, view->threads.items[i].sp, "[stack]");
	// The kernel puts these on the first thread's stack, wherever that thread is by now.
	if (view_auxv_value(view, AT_EXECFN, &address) ||
	    view_auxv_value(view, AT_RANDOM, &address))
		label(view, address, "[stack]");
}

static void label_heap(struct strobe_view *view)
{
	uint64_t entry;
	if (!view_auxv_value(view, AT_ENTRY, &entry))
		return;
	size_t module = strobe_view_module_at(view, entry);
	if (module == SIZE_MAX)
		return;
	uint64_t end = view->modules.items[module].end;
	size_t index = view_mapping_index(view, end - 1);
	if (index == SIZE_MAX || ++index >= view->mappings.count)
		return;
	struct strobe_mapping *next = &view->mappings.items[index];
	unsigned wanted = STROBE_PERMISSION_READ | STROBE_PERMISSION_WRITE;
	if (!next->path && next->start - end <= heap_gap_limit &&
	    (next->permissions & (wanted | STROBE_PERMISSION_EXECUTE)) == wanted)
		next->path = "[heap]";
}

void view_label_mappings(struct strobe_view *view)
{
	uint64_t vdso;
	if (view_auxv_value(view, AT_SYSINFO_EHDR, &vdso))
		label(view, vdso, "[vdso]");
	if (view->is_x86_64)
		label(view, vsyscall_start, "[vsyscall]");
	label_stack(view);
	label_heap(view);
}
