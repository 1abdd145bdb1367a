// SPDX-License-Identifier: Apache-2.0
// Clock values and times. What is known are points (an item, a value); between two of them time is shared out
// evenly among the items.
#include "trace/cursor.h"

#include "base/error.h"

/** Id of item `item` of the window. */
static uint64_t id_of(const struct unit *unit, uint32_t item)
{
	return unit->first_id + (item ? item + (uint64_t)unit->cpu_changed : 0);
}

/** Narrows the interval by the window's own points: those between the unit's first and last one. */
static void narrow(const struct unit *unit, const struct window *window, uint64_t id,
		   struct clock_interval *interval)
{
	uint32_t first, end;
	const struct window_clock *clocks = window->clocks.items;
	cursor_unit_extent(unit, window, &first, &end);
	size_t low = 0, high = window->clocks.count; // the first point behind `id`
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (clocks[middle].item <= first || id_of(unit, clocks[middle].item - first) <= id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0 && clocks[low - 1].item > first &&
	    clocks[low - 1].value > interval->first.value) {
		interval->first.id = id_of(unit, clocks[low - 1].item - first);
		interval->first.value = clocks[low - 1].value;
	}
	// A value that falls is passed over, as the index did.
	while (low < window->clocks.count && clocks[low].value <= interval->first.value)
		low++;
	if (low < window->clocks.count && clocks[low].item < end &&
	    id_of(unit, clocks[low].item - first) < interval->until.id &&
	    clocks[low].value < interval->until.value) {
		interval->until.id = id_of(unit, clocks[low].item - first);
		interval->until.value = clocks[low].value;
	}
}

/** Between the unit's first and last point. */
static void look_inside(struct strobe_trace *trace, const struct unit *unit, uint64_t id,
			struct clock_interval *interval)
{
	struct cached_window *window = NULL;
	interval->first = unit->first;
	interval->until = unit->last;
	struct strobe_error *error = cursor_unit_window(trace, unit, UINT32_MAX, &window);
	if (!error)
		narrow(unit, &window->window, id, interval);
	strobe_error_free(error); // then it is coarser
	window_cache_unpin(&trace->cache, window);
}

/** From a point on to the first one behind unit `index`. */
static void look_behind(const struct strobe_trace *trace, size_t thread, uint64_t index,
			struct clock_interval *interval)
{
	uint64_t next = units_find_clock(trace, thread, index + 1);
	interval->has_until = next != UINT64_MAX;
	if (interval->has_until)
		interval->until = units_get(trace, thread, next)->first;
}

/** The interval that holds item `id` of unit `index`, which is `*unit`. */
static struct clock_interval find_interval(struct strobe_trace *trace, size_t thread,
					   uint64_t index, const struct unit *unit, uint64_t id)
{
	struct clock_interval interval = {.has_first = true, .has_until = true};
	if (unit->has_clock && id >= unit->last.id) {
		interval.first = unit->last;
		look_behind(trace, thread, index, &interval);
	} else if (unit->has_clock && id >= unit->first.id) {
		look_inside(trace, unit, id, &interval);
	} else {
		interval.has_first = unit->has_before;
		interval.first = unit->before;
		interval.until = unit->first;
		if (!unit->has_clock)
			look_behind(trace, thread, index, &interval);
	}
	interval.unit_count = units_count(trace, thread);
	interval.from = interval.has_first ? interval.first.id : 0;
	interval.to = interval.has_until ? interval.until.id : UINT64_MAX;
	return interval;
}

/** The interval that holds item `id` of the cursor's unit; kept, for the next item is often in it too. */
static const struct clock_interval *interval_at(struct strobe_cursor *cursor, uint64_t id)
{
	struct clock_interval *kept = &cursor->interval;
	if (id < kept->from || id >= kept->to ||
	    kept->unit_count != units_count(cursor->trace, cursor->thread))
		*kept = find_interval(cursor->trace, cursor->thread, cursor->unit_index,
				      &cursor->unit, id);
	return kept;
}

bool strobe_cursor_hw_clock(const struct strobe_cursor *cursor, uint64_t *ret)
{
	if (cursor->count == 0)
		return false;
	// What was found is kept in the cursor: no visible change.
	const struct clock_interval *interval =
		interval_at((struct strobe_cursor *)cursor, cursor->id);
	if (!interval->has_first)
		return false;
	*ret = interval->first.value;
	return true;
}

static bool time_in(const struct strobe_trace *trace, size_t thread,
		    const struct clock_interval *interval, uint64_t id, double *ret)
{
	if (!interval->has_first)
		return false;
	double start = trace_clock_ns(trace, interval->first.value);
	double items = (double)(id - interval->first.id);
	if (!interval->has_until) {
		*ret = start + items * trace_tail_rate_ns(trace, thread);
		return true;
	}
	double end = trace_clock_ns(trace, interval->until.value);
	double time =
		start + (end - start) * (items / (double)(interval->until.id - interval->first.id));
	*ret = time < end ? time : end;
	return true;
}

static bool time_at(struct strobe_cursor *cursor, uint64_t id, double *ret)
{
	return time_in(cursor->trace, cursor->thread, interval_at(cursor, id), id, ret);
}

bool strobe_cursor_time_ns(const struct strobe_cursor *cursor, double *ret)
{
	return cursor->count && cursor->trace->about.has_clock &&
	       time_at((struct strobe_cursor *)cursor, cursor->id, ret);
}

/** True if the first item of unit `index` is earlier than `time_ns`, or has no time. */
static bool begins_before(struct strobe_trace *trace, size_t thread, uint64_t index, double time_ns)
{
	double time;
	struct unit unit = *units_get(trace, thread, index);
	if (!unit.has_before && (!unit.has_clock || unit.first.id > unit.first_id))
		return true;
	struct clock_interval interval = {.has_first = true, .first = unit.first};
	if (!unit.has_clock || unit.first.id > unit.first_id)
		interval = find_interval(trace, thread, index, &unit, unit.first_id);
	return !time_in(trace, thread, &interval, unit.first_id, &time) || time < time_ns;
}

/** Offset of the first item at or after `time_ns` in the cursor's unit; its item_count if there is none. */
static uint64_t find_in_unit(struct strobe_cursor *cursor, double time_ns)
{
	uint64_t low = 0, high = cursor->unit.item_count;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		double time;
		if (time_at(cursor, cursor->unit.first_id + middle, &time) && time >= time_ns)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

bool strobe_cursor_seek_time(struct strobe_cursor *cursor, double time_ns)
{
	struct strobe_trace *trace = cursor->trace;
	uint64_t count = units_count(trace, cursor->thread);
	uint64_t low = 0, high = count; // the last unit that begins before it
	if (!trace->about.has_clock || count == 0) {
		cursor_leave(cursor, false);
		return false;
	}
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (begins_before(trace, cursor->thread, middle, time_ns))
			low = middle;
		else
			high = middle;
	}
	cursor_enter_unit(cursor, low, 0);
	uint64_t offset = find_in_unit(cursor, time_ns);
	// The unit behind begins at or after it.
	return strobe_cursor_go_to_id(cursor, cursor->unit.first_id + offset);
}
