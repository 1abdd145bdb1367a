// SPDX-License-Identifier: Apache-2.0
#include "symbols/code_lines.h"

#include "base/error.h"
#include "base/guard.h"
#include "symbols/line_table.h"
#include "symbols/unit_index.h"

struct walk {
	const char *file; // NULL = all
	code_line_visit visit;
	void *context;
	bool found, stopped;
};

static bool unit_has(struct unit *unit, const char *file)
{
	size_t count = line_table_file_count(unit);
	for (size_t i = 0; i < count; i++) {
		const char *path = line_table_may_match(unit, i, file) ? unit_file(unit, i) : NULL;
		if (path && line_path_matches(path, file))
			return true;
	}
	return false;
}

static void visit_row(struct walk *walk, struct unit *unit, const struct line_row *row,
		      uint64_t end)
{
	const char *path =
		row->line && !row->end && row->address < end ? unit_file(unit, row->file) : NULL;
	if (!path || (walk->file && !line_path_matches(path, walk->file)))
		return;
	uint64_t bias = unit->module->module->bias;
	struct code_line line = {
		.file = path,
		.line = row->line,
		.statement = row->statement,
		.start = row->address + bias,
		.end = end + bias,
		.module_index = unit->module->index,
	};
	walk->stopped = !walk->visit(walk->context, &line);
}

// Of rows at one address the table's own rule chooses, as strobe_line_at() does.
static void visit_unit(struct walk *walk, struct unit *unit)
{
	struct line_rows rows = line_table_rows(unit);
	for (size_t i = 0; i < rows.count && !walk->stopped; i++) {
		if (i > 0 && rows.items[i - 1].address == rows.items[i].address &&
		    !rows.items[i - 1].end)
			continue;
		uint64_t end;
		const struct line_row *row = line_table_find(unit, rows.items[i].address, &end);
		if (row)
			visit_row(walk, unit, row, end);
	}
}

struct strobe_error *code_lines_for_each(struct strobe_symbols *symbols, const char *file,
					 code_line_visit visit, void *context)
{
	struct walk walk = {.file = file, .visit = visit, .context = context};
	for (size_t i = 0; i < symbols->module_count && !walk.stopped; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (!module || !module->dwarf)
			continue;
		GUARD(module->debug_path);
		size_t count = unit_count(module);
		for (size_t j = 0; j < count && !walk.stopped; j++) {
			struct unit *unit = unit_plain(module, j);
			if (!unit || (file && !unit_has(unit, file)))
				continue;
			walk.found = true;
			visit_unit(&walk, unit);
		}
	}
	if (file && !walk.found)
		return error_new(STROBE_ERROR_NOT_FOUND, "no debug information has a file '%s'",
				 file);
	return NULL;
}

bool code_line_at(struct strobe_symbols *symbols, uint64_t address, struct code_line *ret)
{
	struct line_place place;
	if (!line_place_at(symbols, address, line_table_find, &place))
		return false;
	*ret = (struct code_line){.file = place.file,
				  .line = place.row->line,
				  .statement = place.row->statement,
				  .start = place.start,
				  .end = place.end,
				  .module_index = place.module_index};
	return true;
}
