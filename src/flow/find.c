// SPDX-License-Identifier: Apache-2.0
// Searches: the cursor's own search finds the next item that matches, and this makes visits and
// sequences of such items.

#include <strobe/trace_find.h>
#include <string.h>

#include "base/error.h"
#include "flow/sought.h"

/**
 * Invariants:
 *  1. `walk` is at the last item that was looked at, or off the end that the search begins at.
 *  2. starts[i] is valid if chained[i]: the ids of a sequence's first i + 1 steps (in the order
 *     of the search), the latest of which begin latest.
 */
struct strobe_trace_find {
	struct strobe_trace *trace;
	struct strobe_cursor *walk, *at;
	struct sought sought;
	struct strobe_sought wanted;
	uint64_t from_id, end_id, within;
	bool backwards, done;
	bool chained[STROBE_TRACE_FIND_STEP_LIMIT];
	uint64_t chains[STROBE_TRACE_FIND_STEP_LIMIT][STROBE_TRACE_FIND_STEP_LIMIT];
	uint64_t found_ids[STROBE_TRACE_FIND_STEP_LIMIT];
};

/** An item that the cursor's search found. */
struct item {
	uint64_t id, address;
	enum strobe_item_kind kind;
	enum strobe_event_type type;
};

struct strobe_trace_find *strobe_trace_find_close(struct strobe_trace_find *find)
{
	if (!find)
		return NULL;
	strobe_cursor_close(find->walk);
	strobe_cursor_close(find->at);
	sought_fini(&find->sought);
	free(find);
	return NULL;
}

// Just before the first item that counts, in the direction of the search.
static void go_to_start(struct strobe_trace_find *find, uint64_t item_count)
{
	strobe_cursor_set_forwards(find->walk, !find->backwards);
	if (find->backwards && find->end_id < item_count)
		strobe_cursor_go_to_id(find->walk, find->end_id);
	else if (find->backwards)
		strobe_cursor_seek(find->walk, 1, STROBE_SEEK_END);
	else if (find->from_id)
		strobe_cursor_go_to_id(find->walk, find->from_id - 1);
	else
		strobe_cursor_seek(find->walk, -1, STROBE_SEEK_BEGIN);
	find->done = find->from_id >= find->end_id;
}

static struct strobe_error *open_search(struct strobe_trace_find *find,
					struct strobe_symbols *symbols, const char *what,
					const struct strobe_trace_find_options *options)
{
	struct strobe_error *error = sought_parse(&find->sought, symbols, what, options->entries);
	if (!error)
		error = strobe_cursor_open(find->trace, options->thread_index, &find->walk);
	if (!error)
		error = strobe_cursor_open(find->trace, options->thread_index, &find->at);
	if (error)
		return error;
	uint64_t count = strobe_trace_thread(find->trace, options->thread_index)->item_count;
	find->backwards = options->backwards;
	find->within = options->within;
	find->from_id = options->from_id;
	find->end_id = options->end_id && options->end_id < count ? options->end_id : count;
	find->wanted = (struct strobe_sought){
		.ranges = find->sought.ranges.items,
		.range_count = find->sought.ranges.count,
		.event_types = find->sought.event_types,
		.errors = find->sought.errors,
	};
	go_to_start(find, count);
	return NULL;
}

struct strobe_error *strobe_trace_find_open(struct strobe_trace *trace,
					    struct strobe_symbols *symbols, const char *what,
					    const struct strobe_trace_find_options *options,
					    struct strobe_trace_find **ret)
{
	static const struct strobe_trace_find_options defaults = {.size = sizeof(defaults)};
	struct strobe_trace_find_options wanted = defaults;
	if (options)
		memcpy(&wanted, options,
		       options->size < sizeof(wanted) ? options->size : sizeof(wanted));
	if (wanted.thread_index >= strobe_trace_thread_count(trace))
		return error_new(STROBE_ERROR_INVALID, "no thread %zu", wanted.thread_index);
	struct strobe_trace_find *find = calloc(1, sizeof(*find));
	if (!find)
		return error_no_memory();
	find->trace = trace;
	struct strobe_error *error = open_search(find, symbols, what, &wanted);
	if (error)
		strobe_trace_find_close(find);
	else
		*ret = find;
	return error;
}

struct strobe_cursor *strobe_trace_find_cursor(struct strobe_trace_find *find)
{
	return find->at;
}

static bool is_inside(const struct strobe_trace_find *find, uint64_t id)
{
	return id >= find->from_id && id < find->end_id;
}

static bool next_item(struct strobe_trace_find *find, struct item *ret)
{
	if (find->done || !strobe_cursor_find(find->walk, &find->wanted))
		return false;
	*ret = (struct item){.id = strobe_cursor_id(find->walk),
			     .kind = strobe_cursor_kind(find->walk)};
	strobe_cursor_address(find->walk, &ret->address);
	strobe_cursor_event_type(find->walk, &ret->type);
	return is_inside(find, ret->id);
}

/** What is known of a visit while it is followed. */
struct visit {
	uint64_t last_id; // the farthest item of it, in the direction of the search
	uint64_t address; // of the oldest instruction
	uint64_t count;
};

// Takes what matches of a run, from instruction `index` on; false if the visit ends in it.
static bool take_forwards(const struct strobe_trace_find *find, const struct strobe_run *run,
			  uint32_t index, uint64_t address, struct visit *visit)
{
	const struct strobe_address_range *range =
		sought_range(find->wanted.ranges, find->wanted.range_count, address);
	while (range && index < run->count && address < range->end &&
	       is_inside(find, run->first_id + index)) {
		visit->last_id = run->first_id + index;
		visit->count++;
		address += run->lengths[index++];
	}
	return index == run->count;
}

// The same from instruction `index` down.
static bool take_backwards(const struct strobe_trace_find *find, const struct strobe_run *run,
			   uint32_t index, uint64_t address, struct visit *visit)
{
	const struct strobe_address_range *range =
		sought_range(find->wanted.ranges, find->wanted.range_count, address);
	while (range && address >= range->start && is_inside(find, run->first_id + index)) {
		visit->last_id = run->first_id + index;
		visit->address = address;
		visit->count++;
		if (index == 0)
			return true;
		address -= run->lengths[--index];
	}
	return false;
}

// Follows a visit from the item that was found. Events do not end it, errors do.
static void follow(struct strobe_trace_find *find, struct visit *visit)
{
	struct strobe_run run;
	bool going = true;
	while (going && strobe_cursor_has_value(find->walk)) {
		uint64_t address, id = strobe_cursor_id(find->walk);
		if (strobe_cursor_kind(find->walk) == STROBE_ITEM_EVENT && is_inside(find, id)) {
			strobe_cursor_next(find->walk);
			continue;
		}
		if (!strobe_cursor_address(find->walk, &address) ||
		    !strobe_cursor_run(find->walk, &run))
			break;
		uint32_t index = (uint32_t)(id - run.first_id);
		going = find->backwards ? take_backwards(find, &run, index, address, visit)
					: take_forwards(find, &run, index, address, visit);
		if (going)
			strobe_cursor_next_run(find->walk);
	}
	strobe_cursor_go_to_id(find->walk, visit->last_id);
}

static bool is_inlined_entry(const struct sought_step *step, uint64_t address)
{
	size_t low = 0, high = step->entries.count;
	while (low < high) { // the first at `address` or behind
		size_t middle = low + (high - low) / 2;
		if (step->entries.items[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < step->entries.count && step->entries.items[low].address == address &&
	       step->entries.items[low].inlined;
}

static bool next_single(struct strobe_trace_find *find, struct strobe_trace_hit *ret)
{
	struct item item;
	const struct sought_step *step = &find->sought.steps[0];
	if (!next_item(find, &item))
		return false;
	*ret = (struct strobe_trace_hit){.first_id = item.id,
					 .last_id = item.id,
					 .kind = item.kind,
					 .address = item.address};
	if (item.kind != STROBE_ITEM_INSTRUCTION)
		return true;
	struct visit visit = {.last_id = item.id, .address = item.address};
	if (step->each)
		visit.count = 1;
	else
		follow(find, &visit);
	ret->instruction_count = visit.count;
	ret->address = visit.address;
	ret->inlined = is_inlined_entry(step, visit.address);
	*(find->backwards ? &ret->first_id : &ret->last_id) = visit.last_id;
	return true;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a < b ? b - a : a - b;
}

// An item that step `step` (in the search's order) is for; true if that ends a sequence.
static bool take_step(struct strobe_trace_find *find, size_t step, uint64_t id)
{
	if (step > 0) {
		if (!find->chained[step - 1])
			return false;
		if (find->within && distance(find->chains[step - 1][0], id) > find->within)
			return false;
		memcpy(find->chains[step], find->chains[step - 1], step * sizeof(uint64_t));
	}
	find->chains[step][step] = id;
	find->chained[step] = true;
	return step + 1 == find->sought.step_count;
}

static void report_sequence(struct strobe_trace_find *find, struct strobe_trace_hit *ret)
{
	size_t count = find->sought.step_count;
	for (size_t i = 0; i < count; i++)
		find->found_ids[find->backwards ? count - 1 - i : i] = find->chains[count - 1][i];
	memset(find->chained, 0, sizeof(find->chained));
	*ret = (struct strobe_trace_hit){
		.first_id = find->found_ids[0],
		.last_id = find->found_ids[count - 1],
		.step_ids = find->found_ids,
		.step_count = count,
	};
	strobe_cursor_go_to_id(find->at, ret->first_id);
	ret->kind = strobe_cursor_kind(find->at);
	strobe_cursor_address(find->at, &ret->address);
}

// The sequence that ends first, of those that do the shortest one; the next begins behind it.
static bool next_sequence(struct strobe_trace_find *find, struct strobe_trace_hit *ret)
{
	size_t count = find->sought.step_count;
	struct item item;
	while (next_item(find, &item)) {
		// From the last to the first: no item is two steps of one sequence.
		for (size_t i = count; i-- > 0;) {
			size_t step = find->backwards ? count - 1 - i : i;
			if (!sought_step_matches(&find->sought.steps[step], item.kind, item.address,
						 item.type) ||
			    !take_step(find, i, item.id))
				continue;
			report_sequence(find, ret);
			return true;
		}
	}
	return false;
}

bool strobe_trace_find_next(struct strobe_trace_find *find, struct strobe_trace_hit *ret)
{
	bool found =
		find->sought.step_count > 1 ? next_sequence(find, ret) : next_single(find, ret);
	if (found)
		strobe_cursor_go_to_id(find->at, ret->first_id);
	else
		find->done = true;
	return found;
}
