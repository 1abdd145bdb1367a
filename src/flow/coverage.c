// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <strobe/coverage.h>
#include <strobe/cursor.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "flow/run_counts.h"
#include "flow/site_map.h"
#include "symbols/code_lines.h"

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

static bool is_wanted(const struct strobe_coverage *coverage, const char *path)
{
	const char *source = coverage->options.source;
	size_t size = source ? strlen(source) : 0, path_size = strlen(path);
	while (size > 1 && source[size - 1] == '/')
		size--;
	if (size == 0)
		return true;
	if (strncmp(path, source, size) == 0 &&
	    (path[size] == '/' || path[size] == '\0' || source[size - 1] == '/'))
		return true;
	return size < path_size && strncmp(path + path_size - size, source, size) == 0 &&
	       path[path_size - size - 1] == '/';
}

/** "/a/./b/../c" as "/a/c": what people, and lcov, compare by. NULL when memory is short. */
static const char *clean_path(struct arena *arena, const char *path)
{
	char *clean = arena_strdup(arena, path);
	if (!clean)
		return NULL;
	size_t size = 0;
	for (const char *at = path; *at;) {
		size_t part = strcspn(at, "/");
		if (part == 2 && strncmp(at, "..", 2) == 0 && size > 1) {
			size--; // the '/'
			while (size > 0 && clean[size - 1] != '/')
				size--;
		} else if (part > 0 && !(part == 1 && *at == '.')) {
			memcpy(clean + size, at, part);
			size += part;
			if (at[part])
				clean[size++] = '/';
		} else if (at == path && *at == '/') {
			clean[size++] = '/';
		}
		at += part + (at[part] == '/');
	}
	clean[size] = '\0';
	return clean;
}

/** Number of the file at `path`, SITE_NONE if it is not wanted. */
static uint32_t file_of(struct strobe_coverage *coverage, const char *path)
{
	if (path == coverage->last_path)
		return coverage->last_file;
	coverage->last_path = path;
	coverage->last_file = SITE_NONE;
	const char *clean = clean_path(&coverage->arena, path);
	if (!clean) {
		coverage->failed = true;
		return SITE_NONE;
	}
	if (!is_wanted(coverage, clean))
		return SITE_NONE;
	uint64_t key = hash_bytes(clean, strlen(clean));
	void *known;
	for (; (known = hash_get(&coverage->files_by_path, key)); key++) {
		coverage->last_file = (uint32_t)((uintptr_t)known - 1);
		if (strcmp(coverage->paths.items[coverage->last_file], clean) == 0)
			return coverage->last_file;
	}
	coverage->failed |=
		!array_push(&coverage->paths, clean) ||
		!hash_put(&coverage->files_by_path, key, (void *)(uintptr_t)coverage->paths.count);
	return coverage->last_file = (uint32_t)coverage->paths.count - 1;
}

static bool add_row(void *context, const struct code_line *line)
{
	struct strobe_coverage *coverage = context;
	struct record record = {.file = file_of(coverage, line->file), .line = line->line};
	const struct run_counts *counts = &coverage->counts;
	size_t i = run_counts_from(counts, line->start);
	for (; i < counts->instructions.count; i++) {
		const struct instruction_count *at = &counts->instructions.items[i];
		if (at->address >= line->end)
			break;
		record.executed = true;
		coverage->has_line[i] = true;
		if (at->executions > record.most)
			record.most = at->executions;
	}
	if (record.file == SITE_NONE)
		return !coverage->failed;
	record.site = site_map_at(&coverage->sites, line->start);
	coverage->failed |= !array_push(&coverage->records, record);
	return !coverage->failed;
}

static int compare_records(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->site < y->site ? -1 : x->site > y->site;
}

/** Records of one line in one site become one. */
static void join_records(struct strobe_coverage *coverage)
{
	struct record *records = coverage->records.items;
	size_t kept = 0;
	if (coverage->records.count)
		qsort(records, coverage->records.count, sizeof(*records), compare_records);
	for (size_t i = 0; i < coverage->records.count; i++) {
		struct record *last = kept ? &records[kept - 1] : NULL;
		if (!last || compare_records(last, &records[i]) != 0) {
			records[kept++] = records[i];
			continue;
		}
		last->executed |= records[i].executed;
		if (records[i].most > last->most)
			last->most = records[i].most;
	}
	coverage->records.count = kept;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool make_lines(struct strobe_coverage *coverage)
{
	join_records(coverage);
	uint32_t file = SITE_NONE;
	for (size_t i = 0; i < coverage->records.count; i++) {
		const struct record *record = &coverage->records.items[i];
		struct strobe_coverage_line *line =
			coverage->lines.count ? &coverage->lines.items[coverage->lines.count - 1]
					      : NULL;
		if (record->file != file || line->line != record->line) {
			struct strobe_coverage_line added = {.line = record->line};
			if (!array_push(&coverage->lines, added))
				return false;
			line = &coverage->lines.items[coverage->lines.count - 1];
			coverage->files.items[record->file].line_count++;
		}
		file = record->file;
		line->count = add_saturated(line->count, record->most);
	}
	return true;
}

static void count_sites(struct strobe_coverage *coverage,
			struct strobe_coverage_function *functions)
{
	const struct site_map *map = &coverage->sites;
	const struct run_counts *counts = &coverage->counts;
	for (size_t i = 0; i < map->sites.count; i++) {
		const struct site *site = &map->sites.items[i];
		functions[site->function].count = add_saturated(
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
		uint32_t file = known->file ? file_of(coverage, known->file) : SITE_NONE;
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
	for (size_t i = 0; i < coverage->paths.count; i++) {
		struct strobe_coverage_file file = {.path = coverage->paths.items[i]};
		if (!array_push(&coverage->files, file))
			return false;
	}
	if (!make_lines(coverage) || !count_functions(coverage) || !group_functions(coverage))
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
	coverage->has_line = calloc(coverage->totals.distinct + 1, sizeof(bool));
	if (!coverage->has_line)
		return error_no_memory();
	error = code_lines_for_each(symbols, NULL, add_row, coverage);
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
