// SPDX-License-Identifier: Apache-2.0
#include <strobe/trace.h>

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "trace/load.h"
#include "trace/rows.h"
#include "trace/source.h"
#include "trace/state.h"

enum { DEFAULT_CACHE_BYTES = 16 << 20 };

struct strobe_trace *strobe_trace_close(struct strobe_trace *trace)
{
	if (!trace)
		return NULL;
	assert(trace->cursor_count == 0);
	window_cache_fini(&trace->cache);
	if (trace->decoder)
		trace->source.ops->decoder_free(trace->decoder);
	load_forget_rows(trace);
	index_close(trace->index);
	array_fini(&trace->warnings);
	arena_fini(&trace->arena);
	trace->source.ops->close(trace->source.context);
	free(trace);
	return NULL;
}

double trace_clock_ns(const struct strobe_trace *trace, uint64_t value)
{
	double ticks = value >= trace->lowest_clock ? (double)(value - trace->lowest_clock)
						    : -(double)(trace->lowest_clock - value);
	return ticks * (double)trace->about.clock_multiplier /
	       (double)(UINT64_C(1) << (trace->about.clock_shift & 63));
}

/** A thread's share of the index: its units. */
static uint64_t index_bytes(const struct strobe_trace *trace, size_t thread)
{
	const struct trace_row *row = &trace->rows.items[thread];
	uint64_t bytes = row->grown.count * sizeof(*row->grown.items);
	uint64_t groups = (row->stored + INDEX_GROUP_UNITS - 1) / INDEX_GROUP_UNITS;
	if (row->stored)
		bytes += trace->index->threads[thread].data_bytes +
			 groups * sizeof(struct index_group);
	return bytes;
}

/** What is known of threads' times and of the whole, after the rows grew. */
static void tell_rows(struct strobe_trace *trace)
{
	uint64_t total = 0, grown = 0;
	for (size_t i = 0; i < trace->rows.count; i++) {
		struct trace_row *row = &trace->rows.items[i];
		grown += row->grown.count * sizeof(*row->grown.items);
		row->info.cpus = row->cpus.items;
		row->info.cpu_count = row->cpus.count;
		row->info.index_bytes = index_bytes(trace, i);
		row->info.has_time = trace->about.has_clock && row->has_clock;
		total += row->info.index_bytes;
		if (!row->info.has_time)
			continue;
		row->info.first_time_ns = trace_clock_ns(trace, row->first_clock.value);
		row->info.last_time_ns = trace_last_time_ns(trace, i);
	}
	trace->info.index_bytes = trace->index ? trace->index->file->size + grown : total;
}

double trace_tail_rate_ns(const struct strobe_trace *trace, size_t thread)
{
	const struct trace_row *row = &trace->rows.items[thread];
	uint64_t items = row->last_clock.id - row->first_clock.id;
	double ns = trace_clock_ns(trace, row->last_clock.value) -
		    trace_clock_ns(trace, row->first_clock.value);
	return items && ns > 0 ? ns / (double)items : 1;
}

double trace_last_time_ns(const struct strobe_trace *trace, size_t thread)
{
	const struct trace_row *row = &trace->rows.items[thread];
	double last = trace_clock_ns(trace, row->last_clock.value);
	uint64_t newest = row->info.item_count - 1;
	return newest > row->last_clock.id ? last + (double)(newest - row->last_clock.id) *
							     trace_tail_rate_ns(trace, thread)
					   : last;
}

static void tell_source(struct strobe_trace *trace)
{
	trace->source.ops->info(trace->source.context, &trace->about);
	const struct source_info *about = &trace->about;
	struct strobe_trace_info *info = &trace->info;
	info->path = about->path;
	info->format = about->format;
	info->technology = about->technology;
	info->cpu = about->cpu;
	info->per_cpu = about->per_cpu;
	info->has_clock = about->has_clock;
	info->raw_bytes = about->raw_bytes;
	info->wall_offset_ns = about->wall_offset_ns;
	info->finished = about->finished;
	info->time_zero_ns = 0;
	if (about->has_clock)
		info->time_zero_ns = (int64_t)((uint64_t)((unsigned __int128)trace->lowest_clock *
								  about->clock_multiplier >>
							  (about->clock_shift & 63)) +
					       about->clock_zero);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct strobe_error *load(struct strobe_trace *trace,
				 const struct strobe_trace_options *options)
{
	const struct trace_source *source = &trace->source;
	tell_source(trace);
	struct strobe_error *error =
		source->ops->decoder_new(source->context, &trace->decoder, &trace->map);
	double started = seconds();
	if (!error)
		error = load_index(trace, options);
	trace->info.index_seconds = seconds() - started;
	if (error)
		return error;
	tell_source(trace);
	tell_rows(trace);
	return NULL;
}

struct strobe_error *trace_new(const struct trace_source *source,
			       const struct strobe_trace_options *options,
			       struct strobe_trace **ret)
{
	struct strobe_trace_options wanted = {0};
	if (options && options->size >= sizeof(wanted))
		wanted = *options;
	struct strobe_trace *trace = calloc(1, sizeof(*trace));
	if (!trace) {
		source->ops->close(source->context);
		return error_no_memory();
	}
	trace->source = *source;
	trace->build_threads = wanted.threads;
	trace->progress = wanted.progress;
	trace->progress_context = wanted.progress_context;
	window_cache_init(&trace->cache,
			  wanted.cache_bytes ? wanted.cache_bytes : DEFAULT_CACHE_BYTES);
	struct strobe_error *error = load(trace, &wanted);
	trace->progress = NULL; // it was for the opening
	if (error)
		strobe_trace_close(trace);
	else
		*ret = trace;
	return error;
}

struct strobe_error *strobe_trace_refresh(struct strobe_trace *trace, bool *ret_grew)
{
	bool grew = false;
	const struct trace_source *source = &trace->source;
	struct strobe_error *error = source->ops->refresh(source->context, &grew);
	if (!error)
		error = rows_add_threads(trace);
	uint64_t before = 0, after = 0;
	for (size_t i = 0; i < trace->rows.count; i++)
		before += trace->rows.items[i].info.item_count;
	if (!error)
		error = rows_extend(trace);
	for (size_t i = 0; i < trace->rows.count; i++)
		after += trace->rows.items[i].info.item_count;
	tell_source(trace);
	tell_rows(trace);
	if (ret_grew && !error)
		*ret_grew = after > before;
	return error;
}

size_t strobe_trace_thread_count(const struct strobe_trace *trace)
{
	return trace->rows.count;
}

const struct strobe_trace_thread *strobe_trace_thread(const struct strobe_trace *trace,
						      size_t index)
{
	assert(index < trace->rows.count);
	return &trace->rows.items[index].info;
}

size_t strobe_trace_thread_index(const struct strobe_trace *trace, int tid)
{
	for (size_t i = 0; i < trace->rows.count; i++)
		if (trace->rows.items[i].info.tid == tid)
			return i;
	return SIZE_MAX;
}

bool strobe_trace_error_count(const struct strobe_trace *trace, size_t thread_index, size_t index,
			      struct strobe_trace_error_count *ret)
{
	assert(thread_index < trace->rows.count);
	const struct trace_row *row = &trace->rows.items[thread_index];
	if (index >= row->errors.count)
		return false;
	*ret = row->errors.items[index];
	return true;
}

const struct strobe_trace_info *strobe_trace_info(const struct strobe_trace *trace)
{
	return &trace->info;
}

const struct strobe_view *strobe_trace_view(const struct strobe_trace *trace)
{
	return trace->source.ops->view(trace->source.context);
}

size_t strobe_trace_warning_count(const struct strobe_trace *trace)
{
	size_t count = 0;
	while (trace->source.ops->warning(trace->source.context, count))
		count++;
	return count + trace->warnings.count;
}

const char *strobe_trace_warning(const struct strobe_trace *trace, size_t index)
{
	if (index < trace->warnings.count)
		return trace->warnings.items[index];
	return trace->source.ops->warning(trace->source.context, index - trace->warnings.count);
}

static const char *const event_names[] = {
	[STROBE_EVENT_DISABLED_SOFTWARE] = "software disabled tracing",
	[STROBE_EVENT_DISABLED_HARDWARE] = "hardware disabled tracing",
	[STROBE_EVENT_CPU_CHANGED] = "CPU core changed",
	[STROBE_EVENT_CLOCK_TICK] = "HW clock tick",
	[STROBE_EVENT_SYNC_POINT] = "trace synchronization point",
	[STROBE_EVENT_ENABLED] = "tracing enabled",
	[STROBE_EVENT_ASYNC_BRANCH] = "asynchronous branch",
	[STROBE_EVENT_PAGING] = "paging",
	[STROBE_EVENT_EXEC_MODE] = "execution mode",
	[STROBE_EVENT_TSX] = "transaction",
	[STROBE_EVENT_STOP] = "trace stop",
	[STROBE_EVENT_VMCS] = "virtual machine",
	[STROBE_EVENT_EXECUTION_STOPPED] = "execution stopped",
	[STROBE_EVENT_MWAIT] = "mwait",
	[STROBE_EVENT_POWER_ENTRY] = "power state entered",
	[STROBE_EVENT_POWER_EXIT] = "power state left",
	[STROBE_EVENT_PTWRITE] = "ptwrite",
	[STROBE_EVENT_CORE_BUS_RATIO] = "core bus ratio",
	[STROBE_EVENT_MAINTENANCE] = "maintenance",
	[STROBE_EVENT_SYSTEM_CALL] = "system call",
	[STROBE_EVENT_SYSTEM_CALL_END] = "system call returned",
	[STROBE_EVENT_SIGNAL] = "signal",
	[STROBE_EVENT_THREAD_START] = "thread started",
	[STROBE_EVENT_THREAD_END] = "thread ended",
	[STROBE_EVENT_EXEC] = "program executed",
	[STROBE_EVENT_SKIPPED] = "not recorded",
};
_Static_assert(sizeof(event_names) / sizeof(event_names[0]) == STROBE_EVENT_TYPE_COUNT, "names");

const char *strobe_event_type_name(enum strobe_event_type type)
{
	return (unsigned)type < STROBE_EVENT_TYPE_COUNT ? event_names[type] : NULL;
}
