// SPDX-License-Identifier: Apache-2.0
// Allocation number N fails, N = 1, 2, 3, ... until all goes well: each time there is an error or what must be there.
#include <unistd.h>

#include "base/error.h"
#include "check.h"
#include "failing_malloc.h"
#include "fake_source.h"
#include "trace/cursor.h"
#include "trace/rows.h"

static void check_no_memory(struct strobe_error *error)
{
	CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_NO_MEMORY);
	strobe_error_free(error);
}

/** Steps all over; items are what they must be, or say that memory was short. */
static void look_around(struct strobe_cursor *cursor, const struct fake_truth *truth)
{
	uint64_t address, random = 1;
	double time;
	for (unsigned i = 0; i < 60; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint64_t id = (random >> 20) % truth->count;
		CHECK(strobe_cursor_go_to_id(cursor, id));
		cursor_check(cursor);
		CHECK_EQUAL(strobe_cursor_id(cursor), id);
		if (strobe_cursor_address(cursor, &address))
			CHECK_EQUAL(address, truth->items[id].address);
		else if (truth->items[id].kind == STROBE_ITEM_INSTRUCTION)
			CHECK_STRING(strobe_cursor_error(cursor), "out of memory");
		strobe_cursor_time_ns(cursor, &time);
		strobe_cursor_has_id(cursor, (random >> 30) % truth->count);
		strobe_cursor_next(cursor);
		strobe_cursor_next_run(cursor);
	}
}

static struct strobe_error *use(struct fake *fake, const struct fake_truth *truth)
{
	struct strobe_trace_options wanted = {
		.size = sizeof(wanted), .index_path = "", .threads = 2, .cache_bytes = 4096};
	struct trace_source source = fake_open(fake);
	struct strobe_trace *trace = NULL;
	struct strobe_cursor *cursor = NULL, *clone = NULL;
	struct strobe_error *error = trace_new(&source, &wanted, &trace);
	if (!error)
		error = strobe_cursor_open(trace, 0, &cursor);
	if (!error)
		look_around(cursor, truth);
	if (!error)
		error = strobe_cursor_clone(cursor, &clone);
	strobe_cursor_close(clone);
	strobe_cursor_close(cursor);
	strobe_trace_close(trace);
	CHECK_EQUAL(fake_open_count(fake), 0);
	return error;
}

static void run_short(const struct fake_options *options)
{
	struct fake *fake = fake_new(options);
	struct fake_truth truth = fake_truth(fake, 0);
	long runs = 0;
	for (bool failed = true; failed; runs++) {
		allocations_left = runs + 1;
		struct strobe_error *error = use(fake, &truth);
		failed = allocations_left == 0;
		allocations_left = 0;
		if (error)
			check_no_memory(error);
	}
	CHECK(runs > 50);
	fake_truth_free(&truth);
	fake_free(fake);
}

static void a_thread(void)
{
	const struct fake_options options = {
		.seed = 5, .streams = 1, .threads = 1, .blocks = 5, .windows = 2, .elements = 30};
	run_short(&options);
}

static void cpus(void)
{
	const struct fake_options options = {.seed = 7,
					     .streams = 3,
					     .threads = 2,
					     .blocks = 3,
					     .windows = 2,
					     .elements = 20,
					     .per_cpu = true};
	run_short(&options);
}

/** A refresh that fails changes nothing, and works the next time. */
static void growth(void)
{
	const struct fake_options options = {.seed = 8,
					     .streams = 1,
					     .threads = 1,
					     .blocks = 400,
					     .windows = 2,
					     .elements = 20,
					     .visible = 2};
	struct strobe_trace_options wanted = {
		.size = sizeof(wanted), .index_path = "", .threads = 1, .follow = true};
	struct fake *fake = fake_new(&options);
	struct trace_source source = fake_open(fake);
	struct strobe_trace *trace = NULL;
	struct strobe_cursor *cursor = NULL;
	CHECK_OK(trace_new(&source, &wanted, &trace));
	CHECK_OK(strobe_cursor_open(trace, 0, &cursor));
	strobe_cursor_set_forwards(cursor, true);
	CHECK(strobe_cursor_seek(cursor, 0, STROBE_SEEK_BEGIN));
	uint64_t seen = 1;
	for (long n = 1; n < 130; n++) {
		bool grew = false;
		fake_grow(fake, 2);
		uint64_t before = strobe_trace_thread(trace, 0)->item_count;
		allocations_left = n;
		struct strobe_error *error = strobe_trace_refresh(trace, &grew);
		allocations_left = 0;
		rows_check(trace);
		if (error) {
			check_no_memory(error);
			CHECK_EQUAL(strobe_trace_thread(trace, 0)->item_count, before);
			CHECK_OK(strobe_trace_refresh(trace, &grew));
			rows_check(trace);
		}
		struct fake_truth truth = fake_truth(fake, 0);
		CHECK_EQUAL(strobe_trace_thread(trace, 0)->item_count, truth.count);
		for (; strobe_cursor_next(cursor); seen++) {
			CHECK_EQUAL(strobe_cursor_id(cursor), seen);
			CHECK_EQUAL(strobe_cursor_kind(cursor), truth.items[seen].kind);
		}
		CHECK_EQUAL(seen, truth.count);
		fake_truth_free(&truth);
	}
	strobe_cursor_close(cursor);
	strobe_trace_close(trace);
	fake_free(fake);
}

CHECK_MAIN({"a thread's trace", a_thread}, {"CPUs' streams", cpus},
	   {"a trace that grows", growth}, )
