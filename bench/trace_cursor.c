// SPDX-License-Identifier: Apache-2.0
// What a cursor costs on a trace, through the exported functions: trace_cursor FILE [index]
// CPU time of this process, so that others on the machine disturb less; with "index": the index is made anew, and
// the rate is by wall clock as well.
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/cursor.h>
#include <strobe/trace.h>
#include <sys/resource.h>
#include <time.h>

enum { NEAR = 200000, FAR = 2000, REPEATS = 3 };

static double now(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu(void)
{
	return now(CLOCK_PROCESS_CPUTIME_ID);
}

static void fail(const char *what, struct strobe_error *error)
{
	fprintf(stderr, "trace_cursor: %s: %s\n", what,
		error ? strobe_error_message(error) : "failed");
	exit(1);
}

static uint64_t draw(void)
{
	static uint64_t random = 88172645463325252u;
	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	return random >> 8;
}

static uint64_t sum; // so that nothing is left out

/** All items in one direction; those before the first are decoded on the way. */
static void walk(struct strobe_cursor *cursor, bool forwards, bool look)
{
	uint64_t count = 0, address;
	double start = cpu();
	strobe_cursor_set_forwards(cursor, forwards);
	if (look) {
		while (strobe_cursor_next(cursor)) {
			count++;
			if (strobe_cursor_kind(cursor) == STROBE_ITEM_INSTRUCTION &&
			    strobe_cursor_address(cursor, &address))
				sum += address;
		}
	} else {
		while (strobe_cursor_next(cursor))
			count++;
	}
	printf("%s%s: %.1f million items/s\n", forwards ? "forwards" : "backwards",
	       look ? ", kind and address" : "", (double)count / (cpu() - start) / 1e6);
}

static void walk_runs(struct strobe_cursor *cursor)
{
	uint64_t count = 0;
	struct strobe_run run;
	double start = cpu();
	strobe_cursor_set_forwards(cursor, true);
	strobe_cursor_seek(cursor, 0, STROBE_SEEK_BEGIN);
	do {
		if (strobe_cursor_run(cursor, &run))
			count += run.count;
	} while (strobe_cursor_next_run(cursor));
	printf("by runs: %.1f million instructions/s\n", (double)count / (cpu() - start) / 1e6);
}

/** Steps to and fro in one stretch that is decoded already. */
static void walk_within(struct strobe_cursor *cursor, uint64_t middle)
{
	for (int direction = 1; direction >= 0; direction--) {
		double best = 0;
		for (unsigned repeat = 0; repeat < 10 * REPEATS; repeat++) {
			uint64_t address;
			if (!strobe_cursor_go_to_id(cursor, middle))
				return;
			strobe_cursor_set_forwards(cursor, direction);
			double start = cpu();
			for (unsigned i = 0; i < NEAR && strobe_cursor_next(cursor); i++)
				if (strobe_cursor_address(cursor, &address))
					sum += address;
			double rate = NEAR / (cpu() - start) / 1e6;
			best = rate > best ? rate : best;
		}
		printf("%s within decoded stretches: %.1f million items/s\n",
		       direction ? "forwards" : "backwards", best);
	}
}

static void jump(struct strobe_cursor *cursor, uint64_t first, uint64_t count, unsigned times,
		 const char *how)
{
	double start = cpu();
	for (unsigned i = 0; i < times; i++) {
		strobe_cursor_go_to_id(cursor, first + draw() % count);
		sum += (uint64_t)strobe_cursor_kind(cursor);
	}
	printf("go_to_id, %s: %.3f us\n", how, (cpu() - start) / times * 1e6);
}

static void show_tail(const char *path)
{
	struct strobe_trace_options options = {.size = sizeof(options)};
	struct strobe_trace *trace;
	struct strobe_cursor *cursor;
	double start = now(CLOCK_MONOTONIC), start_cpu = cpu();
	struct strobe_error *error = strobe_trace_open(path, &options, &trace);
	if (!error)
		error = strobe_cursor_open(trace, 0, &cursor);
	if (error)
		fail(path, error);
	for (unsigned i = 0; i < 20 && strobe_cursor_next(cursor); i++)
		sum += strobe_cursor_id(cursor);
	printf("opened, with its index, and 20 items from the newest on: %.1f ms (CPU %.1f ms)\n",
	       (now(CLOCK_MONOTONIC) - start) * 1e3, (cpu() - start_cpu) * 1e3);
	strobe_cursor_close(cursor);
	strobe_trace_close(trace);
}

static void tell_index(const struct strobe_trace *trace, double cpu_seconds)
{
	const struct strobe_trace_info *info = strobe_trace_info(trace);
	uint64_t items = 0, instructions = 0, units = 0;
	for (size_t i = 0; i < strobe_trace_thread_count(trace); i++) {
		items += strobe_trace_thread(trace, i)->item_count;
		instructions += strobe_trace_thread(trace, i)->instruction_count;
		units += strobe_trace_thread(trace, i)->unit_count;
	}
	printf("%" PRIu64 " items, %" PRIu64 " instructions, %" PRIu64 " bytes of packets\n", items,
	       instructions, info->raw_bytes);
	printf("index: %" PRIu64
	       " bytes, %.3f %% of the packets, %.1f bytes a unit, %.4f bits an item\n",
	       info->index_bytes, 100.0 * (double)info->index_bytes / (double)info->raw_bytes,
	       (double)info->index_bytes / (double)units,
	       8.0 * (double)info->index_bytes / (double)items);
	if (info->index_was_built)
		printf("made in %.3f s: %.1f million instructions/s, %.1f a CPU second\n",
		       info->index_seconds, (double)instructions / info->index_seconds / 1e6,
		       (double)instructions / cpu_seconds / 1e6);
}

static void measure(struct strobe_trace *trace)
{
	struct strobe_cursor *cursor;
	struct strobe_error *error = strobe_cursor_open(trace, 0, &cursor);
	uint64_t count = strobe_trace_thread(trace, 0)->item_count;
	if (error)
		fail("cursor", error);
	jump(cursor, 0, count, FAR, "anywhere");
	strobe_cursor_go_to_id(cursor, count / 2);
	jump(cursor, count / 2, NEAR < count / 2 ? NEAR : count / 2, 50 * FAR,
	     "within decoded stretches");
	walk_within(cursor, count / 2);
	walk_runs(cursor);
	for (unsigned i = 0; i < 2; i++) {
		strobe_cursor_seek(cursor, 0, STROBE_SEEK_END);
		walk(cursor, false, i);
		walk(cursor, true, i);
	}
	strobe_cursor_close(cursor);
}

int main(int argc, char **argv)
{
	struct strobe_trace *trace;
	struct rusage usage;
	bool index = argc == 3 && strcmp(argv[2], "index") == 0;
	struct strobe_trace_options options = {.size = sizeof(options), .rebuild_index = index};
	if (argc < 2)
		fail("usage: trace_cursor FILE [index]", NULL);
	double start = cpu();
	struct strobe_error *error = strobe_trace_open(argv[1], &options, &trace);
	if (error)
		fail(argv[1], error);
	tell_index(trace, cpu() - start);
	if (!index)
		measure(trace);
	strobe_trace_close(trace);
	if (!index)
		show_tail(argv[1]);
	getrusage(RUSAGE_SELF, &usage);
	printf("peak memory: %.1f MiB\n", (double)usage.ru_maxrss / 1024);
	return sum == 1; // never
}
