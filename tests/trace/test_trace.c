// SPDX-License-Identifier: Apache-2.0
// A trace as a whole: what it tells of threads, LLDB's promises at the edges, growth, failures.
#include <math.h>

#include "base/error.h"
#include "check.h"
#include "fake_source.h"
#include "trace/cursor.h"
#include "trace/rows.h"

static struct strobe_trace *open_fake(struct fake *fake, unsigned threads)
{
	struct strobe_trace_options wanted = {
		.size = sizeof(wanted), .index_path = "", .threads = threads};
	struct trace_source source = fake_open(fake);
	struct strobe_trace *trace = NULL;
	CHECK_OK(trace_new(&source, &wanted, &trace));
	rows_check(trace);
	return trace;
}

static void close_fake(struct strobe_trace *trace, struct fake *fake)
{
	strobe_trace_close(trace);
	CHECK_EQUAL(fake_open_count(fake), 0);
	fake_free(fake);
}

/** Counts of a thread as the plain list has them. */
static void check_counts(const struct strobe_trace *trace, const struct fake *fake, uint32_t thread)
{
	struct fake_truth truth = fake_truth(fake, thread);
	const struct strobe_trace_thread *info = strobe_trace_thread(trace, thread);
	uint64_t instructions = 0, errors = 0, events[STROBE_EVENT_TYPE_COUNT] = {0};
	for (size_t i = 0; i < truth.count; i++) {
		instructions += truth.items[i].kind == STROBE_ITEM_INSTRUCTION;
		errors += truth.items[i].kind == STROBE_ITEM_ERROR;
		events[truth.items[i].type] += truth.items[i].kind == STROBE_ITEM_EVENT;
		bool known = truth.items[i].cpu < 0;
		for (size_t c = 0; c < info->cpu_count; c++)
			known |= info->cpus[c] == truth.items[i].cpu;
		CHECK(known);
	}
	CHECK_EQUAL(info->item_count, truth.count);
	CHECK_EQUAL(info->instruction_count, instructions);
	CHECK_EQUAL(info->error_count, errors);
	for (size_t i = 0; i < STROBE_EVENT_TYPE_COUNT; i++)
		CHECK_EQUAL(info->event_counts[i], events[i]);
	CHECK_EQUAL(info->tid, 101 + thread);
	CHECK_STRING(info->name, "fake");
	CHECK_EQUAL(strobe_trace_thread_index(trace, info->tid), thread);
	fake_truth_free(&truth);
}

static void check_errors(const struct strobe_trace *trace, const struct fake *fake, uint32_t thread)
{
	struct fake_truth truth = fake_truth(fake, thread);
	struct strobe_trace_error_count found;
	uint64_t total = 0;
	for (size_t i = 0; strobe_trace_error_count(trace, thread, i, &found); i++) {
		uint64_t count = 0;
		size_t size = strlen(found.text);
		CHECK(!strstr(found.text, "0x"));
		for (size_t k = 0; k < truth.count; k++) {
			const char *text = truth.items[k].text;
			count += truth.items[k].kind == STROBE_ITEM_ERROR &&
				 strncmp(text, found.text, size) == 0 &&
				 (!text[size] || strncmp(text + size, ": 0x", 4) == 0);
		}
		CHECK_EQUAL(found.count, count);
		total += count;
	}
	CHECK_EQUAL(total, strobe_trace_thread(trace, thread)->error_count);
	fake_truth_free(&truth);
}

static void threads_are_told(void)
{
	for (uint64_t seed = 1; seed < 12; seed++) {
		struct fake_options options = {.seed = seed,
					       .streams = 3,
					       .threads = 4,
					       .blocks = 12,
					       .windows = 3,
					       .elements = 50,
					       .per_cpu = seed % 2};
		struct fake *fake = fake_new(&options);
		struct strobe_trace *trace = open_fake(fake, (unsigned)seed % 4);
		CHECK_EQUAL(strobe_trace_thread_count(trace), 4);
		CHECK_EQUAL(strobe_trace_thread_index(trace, 5), SIZE_MAX);
		CHECK_EQUAL(strobe_trace_info(trace)->per_cpu, seed % 2);
		for (uint32_t thread = 0; thread < 4; thread++) {
			check_counts(trace, fake, thread);
			check_errors(trace, fake, thread);
		}
		close_fake(trace, fake);
	}
}

static void raw_bytes_are_shared_out(void)
{
	struct fake_options options = {
		.seed = 5, .streams = 2, .threads = 2, .blocks = 10, .windows = 3, .elements = 20};
	struct fake *fake = fake_new(&options);
	struct strobe_trace *trace = open_fake(fake, 0);
	CHECK_EQUAL(strobe_trace_thread(trace, 0)->raw_bytes, 1000);
	CHECK_EQUAL(strobe_trace_thread(trace, 1)->raw_bytes, 1000);
	close_fake(trace, fake);
}

/** Of `count` instructions, in one window. */
static struct strobe_trace *open_items(struct fake **fake, size_t least)
{
	for (uint64_t seed = 1;; seed++) {
		struct fake_options options = {.seed = seed,
					       .streams = 1,
					       .threads = 1,
					       .blocks = 1,
					       .windows = 1,
					       .elements = 20};
		*fake = fake_new(&options);
		struct fake_truth truth = fake_truth(*fake, 0);
		size_t count = truth.count;
		fake_truth_free(&truth);
		if (count == least)
			return open_fake(*fake, 1);
		fake_free(*fake);
	}
}

/** The edge cases that LLDB 22 showed on a trace of 58 items, and where its promises are better, those. */
static void seeks_as_lldb_promises(void)
{
	struct fake *fake;
	struct strobe_trace *trace = open_items(&fake, 58);
	struct strobe_cursor *cursor;
	CHECK_OK(strobe_cursor_open(trace, 0, &cursor));
	CHECK_EQUAL(strobe_cursor_id(cursor), 57);
	CHECK(!strobe_cursor_is_forwards(cursor));
	CHECK(strobe_cursor_seek(cursor, 0, STROBE_SEEK_BEGIN));
	CHECK_EQUAL(strobe_cursor_id(cursor), 0);
	CHECK(!strobe_cursor_next(cursor));
	CHECK(!strobe_cursor_has_value(cursor));
	CHECK(!strobe_cursor_next(cursor));
	strobe_cursor_set_forwards(cursor, true);
	CHECK(strobe_cursor_next(cursor));
	CHECK_EQUAL(strobe_cursor_id(cursor), 0);
	CHECK(strobe_cursor_seek(cursor, 0, STROBE_SEEK_END));
	CHECK_EQUAL(strobe_cursor_id(cursor), 57);
	CHECK(!strobe_cursor_seek(cursor, 1, STROBE_SEEK_END));
	CHECK(!strobe_cursor_has_value(cursor));
	CHECK(strobe_cursor_is_forwards(cursor));
	CHECK(strobe_cursor_seek(cursor, -1, STROBE_SEEK_END));
	CHECK_EQUAL(strobe_cursor_id(cursor), 56);
	CHECK(strobe_cursor_seek(cursor, -3, STROBE_SEEK_CURRENT));
	CHECK_EQUAL(strobe_cursor_id(cursor), 53);
	CHECK(!strobe_cursor_seek(cursor, -1, STROBE_SEEK_BEGIN));
	CHECK(!strobe_cursor_has_value(cursor));
	CHECK(strobe_cursor_next(cursor));
	CHECK_EQUAL(strobe_cursor_id(cursor), 0);
	CHECK(!strobe_cursor_seek(cursor, INT64_MAX, STROBE_SEEK_END));
	CHECK(!strobe_cursor_seek(cursor, INT64_MIN, STROBE_SEEK_CURRENT));
	CHECK(!strobe_cursor_go_to_id(cursor, 58));
	CHECK(!strobe_cursor_has_value(cursor));
	CHECK(!strobe_cursor_go_to_id(cursor, STROBE_NO_ID));
	strobe_cursor_set_forwards(cursor, false);
	CHECK(strobe_cursor_next(cursor));
	CHECK_EQUAL(strobe_cursor_id(cursor), 57);
	strobe_cursor_close(cursor);
	CHECK_ERROR(strobe_cursor_open(trace, 1, &cursor), STROBE_ERROR_INVALID);
	close_fake(trace, fake);
}

static void an_empty_trace(void)
{
	struct fake_options options = {.seed = 1, .streams = 1, .threads = 2, .blocks = 1};
	options.windows = options.elements = 1;
	struct fake *fake = fake_new(&options);
	struct strobe_trace *trace = open_fake(fake, 1); // thread 1 has no stream
	struct strobe_cursor *cursor;
	struct strobe_sought sought = {.errors = true};
	double time;
	CHECK_EQUAL(strobe_trace_thread(trace, 1)->item_count, 0);
	CHECK(!strobe_trace_thread(trace, 1)->has_time);
	CHECK_OK(strobe_cursor_open(trace, 1, &cursor));
	CHECK(!strobe_cursor_has_value(cursor));
	CHECK(!strobe_cursor_next(cursor));
	CHECK(!strobe_cursor_next_run(cursor));
	CHECK(!strobe_cursor_seek(cursor, 0, STROBE_SEEK_BEGIN));
	CHECK(!strobe_cursor_seek(cursor, 0, STROBE_SEEK_END));
	CHECK(!strobe_cursor_go_to_id(cursor, 0));
	CHECK(!strobe_cursor_has_id(cursor, 0));
	CHECK(!strobe_cursor_find(cursor, &sought));
	CHECK(!strobe_cursor_seek_time(cursor, 0));
	CHECK(!strobe_cursor_time_ns(cursor, &time));
	strobe_cursor_close(cursor);
	close_fake(trace, fake);
}

/** The cursor's item, as the plain list has it. */
static void check_item(const struct strobe_cursor *cursor, const struct fake_truth *truth)
{
	uint64_t id = strobe_cursor_id(cursor), address = 0;
	CHECK(id < truth->count);
	CHECK_EQUAL(strobe_cursor_kind(cursor), truth->items[id].kind);
	if (strobe_cursor_address(cursor, &address))
		CHECK_EQUAL(address, truth->items[id].address);
}

static void it_grows_under_a_cursor(void)
{
	struct fake_options options = {.seed = 9,
				       .streams = 1,
				       .threads = 1,
				       .blocks = 40,
				       .windows = 2,
				       .elements = 30,
				       .visible = 3};
	struct fake *fake = fake_new(&options);
	struct strobe_trace *trace = open_fake(fake, 2);
	struct strobe_cursor *reader, *sitter;
	bool grew;
	uint64_t seen = 0;
	CHECK(!strobe_trace_info(trace)->finished);
	CHECK_OK(strobe_cursor_open(trace, 0, &sitter));
	CHECK_OK(strobe_cursor_open(trace, 0, &reader));
	uint64_t home = strobe_cursor_id(sitter);
	strobe_cursor_set_forwards(reader, true);
	CHECK(!strobe_cursor_seek(reader, -1, STROBE_SEEK_BEGIN));
	for (unsigned i = 0; i < 38; i++) {
		struct fake_truth truth = fake_truth(fake, 0);
		check_counts(trace, fake, 0);
		while (strobe_cursor_next(reader)) { // it goes on where it was off the end
			CHECK_EQUAL(strobe_cursor_id(reader), seen++);
			check_item(reader, &truth);
		}
		CHECK_EQUAL(seen, truth.count);
		CHECK_EQUAL(strobe_cursor_id(sitter), home);
		check_item(sitter, &truth);
		fake_truth_free(&truth);
		fake_grow(fake, 1);
		CHECK_OK(strobe_trace_refresh(trace, &grew));
		CHECK(i == 37 || grew);
		rows_check(trace);
	}
	CHECK(!grew);
	CHECK(strobe_trace_info(trace)->finished);
	strobe_cursor_close(sitter);
	strobe_cursor_close(reader);
	close_fake(trace, fake);
}

/** Every decode fails once: opening says so or not at all, steps show an error item and go on after it. */
static void decoding_fails(void)
{
	struct fake_options options = {
		.seed = 4, .streams = 1, .threads = 1, .blocks = 4, .windows = 2, .elements = 20};
	struct fake *fake = fake_new(&options);
	struct strobe_trace *trace = NULL;
	for (unsigned long n = 1; !trace; n++) {
		struct strobe_trace_options wanted = {
			.size = sizeof(wanted), .index_path = "", .threads = 2};
		struct trace_source source = fake_open(fake);
		fake_fail_decode(fake, n);
		struct strobe_error *error = trace_new(&source, &wanted, &trace);
		CHECK((error == NULL) == (trace != NULL));
		CHECK(!error || strobe_error_code(error) == STROBE_ERROR_NO_MEMORY);
		CHECK_EQUAL(fake_open_count(fake), error ? 0 : 1);
		strobe_error_free(error);
	}
	fake_fail_decode(fake, 0);
	struct fake_truth truth = fake_truth(fake, 0);
	struct strobe_cursor *cursor;
	CHECK_OK(strobe_cursor_open(trace, 0, &cursor));
	strobe_cursor_set_forwards(cursor, true);
	CHECK(strobe_cursor_go_to_id(cursor, 0));
	for (uint64_t id = 1; id < truth.count; id++) {
		fake_fail_decode(fake, 1);
		CHECK(strobe_cursor_next(cursor));
		cursor_check(cursor);
		CHECK_EQUAL(strobe_cursor_id(cursor), id);
		if (strobe_cursor_kind(cursor) != STROBE_ITEM_ERROR)
			check_item(cursor, &truth);
		else if (truth.items[id].kind != STROBE_ITEM_ERROR)
			CHECK_STRING(strobe_cursor_error(cursor), "out of memory");
	}
	fake_fail_decode(fake, 0);
	CHECK(strobe_cursor_go_to_id(cursor, truth.count / 2));
	check_item(cursor, &truth);
	strobe_cursor_close(cursor);
	fake_truth_free(&truth);
	close_fake(trace, fake);
}

static bool count_calls(void *context, uint64_t done, uint64_t total)
{
	unsigned *left = context;
	return done <= total && (*left)-- > 0;
}

static void opening_is_cancelled(void)
{
	struct fake_options options = {
		.seed = 4, .streams = 2, .threads = 1, .blocks = 50, .windows = 2, .elements = 20};
	struct fake *fake = fake_new(&options);
	unsigned left = 0;
	struct strobe_trace_options wanted = {.size = sizeof(wanted),
					      .index_path = "",
					      .progress = count_calls,
					      .progress_context = &left};
	struct trace_source source = fake_open(fake);
	struct strobe_trace *trace = NULL;
	CHECK_ERROR(trace_new(&source, &wanted, &trace), STROBE_ERROR_LIMIT);
	CHECK_EQUAL(fake_open_count(fake), 0);
	left = 1000;
	source = fake_open(fake);
	CHECK_OK(trace_new(&source, &wanted, &trace));
	CHECK(left < 1000);
	close_fake(trace, fake);
}

static void events_have_names(void)
{
	CHECK_STRING(strobe_event_type_name(STROBE_EVENT_DISABLED_SOFTWARE),
		     "software disabled tracing");
	CHECK_STRING(strobe_event_type_name(STROBE_EVENT_DISABLED_HARDWARE),
		     "hardware disabled tracing");
	CHECK_STRING(strobe_event_type_name(STROBE_EVENT_CPU_CHANGED), "CPU core changed");
	CHECK_STRING(strobe_event_type_name(STROBE_EVENT_CLOCK_TICK), "HW clock tick");
	CHECK_STRING(strobe_event_type_name(STROBE_EVENT_SYNC_POINT),
		     "trace synchronization point");
	for (int i = 0; i < STROBE_EVENT_TYPE_COUNT; i++)
		CHECK(strobe_event_type_name((enum strobe_event_type)i) != NULL);
	CHECK(!strobe_event_type_name((enum strobe_event_type)STROBE_EVENT_TYPE_COUNT));
	CHECK_STRING(strobe_flow_name(STROBE_FLOW_COND_JUMP), "cond jump");
	CHECK(!strobe_flow_name((enum strobe_flow)8));
}

CHECK_MAIN({"threads, counts and errors are told", threads_are_told},
	   {"packets' bytes are shared out among threads", raw_bytes_are_shared_out},
	   {"seeks at the edges, as LLDB promises", seeks_as_lldb_promises},
	   {"a thread without items", an_empty_trace},
	   {"a trace grows while cursors read it", it_grows_under_a_cursor},
	   {"decoding fails", decoding_fails}, {"opening is cancelled", opening_is_cancelled},
	   {"events and flows have names", events_have_names}, )
