// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_LINE_TABLE_H
#define SYMBOLS_LINE_TABLE_H

#include "symbols/unit.h"

// The line number table of one unit (DWARF 2 to 5, section 6.2), read when first needed.

/** A row: from `address` to the next row's the code is of this line. 24 bytes. */
struct line_row {
	uint64_t address; // link-time
	uint32_t line;	  // 0 = no line
	uint32_t file;	  // number as in the table; for unit_file()
	uint32_t column : 30;
	uint32_t statement : 1; // DW_LNS is_stmt
	uint32_t end : 1;	// ends a sequence: no line from here on
};

struct line_rows {
	const struct line_row *items; // sorted by address; of equal addresses the program's order
	size_t count;
};

/** The rows of `unit`; empty if it has none. Borrowed. */
struct line_rows line_table_rows(struct unit *unit);
/** The number of file entries; numbers go from line_table_first_file() on. */
size_t line_table_file_count(struct unit *unit);
unsigned line_table_first_file(const struct unit *unit);
/** A cheap check before unit_file() makes the path of `number`: the last components are equal. */
bool line_table_may_match(struct unit *unit, uint64_t number, const char *file);
/** True if `path` ends with `file` in whole components. */
bool line_path_matches(const char *path, const char *file);
/** The row that gdb shows for link-time `pc`; `*end` is where it ends. NULL if none. */
const struct line_row *line_table_find(struct unit *unit, uint64_t pc, uint64_t *end);
/** The last of all rows at or before `pc`, whether or not it begins a statement, or gdb leaves it out: what lldb shows.
 *  Its line may be 0. NULL if none. */
const struct line_row *line_table_row(struct unit *unit, uint64_t pc, uint64_t *end);
/** One of these two. */
typedef const struct line_row *(*line_table_search)(struct unit *unit, uint64_t pc, uint64_t *end);
/** A row by a run-time address, with run-time addresses. */
struct line_place {
	const struct line_row *row;
	const char *file;
	uint64_t start, end;
	size_t module_index;
};
/** False if there is none, or it has no line. */
bool line_place_at(struct strobe_symbols *symbols, uint64_t address, line_table_search search,
		   struct line_place *ret);
void line_table_free(struct unit *unit);

#endif
