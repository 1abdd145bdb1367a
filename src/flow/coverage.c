// SPDX-License-Identifier: Apache-2.0
#include "flow/coverage.h"

#include <stdlib.h>
#include <strobe/cursor.h>
#include <string.h>

#include "base/error.h"

struct strobe_coverage *strobe_coverage_close(struct strobe_coverage *coverage)
{
	if (!coverage)
		return NULL;
	run_counts_fini(&coverage->counts);
	site_map_fini(&coverage->sites);
	hash_fini(&coverage->files_by_path);
	array_fini(&coverage->paths);
	array_fini(&coverage->records);
	array_fini(&coverage->files);
	array_fini(&coverage->lines);
	array_fini(&coverage->functions);
	free(coverage->function_files);
	free(coverage->has_line);
	arena_fini(&coverage->arena);
	free(coverage);
	return NULL;
}

static bool tell_progress(struct strobe_coverage *coverage, uint64_t done, uint64_t total)
{
	return !coverage->options.progress ||
	       coverage->options.progress(coverage->options.progress_context, done, total);
}

static struct strobe_error *count_run(struct strobe_coverage *coverage,
				      const struct strobe_run *run, uint64_t from, uint64_t end)
{
	uint64_t first = from > run->first_id ? from - run->first_id : 0;
	uint64_t last = end - run->first_id < run->count ? end - run->first_id : run->count;
	return run_counts_add(&coverage->counts, run, (uint32_t)first, (uint32_t)last);
}

static struct strobe_error *count_items(struct strobe_coverage *coverage,
					struct strobe_cursor *cursor, uint64_t from, uint64_t end)
{
	enum { TELL_EVERY = 1 << 16 };
	uint32_t steps = 0;
	struct strobe_run run;
	strobe_cursor_set_forwards(cursor, true);
	bool going = strobe_cursor_go_to_id(cursor, from);
	for (; going; going = strobe_cursor_next_run(cursor)) {
		uint64_t id = strobe_cursor_id(cursor);
		if (id >= end)
			break;
		if (++steps % TELL_EVERY == 0 && !tell_progress(coverage, id - from, end - from))
			return error_new(STROBE_ERROR_LIMIT, "cancelled");
		if (!strobe_cursor_run(cursor, &run))
			continue;
		struct strobe_error *error = count_run(coverage, &run, from, end);
		if (error)
			return error;
	}
	return NULL;
}

static struct strobe_error *count_thread(struct strobe_coverage *coverage,
					 struct strobe_trace *trace, size_t thread)
{
	struct strobe_cursor *cursor = NULL;
	uint64_t from = 0, end = strobe_trace_thread(trace, thread)->item_count;
	if (coverage->options.one_thread) {
		uint64_t wanted = coverage->options.end_id;
		from = coverage->options.from_id;
		end = wanted && wanted < end ? wanted : end;
	}
	if (from >= end)
		return NULL;
	struct strobe_error *error = strobe_cursor_open(trace, thread, &cursor);
	if (!error)
		error = count_items(coverage, cursor, from, end);
	strobe_cursor_close(cursor);
	return error;
}

static struct strobe_error *count_threads(struct strobe_coverage *coverage,
					  struct strobe_trace *trace)
{
	size_t count = strobe_trace_thread_count(trace);
	size_t first = coverage->options.one_thread ? coverage->options.thread_index : 0;
	size_t end = coverage->options.one_thread ? first + 1 : count;
	if (coverage->options.one_thread && first >= count)
		return error_new(STROBE_ERROR_INVALID, "no thread %zu", first);
	for (size_t i = first; i < end; i++) {
		struct strobe_error *error = count_thread(coverage, trace, i);
		if (error)
			return error;
	}
	return run_counts_finish(&coverage->counts);
}

static void total_file(struct strobe_coverage *coverage, struct strobe_coverage_file *file)
{
	for (size_t i = 0; i < file->line_count; i++)
		file->lines_hit += file->lines[i].count != 0;
	for (size_t i = 0; i < file->function_count; i++)
		file->functions_hit += file->functions[i].count != 0;
	coverage->totals.lines += file->line_count;
	coverage->totals.lines_hit += file->lines_hit;
	coverage->totals.functions += file->function_count;
	coverage->totals.functions_hit += file->functions_hit;
}

static int compare_files(const void *a, const void *b)
{
	const struct strobe_coverage_file *x = a, *y = b;
	return strcmp(x->path, y->path);
}

static bool make_files(struct strobe_coverage *coverage)
{
	if (!coverage_make_lines(coverage) || !coverage_make_functions(coverage))
		return false;
	size_t next = 0;
	for (size_t i = 0; i < coverage->files.count; i++) {
		struct strobe_coverage_file *file = &coverage->files.items[i];
		file->lines = coverage->lines.items + next;
		next += file->line_count;
		total_file(coverage, file);
	}
	if (coverage->files.count)
		qsort(coverage->files.items, coverage->files.count,
		      sizeof(struct strobe_coverage_file), compare_files);
	return true;
}

static struct strobe_error *make(struct strobe_coverage *coverage, struct strobe_trace *trace,
				 struct strobe_symbols *symbols)
{
	struct strobe_error *error = count_threads(coverage, trace);
	if (!error)
		error = site_map_make(&coverage->sites, symbols);
	if (error)
		return error;
	coverage->totals.instructions = coverage->counts.instruction_total;
	coverage->totals.distinct = coverage->counts.instructions.count;
	error = coverage_read_rows(coverage, symbols);
	if (error)
		return error;
	for (size_t i = 0; i < coverage->totals.distinct; i++) {
		if (!coverage->has_line[i])
			coverage->totals.without_line +=
				coverage->counts.instructions.items[i].executions;
	}
	return coverage->failed || !make_files(coverage) || coverage->failed ? error_no_memory()
									     : NULL;
}

struct strobe_error *strobe_coverage_open(struct strobe_trace *trace,
					  struct strobe_symbols *symbols,
					  const struct strobe_coverage_options *options,
					  struct strobe_coverage **ret)
{
	struct strobe_coverage *coverage = calloc(1, sizeof(*coverage));
	if (!coverage)
		return error_no_memory();
	if (options)
		memcpy(&coverage->options, options,
		       options->size < sizeof(*options) ? options->size : sizeof(*options));
	struct strobe_error *error = make(coverage, trace, symbols);
	if (error)
		strobe_coverage_close(coverage);
	else
		*ret = coverage;
	return error;
}

const struct strobe_coverage_totals *strobe_coverage_totals(const struct strobe_coverage *coverage)
{
	return &coverage->totals;
}

size_t strobe_coverage_file_count(const struct strobe_coverage *coverage)
{
	return coverage->files.count;
}

const struct strobe_coverage_file *strobe_coverage_file(const struct strobe_coverage *coverage,
							size_t index)
{
	return &coverage->files.items[index];
}

uint64_t strobe_coverage_at(const struct strobe_coverage *coverage, uint64_t address)
{
	const struct run_counts *counts = &coverage->counts;
	size_t i = run_counts_from(counts, address);
	return i < counts->instructions.count && counts->instructions.items[i].address == address
		       ? counts->instructions.items[i].executions
		       : 0;
}
