// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_COVERAGE_H
#define FLOW_COVERAGE_H

// Coverage in the making: runs are counted (coverage.c), rows of the line tables become lines of files
// (coverage_lines.c), sites of code become functions of files (coverage_functions.c).

#include <strobe/coverage.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"
#include "flow/run_counts.h"
#include "flow/site_map.h"

/** A line's code in one site. */
struct record {
	uint32_t file, line, site;
	bool executed;
	uint64_t most; // executions of the instruction that was executed most often
};

struct strobe_coverage {
	struct strobe_coverage_options options;
	struct strobe_coverage_totals totals;
	struct run_counts counts;
	struct site_map sites;
	struct arena arena;
	struct hash files_by_path; // -> index + 1
	const char *last_path;	   // of the last row, and its file
	uint32_t last_file;
	ARRAY(const char *) paths;
	ARRAY(struct record) records;
	ARRAY(struct strobe_coverage_file) files;
	ARRAY(struct strobe_coverage_line) lines;
	ARRAY(struct strobe_coverage_function) functions;
	bool *has_line;		  // by index of counts.instructions
	uint32_t *function_files; // by function of the site map: file, or SITE_NONE
	bool failed;
};

/** a + b, UINT64_MAX where that is more. */
static inline uint64_t coverage_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/** Number of the file at `path`, SITE_NONE if it is not wanted, or memory is short. */
uint32_t coverage_file(struct strobe_coverage *coverage, const char *path);
/** Makes records of the rows of all line tables. */
struct strobe_error *coverage_read_rows(struct strobe_coverage *coverage,
					struct strobe_symbols *symbols) STROBE_MUST_CHECK;
/** Makes lines of the records, and files with them. False when memory is short. */
bool coverage_make_lines(struct strobe_coverage *coverage);
/** Makes the functions of the files, in the files' order. False when memory is short. */
bool coverage_make_functions(struct strobe_coverage *coverage);

#endif
