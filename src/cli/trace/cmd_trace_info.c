// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <string.h>
#include <strobe/trace.h>

#include "command.h"
#include "describe.h"

/** One run: the trace as a whole, and a thread. */
struct report {
	struct command *command;
	const struct strobe_trace_info *info;
	struct json json;
};

static void events_json(struct json *json, const struct strobe_trace_thread *thread)
{
	json_object(json, "events");
	for (unsigned type = 0; type < STROBE_EVENT_TYPE_COUNT; type++)
		if (thread->event_counts[type])
			json_unsigned(json, strobe_event_type_name((enum strobe_event_type)type),
				      thread->event_counts[type]);
	json_object_end(json);
}

static void errors_json(struct report *report, size_t index)
{
	struct strobe_trace_error_count error;
	json_object(&report->json, "errors");
	for (size_t i = 0; strobe_trace_error_count(report->command->trace, index, i, &error); i++)
		json_unsigned(&report->json, error.text, error.count);
	json_object_end(&report->json);
}

static void time_ns_json(struct json *json, const char *key, bool known, double ns)
{
	if (known)
		json_unsigned(json, key, ns > 0 ? (uint64_t)ns : 0);
	else
		json_null(json, key);
}

static void thread_json(struct report *report, size_t index)
{
	struct json *json = &report->json;
	const struct strobe_trace_thread *thread =
		strobe_trace_thread(report->command->trace, index);
	json_object(json, NULL);
	json_signed(json, "tid", thread->tid);
	json_signed(json, "pid", thread->pid);
	json_string(json, "name", thread->name);
	json_unsigned(json, "items", thread->item_count);
	json_unsigned(json, "instructions", thread->instruction_count);
	events_json(json, thread);
	errors_json(report, index);
	json_unsigned(json, "raw_bytes", thread->raw_bytes);
	json_unsigned(json, "index_bytes", thread->index_bytes);
	time_ns_json(json, "first_time_ns", thread->has_time, thread->first_time_ns);
	time_ns_json(json, "last_time_ns", thread->has_time, thread->last_time_ns);
	json_array(json, "cpus", false);
	for (size_t i = 0; i < thread->cpu_count; i++)
		json_signed(json, NULL, thread->cpus[i]);
	json_array_end(json);
	json_object_end(json);
}

static void seconds_json(struct json *json, const char *key, double seconds)
{
	json_unsigned(json, key, (uint64_t)(seconds * 1e9));
}

static void whole_json(struct report *report)
{
	const struct strobe_trace_info *info = report->info;
	struct json *json = &report->json;
	json_string(json, "path", info->path);
	json_string(json, "format", info->format);
	json_string(json, "technology", info->technology);
	json_bool(json, "per_cpu", info->per_cpu);
	json_string(json, "cpu", info->cpu);
	json_unsigned(json, "raw_bytes", info->raw_bytes);
	json_bool(json, "has_clock", info->has_clock);
	json_signed(json, "time_zero_ns", info->time_zero_ns);
	if (info->has_clock && info->wall_offset_ns)
		time_json(json, "start", info->time_zero_ns + info->wall_offset_ns);
	else
		json_null(json, "start");
	json_string(json, "index", info->index_path);
	json_unsigned(json, "index_bytes", info->index_bytes);
	json_bool(json, "index_was_built", info->index_was_built);
	seconds_json(json, "index_ns", info->index_seconds);
	json_bool(json, "finished", info->finished);
}

static void info_json(struct report *report, size_t first, size_t end)
{
	json_init(&report->json, stdout);
	json_object(&report->json, NULL);
	json_array(&report->json, "threads", true);
	for (size_t i = first; i < end; i++)
		thread_json(report, i);
	json_array_end(&report->json);
	whole_json(report);
	json_object_end(&report->json);
	json_fini(&report->json);
}

static void whole_text(const struct report *report)
{
	const struct strobe_trace_info *info = report->info;
	struct size_text raw, index;
	char when[64];
	fputs("trace ", stdout);
	put_styled(stdout, report->command->color, STYLE_FILE, info->path);
	printf("\n\n  Trace technology: %s (%s%s)\n",
	       info->technology ? info->technology : "unknown", info->format,
	       info->per_cpu ? ", by CPU" : "");
	if (info->cpu)
		printf("  Recorded on: %s\n", info->cpu);
	if (info->has_clock && info->wall_offset_ns &&
	    time_text(info->time_zero_ns + info->wall_offset_ns, when, sizeof(when)))
		printf("  Begins: %s\n", when);
	if (!info->finished)
		puts("  It may still grow");
	printf("  Raw trace size: %s\n", size_text(info->raw_bytes, &raw));
	printf("  Index: %s, %s", size_text(info->index_bytes, &index),
	       info->index_path ? info->index_path : "in memory only");
	if (info->index_was_built)
		printf(", built in %.2f s", info->index_seconds);
	puts("");
}

static void counts_text(const struct report *report, const struct strobe_trace_thread *thread)
{
	struct size_text raw, index;
	printf("\n  Total number of trace items: %" PRIu64 "\n", thread->item_count);
	printf("    Instructions: %" PRIu64 "\n", thread->instruction_count);
	puts("\n  Memory usage:");
	printf("    Raw trace size: %s", size_text(thread->raw_bytes, &raw));
	if (thread->instruction_count)
		printf(" (%.3f bits per instruction)",
		       (double)thread->raw_bytes * 8 / (double)thread->instruction_count);
	printf("\n    Index: %s in %" PRIu64 " stretches", size_text(thread->index_bytes, &index),
	       thread->unit_count);
	if (thread->item_count)
		printf(" (%.3f bits per item)",
		       (double)thread->index_bytes * 8 / (double)thread->item_count);
	puts("");
	if (thread->has_time) {
		puts("\n  Time, since the trace's beginning:");
		printf("    First: %.3f ns\n    Last: %.3f ns\n", thread->first_time_ns,
		       thread->last_time_ns);
	}
	if (thread->cpu_count)
		printf("\n  CPUs:");
	for (size_t i = 0; i < thread->cpu_count; i++)
		printf(" %d", thread->cpus[i]);
	if (thread->cpu_count)
		puts("");
}

static void thread_text(const struct report *report, size_t index)
{
	struct strobe_trace_error_count error;
	const struct strobe_trace_thread *thread =
		strobe_trace_thread(report->command->trace, index);
	uint64_t events = 0;
	bool color = report->command->color;
	printf("\n%sthread #%zu: tid = %d%s", style_start(color, STYLE_HEADING), index + 1,
	       thread->tid, style_end(color));
	if (thread->name) {
		fputs(", ", stdout);
		put_safe(stdout, thread->name);
	}
	printf(", pid = %d\n", thread->pid);
	counts_text(report, thread);
	for (unsigned type = 0; type < STROBE_EVENT_TYPE_COUNT; type++)
		events += thread->event_counts[type];
	printf("\n  Events:\n    Number of individual events: %" PRIu64 "\n", events);
	for (unsigned type = 0; type < STROBE_EVENT_TYPE_COUNT; type++)
		if (thread->event_counts[type])
			printf("      %s: %" PRIu64 "\n",
			       strobe_event_type_name((enum strobe_event_type)type),
			       thread->event_counts[type]);
	printf("\n  Errors:\n    Number of individual errors: %s%" PRIu64 "%s\n",
	       style_start(color && thread->error_count, STYLE_ALERT), thread->error_count,
	       style_end(color && thread->error_count));
	for (size_t i = 0; strobe_trace_error_count(report->command->trace, index, i, &error);
	     i++) {
		fputs("      ", stdout);
		put_safe(stdout, error.text);
		printf(": %" PRIu64 "\n", error.count);
	}
}

static int run_trace_info(struct command *command)
{
	struct report report = {.command = command, .info = strobe_trace_info(command->trace)};
	bool one = command_has(command, "thread");
	size_t first = one ? command->thread_index : 0;
	size_t end = one ? first + 1 : strobe_trace_thread_count(command->trace);
	if (command->json) {
		info_json(&report, first, end);
		return STATUS_DONE;
	}
	whole_text(&report);
	for (size_t i = first; i < end; i++)
		thread_text(&report, i);
	return STATUS_DONE;
}

const struct verb verb_trace_info = {
	.name = "trace info",
	.arguments = "FILE",
	.summary = "what a trace holds: threads, items, events, errors, sizes, times",
	.min_arguments = 1,
	.max_arguments = 1,
	.has_trace = true,
	.run = run_trace_info,
};
