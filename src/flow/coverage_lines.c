// SPDX-License-Identifier: Apache-2.0
// Rows of the line tables, and how often their instructions were executed, become lines of files.

#include "flow/coverage.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbols/code_lines.h"

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

uint32_t coverage_file(struct strobe_coverage *coverage, const char *path)
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
	struct record record = {.file = coverage_file(coverage, line->file), .line = line->line};
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

bool coverage_make_lines(struct strobe_coverage *coverage)
{
	for (size_t i = 0; i < coverage->paths.count; i++) {
		struct strobe_coverage_file file = {.path = coverage->paths.items[i]};
		if (!array_push(&coverage->files, file))
			return false;
	}
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
		line->count = coverage_add(line->count, record->most);
	}
	return true;
}

struct strobe_error *coverage_read_rows(struct strobe_coverage *coverage,
					struct strobe_symbols *symbols)
{
	coverage->has_line = calloc(coverage->counts.instructions.count + 1, sizeof(bool));
	if (!coverage->has_line)
		return error_no_memory();
	return code_lines_for_each(symbols, NULL, add_row, coverage);
}
