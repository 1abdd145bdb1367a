// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *table, const struct table_column *columns, size_t column_count)
{
	assert(column_count <= TABLE_COLUMN_LIMIT);
	*table = (struct table){.columns = columns, .column_count = column_count};
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct table){0};
}

static void add(struct table *table, char *cell)
{
	if (cell && table->cell_count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 64;
		char **cells = reallocarray(table->cells, capacity, sizeof(*cells));
		if (cells) {
			table->cells = cells;
			table->capacity = capacity;
		}
	}
	if (!cell || table->cell_count == table->capacity) {
		free(cell);
		table->failed = true;
		return;
	}
	table->cells[table->cell_count++] = cell;
}

void table_cell(struct table *table, const char *format, ...)
{
	va_list args;
	char *cell = NULL;
	va_start(args, format);
	if (vasprintf(&cell, format, args) < 0)
		cell = NULL;
	va_end(args);
	add(table, cell);
}

void table_text(struct table *table, const char *text)
{
	add(table, strdup(text ? text : "-"));
}

void table_age(struct table *table, uint64_t age_ns)
{
	enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };
	uint64_t seconds = age_ns / 1000000000;
	if (seconds < MINUTE)
		table_cell(table, "%" PRIu64 "s", seconds);
	else if (seconds < HOUR)
		table_cell(table, "%" PRIu64 "m%02" PRIu64 "s", seconds / MINUTE, seconds % MINUTE);
	else if (seconds < DAY)
		table_cell(table, "%" PRIu64 "h%02" PRIu64 "m", seconds / HOUR,
			   seconds % HOUR / MINUTE);
	else
		table_cell(table, "%" PRIu64 "d%02" PRIu64 "h", seconds / DAY,
			   seconds % DAY / HOUR);
}

static void put_cell(const struct table *table, FILE *out, bool color, size_t column, size_t width,
		     const char *text, enum style style)
{
	size_t used = text_columns(text);
	int padding = used < width ? (int)(width - used) : 0;
	bool right = table->columns[column].right;
	bool last = column + 1 == table->column_count;
	if (column > 0)
		fputs_unlocked("  ", out);
	if (right)
		fprintf(out, "%*s", padding, "");
	put_styled(out, color && style != STYLE_PLAIN, style, text);
	if (!right && !last)
		fprintf(out, "%*s", padding, "");
}

void table_write(const struct table *table, FILE *out, bool color)
{
	size_t widths[TABLE_COLUMN_LIMIT];
	size_t rows = table->cell_count / table->column_count;
	for (size_t c = 0; c < table->column_count; c++)
		widths[c] = text_columns(table->columns[c].title);
	for (size_t i = 0; i < rows * table->column_count; i++) {
		size_t columns = text_columns(table->cells[i]);
		if (columns > widths[i % table->column_count])
			widths[i % table->column_count] = columns;
	}
	for (size_t c = 0; c < table->column_count; c++)
		put_cell(table, out, color, c, widths[c], table->columns[c].title, STYLE_HEADING);
	putc_unlocked('\n', out);
	for (size_t i = 0; i < rows * table->column_count; i++) {
		size_t c = i % table->column_count;
		put_cell(table, out, color, c, widths[c], table->cells[i], table->columns[c].style);
		if (c + 1 == table->column_count)
			putc_unlocked('\n', out);
	}
}
