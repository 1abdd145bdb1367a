// SPDX-License-Identifier: Apache-2.0
#include "agent/space.h"

#include <stdio.h>

#include "process/proc.h"

static const uint64_t lowest = 0x20000,
		      highest = UINT64_C(0x7fffffff0000); // mmap_min_addr; the end
static const uint64_t margin = 0x10000, reach = UINT64_C(1900) << 20;
static const uint64_t heap_growth = UINT64_C(256) << 20, stack_growth = UINT64_C(64) << 20;

bool space_read(struct space *space, pid_t pid)
{
	char name[32];
	cleanup_text struct text maps = {0};
	struct proc_mapping mapping;
	space->list.count = 0;
	snprintf(name, sizeof(name), "%d/maps", (int)pid);
	if (proc_read(name, &maps) || !maps.size)
		return false;
	const char *at = maps.data;
	while (proc_next_mapping(&at, &mapping)) {
		struct space_mapping mine = {
			.start = mapping.start,
			.end = mapping.end,
			.offset = mapping.offset,
			.readable = mapping.readable,
			.writable = mapping.writable,
			.executable = mapping.executable,
			.shared = mapping.shared,
			.is_heap = proc_mapping_is(&mapping, "[heap]"),
			.is_stack = proc_mapping_is(&mapping, "[stack]"),
			.has_file = mapping.path_size > 0 && mapping.path[0] == '/',
		};
		if (!array_push(&space->list, mine))
			return false;
	}
	return true;
}

void space_fini(struct space *space)
{
	array_fini(&space->list);
}

/** Index of the first that ends behind an address. */
static size_t first_behind(const struct space *space, uint64_t address)
{
	size_t low = 0, high = space->list.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (space->list.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct space_mapping *space_at(const struct space *space, uint64_t address)
{
	size_t index = first_behind(space, address);
	return index < space->list.count && space->list.items[index].start <= address
		       ? &space->list.items[index]
		       : NULL;
}

/** What is free before mapping `index` (count = behind the last), less what heap and stack may need. */
static void gap_before(const struct space *space, size_t index, uint64_t *start, uint64_t *end)
{
	*start = lowest;
	*end = highest;
	if (index > 0) {
		const struct space_mapping *before = &space->list.items[index - 1];
		*start = before->end + (before->is_heap ? heap_growth : 0);
	}
	if (index < space->list.count) {
		const struct space_mapping *behind = &space->list.items[index];
		*end = behind->start < highest ? behind->start : highest;
		if (behind->is_stack)
			*end = *end > stack_growth ? *end - stack_growth : 0;
	}
	if (*start < lowest)
		*start = lowest;
}

bool space_find_near(const struct space *space, uint64_t address, uint64_t size, uint64_t *ret)
{
	uint64_t best = reach - size, start, end;
	bool found = false;
	for (size_t i = 0; i <= space->list.count; i++) {
		gap_before(space, i, &start, &end);
		if (end < margin || start + 2 * margin + size > end)
			continue;
		uint64_t place = end <= address ? end - margin - size : start + margin;
		uint64_t distance = place < address ? address - place : place - address;
		if (distance < best) {
			best = distance;
			*ret = place & ~UINT64_C(4095);
			found = true;
		}
	}
	return found;
}

bool space_is_free(const struct space *space, uint64_t start, uint64_t end)
{
	uint64_t free_start, free_end;
	gap_before(space, first_behind(space, start), &free_start, &free_end);
	return start >= free_start && end <= free_end;
}
