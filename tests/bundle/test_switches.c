// SPDX-License-Identifier: Apache-2.0
#include "bundle/switches.h"

#include "base/file.h"
#include "check.h"
#include "pt/schedule.h"

enum { IN = 0, OUT = 1 << 13, CAPACITY = 4096 };

/** A context-switch file under construction. */
struct records {
	uint8_t bytes[CAPACITY];
	size_t size;
};

static void put(struct records *records, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		records->bytes[records->size++] = (uint8_t)(value >> (8 * i));
}

static void add(struct records *records, unsigned misc, int tid, uint64_t time)
{
	put(records, 15, 4);
	put(records, misc, 2);
	put(records, 32, 2);
	put(records, 0, 8); // the other
	put(records, 100, 4);
	put(records, (uint64_t)tid, 4);
	put(records, time, 8);
}

/** ns = clock / 2 + 1000 */
static const struct pt_input clock_of_test = {
	.has_clock = true, .clock_multiplier = 1, .clock_shift = 1, .clock_zero = 1000};

static struct strobe_error *read_records(const struct records *records, struct bundle_switches *ret)
{
	const struct file file = {
		.path = (char *)"switches", .data = records->bytes, .size = records->size};
	*ret = (struct bundle_switches){0};
	return switches_read(&file, 3, &clock_of_test, ret);
}

static void check_message(const struct records *records, const char *expected)
{
	struct bundle_switches switches;
	struct strobe_error *error = read_records(records, &switches);
	array_fini(&switches.items);
	CHECK(error != NULL);
	char message[256];
	snprintf(message, sizeof(message), "%s", strobe_error_message(error));
	strobe_error_free(error);
	CHECK_STRING(message, expected);
}

static void records_are_read(void)
{
	struct records records = {0};
	struct bundle_switches switches;
	add(&records, IN, 5, 1010);
	put(&records, 2, 4); // PERF_RECORD_LOST: passed over
	put(&records, 0, 2);
	put(&records, 24, 2);
	put(&records, 0, 8);
	put(&records, 0, 8);
	add(&records, OUT, 5, 1030);
	CHECK_OK(read_records(&records, &switches));
	CHECK_EQUAL(switches.items.count, 2);
	CHECK_EQUAL(switches.items.items[0].clock, 20);
	CHECK_EQUAL(switches.items.items[0].out, false);
	CHECK_EQUAL(switches.items.items[1].clock, 60);
	CHECK_EQUAL(switches.items.items[1].tid, 5);
	CHECK_EQUAL(switches.items.items[1].pid, 100);
	CHECK_EQUAL(switches.items.items[1].out, true);
	CHECK(!switches.cut);
	array_fini(&switches.items);
	// Each shorter file is one that is cut, or ends between records.
	for (size_t size = records.size; size-- > 0;) {
		struct records less = records;
		less.size = size;
		CHECK_OK(read_records(&less, &switches));
		CHECK_EQUAL(switches.items.count, size >= 32);
		CHECK_EQUAL(switches.cut, size != 0 && size != 32 && size != 56);
		array_fini(&switches.items);
	}
}

static void bad_records_are_named(void)
{
	struct records records = {0};
	add(&records, IN, 5, 1010);
	struct records bad = records;
	put(&bad, 120, 4);
	put(&bad, 0, 4);
	check_message(&bad,
		      "switches: CPU 3: no record of a context switch at offset 32: its type is "
		      "none");
	bad = records;
	put(&bad, 2, 4);
	put(&bad, 0, 4);
	check_message(&bad, "switches: CPU 3: no record of a context switch at offset 32: its size "
			    "cannot be");
	bad = records;
	put(&bad, 2, 6);
	put(&bad, 8001, 2);
	check_message(&bad, "switches: CPU 3: no record of a context switch at offset 32: its size "
			    "cannot be");
	bad = records;
	put(&bad, 15, 6);
	put(&bad, 24, 2);
	put(&bad, 0, 16);
	check_message(&bad,
		      "switches: CPU 3: no record of a context switch at offset 32: its size is "
		      "not that of a switch");
	bad = records;
	add(&bad, OUT, 5, 1010);
	check_message(&bad,
		      "switches: CPU 3: the context switch at offset 32 does not happen after "
		      "the one before it: clock 20 after 20");
}

static void check_execution(const struct pt_cpu_schedule *schedule, size_t index,
			    struct pt_execution expected)
{
	CHECK(index < schedule->executions.count);
	const struct pt_execution *got = &schedule->executions.items[index];
	CHECK_EQUAL(got->start, expected.start);
	CHECK_EQUAL(got->end, expected.end);
	CHECK_EQUAL(got->tid, expected.tid);
	CHECK_EQUAL(got->start_guessed, expected.start_guessed);
	CHECK_EQUAL(got->end_guessed, expected.end_guessed);
}

static void who_ran_follows_from_them(void)
{
	static const struct pt_switch switches[] = {
		{10, 1, 7, true},		       // only its end is known
		{20, 1, 8, false},  {30, 1, 8, true},  // complete
		{40, 1, 9, false},  {50, 1, 8, false}, // 9 ended without a record
		{60, 1, 8, true},   {80, 1, 9, true},  // 9 began without one
		{100, 1, 7, false}, {140, 1, 8, true}, // an end and a beginning are missing
		{150, 1, 7, false},		       // only its start is known
	};
	struct pt_cpu_schedule schedule = {0};
	CHECK_OK(pt_schedule_build(switches, sizeof(switches) / sizeof(switches[0]), &schedule));
	CHECK_EQUAL(schedule.executions.count, 8);
	check_execution(&schedule, 0, (struct pt_execution){0, 10, 1, 7, true, false});
	check_execution(&schedule, 1, (struct pt_execution){20, 30, 1, 8, false, false});
	check_execution(&schedule, 2, (struct pt_execution){40, 50, 1, 9, false, true});
	check_execution(&schedule, 3, (struct pt_execution){50, 60, 1, 8, false, false});
	check_execution(&schedule, 4, (struct pt_execution){60, 80, 1, 9, true, false});
	check_execution(&schedule, 5, (struct pt_execution){100, 120, 1, 7, false, true});
	check_execution(&schedule, 6, (struct pt_execution){120, 140, 1, 8, true, false});
	check_execution(&schedule, 7, (struct pt_execution){150, UINT64_MAX, 1, 7, false, true});
	array_fini(&schedule.executions);
	CHECK_OK(pt_schedule_build(NULL, 0, &schedule));
	CHECK_EQUAL(schedule.executions.count, 0);
}

CHECK_MAIN({"switches are read, other records passed over, cut files read up to the cut",
	    records_are_read},
	   {"bad records are named by CPU and offset", bad_records_are_named},
	   {"who ran when follows from records of which some are missing",
	    who_ran_follows_from_them})
