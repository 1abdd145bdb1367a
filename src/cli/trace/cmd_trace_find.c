// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <strobe/trace_find.h>

#include "command.h"
#include "progress.h"
#include "trace/code_place.h"
#include "trace/range.h"

static const struct option options[] = {
	{"entry", 'e', NULL, NULL,
	 "Of functions, find where they are entered, each time; inlined copies where they begin. "
	 "Without it, code of the function is found, in visits."},
	{"all-threads", 'a', NULL, NULL, "Search all threads, one after the other."},
	{"backwards", 'b', NULL, NULL, "From the newest to the oldest. Default: from the oldest."},
	{"within", 0, "N", NULL,
	 "Of sequences: only those whose last item comes at most N items after the first."},
	{"limit", 'n', "N", NULL,
	 "End after N of each thread; 0 is all. Default: 100, with --json all."},
	{"count", 'c', NULL, NULL, "Only count."},
	OPTIONS_TRACE_RANGE,
};

enum { DEFAULT_LIMIT = 100 };

/** One run. */
struct finding {
	struct command *command;
	const char *what;
	uint64_t limit; // 0 = all
	bool count_only;
	bool begun; // the JSON document
	struct json json;
	// Of the thread at hand.
	uint64_t found, items;
	bool more; // than were shown
	uint64_t start_ns;
};

static void put_steps(const struct finding *finding, struct strobe_trace_find *find,
		      const struct strobe_trace_hit *hit)
{
	struct strobe_cursor *cursor = strobe_trace_find_cursor(find);
	for (size_t i = 1; i < hit->step_count; i++) {
		if (!strobe_cursor_go_to_id(cursor, hit->step_ids[i]))
			continue;
		printf("    -> %" PRIu64 ":", hit->step_ids[i]);
		put_item_time(cursor);
		putchar(' ');
		put_item(finding->command, finding->command->symbols, cursor);
		putchar('\n');
	}
}

static void put_hit(const struct finding *finding, struct strobe_trace_find *find,
		    const struct strobe_trace_hit *hit)
{
	struct strobe_cursor *cursor = strobe_trace_find_cursor(find);
	printf("    %" PRIu64 ":", hit->first_id);
	put_item_time(cursor);
	putchar(' ');
	put_item(finding->command, finding->command->symbols, cursor);
	if (hit->instruction_count > 1)
		printf(" (%" PRIu64 " instructions, to %" PRIu64 ")", hit->instruction_count,
		       hit->last_id);
	putchar('\n');
	put_steps(finding, find, hit);
}

static void hit_json(struct finding *finding, struct strobe_trace_find *find,
		     const struct strobe_trace_hit *hit)
{
	struct json *json = &finding->json;
	struct strobe_cursor *cursor = strobe_trace_find_cursor(find);
	json_object(json, NULL);
	item_json(json, finding->command->symbols, cursor);
	json_unsigned(json, "last_id", hit->last_id);
	json_unsigned(json, "instructions", hit->instruction_count);
	if (hit->step_count) {
		json_array(json, "steps", false);
		for (size_t i = 0; i < hit->step_count; i++) {
			json_object(json, NULL);
			if (strobe_cursor_go_to_id(cursor, hit->step_ids[i]))
				item_json(json, finding->command->symbols, cursor);
			json_object_end(json);
		}
		json_array_end(json);
	}
	json_object_end(json);
}

// What is behind the limit is not even looked for.
static void tell_hits(struct finding *finding, struct strobe_trace_find *find)
{
	struct strobe_trace_hit hit;
	finding->found = 0;
	finding->more = false;
	while (!finding->more && strobe_trace_find_next(find, &hit)) {
		finding->more =
			finding->limit && finding->found == finding->limit && !finding->count_only;
		if (finding->more)
			break;
		finding->found++;
		if (finding->count_only)
			continue;
		if (finding->command->json)
			hit_json(finding, find, &hit);
		else
			put_hit(finding, find, &hit);
	}
}

static void end_json(struct finding *finding, uint64_t took_ns)
{
	json_array_end(&finding->json);
	json_unsigned(&finding->json, "count", finding->found);
	json_bool(&finding->json, "limited", finding->more);
	json_unsigned(&finding->json, "items", finding->items);
	json_unsigned(&finding->json, "took_ns", took_ns);
	json_object_end(&finding->json);
}

static void end_text(const struct finding *finding, int tid, uint64_t took_ns)
{
	double seconds = (double)(took_ns ? took_ns : 1) / 1e9;
	if (finding->more) {
		printf("    ... (--limit)\n  thread %d: %" PRIu64
		       " shown, there are more; %.3f s\n",
		       tid, finding->found, seconds);
		return;
	}
	printf("%sthread %d: %" PRIu64 " found in %" PRIu64
	       " items, %.3f s, %.1f million a second\n",
	       finding->count_only ? "" : "  ", tid, finding->found, finding->items, seconds,
	       (double)finding->items / seconds / 1e6);
}

static int begin_thread(struct finding *finding, size_t thread,
			struct strobe_trace_find_options *ret)
{
	struct command *command = finding->command;
	struct trace_range range;
	*ret = (struct strobe_trace_find_options){
		.size = sizeof(*ret),
		.thread_index = thread,
		.entries = command_has(command, "entry"),
		.backwards = command_has(command, "backwards"),
	};
	command->thread_index = thread; // whose --from and --to are read
	int status = command_number(command, "within", UINT64_MAX, &ret->within);
	if (!status)
		status = trace_range(command, &range);
	if (status)
		return status;
	ret->from_id = range.empty ? UINT64_MAX : range.first;
	ret->end_id = range.empty ? 0 : range.last + 1;
	finding->items = range.empty ? 0 : range.last + 1 - range.first;
	return STATUS_DONE;
}

// Nothing is written before it is known that there is something to write.
static void begin_json(struct finding *finding, int tid)
{
	struct json *json = &finding->json;
	if (!finding->begun) {
		json_init(json, stdout);
		json_object(json, NULL);
		json_string(json, "what", finding->what);
		json_array(json, "threads", true);
	}
	finding->begun = true;
	json_object(json, NULL);
	json_signed(json, "tid", tid);
	json_array(json, "found", true);
}

static int search_thread(struct finding *finding, size_t thread)
{
	struct command *command = finding->command;
	struct strobe_trace_find_options wanted;
	struct strobe_trace_find *find;
	int tid = strobe_trace_thread(command->trace, thread)->tid;
	int status = begin_thread(finding, thread, &wanted);
	if (status)
		return status;
	struct strobe_error *error = strobe_trace_find_open(command->trace, command->symbols,
							    finding->what, &wanted, &find);
	if (error)
		return command_expression_error(command, finding->what, error);
	if (command->json) {
		begin_json(finding, tid);
	} else if (!finding->count_only) {
		printf("thread #%zu: tid = %d\n", thread + 1, tid);
	}
	finding->start_ns = monotonic_ns();
	tell_hits(finding, find);
	strobe_trace_find_close(find);
	uint64_t took_ns = monotonic_ns() - finding->start_ns;
	if (command->json)
		end_json(finding, took_ns);
	else
		end_text(finding, tid, took_ns);
	return STATUS_DONE;
}

static int search(struct finding *finding)
{
	struct command *command = finding->command;
	bool all = command_has(command, "all-threads");
	if (!all)
		trace_thread_of_range(command);
	size_t first = all ? 0 : command->thread_index;
	size_t end = all ? strobe_trace_thread_count(command->trace) : first + 1;
	if (end > strobe_trace_thread_count(command->trace))
		return command_fail(command, "%s: no thread is in it", command->arguments[0]);
	int status = STATUS_DONE;
	for (size_t i = first; i < end && !status; i++)
		status = search_thread(finding, i);
	return status;
}

static int run_trace_find(struct command *command)
{
	struct finding finding = {.command = command,
				  .what = command->arguments[1],
				  .limit = command->json ? 0 : DEFAULT_LIMIT,
				  .count_only = command_has(command, "count")};
	int status = command_number(command, "limit", UINT64_MAX, &finding.limit);
	if (!status && command_has(command, "all-threads") && command_has(command, "thread"))
		status = command_usage(command, "--all-threads and --thread exclude each other");
	if (status)
		return status;
	status = search(&finding);
	if (finding.begun) {
		json_array_end(&finding.json);
		json_object_end(&finding.json);
		json_fini(&finding.json);
	}
	return status;
}

const struct verb verb_trace_find = {
	.name = "trace find",
	.arguments = "FILE WHAT",
	.summary = "where a function, line, address, event or sequence of them was executed",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = 2,
	.has_trace = true,
	.run = run_trace_find,
};
