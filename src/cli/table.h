// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "output.h"

enum { TABLE_COLUMN_LIMIT = 12 };

/** A column of a table: its heading and how its cells look. */
struct table_column {
	const char *title;
	bool right; // aligned to the right
	enum style style;
};

/** Rows of text cells, written in aligned columns once all are known. Zero-initialise. */
struct table {
	const struct table_column *columns;
	size_t column_count;
	char **cells; // column_count a row
	size_t cell_count, capacity;
	bool failed; // memory was short: the table is incomplete
};

void table_init(struct table *table, const struct table_column *columns, size_t column_count);
void table_fini(struct table *table);
/** The next cell, formatted; NULL `format` leaves it empty. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The next cell as it is; NULL shows "-". */
void table_text(struct table *table, const char *text);
/** "59s", "3m12s", "2d05h". */
void table_age(struct table *table, uint64_t age_ns);
void table_write(const struct table *table, FILE *out, bool color);

#endif
