// SPDX-License-Identifier: Apache-2.0
// What tracepoints cost, and the budgets that they and the session have.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "tracepoint/native.h"
#include "watch/watch.h"

enum { NS_PER_MS = 1000000, CALIBRATION_HITS = 63 };
/** Bytes of stack of the classes that a hit's cost is measured for: what engines copy at most. */
static const uint32_t class_bytes[WATCH_COST_CLASSES] = {0, 1024, 8192, 32768};
/** Of a jump, as bench/agent.c measures it; the target's memory cannot be tried with. */
static const uint32_t jump_ns[WATCH_COST_CLASSES] = {163, 1200, 2500, 8000};

static int64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// What a uprobe's hit costs here: tried on a function of our own.

__attribute__((noinline)) static void probed(void)
{
	__asm__ volatile("" ::: "memory");
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/** The median of some calls. */
static int64_t time_calls(void)
{
	int64_t times[CALIBRATION_HITS];
	for (unsigned i = 0; i < CALIBRATION_HITS; i++) {
		int64_t start = clock_ns();
		probed();
		times[i] = clock_ns() - start;
	}
	qsort(times, CALIBRATION_HITS, sizeof(times[0]), by_size);
	return times[CALIBRATION_HITS / 2];
}

static struct strobe_error *try_uprobes(struct native_program *self, uint32_t *costs_ns)
{
	void *engine = NULL;
	int64_t plain_ns = time_calls();
	struct strobe_error *error =
		uprobe_engine.open(getpid(), native_program_symbols(self), &engine);
	for (unsigned i = 0; !error && i < WATCH_COST_CLASSES; i++) {
		struct probe_request request = {.kind = PROBE_AT,
						.address = (uint64_t)(uintptr_t)probed,
						.cookie = 1,
						.stack_bytes = class_bytes[i]};
		struct probe_answer answer = {0};
		error = uprobe_engine.arm(engine, &request, 1, &answer);
		if (error || !answer.probe)
			break;
		int64_t cost_ns = time_calls() - plain_ns;
		costs_ns[i] = cost_ns > 0 ? (uint32_t)cost_ns : 0;
		uprobe_engine.disarm(engine, &answer.probe, 1);
	}
	if (engine)
		uprobe_engine.close(engine);
	return error;
}

/** What cannot be measured costs nothing that is known. */
static void calibrate(struct strobe_watch *watch)
{
	struct native_program *self = NULL;
	if (watch->calibrated)
		return;
	watch->calibrated = true;
	struct strobe_error *error = native_program_new(getpid(), NULL, &self);
	if (!error)
		error = try_uprobes(self, watch->uprobe_ns);
	native_program_free(self);
	strobe_error_free(error);
}

uint64_t watch_cost(struct strobe_watch *watch, const struct watch_place *place,
		    const struct engine_totals *totals)
{
	unsigned class = 0;
	if (totals->cost_ns)
		return totals->cost_ns;
	while (class + 1 < WATCH_COST_CLASSES && class_bytes[class] < place->stack_bytes)
		class ++;
	if (watch->engines[place->engine].ops == &agent_engine)
		return (totals->hits - totals->skipped) * jump_ns[class] +
		       (totals->condition_false + totals->skipped) * 3 / 2;
	calibrate(watch);
	return totals->hits * watch->uprobe_ns[class];
}

// Budgets.

static bool has_limits(const struct budget_limits *limits)
{
	return limits->cpu_share > 0 || limits->hits_per_second > 0 ||
	       limits->bytes_per_second > 0 || limits->latency_us > 0;
}

bool watch_is_on(const struct watch_entry *entry)
{
	return entry->enabled && entry->budget.level != BUDGET_OFF;
}

/** Those that are not looked after hit by hit. */
static struct budget_limits own_limits(const struct watch_entry *entry)
{
	return (struct budget_limits){.cpu_share = entry->config->cpu_share,
				      .latency_us = entry->config->latency_us};
}

static struct budget_limits session_limits(const struct strobe_watch *watch)
{
	return (struct budget_limits){.cpu_share = watch->options.cpu_share,
				      .hits_per_second = watch->options.hits_per_second,
				      .bytes_per_second = (double)watch->options.bytes_per_second,
				      .latency_us = watch->options.latency_us};
}

/** What it took since it was asked last. */
static struct budget_use take_use(struct strobe_watch *watch, struct watch_entry *entry,
				  int64_t span_ns)
{
	struct watch_use now = watch_use(watch, entry);
	struct budget_use use = {
		.span_ns = span_ns,
		// Its places may be new, and begin to count anew.
		.hits = now.hits >= entry->used.hits ? now.hits - entry->used.hits : now.hits,
		.cost_ns = now.cost_ns >= entry->used.cost_ns ? now.cost_ns - entry->used.cost_ns
							      : now.cost_ns,
	};
	entry->used = now;
	return use;
}

static void note(struct strobe_watch *watch, const struct watch_entry *entry, const char *what)
{
	enum { NOTES_LIMIT = 100 };
	char *text = NULL;
	if (watch->notes.count < NOTES_LIMIT &&
	    asprintf(&text, "%s: %s", entry->config->id, what) > 0 &&
	    !array_push(&watch->notes, text))
		free(text);
}

void watch_free_notes(struct strobe_watch *watch)
{
	for (size_t i = 0; i < watch->notes.count; i++)
		free(watch->notes.items[i]);
	watch->notes.count = watch->notes_told = 0;
}

const char *strobe_watch_note(struct strobe_watch *watch)
{
	if (watch->notes_told < watch->notes.count)
		return watch->notes.items[watch->notes_told++];
	watch_free_notes(watch);
	return NULL;
}

/** Puts the level into effect: places are armed with less, or not at all, or as before. */
static struct strobe_error *apply(struct strobe_watch *watch, struct watch_entry *entry,
				  const char *over)
{
	static const char *const what[] = {"", "only counted for a while", "off"};
	enum budget_level level = entry->budget.level;
	char why[200] = "";
	if (level != BUDGET_FREE)
		snprintf(why, sizeof(why), "over its budget, %s: %s", what[level], over);
	handler_limit(watch->handler, entry->config, level != BUDGET_FREE, level == BUDGET_OFF,
		      why);
	note(watch, entry, level == BUDGET_FREE ? "within its budget, as before" : why);
	watch_disarm(watch, entry);
	entry->used = (struct watch_use){0};
	return watch_is_on(entry) ? watch_arm(watch, entry) : NULL;
}

/** The dearest tracepoint pays for what the session is over by. */
static struct watch_entry *find_dearest(struct strobe_watch *watch, const struct budget_use *uses)
{
	size_t best = SIZE_MAX;
	for (size_t i = 0; i < watch->entries.count; i++) {
		if (!watch_is_on(watch->entries.items[i]) || !uses[i].hits)
			continue;
		if (best == SIZE_MAX || uses[i].cost_ns > uses[best].cost_ns ||
		    (uses[i].cost_ns == uses[best].cost_ns && uses[i].hits > uses[best].hits))
			best = i;
	}
	return best == SIZE_MAX ? NULL : watch->entries.items[best];
}

static struct strobe_error *judge_session(struct strobe_watch *watch, const struct budget_use *uses,
					  int64_t now_ns)
{
	struct budget_limits limits = session_limits(watch);
	struct budget_use all = {.span_ns = now_ns - watch->budget_ns,
				 .bytes = watch->bytes_given - watch->bytes_judged};
	char over[120], why[160];
	watch->bytes_judged = watch->bytes_given;
	for (size_t i = 0; i < watch->entries.count; i++) {
		all.hits += uses[i].hits;
		all.cost_ns += uses[i].cost_ns;
	}
	struct watch_entry *entry = budget_is_over(&limits, &all, over, sizeof(over))
					    ? find_dearest(watch, uses)
					    : NULL;
	if (!entry || !budget_step(&entry->budget, true, now_ns))
		return NULL;
	snprintf(why, sizeof(why), "all take %s, and this one most", over);
	return apply(watch, entry, why);
}

struct strobe_error *watch_judge(struct strobe_watch *watch, int64_t now_ns)
{
	struct budget_limits session = session_limits(watch);
	struct strobe_error *error = NULL;
	bool any = has_limits(&session);
	for (size_t i = 0; i < watch->entries.count && !any; i++) {
		struct budget_limits limits = own_limits(watch->entries.items[i]);
		any = has_limits(&limits);
	}
	if (!any || now_ns - watch->budget_ns < (int64_t)BUDGET_WINDOW_MS * NS_PER_MS)
		return NULL;
	bool first = watch->budget_ns == 0;
	struct budget_use *uses = calloc(watch->entries.count + 1, sizeof(*uses));
	if (!uses)
		return error_no_memory();
	for (size_t i = 0; i < watch->entries.count; i++)
		uses[i] = take_use(watch, watch->entries.items[i], now_ns - watch->budget_ns);
	for (size_t i = 0; i < watch->entries.count && !error && !first; i++) {
		struct watch_entry *entry = watch->entries.items[i];
		struct budget_limits limits = own_limits(entry);
		char over[120] = "";
		bool is_over = budget_is_over(&limits, &uses[i], over, sizeof(over));
		if (budget_step(&entry->budget, is_over, now_ns))
			error = apply(watch, entry, over);
	}
	if (!error && !first)
		error = judge_session(watch, uses, now_ns);
	watch->budget_ns = now_ns;
	free(uses);
	return error;
}
