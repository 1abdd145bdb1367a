// SPDX-License-Identifier: Apache-2.0
#include "trace/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "trace/build.h"
#include "trace/dated.h"
#include "trace/index_write.h"

// A thread's errors of more texts are counted as one: the texts are a damaged trace's.
enum { MAX_ERROR_TEXTS = 256 };

/** What is being appended. */
struct extension {
	struct strobe_trace *trace;
	struct dated_units dated;
};

struct strobe_error *rows_add_threads(struct strobe_trace *trace)
{
	const struct trace_source *source = &trace->source;
	size_t count = source->ops->thread_count(source->context);
	while (trace->rows.count < count) {
		struct source_thread thread;
		source->ops->thread(source->context, trace->rows.count, &thread);
		struct trace_row row = {.info = {.pid = thread.pid, .tid = thread.tid},
					.last_cpu = -1};
		row.info.name = arena_strdup(&trace->arena, thread.name);
		if ((thread.name && !row.info.name) || !array_push(&trace->rows, row))
			return error_no_memory();
	}
	return NULL;
}

/** Drops the points that the thread has passed already, so that its clock never falls. */
static void drop_passed_points(const struct trace_row *row, const struct scanned_unit *scanned,
			       struct unit *unit)
{
	unit->has_before = row->has_clock;
	unit->before = row->last_clock;
	if (!unit->has_clock || !row->has_clock || unit->first.value > row->last_clock.value)
		return;
	unit->has_clock = unit->last.value > row->last_clock.value;
	unit->first = unit->last; // if none of the few is later, what lies between is dropped too
	for (uint32_t i = 0; i < scanned->early_count && unit->has_clock; i++) {
		if (scanned->early[i].value > row->last_clock.value) {
			unit->first = scanned->early[i];
			break;
		}
	}
}

/** From an offset among what the window has to an id. */
static void place_point(const struct unit *unit, struct clock_point *point)
{
	if (point->id > 0 && unit->cpu_changed)
		point->id++;
	point->id += unit->first_id;
}

/** Turns what was found into the row's next unit. */
static struct unit place_unit(const struct trace_row *row, const struct scanned_unit *scanned,
			      bool cut_by_cpu)
{
	struct unit unit = scanned->unit;
	unit.first_id = row->info.item_count;
	unit.cpu_changed = cut_by_cpu && unit.cpu >= 0 && unit.cpu != row->last_cpu;
	if (unit.cpu < 0)
		unit.cpu = row->last_cpu;
	if (unit.cpu_changed) {
		unit.item_count++;
		unit.event_counts[STROBE_EVENT_CPU_CHANGED]++;
	}
	drop_passed_points(row, scanned, &unit);
	place_point(&unit, &unit.first);
	place_point(&unit, &unit.last);
	return unit;
}

static bool add_cpu(struct trace_row *row, int cpu)
{
	size_t at = 0;
	while (at < row->cpus.count && row->cpus.items[at] < cpu)
		at++;
	if (cpu < 0 || (at < row->cpus.count && row->cpus.items[at] == cpu))
		return true;
	if (!array_reserve(&row->cpus, row->cpus.count + 1))
		return false;
	memmove(&row->cpus.items[at + 1], &row->cpus.items[at],
		(row->cpus.count - at) * sizeof(*row->cpus.items));
	row->cpus.items[at] = cpu;
	row->cpus.count++;
	return true;
}

static void add_totals(struct trace_row *row, const struct unit *unit)
{
	row->info.item_count += unit->item_count;
	row->info.instruction_count += unit->instruction_count;
	row->info.error_count += unit->error_count;
	for (size_t i = 0; i < STROBE_EVENT_TYPE_COUNT; i++)
		row->info.event_counts[i] += unit->event_counts[i];
	row->info.unit_count++;
	row->last_cpu = unit->cpu;
	if (!unit->has_clock)
		return;
	if (!row->has_clock)
		row->first_clock = unit->first;
	row->last_clock = unit->last;
	row->has_clock = true;
}

static struct strobe_error *append(struct strobe_trace *trace, const struct scanned_unit *scanned,
				   bool cut_by_cpu)
{
	struct trace_row *row = &trace->rows.items[scanned->thread];
	struct unit unit = place_unit(row, scanned, cut_by_cpu);
	struct strobe_error *error = NULL;
	if (!add_cpu(row, unit.cpu))
		return error_no_memory();
	if (trace->writer)
		error = index_writer_add(trace->writer, scanned->thread, &unit);
	else if (!array_push(&row->grown, unit))
		error = error_no_memory();
	if (!error)
		add_totals(row, &unit);
	return error;
}

static void note_lowest_clock(struct strobe_trace *trace, const struct unit *unit)
{
	if (!unit->has_clock || (trace->has_clock && trace->lowest_clock <= unit->first.value))
		return;
	trace->has_clock = true;
	trace->lowest_clock = unit->first.value;
}

static struct strobe_error *take_errors(struct strobe_trace *trace,
					const struct scanned_block *block)
{
	for (size_t i = 0; i < block->errors.count; i++) {
		const struct scanned_error *found = &block->errors.items[i];
		struct trace_row *row = &trace->rows.items[found->thread];
		size_t at = 0;
		bool full = row->errors.count >= MAX_ERROR_TEXTS;
		const char *text = full ? "other errors" : found->text;
		while (at < row->errors.count && strcmp(row->errors.items[at].text, text) != 0 &&
		       strcmp(row->errors.items[at].text, found->text) != 0)
			at++;
		if (at == row->errors.count) {
			struct strobe_trace_error_count fresh = {
				.text = arena_strdup(&trace->arena, text)};
			if (!fresh.text || !array_push(&row->errors, fresh))
				return error_no_memory();
		}
		row->errors.items[at].count += found->count;
	}
	return NULL;
}

static struct strobe_error *take(void *context, uint32_t stream, uint64_t index,
				 const struct scanned_block *block)
{
	struct extension *extension = context;
	struct strobe_trace *trace = extension->trace;
	uint32_t thread;
	const struct trace_source *source = &trace->source;
	bool one = source->ops->stream_thread(source->context, stream, &thread);
	struct strobe_error *error = take_errors(trace, block);
	if (!error && !one)
		error = dated_begin_stream(&extension->dated, stream);
	for (size_t i = 0; i < block->units.count && !error; i++) {
		const struct scanned_unit *scanned = &block->units.items[i];
		note_lowest_clock(trace, &scanned->unit);
		struct trace_row *row = NULL;
		if (scanned->thread != WINDOW_NOBODY) {
			assert(scanned->thread < trace->rows.count);
			row = &trace->rows.items[scanned->thread];
			row->info.raw_bytes += scanned->raw_bytes;
		}
		if (!one)
			error = dated_add(&extension->dated, scanned);
		else if (row && scanned->unit.item_count)
			error = append(trace, scanned, false);
	}
	if (!error)
		trace->indexed.items[stream] = index + 1;
	return error;
}

static struct strobe_error *take_dated(void *context, const struct scanned_unit *scanned)
{
	return append(context, scanned, true);
}

static struct strobe_error *scan_ranges(struct strobe_trace *trace, struct build_range *ranges,
					size_t count)
{
	struct extension extension = {.trace = trace};
	struct build build = {.source = &trace->source,
			      .ranges = ranges,
			      .stream_count = count,
			      .threads = trace->build_threads,
			      .take = take,
			      .context = &extension,
			      .progress = trace->progress,
			      .progress_context = trace->progress_context};
	dated_init(&extension.dated);
	for (size_t i = 0; i < count; i++)
		ranges[i] = (struct build_range){
			.from = trace->indexed.items[i],
			.to = trace->source.ops->block_count(trace->source.context, i)};
	struct strobe_error *error = build_run(&build);
	if (!error)
		error = dated_merge(&extension.dated, take_dated, trace);
	dated_fini(&extension.dated);
	return error;
}

/** What rows were before they grew. */
struct rows_mark {
	struct trace_row *rows; // copies; their arrays are not
	uint64_t *indexed, *errors;
	bool has_clock;
	uint64_t lowest_clock;
};

static void forget_mark(struct rows_mark *mark)
{
	free(mark->rows);
	free(mark->indexed);
	free(mark->errors);
}

static struct strobe_error *set_mark(const struct strobe_trace *trace, struct rows_mark *mark)
{
	size_t texts = 0, at = 0;
	for (size_t i = 0; i < trace->rows.count; i++)
		texts += trace->rows.items[i].errors.count;
	*mark = (struct rows_mark){.has_clock = trace->has_clock,
				   .lowest_clock = trace->lowest_clock};
	mark->rows = calloc(trace->rows.count + 1, sizeof(*mark->rows));
	mark->indexed = calloc(trace->indexed.count + 1, sizeof(*mark->indexed));
	mark->errors = calloc(texts + 1, sizeof(*mark->errors));
	if (!mark->rows || !mark->indexed || !mark->errors)
		return error_no_memory();
	for (size_t i = 0; i < trace->rows.count; i++) {
		const struct trace_row *row = &trace->rows.items[i];
		mark->rows[i] = *row;
		for (size_t k = 0; k < row->errors.count; k++)
			mark->errors[at++] = row->errors.items[k].count;
	}
	for (size_t i = 0; i < trace->indexed.count; i++)
		mark->indexed[i] = trace->indexed.items[i];
	return NULL;
}

/** As if nothing had been appended; CPUs that were met stay listed. */
static void go_back_to(struct strobe_trace *trace, const struct rows_mark *mark)
{
	size_t at = 0;
	trace->has_clock = mark->has_clock;
	trace->lowest_clock = mark->lowest_clock;
	for (size_t i = 0; i < trace->rows.count; i++) {
		struct trace_row *row = &trace->rows.items[i];
		const struct trace_row *before = &mark->rows[i];
		row->info = before->info;
		row->grown.count = before->grown.count;
		row->last_cpu = before->last_cpu;
		row->has_clock = before->has_clock;
		row->first_clock = before->first_clock;
		row->last_clock = before->last_clock;
		row->errors.count = before->errors.count;
		for (size_t k = 0; k < row->errors.count; k++)
			row->errors.items[k].count = mark->errors[at++];
	}
	for (size_t i = 0; i < trace->indexed.count; i++)
		trace->indexed.items[i] = mark->indexed[i];
}

struct strobe_error *rows_extend(struct strobe_trace *trace)
{
	size_t count = trace->source.ops->stream_count(trace->source.context);
	struct rows_mark mark;
	while (trace->indexed.count < count)
		if (!array_push(&trace->indexed, 0))
			return error_no_memory();
	if (count == 0)
		return NULL;
	struct strobe_error *error = set_mark(trace, &mark);
	struct build_range *ranges = error ? NULL : calloc(count, sizeof(*ranges));
	if (!error && !ranges)
		error = error_no_memory();
	if (!error) {
		error = scan_ranges(trace, ranges, count);
		if (error)
			go_back_to(trace, &mark);
	}
	free(ranges);
	forget_mark(&mark);
	return error;
}

void rows_check(const struct strobe_trace *trace)
{
	for (size_t r = 0; r < trace->rows.count; r++) {
		uint64_t id = 0, clock = 0;
		for (uint64_t i = 0; i < units_count(trace, r); i++) {
			const struct unit *unit = units_get(trace, r, i);
			uint64_t events = 0;
			for (size_t t = 0; t < STROBE_EVENT_TYPE_COUNT; t++)
				events += unit->event_counts[t];
			assert(unit->first_id == id && unit->item_count > 0);
			assert(unit->item_count ==
			       events + unit->instruction_count + unit->error_count);
			assert(!unit->has_before || unit->before.value == clock);
			id += unit->item_count;
			if (!unit->has_clock)
				continue;
			assert(unit->first.value >= clock && unit->last.value >= unit->first.value);
			assert(unit->first.id >= unit->first_id && unit->last.id <= id);
			clock = unit->last.value;
		}
		assert(id == trace->rows.items[r].info.item_count);
	}
}
