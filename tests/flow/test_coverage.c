// SPDX-License-Identifier: Apache-2.0
// Coverage against a plain list of all instructions.

#include "flow/history.h"

#include <strobe/coverage.h>
#include <unistd.h>

enum { LINES = 64 };

static struct history history;

/** How often the instruction at `address` was executed in [from, end). */
static uint64_t count_at(uint64_t address, uint64_t from, uint64_t end)
{
	uint64_t count = 0;
	for (uint64_t i = from; i < end; i++)
		count += history.items.items[i].kind == STROBE_ITEM_INSTRUCTION &&
			 history.items.items[i].address == address;
	return count;
}

/** Lines that have code, and those executed in [from, end), by asking address by address. */
static void brute_lines(uint64_t from, uint64_t end, bool known[LINES], bool executed[LINES])
{
	const struct strobe_module *module =
		strobe_view_module(strobe_symbols_view(history.symbols), 0);
	struct strobe_line line;
	memset(known, 0, LINES);
	memset(executed, 0, LINES);
	CHECK(module->end - module->start < 1 << 20);
	for (uint64_t at = module->start; at < module->end; at++) {
		if (strobe_line_at(history.symbols, at, &line) && line.line < LINES)
			known[line.line] = true;
	}
	for (uint64_t i = from; i < end; i++) {
		const struct history_item *item = &history.items.items[i];
		if (item->kind == STROBE_ITEM_INSTRUCTION &&
		    strobe_line_at(history.symbols, item->address, &line) && line.line < LINES)
			executed[line.line] = true;
	}
}

static void check_file(const struct strobe_coverage_file *file, uint64_t from, uint64_t end)
{
	bool known[LINES], executed[LINES];
	brute_lines(from, end, known, executed);
	size_t next = 0, hit = 0;
	for (unsigned line = 0; line < LINES; line++) {
		if (!known[line])
			continue;
		CHECK(next < file->line_count);
		CHECK_EQUAL(file->lines[next].line, line);
		CHECK_EQUAL(file->lines[next].count > 0, executed[line]);
		hit += executed[line];
		next++;
	}
	CHECK_EQUAL(file->line_count, next);
	CHECK_EQUAL(file->lines_hit, hit);
}

static void check_functions(const struct strobe_coverage_file *file, uint64_t from, uint64_t end)
{
	for (size_t i = 0; i < file->function_count; i++) {
		const struct strobe_coverage_function *told = &file->functions[i];
		struct strobe_function function;
		uint64_t own = 0, outer = 0;
		struct strobe_scope scope;
		for (uint64_t j = from; j < end; j++) {
			const struct history_item *item = &history.items.items[j];
			if (item->kind == STROBE_ITEM_INSTRUCTION &&
			    strobe_scopes_at(history.symbols, item->address, &scope, 1) &&
			    strcmp(scope.name, told->name) == 0)
				own++;
		}
		CHECK_EQUAL(told->instructions, own);
		struct strobe_error *error =
			strobe_function_find(history.symbols, told->name, &function);
		outer = error ? 0 : count_at(function.start, from, end);
		strobe_error_free(error);
		CHECK(told->count >= outer);
		CHECK_EQUAL(told->count > 0, own > 0);
		if (strcmp(told->name, "fib") == 0 || strcmp(told->name, "quick") == 0)
			CHECK_EQUAL(told->count, outer ? outer : own > 0);
	}
}

static void check_range(uint64_t from, uint64_t end)
{
	struct strobe_coverage *coverage;
	struct strobe_coverage_options options = {
		.size = sizeof(options), .one_thread = true, .from_id = from, .end_id = end};
	CHECK_OK(strobe_coverage_open(history.trace, history.symbols, &options, &coverage));
	const struct strobe_coverage_totals *totals = strobe_coverage_totals(coverage);
	uint64_t instructions = 0, without = 0, seed = from;
	struct strobe_line line;
	for (uint64_t i = from; i < end; i++) {
		const struct history_item *item = &history.items.items[i];
		if (item->kind != STROBE_ITEM_INSTRUCTION)
			continue;
		instructions++;
		without += !strobe_line_at(history.symbols, item->address, &line);
	}
	CHECK_EQUAL(totals->instructions, instructions);
	CHECK_EQUAL(totals->without_line, without);
	CHECK_EQUAL(strobe_coverage_file_count(coverage), 1);
	check_file(strobe_coverage_file(coverage, 0), from, end);
	check_functions(strobe_coverage_file(coverage, 0), from, end);
	for (int i = 0; i < 20; i++) {
		uint64_t address =
			history.items.items[history_random(&seed, history.items.count)].address;
		CHECK_EQUAL(strobe_coverage_at(coverage, address), count_at(address, from, end));
	}
	strobe_coverage_close(coverage);
}

static void test_whole(void)
{
	history_open(&history, "calls1/trace.json", 0);
	check_range(0, history.items.count);
	history_close(&history);
}

static void test_parts(void)
{
	uint64_t seed = 9;
	history_open(&history, "calls1/trace.json", 0);
	for (int i = 0; i < 20; i++) {
		uint64_t from = history_random(&seed, history.items.count);
		uint64_t end = from + 1 + history_random(&seed, i < 15 ? 50 : 20000);
		check_range(from, end < history.items.count ? end : history.items.count);
	}
	history_close(&history);
}

static void test_threads(void)
{
	struct strobe_coverage *coverage;
	history_open(&history, "threads2/trace.json", 0);
	CHECK_OK(strobe_coverage_open(history.trace, history.symbols, NULL, &coverage));
	uint64_t address = history.items.items[history.items.count / 2].address;
	uint64_t count = count_at(address, 0, history.items.count);
	history_read(&history, 1);
	count += count_at(address, 0, history.items.count);
	CHECK_EQUAL(strobe_coverage_at(coverage, address), count);
	CHECK_EQUAL(strobe_coverage_totals(coverage)->instructions, 306791 + 306129);
	strobe_coverage_close(coverage);
	history_close(&history);
}

static size_t files_of(const char *source)
{
	struct strobe_coverage *coverage;
	struct strobe_coverage_options options = {.size = sizeof(options), .source = source};
	CHECK_OK(strobe_coverage_open(history.trace, history.symbols, &options, &coverage));
	size_t count = strobe_coverage_file_count(coverage);
	CHECK_EQUAL(strobe_coverage_totals(coverage)->instructions, 306791);
	strobe_coverage_close(coverage);
	return count;
}

static void test_source(void)
{
	history_open(&history, "calls1/trace.json", 0);
	CHECK_EQUAL(files_of("/src"), 1);
	CHECK_EQUAL(files_of("/src/"), 1);
	CHECK_EQUAL(files_of("/"), 1);
	CHECK_EQUAL(files_of("calls.c"), 1);
	CHECK_EQUAL(files_of("src/calls.c"), 1);
	CHECK_EQUAL(files_of("alls.c"), 0);
	CHECK_EQUAL(files_of("/sr"), 0);
	CHECK_EQUAL(files_of("/other"), 0);
	struct strobe_coverage *coverage;
	struct strobe_coverage_options options = {
		.size = sizeof(options), .one_thread = true, .thread_index = 7};
	CHECK_ERROR(strobe_coverage_open(history.trace, history.symbols, &options, &coverage),
		    STROBE_ERROR_INVALID);
	history_close(&history);
}

CHECK_MAIN({"a whole trace: lines, functions, instructions", test_whole},
	   {"parts that begin and end within runs", test_parts},
	   {"all threads together", test_threads}, {"which source files", test_source})
