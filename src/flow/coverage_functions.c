// SPDX-License-Identifier: Apache-2.0
// Sites of code, and how often their instructions were executed, become functions of files.

#include "flow/coverage.h"

#include <stdlib.h>
#include <string.h>

static void count_sites(struct strobe_coverage *coverage,
			struct strobe_coverage_function *functions)
{
	const struct site_map *map = &coverage->sites;
	const struct run_counts *counts = &coverage->counts;
	for (size_t i = 0; i < map->sites.count; i++) {
		const struct site *site = &map->sites.items[i];
		functions[site->function].count = coverage_add(
			functions[site->function].count, strobe_coverage_at(coverage, site->entry));
	}
	size_t at = 0;
	for (size_t i = 0; i < map->segments.count; i++) {
		const struct site_segment *segment = &map->segments.items[i];
		uint32_t function = map->sites.items[segment->site].function;
		while (at < counts->instructions.count &&
		       counts->instructions.items[at].address < segment->start)
			at++;
		for (; at < counts->instructions.count &&
		       counts->instructions.items[at].address < segment->end;
		     at++)
			functions[function].instructions +=
				counts->instructions.items[at].executions;
	}
}

/** A line is of a function once, in however many copies. */
struct owned_line {
	uint32_t function, file, line;
	bool executed;
};

static int compare_owned(const void *a, const void *b)
{
	const struct owned_line *x = a, *y = b;
	if (x->function != y->function)
		return x->function < y->function ? -1 : 1;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static bool count_owned(struct strobe_coverage *coverage,
			struct strobe_coverage_function *functions)
{
	size_t count = 0;
	struct owned_line *owned = calloc(coverage->records.count + 1, sizeof(*owned));
	if (!owned)
		return false;
	for (size_t i = 0; i < coverage->records.count; i++) {
		const struct record *record = &coverage->records.items[i];
		if (record->site != SITE_NONE)
			owned[count++] = (struct owned_line){
				coverage->sites.sites.items[record->site].function, record->file,
				record->line, record->executed};
	}
	qsort(owned, count, sizeof(*owned), compare_owned);
	for (size_t i = 0; i < count;) {
		size_t first = i;
		bool executed = false;
		for (; i < count && compare_owned(&owned[first], &owned[i]) == 0; i++)
			executed |= owned[i].executed;
		functions[owned[first].function].lines++;
		functions[owned[first].function].lines_hit += executed;
	}
	free(owned);
	return true;
}

static bool keep_functions(struct strobe_coverage *coverage,
			   const struct strobe_coverage_function *functions)
{
	const struct site_map *map = &coverage->sites;
	coverage->function_files = calloc(map->functions.count + 1, sizeof(uint32_t));
	if (!coverage->function_files)
		return false;
	for (size_t i = 0; i < map->functions.count; i++) {
		const struct site_function *known = &map->functions.items[i];
		uint32_t file = known->file ? coverage_file(coverage, known->file) : SITE_NONE;
		// Only files that have lines are told of.
		if (file == SITE_NONE || file >= coverage->files.count)
			continue;
		struct strobe_coverage_function function = functions[i];
		function.name = known->name;
		// It was running when what is counted began, or the copy is entered elsewhere.
		if (!function.count && function.instructions)
			function.count = 1;
		function.line = known->line;
		coverage->function_files[coverage->functions.count] = file;
		coverage->files.items[file].function_count++;
		if (!array_push(&coverage->functions, function))
			return false;
	}
	return true;
}

static bool count_functions(struct strobe_coverage *coverage)
{
	struct strobe_coverage_function *functions =
		calloc(coverage->sites.functions.count + 1, sizeof(*functions));
	bool done = functions && count_owned(coverage, functions);
	if (done) {
		count_sites(coverage, functions);
		done = keep_functions(coverage, functions);
	}
	free(functions);
	return done;
}

static int compare_functions(const void *a, const void *b)
{
	const struct strobe_coverage_function *x = a, *y = b;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return strcmp(x->name, y->name);
}

/** Functions stand as they were met: each file's are brought together. */
static bool group_functions(struct strobe_coverage *coverage)
{
	size_t count = coverage->functions.count, next = 0;
	struct strobe_coverage_function *grouped = calloc(count + 1, sizeof(*grouped));
	if (!grouped)
		return false;
	for (size_t i = 0; i < coverage->files.count; i++) {
		coverage->files.items[i].functions = grouped + next;
		next += coverage->files.items[i].function_count;
		coverage->files.items[i].function_count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		struct strobe_coverage_file *file =
			&coverage->files.items[coverage->function_files[i]];
		grouped[file->functions - grouped + (ptrdiff_t)file->function_count++] =
			coverage->functions.items[i];
	}
	for (size_t i = 0; i < coverage->files.count; i++) {
		struct strobe_coverage_file *file = &coverage->files.items[i];
		qsort(grouped + (file->functions - grouped), file->function_count, sizeof(*grouped),
		      compare_functions);
	}
	array_fini(&coverage->functions);
	coverage->functions.items = grouped;
	coverage->functions.count = coverage->functions.capacity = count;
	return true;
}

bool coverage_make_functions(struct strobe_coverage *coverage)
{
	return count_functions(coverage) && group_functions(coverage);
}
