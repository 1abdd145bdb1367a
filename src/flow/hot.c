// SPDX-License-Identifier: Apache-2.0
// Counting: how often each run of code was executed, and how long it took.

#include "flow/hot.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/** Executions of a run that ended early, after `count` instructions. */
static struct hot_run *part_of(struct strobe_hot *hot, const struct strobe_run *run)
{
	uint64_t key = (uint64_t)run->code_index << 32 | run->count;
	const void *known = hash_get(&hot->parts, key);
	if (known)
		return &hot->part_runs.items[(uintptr_t)known - 1];
	struct hot_run part = {.address = run->address, .count = run->count};
	part.lengths = hot_copy_lengths(hot, run);
	if (!part.lengths || !array_push(&hot->part_runs, part) ||
	    !hash_put(&hot->parts, key, (void *)(uintptr_t)hot->part_runs.count))
		return NULL;
	return &hot->part_runs.items[hot->part_runs.count - 1];
}

const uint8_t *hot_copy_lengths(struct strobe_hot *hot, const struct strobe_run *run)
{
	uint8_t *copy = arena_alloc(&hot->arena, run->count);
	if (copy)
		memcpy(copy, run->lengths, run->count);
	return copy;
}

/** Where executions of `run` are counted; NULL if memory is short. */
static struct hot_run *slot_of(struct strobe_hot *hot, const struct strobe_run *run)
{
	size_t had = hot->runs.count, needed = (size_t)run->code_index + 1;
	if (needed > had) {
		if (!array_reserve(&hot->runs, needed))
			return NULL;
		memset(&hot->runs.items[had], 0, (needed - had) * sizeof(struct hot_run));
		hot->runs.count = needed;
	}
	struct hot_run *slot = &hot->runs.items[run->code_index];
	if (slot->count == run->count)
		return slot;
	if (slot->count)
		return part_of(hot, run);
	slot->address = run->address;
	slot->count = run->count;
	slot->lengths = hot_copy_lengths(hot, run);
	return slot->lengths ? slot : NULL;
}

/** The walk's first run may begin in the middle: its rest is counted as a run of its own. */
static struct hot_run *middle_of(struct strobe_hot *hot, const struct strobe_run *run,
				 uint32_t skip)
{
	struct strobe_run rest = *run;
	for (uint32_t i = 0; i < skip; i++)
		rest.address += run->lengths[i];
	rest.lengths += skip;
	rest.count -= skip;
	struct hot_run part = {.address = rest.address, .count = rest.count};
	part.lengths = hot_copy_lengths(hot, &rest);
	if (!part.lengths || !array_push(&hot->part_runs, part))
		return NULL;
	return &hot->part_runs.items[hot->part_runs.count - 1];
}

struct counting {
	struct strobe_hot *hot;
	struct strobe_cursor *cursor;
	uint64_t end_id;
	double time_ns;	 // of `last`'s beginning
	bool has_time;	 // it is known
	double *last_ns; // of the run before, to be added to; NULL = none
};

static void count_time(struct counting *counting, struct hot_run *slot)
{
	double now;
	bool known = strobe_cursor_time_ns(counting->cursor, &now);
	if (known && counting->has_time && counting->last_ns) {
		*counting->last_ns += now - counting->time_ns;
		counting->hot->summary.time_ns += now - counting->time_ns;
		counting->hot->summary.has_time = true;
	}
	counting->time_ns = now;
	counting->has_time = known;
	counting->last_ns = slot ? &slot->time_ns : NULL;
}

static bool count_run(struct counting *counting, struct strobe_run *run, bool times)
{
	struct strobe_hot *hot = counting->hot;
	uint64_t id = strobe_cursor_id(counting->cursor);
	uint32_t skip = (uint32_t)(id - run->first_id);
	if (run->first_id + run->count > counting->end_id)
		run->count = (uint32_t)(counting->end_id - run->first_id);
	// The slot of the run before is where its time goes: before the arrays may move.
	if (times)
		count_time(counting, NULL);
	struct hot_run *slot = skip ? middle_of(hot, run, skip) : slot_of(hot, run);
	if (!slot)
		return false;
	slot->executions++;
	hot->summary.instruction_count += run->count - skip;
	counting->last_ns = &slot->time_ns;
	return true;
}

static struct strobe_error *count(struct strobe_hot *hot, struct strobe_cursor *cursor,
				  const struct strobe_hot_options *options, uint64_t end_id)
{
	struct counting counting = {.hot = hot, .cursor = cursor, .end_id = end_id};
	struct strobe_run run;
	bool times = !options->no_times;
	strobe_cursor_set_forwards(cursor, true);
	if (!strobe_cursor_go_to_id(cursor, options->first_id))
		return NULL;
	for (; strobe_cursor_has_value(cursor) && strobe_cursor_id(cursor) < end_id;
	     strobe_cursor_next_run(cursor)) {
		if (strobe_cursor_run(cursor, &run)) {
			if (!count_run(&counting, &run, times))
				return error_no_memory();
		} else if (times && strobe_cursor_kind(cursor) == STROBE_ITEM_ERROR) {
			count_time(&counting, NULL); // what is lost costs nobody's time
		}
	}
	return NULL;
}

static struct strobe_error *check(const struct strobe_trace *trace, size_t thread_index,
				  const struct strobe_symbols *symbols,
				  const struct strobe_hot_options *options)
{
	if (options->size != sizeof(*options))
		return error_new(STROBE_ERROR_INVALID, "options are of another version");
	return places_check(trace, thread_index, symbols);
}

struct strobe_error *strobe_hot_open(struct strobe_trace *trace, size_t thread_index,
				     struct strobe_symbols *symbols,
				     const struct strobe_hot_options *options,
				     struct strobe_hot **ret)
{
	struct strobe_cursor *cursor = NULL;
	struct strobe_error *error = check(trace, thread_index, symbols, options);
	if (!error)
		error = strobe_cursor_open(trace, thread_index, &cursor);
	if (error)
		return error;
	struct strobe_hot *hot = calloc(1, sizeof(*hot));
	if (!hot) {
		strobe_cursor_close(cursor);
		return error_no_memory();
	}
	places_init(&hot->places, symbols, !options->inlined);
	uint64_t end_id = strobe_trace_thread(trace, thread_index)->item_count;
	if (options->end_id && options->end_id < end_id)
		end_id = options->end_id;
	error = count(hot, cursor, options, end_id);
	strobe_cursor_close(cursor);
	if (!error)
		error = hot_make_rows(hot, options);
	if (!error && options->by == STROBE_HOT_FUNCTION && !options->no_totals)
		error = hot_add_totals(hot, trace, thread_index, options, end_id);
	if (error) {
		strobe_hot_close(hot);
		return error;
	}
	hot_sort_rows(hot);
	*ret = hot;
	return NULL;
}

struct strobe_hot *strobe_hot_close(struct strobe_hot *hot)
{
	if (!hot)
		return NULL;
	places_fini(&hot->places);
	array_fini(&hot->runs);
	array_fini(&hot->part_runs);
	array_fini(&hot->rows);
	hash_fini(&hot->parts);
	hash_fini(&hot->row_keys);
	arena_fini(&hot->arena);
	free(hot);
	return NULL;
}

void strobe_hot_summary(const struct strobe_hot *hot, struct strobe_hot_summary *ret)
{
	*ret = hot->summary;
}

size_t strobe_hot_row_count(const struct strobe_hot *hot)
{
	return hot->rows.count;
}

const struct strobe_hot_row *strobe_hot_row(const struct strobe_hot *hot, size_t index)
{
	return index < hot->rows.count ? &hot->rows.items[index] : NULL;
}
