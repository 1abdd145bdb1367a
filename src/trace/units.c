// SPDX-License-Identifier: Apache-2.0
#include "trace/units.h"

#include <assert.h>

#include "trace/state.h"

uint64_t units_count(const struct strobe_trace *trace, size_t thread)
{
	const struct trace_row *row = &trace->rows.items[thread];
	return row->stored + row->grown.count;
}

const struct unit *units_get(const struct strobe_trace *trace, size_t thread, uint64_t index)
{
	const struct trace_row *row = &trace->rows.items[thread];
	if (index < row->stored)
		return index_unit(trace->index, thread, index);
	assert(index - row->stored < row->grown.count);
	return &row->grown.items[index - row->stored];
}

uint64_t units_find(const struct strobe_trace *trace, size_t thread, uint64_t id)
{
	const struct trace_row *row = &trace->rows.items[thread];
	uint64_t low = 0, high = row->grown.count;
	assert(id < row->info.item_count);
	if (high == 0 || id < row->grown.items[0].first_id)
		return index_find(trace->index, thread, id);
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (row->grown.items[middle].first_id <= id)
			low = middle;
		else
			high = middle;
	}
	return row->stored + low;
}

/** True if no unit of the index's group that `index` is in can have what is looked for. */
static bool group_lacks(const struct strobe_trace *trace, size_t thread, uint64_t index,
			uint32_t mask)
{
	return index < trace->rows.items[thread].stored &&
	       !(index_mask(trace->index, thread, index) & mask);
}

/** The first unit of the next group, or the last of the one before, which may be none. */
static uint64_t leave_group(uint64_t index, bool forwards)
{
	uint64_t first = index / INDEX_GROUP_UNITS * INDEX_GROUP_UNITS;
	return forwards ? first + INDEX_GROUP_UNITS : first - 1;
}

static bool has_note(const struct unit *unit, uint32_t types, bool errors)
{
	if (errors && unit->error_count)
		return true;
	for (uint32_t type = 0; type < STROBE_EVENT_TYPE_COUNT && types >> type; type++)
		if (types >> type & 1 && unit->event_counts[type])
			return true;
	return false;
}

uint64_t units_find_notes(const struct strobe_trace *trace, size_t thread, uint64_t index,
			  bool forwards, uint32_t types, bool errors)
{
	uint64_t count = units_count(trace, thread);
	uint32_t mask = (types & (INDEX_MASK_ERRORS - 1)) | (errors ? INDEX_MASK_ERRORS : 0);
	while (index < count) { // downwards it ends by wrapping round
		if (group_lacks(trace, thread, index, mask)) {
			index = leave_group(index, forwards);
			// Behind the index's last group is what has grown.
			if (forwards && index > trace->rows.items[thread].stored)
				index = trace->rows.items[thread].stored;
			continue;
		}
		if (has_note(units_get(trace, thread, index), types, errors))
			return index;
		index += forwards ? 1 : UINT64_MAX;
	}
	return UINT64_MAX;
}

uint64_t units_find_clock(const struct strobe_trace *trace, size_t thread, uint64_t index)
{
	uint64_t count = units_count(trace, thread), stored = trace->rows.items[thread].stored;
	while (index < count) {
		if (group_lacks(trace, thread, index, INDEX_MASK_CLOCKS)) {
			index = leave_group(index, true);
			index = index > stored ? stored : index;
		} else if (units_get(trace, thread, index)->has_clock) {
			return index;
		} else {
			index++;
		}
	}
	return UINT64_MAX;
}
