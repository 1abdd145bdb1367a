// SPDX-License-Identifier: Apache-2.0
// From rings to hits.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "agent/agent.h"
#include "base/error.h"
#include "process/proc.h"

enum { BATCH = 4096, CALIBRATION_NS = 2000000, TICK_MS = 5 };

static int64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/** Both clocks at one moment, as nearly as can be had. */
static void read_clocks(uint64_t *tsc, int64_t *ns)
{
	uint64_t best = UINT64_MAX;
	for (unsigned i = 0; i < 5; i++) {
		uint64_t before = __rdtsc();
		int64_t now = clock_ns();
		uint64_t after = __rdtsc();
		if (after - before >= best)
			continue;
		best = after - before;
		*tsc = before + best / 2;
		*ns = now;
	}
}

void agent_start_clock(struct agent *agent)
{
	struct timespec pause = {.tv_nsec = CALIBRATION_NS};
	read_clocks(&agent->first_time.tsc, &agent->first_time.ns);
	nanosleep(&pause, NULL);
	read_clocks(&agent->last_time.tsc, &agent->last_time.ns);
}

uint64_t agent_ticks(const struct agent *agent, int64_t ns)
{
	double span = (double)(agent->last_time.ns - agent->first_time.ns);
	double rate =
		(double)(agent->last_time.tsc - agent->first_time.tsc) / (span > 0 ? span : 1);
	return (uint64_t)((double)ns * rate);
}

/** Counted back from the last moment at which both clocks were read. */
static int64_t time_of(struct agent *agent, uint64_t tsc)
{
	double span = (double)(agent->last_time.tsc - agent->first_time.tsc);
	double rate = span > 0 ? (double)(agent->last_time.ns - agent->first_time.ns) / span : 0;
	int64_t time = agent->last_time.ns +
		       (int64_t)((double)(int64_t)(tsc - agent->last_time.tsc) * rate);
	if (time < agent->told_ns)
		time = agent->told_ns;
	return agent->told_ns = time;
}

/** As we have it: its namespace may number its threads otherwise. */
static int outer_tid(const struct agent *agent, uint32_t inner)
{
	struct proc_tids tids = {0};
	int result = (int)inner;
	if (agent->same_ids || proc_threads(agent->pid, &tids))
		return result;
	for (size_t i = 0; i < tids.list.count; i++) {
		char name[64];
		cleanup_text struct text status = {0};
		const char *at;
		snprintf(name, sizeof(name), "%d/status", tids.list.items[i]);
		if (proc_read(name, &status) || !status.size)
			continue;
		size_t size = proc_field(status.data, "NSpid", &at);
		while (at && size && at[size - 1] >= '0' && at[size - 1] <= '9')
			size--;
		if (at && strtoul(at + size, NULL, 10) == inner)
			result = tids.list.items[i];
	}
	array_fini(&tids.list);
	return result;
}

static void take_registers(const struct inside_record *record, uint64_t pc,
			   struct user_regs_struct *ret)
{
	const struct inside_frame *frame = &record->frame;
	*ret = (struct user_regs_struct){
		.r15 = frame->r15,
		.r14 = frame->r14,
		.r13 = frame->r13,
		.r12 = frame->r12,
		.rbp = frame->rbp,
		.rbx = frame->rbx,
		.r11 = frame->r11,
		.r10 = frame->r10,
		.r9 = frame->r9,
		.r8 = frame->r8,
		.rax = frame->rax,
		.rcx = frame->rcx,
		.rdx = frame->rdx,
		.rsi = frame->rsi,
		.rdi = frame->rdi,
		.rip = pc,
		.eflags = frame->flags,
		.rsp = record->sp,
		.orig_rax = (unsigned long long)-1,
		.cs = 0x33,
		.ss = 0x2b,
		.fs_base = record->fs_base,
	};
}

static void visit_record(struct agent *agent, const struct ring *ring,
			 const struct inside_record *record, engine_visit visit, void *visitor)
{
	uint64_t number = record->probe & UINT32_MAX, generation = record->probe >> 32;
	if (number == 0 || number > agent->sites.count)
		return;
	struct agent_site *site = &agent->sites.items[number - 1];
	if (!site->armed || site->generation != generation)
		return; // disarmed meanwhile
	uint32_t size = record->stack_size;
	struct engine_hit hit = {
		.cookie = site->cookie,
		.pid = agent->pid,
		.tid = outer_tid(agent, record->tid),
		.time_ns = time_of(agent, record->tsc),
		.has_bases = agent->fsgsbase,
		.checked = site->checked && !record->unsure,
		.stack = record->data + INSIDE_POINTEE_ROOM,
		.stack_size = size <= ring->stack_room ? size : ring->stack_room,
	};
	struct hit_chunk chunks[INSIDE_POINTEES + 1];
	take_registers(record, site->address, &hit.regs);
	if (hit.stack_size)
		chunks[hit.chunk_count++] = (struct hit_chunk){hit.regs.rsp - INSIDE_RED_ZONE,
							       record->red_zone, INSIDE_RED_ZONE};
	for (unsigned i = 0; ring->stack_room && i < INSIDE_POINTEES; i++)
		if (record->pointees >> i & 1)
			chunks[hit.chunk_count++] =
				(struct hit_chunk){(&record->frame.r15)[i],
						   record->data + (size_t)i * INSIDE_POINTEE_SIZE,
						   INSIDE_POINTEE_SIZE};
	hit.chunks = chunks;
	hit.frame = hit.regs.rsp + 8;
	site->hits++;
	visit(visitor, &hit);
}

struct ready {
	uint64_t tsc;
	const struct inside_record *record;
	unsigned ring;
};

static int by_time(const void *a, const void *b)
{
	const struct ready *x = a, *y = b;
	return (x->tsc > y->tsc) - (x->tsc < y->tsc);
}

/** All that is in the rings, up to a limit, in order of time; how many there were. */
static size_t drain(struct agent *agent, engine_visit visit, void *visitor)
{
	static _Thread_local struct ready ready[BATCH];
	size_t count = 0, taken[AGENT_RINGS] = {0};
	for (unsigned i = 0; i < AGENT_RINGS; i++) {
		const struct inside_record *record;
		while (count < BATCH && (record = ring_peek(&agent->rings[i], taken[i]))) {
			ready[count++] = (struct ready){record->tsc, record, i};
			taken[i]++;
		}
		if (!taken[i])
			ring_look_after(&agent->rings[i], clock_ns());
	}
	if (!count)
		return 0;
	read_clocks(&agent->last_time.tsc, &agent->last_time.ns);
	qsort(ready, count, sizeof(ready[0]), by_time);
	for (size_t i = 0; i < count; i++)
		visit_record(agent, &agent->rings[ready[i].ring], ready[i].record, visit, visitor);
	for (unsigned i = 0; i < AGENT_RINGS; i++)
		ring_consume(&agent->rings[i], taken[i]);
	return count;
}

struct strobe_error *agent_wait(void *context, int timeout_ms, engine_visit visit, void *visitor,
				bool *ended)
{
	struct agent *agent = context;
	int64_t deadline = clock_ns() + (int64_t)timeout_ms * 1000000;
	uint64_t ticks;
	*ended = false;
	if (read(agent->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return error_errno(errno, "timer");
	while (!drain(agent, visit, visitor)) {
		struct pollfd process = {.fd = agent->process, .events = POLLIN};
		int64_t left = deadline - clock_ns();
		if (*ended || (timeout_ms >= 0 && left <= 0))
			break;
		int pause = timeout_ms >= 0 && left < TICK_MS * 1000000 ? (int)(left / 1000000) + 1
									: TICK_MS;
		if (poll(&process, 1, pause) < 0 && errno != EINTR)
			return error_errno(errno, "waiting for hits");
		*ended = process.revents != 0;
	}
	return NULL;
}

/** What the trampoline of a site counted since it was put there. */
static void read_counts(const struct agent *agent, const struct agent_site *site,
			struct engine_totals *ret)
{
	struct inside_site inside;
	*ret = (struct engine_totals){0};
	if (!site->data ||
	    pread(agent->mem, &inside, sizeof(inside), (off_t)site->data) != sizeof(inside))
		return;
	ret->dropped = inside.dropped;
	for (unsigned i = 0; i < INSIDE_SHARDS; i++) {
		ret->condition_false += inside.shards[i].condition_false;
		ret->skipped += inside.shards[i].skipped;
	}
}

void agent_totals(void *context, uint32_t probe, struct engine_totals *ret)
{
	struct agent *agent = context;
	*ret = (struct engine_totals){0};
	size_t end = probe && probe < agent->sites.count ? probe : agent->sites.count;
	for (size_t i = probe ? probe - 1 : 0; i < end; i++) {
		const struct agent_site *site = &agent->sites.items[i];
		struct engine_totals counts;
		read_counts(agent, site, &counts);
		uint64_t skipped = counts.skipped - site->base.skipped;
		ret->hits += site->hits + skipped + counts.dropped - site->base.dropped;
		ret->skipped += skipped;
		ret->dropped += counts.dropped - site->base.dropped;
		ret->condition_false += counts.condition_false - site->base.condition_false;
	}
	for (unsigned i = 0; !probe && i < AGENT_RINGS; i++)
		ret->dropped += agent->rings[i].given_up;
}
