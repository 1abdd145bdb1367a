// SPDX-License-Identifier: Apache-2.0
#include "trace/units.h"

#include <assert.h>

#include "trace/state.h"

uint64_t units_count(const struct strobe_trace *trace, size_t thread)
{
	return trace->rows.items[thread].units.count;
}

const struct unit *units_get(const struct strobe_trace *trace, size_t thread, uint64_t index)
{
	assert(index < trace->rows.items[thread].units.count);
	return &trace->rows.items[thread].units.items[index];
}

uint64_t units_find(const struct strobe_trace *trace, size_t thread, uint64_t id)
{
	const struct trace_row *row = &trace->rows.items[thread];
	uint64_t low = 0, high = row->units.count;
	assert(id < row->info.item_count);
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (row->units.items[middle].first_id <= id)
			low = middle;
		else
			high = middle;
	}
	return low;
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
	// Downwards it ends by wrapping round.
	for (; index < count; index += forwards ? 1 : UINT64_MAX)
		if (has_note(units_get(trace, thread, index), types, errors))
			return index;
	return UINT64_MAX;
}

uint64_t units_find_clock(const struct strobe_trace *trace, size_t thread, uint64_t index)
{
	for (uint64_t count = units_count(trace, thread); index < count; index++)
		if (units_get(trace, thread, index)->has_clock)
			return index;
	return UINT64_MAX;
}
