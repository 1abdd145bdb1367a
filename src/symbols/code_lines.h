// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_CODE_LINES_H
#define SYMBOLS_CODE_LINES_H

// All code of source lines, row by row of the line tables.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/symbols.h>

/** Code [start, end), run-time, of one line. */
struct code_line {
	const char *file; // from the symbols; equal files of one unit have equal pointers
	uint32_t line;
	bool statement; // a statement begins at `start`
	uint64_t start, end;
	size_t module_index;
};
/** Return false to stop. */
typedef bool (*code_line_visit)(void *context, const struct code_line *line);
/** Visits the rows of all units, unit by unit in the order of addresses; `file` not NULL: those of
 *  files that it matches in whole trailing components. Errors: NOT_FOUND (no unit has `file`). */
struct strobe_error *code_lines_for_each(struct strobe_symbols *symbols, const char *file,
					 code_line_visit visit, void *context) STROBE_MUST_CHECK;
/** The row that strobe_line_at() tells of; false if there is none, or it has no line. */
bool code_line_at(struct strobe_symbols *symbols, uint64_t address, struct code_line *ret);

#endif
