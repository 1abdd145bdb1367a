// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <string.h>
#include <strobe/coverage.h>

#include "command.h"
#include "progress.h"
#include "table.h"
#include "trace/range.h"

static const struct option options[] = {
	{"functions", 0, NULL, NULL, "Tell of each function, too."},
	{"source", 's', "PATH", NULL,
	 "Only source files below this folder, or whose path ends with PATH in whole components."},
	{"lcov", 'o', "FILE", NULL,
	 "Write an lcov tracefile, for genhtml and the like; '-' is standard output, without the "
	 "summary."},
	{"test", 0, "NAME", NULL, "Name of the test in the tracefile: letters, digits, '_'."},
	{"executed", 0, NULL, NULL, "Leave out files, and functions, that were not executed."},
	OPTIONS_TRACE_RANGE,
};

/** One run. */
struct covering {
	struct command *command;
	struct strobe_coverage *coverage;
	bool functions, executed_only;
	const char *lcov;
};

static bool is_shown(const struct covering *covering, size_t hit)
{
	return hit > 0 || !covering->executed_only;
}

static void part_text(struct table *table, size_t hit, size_t of)
{
	if (of)
		table_cell(table, "%zu/%zu  %5.1f%%", hit, of, 100.0 * (double)hit / (double)of);
	else
		table_text(table, NULL);
}

static void file_text(const struct covering *covering, const struct strobe_coverage_file *file,
		      struct table *table)
{
	part_text(table, file->lines_hit, file->line_count);
	part_text(table, file->functions_hit, file->function_count);
	table_text(table, NULL);
	table_text(table, file->path);
	for (size_t i = 0; covering->functions && i < file->function_count; i++) {
		const struct strobe_coverage_function *function = &file->functions[i];
		if (!is_shown(covering, function->count + function->instructions > 0))
			continue;
		part_text(table, function->lines_hit, function->lines);
		table_cell(table, "%" PRIu64 " x", function->count);
		table_cell(table, "%" PRIu64, function->instructions);
		table_cell(table, "  %s:%u", function->name, function->line);
	}
}

static void cover_text(const struct covering *covering)
{
	static const struct table_column columns[] = {
		{"LINES", true, STYLE_PLAIN},
		{"FUNCTIONS", true, STYLE_PLAIN},
		{"INSTRUCTIONS", true, STYLE_PLAIN},
		{"WHERE", false, STYLE_FILE},
	};
	const struct strobe_coverage_totals *totals = strobe_coverage_totals(covering->coverage);
	struct table table;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < strobe_coverage_file_count(covering->coverage); i++) {
		const struct strobe_coverage_file *file =
			strobe_coverage_file(covering->coverage, i);
		if (is_shown(covering, file->lines_hit))
			file_text(covering, file, &table);
	}
	part_text(&table, totals->lines_hit, totals->lines);
	part_text(&table, totals->functions_hit, totals->functions);
	table_cell(&table, "%" PRIu64, totals->instructions);
	table_text(&table, "in all");
	table_write(&table, stdout, covering->command->color);
	table_fini(&table);
	if (totals->without_line)
		printf("%" PRIu64 " instructions are of no known line\n", totals->without_line);
}

static void function_json(struct json *json, const struct strobe_coverage_function *function)
{
	json_object(json, NULL);
	json_string(json, "name", function->name);
	json_unsigned(json, "line", function->line);
	json_unsigned(json, "count", function->count);
	json_unsigned(json, "instructions", function->instructions);
	json_unsigned(json, "lines_found", function->lines);
	json_unsigned(json, "lines_hit", function->lines_hit);
	json_object_end(json);
}

static void file_json(const struct covering *covering, struct json *json,
		      const struct strobe_coverage_file *file)
{
	json_object(json, NULL);
	json_string(json, "file", file->path);
	json_unsigned(json, "lines_found", file->line_count);
	json_unsigned(json, "lines_hit", file->lines_hit);
	json_unsigned(json, "functions_found", file->function_count);
	json_unsigned(json, "functions_hit", file->functions_hit);
	json_array(json, "functions", true);
	for (size_t i = 0; i < file->function_count; i++)
		if (is_shown(covering,
			     file->functions[i].count + file->functions[i].instructions > 0))
			function_json(json, &file->functions[i]);
	json_array_end(json);
	json_array(json, "lines", true);
	for (size_t i = 0; i < file->line_count; i++) {
		json_object(json, NULL);
		json_unsigned(json, "line", file->lines[i].line);
		json_unsigned(json, "count", file->lines[i].count);
		json_object_end(json);
	}
	json_array_end(json);
	json_object_end(json);
}

static void cover_json(const struct covering *covering)
{
	const struct strobe_coverage_totals *totals = strobe_coverage_totals(covering->coverage);
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "files", true);
	for (size_t i = 0; i < strobe_coverage_file_count(covering->coverage); i++) {
		const struct strobe_coverage_file *file =
			strobe_coverage_file(covering->coverage, i);
		if (is_shown(covering, file->lines_hit))
			file_json(covering, &json, file);
	}
	json_array_end(&json);
	json_unsigned(&json, "instructions", totals->instructions);
	json_unsigned(&json, "instructions_without_line", totals->without_line);
	json_unsigned(&json, "distinct_instructions", totals->distinct);
	json_unsigned(&json, "lines_found", totals->lines);
	json_unsigned(&json, "lines_hit", totals->lines_hit);
	json_unsigned(&json, "functions_found", totals->functions);
	json_unsigned(&json, "functions_hit", totals->functions_hit);
	json_object_end(&json);
	json_fini(&json);
}

static int read_options(struct covering *covering, struct strobe_coverage_options *ret)
{
	struct command *command = covering->command;
	struct trace_range range = {0};
	const char *test = command_option(command, "test");
	trace_thread_of_range(command);
	covering->lcov = command_option(command, "lcov");
	covering->functions = command_has(command, "functions");
	covering->executed_only = command_has(command, "executed");
	*ret = (struct strobe_coverage_options){
		.size = sizeof(*ret),
		.source = command_option(command, "source"),
		.one_thread = command_has(command, "thread"),
		.thread_index = command->thread_index,
	};
	if (test &&
	    (!covering->lcov || strspn(test, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
					     "uvwxyz0123456789_") != strlen(test)))
		return command_usage(command, covering->lcov
						      ? "--test: letters, digits and '_' alone"
						      : "--test goes with --lcov");
	bool ranged = command_has(command, "from") || command_has(command, "to");
	int status = ranged ? trace_range(command, &range) : STATUS_DONE;
	if (status || !ranged)
		return status;
	ret->one_thread = true; // ids are a thread's
	ret->from_id = range.empty ? UINT64_MAX : range.first;
	ret->end_id = range.empty ? 0 : range.last + 1;
	return STATUS_DONE;
}

static int tell(const struct covering *covering)
{
	struct strobe_error *error = NULL;
	if (covering->lcov)
		error = strobe_coverage_write_lcov(covering->coverage, covering->lcov,
						   command_option(covering->command, "test"));
	if (error)
		return command_error(covering->command, NULL, error);
	if (covering->lcov && strcmp(covering->lcov, "-") == 0)
		return STATUS_DONE;
	if (covering->command->json)
		cover_json(covering);
	else
		cover_text(covering);
	return STATUS_DONE;
}

static int run_trace_cover(struct command *command)
{
	struct covering covering = {.command = command};
	struct strobe_coverage_options wanted;
	struct progress progress;
	int status = read_options(&covering, &wanted);
	if (status)
		return status;
	progress_begin(&progress, "counting", command->quiet);
	wanted.progress = progress_tell;
	wanted.progress_context = &progress;
	struct strobe_error *error =
		strobe_coverage_open(command->trace, command->symbols, &wanted, &covering.coverage);
	progress_end(&progress);
	progress_release();
	status = error ? command_error(command, command->arguments[0], error) : tell(&covering);
	strobe_coverage_close(covering.coverage);
	return status;
}

const struct verb verb_trace_cover = {
	.name = "trace cover",
	.arguments = "FILE",
	.summary = "which source lines were executed, how often; as lcov has it",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_trace = true,
	.run = run_trace_cover,
};
