// SPDX-License-Identifier: Apache-2.0
#include <ftw.h>
#include <strobe/cursor.h>
#include <strobe/trace_save.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "check.h"

#define SYNTH TRACES "/synth/"

static const struct strobe_view_options offline = {.size = sizeof(offline), .no_debuginfod = true};

static struct strobe_error *open_trace(const char *path, struct strobe_trace **ret)
{
	const struct strobe_trace_options options = {
		.size = sizeof(options), .view = &offline, .index_path = ""};
	return strobe_trace_open(path, &options, ret);
}

struct addresses {
	ARRAY(uint64_t) items;
};

/** Addresses of the instructions among items [first, last] of thread `index`. */
static void read_addresses(struct strobe_trace *trace, size_t index, uint64_t first, uint64_t last,
			   struct addresses *ret)
{
	struct strobe_cursor *cursor;
	uint64_t address;
	memset(ret, 0, sizeof(*ret));
	CHECK_OK(strobe_cursor_open(trace, index, &cursor));
	strobe_cursor_set_forwards(cursor, true);
	bool more = strobe_cursor_go_to_id(cursor, first);
	for (; more && strobe_cursor_id(cursor) <= last; more = strobe_cursor_next(cursor))
		if (strobe_cursor_address(cursor, &address))
			CHECK(array_push(&ret->items, address));
	strobe_cursor_close(cursor);
}

static void check_same(const struct addresses *got, const struct addresses *expected)
{
	CHECK_EQUAL(got->items.count, expected->items.count);
	for (size_t i = 0; i < got->items.count; i++)
		CHECK_EQUAL(got->items.items[i], expected->items.items[i]);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static char scratch[64];
static const char *new_folder(void)
{
	static unsigned count;
	snprintf(scratch, sizeof(scratch), "/tmp/strobe-save-%d-%u", (int)getpid(), count++);
	return scratch;
}

static void remove_folder(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	CHECK(access(path, F_OK) != 0);
}

/** Saves all of it, and reads the same. */
static void check_whole(const char *path)
{
	struct strobe_trace *trace, *again;
	struct strobe_trace_saved saved;
	struct addresses expected, got;
	printf("# %s\n", path);
	CHECK_OK(open_trace(path, &trace));
	CHECK_OK(strobe_trace_save(trace, new_folder(), NULL, &saved));
	CHECK_OK(open_trace(scratch, &again));
	CHECK_EQUAL(strobe_trace_thread_count(again), strobe_trace_thread_count(trace));
	CHECK_EQUAL(saved.thread_count, strobe_trace_thread_count(trace));
	CHECK_EQUAL(saved.packet_bytes, strobe_trace_info(trace)->raw_bytes);
	CHECK_EQUAL(strobe_trace_info(again)->raw_bytes, saved.packet_bytes);
	CHECK_EQUAL(saved.module_missing_count, 0);
	for (size_t i = 0; i < strobe_trace_thread_count(trace); i++) {
		CHECK_EQUAL(strobe_trace_thread(again, i)->tid, strobe_trace_thread(trace, i)->tid);
		CHECK_EQUAL(strobe_trace_thread(again, i)->item_count,
			    strobe_trace_thread(trace, i)->item_count);
		read_addresses(trace, i, 0, UINT64_MAX - 1, &expected);
		read_addresses(again, i, 0, UINT64_MAX - 1, &got);
		check_same(&got, &expected);
		array_fini(&got.items);
		array_fini(&expected.items);
	}
	strobe_trace_close(again);
	strobe_trace_close(trace);
	remove_folder(scratch);
}

static void whole_traces_are_the_same(void)
{
	static const char *const names[] = {
		"loop/trace.json",	  "calls1/trace.json",	 "threads2/trace.json",
		"dso/trace.json",	  "mcpu/trace.json",	 "mcpu/trace_missing_threads.json",
		"mcpu/trace_kernel.json", "faulty/garbled.json", "faulty/nohead.json",
		"faulty/empty.json"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[512];
		snprintf(path, sizeof(path), SYNTH "%s", names[i]);
		check_whole(path);
	}
}

/** A trace of a relative path saves its modules as well (D6 of LLDB's). */
static void relative_paths_lose_nothing(void)
{
	char before[4096];
	CHECK(getcwd(before, sizeof(before)));
	CHECK(chdir(SYNTH "dso") == 0);
	check_whole("trace.json");
	CHECK(chdir(before) == 0);
}

/** Items [first, last] of thread `index`: all of them are in what is saved, and it says where. */
static void check_part(const char *path, size_t index, uint64_t first, uint64_t last)
{
	struct strobe_trace *trace, *again;
	struct strobe_trace_saved saved;
	struct addresses expected, got;
	CHECK_OK(open_trace(path, &trace));
	int tid = strobe_trace_thread(trace, index)->tid;
	struct strobe_trace_save_options options = {.size = sizeof(options),
						    .tids = &tid,
						    .tid_count = 1,
						    .by_id = true,
						    .first_id = first,
						    .last_id = last};
	CHECK_OK(strobe_trace_save(trace, new_folder(), &options, &saved));
	CHECK(saved.has_ids && saved.first_id <= first && saved.last_id >= last);
	CHECK(saved.packet_bytes < strobe_trace_info(trace)->raw_bytes);
	CHECK_OK(open_trace(scratch, &again));
	CHECK_EQUAL(strobe_trace_thread_count(again), 1);
	CHECK_EQUAL(strobe_trace_thread(again, 0)->tid, tid);
	// Behind its last packets come instructions that need none: they may be the next block's.
	enum { STRAIGHT = 256 };
	read_addresses(trace, index, saved.first_id, saved.last_id + STRAIGHT, &expected);
	read_addresses(again, 0, 0, UINT64_MAX - 1, &got);
	struct addresses asked;
	read_addresses(trace, index, saved.first_id, last, &asked);
	CHECK(got.items.count >= asked.items.count);
	CHECK(got.items.count <= expected.items.count);
	for (size_t i = 0; i < got.items.count; i++) {
		if (got.items.items[i] != expected.items.items[i])
			printf("# %s %zu: instruction %zu of %zu; saved items %zu to %zu\n", path,
			       index, i, got.items.count, (size_t)saved.first_id,
			       (size_t)saved.last_id);
		CHECK_EQUAL(got.items.items[i], expected.items.items[i]);
	}
	array_fini(&asked.items);
	array_fini(&got.items);
	array_fini(&expected.items);
	strobe_trace_close(again);
	strobe_trace_close(trace);
	remove_folder(scratch);
}

static void parts_hold_what_was_asked_for(void)
{
	check_part(SYNTH "calls6/trace.json", 0, 700000, 700010);
	check_part(SYNTH "calls6/trace.json", 0, 0, 5);
	check_part(SYNTH "calls6/trace.json", 0, 1551000, 1551775);
	check_part(SYNTH "threads2/trace.json", 1, 100000, 130000);
	check_part(SYNTH "mcpu/trace.json", 1, 100000, 150000);
	check_part(SYNTH "mcpu/trace.json", 0, 200000, 200000);
}

/** Every block's last items stand in what is saved, though they need what follows. */
static void ends_of_blocks_are_whole(void)
{
	for (uint64_t last = 27000; last < 30000; last += 211)
		check_part(SYNTH "calls1/trace.json", 0, last, last);
}

static void parts_are_told_by_time(void)
{
	struct strobe_trace *trace, *again;
	struct strobe_trace_saved saved;
	CHECK_OK(open_trace(SYNTH "threads2/trace.json", &trace));
	struct strobe_trace_save_options options = {
		.size = sizeof(options), .by_time = true, .first_ns = 30000, .last_ns = 31000};
	CHECK_OK(strobe_trace_save(trace, new_folder(), &options, &saved));
	CHECK_EQUAL(saved.thread_count, 2);
	CHECK(saved.has_ids);
	CHECK(saved.packet_bytes * 3 < strobe_trace_info(trace)->raw_bytes);
	CHECK_OK(open_trace(scratch, &again));
	for (size_t i = 0; i < 2; i++) {
		const struct strobe_trace_thread *thread = strobe_trace_thread(again, i);
		CHECK(thread->has_time && thread->instruction_count > 1000);
	}
	strobe_trace_close(again);
	remove_folder(scratch);
	options.first_ns = 1e15;
	options.last_ns = 2e15;
	CHECK_ERROR(strobe_trace_save(trace, new_folder(), &options, &saved), STROBE_ERROR_INVALID);
	CHECK(access(scratch, F_OK) != 0);
	strobe_trace_close(trace);
}

static bool give_up(void *context, uint64_t done, uint64_t total)
{
	*(uint64_t *)context = total;
	return done < total / 2;
}

static void nothing_is_left_of_failures(void)
{
	struct strobe_trace *trace;
	uint64_t total = 0;
	const int no_thread = 12;
	CHECK_OK(open_trace(SYNTH "threads2/trace.json", &trace));
	struct strobe_trace_save_options options = {
		.size = sizeof(options), .progress = give_up, .progress_context = &total};
	CHECK_ERROR(strobe_trace_save(trace, new_folder(), &options, NULL), STROBE_ERROR_LIMIT);
	CHECK(access(scratch, F_OK) != 0 && total > 40000);
	options.progress = NULL;
	options.by_id = true;
	CHECK_ERROR(strobe_trace_save(trace, scratch, &options, NULL), STROBE_ERROR_INVALID);
	options.tids = &no_thread;
	options.tid_count = 1;
	CHECK_ERROR(strobe_trace_save(trace, scratch, &options, NULL), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_trace_save(trace, SYNTH, NULL, NULL), STROBE_ERROR_SYSTEM);
	CHECK_ERROR(strobe_trace_save(trace, SYNTH "loop/loop", NULL, NULL), STROBE_ERROR_SYSTEM);
	CHECK_ERROR(strobe_trace_save(trace, "/nonexistent/a/b", NULL, NULL), STROBE_ERROR_SYSTEM);
	struct stat status;
	CHECK(mkdir(scratch, 0755) == 0); // an empty folder is taken
	CHECK_OK(strobe_trace_save(trace, scratch, NULL, NULL));
	CHECK(stat(scratch, &status) == 0 && (status.st_mode & 0777) == 0700);
	remove_folder(scratch);
	strobe_trace_close(trace);
}

CHECK_MAIN({"a whole trace, saved and opened again, is the same", whole_traces_are_the_same},
	   {"one opened by a relative path, too", relative_paths_lose_nothing},
	   {"a part holds what was asked for, and says what it holds",
	    parts_hold_what_was_asked_for},
	   {"the last items of a block are in its part", ends_of_blocks_are_whole},
	   {"parts are told by time", parts_are_told_by_time},
	   {"failures leave nothing behind", nothing_is_left_of_failures})
