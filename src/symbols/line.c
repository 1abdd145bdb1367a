// SPDX-License-Identifier: Apache-2.0
// Lines of addresses and addresses of lines.

#include <string.h>
#include <strobe/symbols.h>

#include "base/error.h"
#include "base/guard.h"
#include "symbols/line_table.h"
#include "symbols/unit_index.h"

bool line_place_at(struct strobe_symbols *symbols, uint64_t address, line_table_search search,
		   struct line_place *ret)
{
	struct symbols_module *module = symbols_module_at(symbols, address);
	if (!module || !module->dwarf)
		return false;
	uint64_t bias = module->module->bias, end;
	GUARD(module->debug_path);
	struct unit *unit = unit_at(module, address - bias);
	const struct line_row *row = unit ? search(unit, address - bias, &end) : NULL;
	if (!row || !row->line)
		return false;
	*ret = (struct line_place){.row = row,
				   .file = unit_file(unit, row->file),
				   .start = row->address + bias,
				   .end = end + bias,
				   .module_index = module->index};
	return true;
}

static bool find_row(struct strobe_symbols *symbols, uint64_t address, line_table_search search,
		     struct strobe_line *ret)
{
	struct line_place place;
	if (!line_place_at(symbols, address, search, &place))
		return false;
	*ret = (struct strobe_line){.file = place.file,
				    .line = place.row->line,
				    .column = place.row->column,
				    .start = place.start,
				    .end = place.end};
	return true;
}

bool strobe_line_at(struct strobe_symbols *symbols, uint64_t address, struct strobe_line *ret)
{
	return find_row(symbols, address, line_table_find, ret);
}

bool strobe_line_row_at(struct strobe_symbols *symbols, uint64_t address, struct strobe_line *ret)
{
	return find_row(symbols, address, line_table_row, ret);
}

bool line_path_matches(const char *path, const char *file)
{
	size_t path_size = strlen(path), file_size = strlen(file);
	if (!file_size || file_size > path_size || strcmp(path + path_size - file_size, file) != 0)
		return false;
	return file_size == path_size || *file == '/' || path[path_size - file_size - 1] == '/';
}

struct search {
	const char *file;
	unsigned line;
	strobe_line_visit visit; // NULL: only the file's name is asked for
	void *context;
	const char *full_name;
	size_t module_index;
	bool file_found;
	bool stopped;
};

/** One row; adjacent rows of one line are one statement. */
static void visit_row(struct search *search, struct unit *unit, const struct line_rows *rows,
		      size_t i)
{
	const struct line_row *row = &rows->items[i];
	for (size_t j = i; j > 0 && rows->items[j - 1].line == row->line &&
			   rows->items[j - 1].file == row->file && !rows->items[j - 1].end;
	     j--) {
		if (rows->items[j - 1].statement)
			return;
	}
	uint64_t bias = unit->module->module->bias;
	uint64_t end = i + 1 < rows->count ? rows->items[i + 1].address : row->address;
	struct strobe_line line = {.file = unit_file(unit, row->file),
				   .line = row->line,
				   .column = row->column,
				   .start = row->address + bias,
				   .end = end + bias};
	search->stopped = !search->visit(search->context, row->address + bias, &line);
}

// The first file of the unit that `file` matches, or NULL.
static const char *find_file(struct unit *unit, const char *file)
{
	size_t count = line_table_file_count(unit);
	for (size_t i = 0; i < count; i++) {
		// Only the last component decides for most files: cheap, and before any path is made.
		const char *path = line_table_may_match(unit, i, file) ? unit_file(unit, i) : NULL;
		if (path && line_path_matches(path, file))
			return path;
	}
	return NULL;
}

static void search_unit(struct search *search, struct unit *unit)
{
	const char *found = find_file(unit, search->file);
	if (!found)
		return;
	search->file_found = true;
	if (!search->visit) {
		search->full_name = found;
		search->stopped = true;
		return;
	}
	struct line_rows rows = line_table_rows(unit);
	for (size_t i = 0; i < rows.count && !search->stopped; i++) {
		const struct line_row *row = &rows.items[i];
		if (row->line != search->line || !row->statement || row->end)
			continue;
		const char *path = unit_file(unit, row->file);
		if (path && line_path_matches(path, search->file))
			visit_row(search, unit, &rows, i);
	}
}

static struct strobe_error *search_modules(struct strobe_symbols *symbols, struct search *search)
{
	for (size_t i = 0; i < symbols->module_count && !search->stopped; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (!module || !module->dwarf)
			continue;
		GUARD(module->debug_path);
		search->module_index = i;
		size_t count = unit_count(module);
		for (size_t j = 0; j < count && !search->stopped; j++) {
			struct unit *unit = unit_plain(module, j);
			if (unit)
				search_unit(search, unit);
		}
	}
	if (!search->file_found)
		return error_new(STROBE_ERROR_NOT_FOUND, "no debug information has a file '%s'",
				 search->file);
	return NULL;
}

struct strobe_error *strobe_line_find(struct strobe_symbols *symbols, const char *file,
				      unsigned line, strobe_line_visit visit, void *context)
{
	struct search search = {.file = file, .line = line, .visit = visit, .context = context};
	return search_modules(symbols, &search);
}

struct strobe_error *strobe_line_file(struct strobe_symbols *symbols, const char *file,
				      const char **ret, size_t *ret_module)
{
	struct search search = {.file = file};
	struct strobe_error *error = search_modules(symbols, &search);
	if (error)
		return error;
	*ret = search.full_name;
	*ret_module = search.module_index;
	return NULL;
}
