// SPDX-License-Identifier: Apache-2.0
// Who ran on the CPUs: from the records of context switches, and where there are none from what else tells.
#include <stdlib.h>

#include "base/error.h"
#include "perf/reading.h"
#include "pt/schedule.h"

static int order_switches(const void *a, const void *b)
{
	const struct perf_switch *x = a, *y = b;
	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/** Is this one news, after `last`? That someone is there, or ended there, may be known. */
static bool tells(const struct perf_switch *item, const struct pt_switch *last)
{
	bool on = last && !last->out && last->tid == item->tid && last->pid == item->pid;
	switch (item->kind) {
	case PERF_SEEN:
		return !on;
	case PERF_ENDED:
		return on;
	default:
		return true;
	}
}

/** The schedule of one CPU from `count` switches, sorted. */
static struct strobe_error *add_schedule(struct perf_reading *reading,
					 const struct perf_switch *items, size_t count)
{
	struct pt_cpu_schedule schedule = {.cpu = items[0].cpu};
	ARRAY(struct pt_switch) switches = {0};
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < count; i++) {
		const struct pt_switch *last =
			switches.count ? &switches.items[switches.count - 1] : NULL;
		struct pt_switch one = {
			.clock = pt_ns_to_clock(reading->input, items[i].time),
			.pid = items[i].pid,
			.tid = items[i].tid,
			.out = items[i].kind == PERF_WENT || items[i].kind == PERF_ENDED,
		};
		if (!tells(&items[i], last))
			continue;
		if (one.out && one.tid < 0 && last && !last->out) { // it has ended
			one.pid = last->pid;
			one.tid = last->tid;
		}
		if (last && one.clock <= last->clock) // within one ns
			one.clock = last->clock + 1;
		if (!array_push(&switches, one))
			error = error_no_memory();
	}
	if (!error)
		error = pt_schedule_build(switches.items, switches.count, &schedule);
	array_fini(&switches);
	if (!error && !array_push(&reading->input->schedules, schedule))
		error = error_no_memory();
	if (error)
		array_fini(&schedule.executions);
	return error;
}

struct sight {
	uint64_t start;
	int pid, tid;
};

static int order_sights(const void *a, const void *b)
{
	const struct sight *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

/** Threads in the order in which they are first seen on any CPU; the idle ones are none. */
static struct strobe_error *list_threads(struct perf_reading *reading)
{
	struct pt_input *input = reading->input;
	ARRAY(struct sight) sights = {0};
	struct hash seen = {0};
	struct strobe_error *error = NULL;
	for (size_t c = 0; !error && c < input->schedules.count; c++) {
		const struct pt_cpu_schedule *schedule = &input->schedules.items[c];
		for (size_t i = 0; !error && i < schedule->executions.count; i++) {
			const struct pt_execution *one = &schedule->executions.items[i];
			struct sight sight = {one->start, one->pid, one->tid};
			if (one->tid > 0 && !array_push(&sights, sight))
				error = error_no_memory();
		}
	}
	if (!error && sights.count)
		qsort(sights.items, sights.count, sizeof(struct sight), order_sights);
	for (size_t i = 0; !error && i < sights.count; i++) {
		const struct sight *sight = &sights.items[i];
		if (hash_get(&seen, (uint32_t)sight->tid))
			continue;
		const struct perf_thread *known = perf_thread(reading, sight->pid, sight->tid);
		struct pt_thread thread = {sight->pid, sight->tid, known ? known->name : NULL};
		if (!known || !hash_put(&seen, (uint32_t)sight->tid, reading) ||
		    !array_push(&input->threads, thread))
			error = error_no_memory();
	}
	array_fini(&sights);
	hash_fini(&seen);
	return error;
}

/** Without switches packets can be told apart only if there is one thread. */
static struct strobe_error *assume_one_thread(struct perf_reading *reading)
{
	struct pt_input *input = reading->input;
	const struct perf_thread *only = NULL;
	for (size_t i = 0; i < reading->threads.count; i++) {
		if (reading->threads.items[i].tid <= 0)
			continue;
		if (only)
			return error_new(STROBE_ERROR_UNSUPPORTED,
					 "%s: packets are by CPU, of several threads, and no "
					 "context switches were recorded: nobody knows whose they "
					 "are (record with --switch-events, or --per-thread)",
					 input->path);
		only = &reading->threads.items[i];
	}
	struct pt_thread thread = {only ? only->pid : -1, only ? only->tid : -1,
				   only ? only->name : NULL};
	struct pt_execution always = {.end = UINT64_MAX,
				      .pid = thread.pid,
				      .tid = thread.tid,
				      .start_guessed = true,
				      .end_guessed = true};
	for (size_t i = 0; i < input->streams.count; i++) {
		struct pt_cpu_schedule schedule = {.cpu = input->streams.items[i].cpu};
		if (!array_push(&schedule.executions, always))
			return error_no_memory();
		if (!array_push(&input->schedules, schedule)) {
			array_fini(&schedule.executions);
			return error_no_memory();
		}
	}
	return array_push(&input->threads, thread) ? NULL : error_no_memory();
}

struct strobe_error *perf_make_schedules(struct perf_reading *reading)
{
	struct strobe_error *error = NULL;
	size_t count = reading->switches.count;
	const struct perf_switch *items = reading->switches.items;
	if (!count || !reading->info.has_clock)
		return assume_one_thread(reading);
	qsort(reading->switches.items, count, sizeof(*items), order_switches);
	for (size_t first = 0, end; !error && first < count; first = end) {
		for (end = first + 1; end < count && items[end].cpu == items[first].cpu; end++)
			continue;
		error = add_schedule(reading, items + first, end - first);
	}
	return error ? error : list_threads(reading);
}
