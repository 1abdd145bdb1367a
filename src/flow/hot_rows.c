// SPDX-License-Identifier: Apache-2.0
// From counted runs of code to rows: each instruction is named once, however often it was executed.

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/hot.h"

struct strobe_hot_row *hot_row(struct strobe_hot *hot, uint64_t key)
{
	const void *known = hash_get(&hot->row_keys, key);
	if (known)
		return &hot->rows.items[(uintptr_t)known - 1];
	if (!array_push(&hot->rows, (struct strobe_hot_row){0}) ||
	    !hash_put(&hot->row_keys, key, (void *)(uintptr_t)hot->rows.count))
		return NULL;
	return &hot->rows.items[hot->rows.count - 1];
}

static const char *module_name(const struct strobe_hot *hot, size_t index)
{
	const struct strobe_view *view = strobe_symbols_view(hot->places.symbols);
	return index == SIZE_MAX ? NULL : strobe_view_module(view, index)->name;
}

static const struct scope *scope_at(struct strobe_hot *hot, uint64_t address)
{
	const struct place *place = places_at(&hot->places, address);
	return hot->places.no_memory ? NULL : &hot->places.scopes.items[place->shadow.place];
}

static struct strobe_hot_row *function_row(struct strobe_hot *hot, uint64_t address)
{
	const struct scope *scope = scope_at(hot, address);
	struct strobe_hot_row *row = scope ? hot_row(hot, scope->function_id) : NULL;
	if (!row || row->own_count)
		return row;
	struct strobe_function function;
	row->function = scope->name;
	row->module = module_name(hot, scope->module);
	row->file = scope->file;
	row->line = scope->line;
	row->start = scope->start;
	if (scope->parent == SCOPE_NONE && scope->name &&
	    strobe_function_at(hot->places.symbols, address, &function))
		row->end = function.end;
	return row;
}

static struct strobe_hot_row *line_row(struct strobe_hot *hot, uint64_t address)
{
	const struct scope *scope = scope_at(hot, address);
	struct strobe_line line = {0};
	if (!scope)
		return NULL;
	bool known = strobe_line_at(hot->places.symbols, address, &line) && line.file && line.line;
	// Code without lines: a row for each function.
	uint64_t key = known ? hash_bytes(line.file, strlen(line.file)) + line.line
			     : UINT64_C(1) << 63 | scope->function_id;
	struct strobe_hot_row *row = hot_row(hot, key);
	if (!row || row->own_count)
		return row;
	row->function = scope->name;
	row->module = module_name(hot, scope->module);
	row->file = known ? line.file : NULL;
	row->line = known ? line.line : 0;
	return row;
}

static struct strobe_hot_row *module_row(struct strobe_hot *hot, uint64_t address)
{
	size_t module = strobe_view_module_at(strobe_symbols_view(hot->places.symbols), address);
	struct strobe_hot_row *row = hot_row(hot, module);
	if (row)
		row->module = module_name(hot, module);
	return row;
}

static bool add_block(struct strobe_hot *hot, const struct hot_run *run)
{
	struct strobe_line line;
	const struct scope *scope = scope_at(hot, run->address);
	uint64_t end = run->address;
	for (uint32_t i = 0; i < run->count; i++)
		end += run->lengths[i];
	struct strobe_hot_row row = {
		.start = run->address,
		.end = end,
		.own_count = run->executions * run->count,
		.total_count = run->executions * run->count,
		.own_ns = run->time_ns,
		.total_ns = run->time_ns,
		.entry_count = run->executions,
	};
	if (!scope)
		return false;
	row.function = scope->name;
	row.module = module_name(hot, scope->module);
	if (strobe_line_at(hot->places.symbols, run->address, &line)) {
		row.file = line.file;
		row.line = line.line;
	}
	return array_push(&hot->rows, row);
}

static bool add_instructions(struct strobe_hot *hot, const struct hot_run *run,
			     enum strobe_hot_by by)
{
	uint64_t address = run->address;
	for (uint32_t i = 0; i < run->count; address += run->lengths[i++]) {
		struct strobe_hot_row *row = by == STROBE_HOT_FUNCTION ? function_row(hot, address)
					     : by == STROBE_HOT_LINE   ? line_row(hot, address)
								       : module_row(hot, address);
		if (!row)
			return false;
		double time_ns = run->time_ns / run->count;
		row->own_count += run->executions;
		row->total_count += run->executions;
		row->own_ns += time_ns;
		row->total_ns += time_ns;
	}
	return true;
}

static bool add_run(struct strobe_hot *hot, const struct hot_run *run,
		    const struct strobe_hot_options *options)
{
	if (!run->executions)
		return true;
	return options->by == STROBE_HOT_BLOCK ? add_block(hot, run)
					       : add_instructions(hot, run, options->by);
}

struct strobe_error *hot_make_rows(struct strobe_hot *hot, const struct strobe_hot_options *options)
{
	bool done = true;
	for (size_t i = 0; i < hot->runs.count && done; i++)
		done = add_run(hot, &hot->runs.items[i], options);
	for (size_t i = 0; i < hot->part_runs.count && done; i++)
		done = add_run(hot, &hot->part_runs.items[i], options);
	return done ? NULL : error_no_memory();
}

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare(const void *first, const void *second)
{
	const struct strobe_hot_row *a = first, *b = second;
	if (a->own_count != b->own_count)
		return a->own_count < b->own_count ? 1 : -1;
	int order = compare_text(a->function, b->function);
	if (!order)
		order = compare_text(a->file, b->file);
	if (!order)
		order = (a->line > b->line) - (a->line < b->line);
	return order ? order : (a->start > b->start) - (a->start < b->start);
}

void hot_sort_rows(struct strobe_hot *hot)
{
	if (hot->rows.count)
		qsort(hot->rows.items, hot->rows.count, sizeof(*hot->rows.items), compare);
}
