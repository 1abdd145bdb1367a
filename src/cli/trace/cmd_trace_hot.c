// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/hot.h>

#include "command.h"
#include "table.h"
#include "trace/short_time.h"
#include "trace/range.h"

enum { ROWS_SHOWN = 30 };

static const struct option options[] = {
	{"thread", 't', "TID", NULL, "Count this thread. Default: the first thread."},
	OPTIONS_TRACE_RANGE,
	{"by", 'b', "WHAT", "function|line|block|module",
	 "What to count together. Default: function. A block is straight code up to a branch."},
	{"sort", 's', "KEY", "own|total|time|total-time|entries|name",
	 "What comes first: own instructions (the default), those with what was called, the times "
	 "of "
	 "both, how often it was entered, or the name."},
	{"limit", 'l', "N", NULL, "Show N rows; 0 is all. Default: 30 in text, all in JSON."},
	{"inlined", 'i', NULL, NULL,
	 "What is inlined into a function counts for itself, not for the function around it."},
	{"no-times", 0, NULL, NULL, "Count instructions alone; it is faster."},
};

/** One run. */
struct request {
	struct strobe_hot_options what;
	const char *by, *sort;
	uint64_t limit; // 0 = all
	const struct strobe_hot_row **rows;
	size_t row_count, shown;
	struct strobe_hot_summary summary;
};

static int read_options(const struct command *command, struct request *ret)
{
	static const char *const kinds[] = {[STROBE_HOT_FUNCTION] = "function",
					    [STROBE_HOT_LINE] = "line",
					    [STROBE_HOT_BLOCK] = "block",
					    [STROBE_HOT_MODULE] = "module"};
	const char *by = command_option(command, "by"), *sort = command_option(command, "sort");
	*ret = (struct request){
		.what = {.size = sizeof(ret->what),
			 .inlined = command_has(command, "inlined"),
			 .no_times = command_has(command, "no-times")},
		.by = by ? by : "function",
		.sort = sort ? sort : "own",
		.limit = command->json ? 0 : ROWS_SHOWN,
	};
	for (int i = 0; i < 4; i++)
		if (strcmp(kinds[i], ret->by) == 0)
			ret->what.by = (enum strobe_hot_by)i;
	if (ret->what.inlined && ret->what.by != STROBE_HOT_FUNCTION)
		return command_usage(command, "--inlined is about functions, not about %ss",
				     ret->by);
	if (ret->what.no_times && strstr(ret->sort, "time"))
		return command_usage(command, "--sort %s: not with --no-times", ret->sort);
	return command_number(command, "limit", UINT64_MAX, &ret->limit);
}

static int by_total(const struct strobe_hot_row *a, const struct strobe_hot_row *b)
{
	return (a->total_count < b->total_count) - (a->total_count > b->total_count);
}
static int by_time(const struct strobe_hot_row *a, const struct strobe_hot_row *b)
{
	return (a->own_ns < b->own_ns) - (a->own_ns > b->own_ns);
}
static int by_total_time(const struct strobe_hot_row *a, const struct strobe_hot_row *b)
{
	return (a->total_ns < b->total_ns) - (a->total_ns > b->total_ns);
}
static int by_entries(const struct strobe_hot_row *a, const struct strobe_hot_row *b)
{
	return (a->entry_count < b->entry_count) - (a->entry_count > b->entry_count);
}
static int by_name(const struct strobe_hot_row *a, const struct strobe_hot_row *b)
{
	int order = strcmp(a->function ? a->function : "", b->function ? b->function : "");
	if (!order)
		order = strcmp(a->file ? a->file : "", b->file ? b->file : "");
	if (!order)
		order = strcmp(a->module ? a->module : "", b->module ? b->module : "");
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

typedef int (*row_order)(const struct strobe_hot_row *a, const struct strobe_hot_row *b);

static int compare(const void *first, const void *second, void *order)
{
	const struct strobe_hot_row *a = *(const struct strobe_hot_row *const *)first;
	const struct strobe_hot_row *b = *(const struct strobe_hot_row *const *)second;
	int found = (*(row_order *)order)(a, b);
	// Rows of equal rank stay as they came: they stand in one array.
	return found ? found : (a > b) - (a < b);
}

static int choose_rows(const struct command *command, struct request *request,
		       const struct strobe_hot *hot)
{
	static const struct {
		const char *name;
		row_order order;
	} orders[] = {{"total", by_total},
		      {"time", by_time},
		      {"total-time", by_total_time},
		      {"entries", by_entries},
		      {"name", by_name}};
	request->row_count = strobe_hot_row_count(hot);
	request->rows = calloc(request->row_count + 1, sizeof(*request->rows));
	if (!request->rows)
		return command_fail(command, "out of memory");
	for (size_t i = 0; i < request->row_count; i++)
		request->rows[i] = strobe_hot_row(hot, i);
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		row_order order = orders[i].order;
		if (strcmp(orders[i].name, request->sort) == 0)
			qsort_r(request->rows, request->row_count, sizeof(*request->rows), compare,
				&order);
	}
	request->shown = request->limit && request->limit < request->row_count
				 ? (size_t)request->limit
				 : request->row_count;
	return STATUS_DONE;
}

static void location_cell(struct table *table, const struct strobe_hot_row *row)
{
	const char *slash = row->file ? strrchr(row->file, '/') : NULL;
	if (row->file && row->line)
		table_cell(table, "%s:%u", slash ? slash + 1 : row->file, row->line);
	else
		table_text(table, slash ? slash + 1 : row->file);
}

static void row_text(struct table *table, const struct request *request,
		     const struct strobe_hot_row *row)
{
	struct short_time text;
	double whole = (double)request->summary.instruction_count;
	enum strobe_hot_by by = request->what.by;
	table_cell(table, "%.2f%%", whole > 0 ? 100 * (double)row->own_count / whole : 0.0);
	table_cell(table, "%" PRIu64, row->own_count);
	if (request->summary.has_time)
		table_text(table, short_time_text(row->own_ns, &text));
	if (by == STROBE_HOT_FUNCTION) {
		table_cell(table, "%" PRIu64, row->total_count);
		if (request->summary.has_time)
			table_text(table, short_time_text(row->total_ns, &text));
	}
	if (by == STROBE_HOT_FUNCTION || by == STROBE_HOT_BLOCK)
		table_cell(table, "%" PRIu64, row->entry_count);
	if (by == STROBE_HOT_BLOCK)
		table_cell(table, "0x%" PRIx64 "-0x%" PRIx64, row->start, row->end);
	table_text(table, row->module);
	if (by != STROBE_HOT_MODULE) {
		table_text(table, row->function);
		location_cell(table, row);
	}
}

static void hot_text(const struct command *command, const struct request *request)
{
	struct table_column columns[TABLE_COLUMN_LIMIT];
	struct table table;
	size_t count = 0;
	enum strobe_hot_by by = request->what.by;
	bool has_time = request->summary.has_time;
	columns[count++] = (struct table_column){"own", true, STYLE_PLAIN};
	columns[count++] = (struct table_column){"instructions", true, STYLE_PLAIN};
	if (has_time)
		columns[count++] = (struct table_column){"time", true, STYLE_PLAIN};
	if (by == STROBE_HOT_FUNCTION) {
		columns[count++] = (struct table_column){"with calls", true, STYLE_PLAIN};
		if (has_time)
			columns[count++] = (struct table_column){"time", true, STYLE_PLAIN};
	}
	if (by == STROBE_HOT_FUNCTION || by == STROBE_HOT_BLOCK)
		columns[count++] = (struct table_column){"entered", true, STYLE_PLAIN};
	if (by == STROBE_HOT_BLOCK)
		columns[count++] = (struct table_column){"block", false, STYLE_ADDRESS};
	columns[count++] = (struct table_column){"module", false, STYLE_PLAIN};
	if (by != STROBE_HOT_MODULE) {
		columns[count++] = (struct table_column){"function", false, STYLE_FUNCTION};
		columns[count++] = (struct table_column){"line", false, STYLE_FILE};
	}
	table_init(&table, columns, count);
	for (size_t i = 0; i < request->shown; i++)
		row_text(&table, request, request->rows[i]);
	table_write(&table, stdout, command->color);
	table_fini(&table);
	struct short_time text;
	printf("\n%" PRIu64 " instructions", request->summary.instruction_count);
	if (has_time)
		printf(", %s", short_time_text(request->summary.time_ns, &text));
	printf(" in %zu %s%s", request->row_count, request->by, request->row_count == 1 ? "" : "s");
	if (request->shown < request->row_count)
		printf("; %zu are shown", request->shown);
	putchar('\n');
}

static void ns_json(struct json *json, const char *key, bool known, double ns)
{
	if (known)
		json_decimal(json, key, ns);
	else
		json_null(json, key);
}

static void row_json(struct json *json, const struct request *request,
		     const struct strobe_hot_row *row)
{
	enum strobe_hot_by by = request->what.by;
	bool has_time = request->summary.has_time;
	json_object(json, NULL);
	if (by != STROBE_HOT_MODULE)
		json_string(json, "function", row->function);
	json_string(json, "module", row->module);
	if (by != STROBE_HOT_MODULE) {
		json_string(json, "file", row->file);
		if (row->line)
			json_unsigned(json, "line", row->line);
		else
			json_null(json, "line");
	}
	if (by == STROBE_HOT_FUNCTION || by == STROBE_HOT_BLOCK) {
		json_address(json, "start", row->start);
		if (row->end)
			json_address(json, "end", row->end);
		else
			json_null(json, "end");
		json_unsigned(json, "entries", row->entry_count);
	}
	json_unsigned(json, "own_instructions", row->own_count);
	ns_json(json, "own_ns", has_time, row->own_ns);
	if (by == STROBE_HOT_FUNCTION) {
		json_unsigned(json, "total_instructions", row->total_count);
		ns_json(json, "total_ns", has_time, row->total_ns);
	}
	json_object_end(json);
}

static void hot_json(const struct command *command, const struct request *request)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_array(&json, "threads", true);
	json_object(&json, NULL);
	json_signed(&json, "tid", strobe_trace_thread(command->trace, command->thread_index)->tid);
	json_string(&json, "by", request->by);
	json_unsigned(&json, "instructions", request->summary.instruction_count);
	ns_json(&json, "time_ns", request->summary.has_time, request->summary.time_ns);
	json_unsigned(&json, "row_count", request->row_count);
	json_array(&json, "rows", true);
	for (size_t i = 0; i < request->shown; i++)
		row_json(&json, request, request->rows[i]);
	json_array_end(&json);
	json_object_end(&json);
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static int show(const struct command *command, struct request *request,
		const struct strobe_hot *hot)
{
	strobe_hot_summary(hot, &request->summary);
	int status = choose_rows(command, request, hot);
	if (!status && command->json)
		hot_json(command, request);
	else if (!status)
		hot_text(command, request);
	free(request->rows);
	return status;
}

static int run_trace_hot(struct command *command)
{
	struct request request;
	struct trace_range range;
	struct strobe_hot *hot = NULL;
	int status = read_options(command, &request);
	if (!status)
		status = trace_range(command, &range);
	if (status)
		return status;
	request.what.first_id = range.first;
	request.what.end_id = range.last + 1;
	if (range.empty) // no item has this id
		request.what.first_id = STROBE_NO_ID;
	struct strobe_error *error = strobe_hot_open(command->trace, command->thread_index,
						     command->symbols, &request.what, &hot);
	if (error)
		return command_error(command, NULL, error);
	status = show(command, &request, hot);
	strobe_hot_close(hot);
	return status;
}

const struct verb verb_trace_hot = {
	.name = "trace hot",
	.arguments = "FILE",
	.summary = "where a thread's instructions and time went: functions, lines, blocks, modules",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_trace = true,
	.run = run_trace_hot,
};
