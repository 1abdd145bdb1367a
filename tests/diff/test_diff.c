// SPDX-License-Identifier: Apache-2.0
// Comparisons of small cores whose differences are known.
#include <strobe/diff.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "core_writer.h"

enum { PAGE = 4096, ITEM_LIMIT = 64 };
static const uint64_t base = 0x10000000;
static char paths[2][64];
static struct core_writer writers[2];
static struct strobe_view *views[2];
static struct strobe_symbols *symbols[2];
static struct strobe_diff *diff;
static struct strobe_diff_item items[ITEM_LIMIT];
static size_t count, stop_after;
static uint8_t ones[16 * PAGE], twos[16 * PAGE];

static bool keep(void *context, const struct strobe_diff_item *item)
{
	(void)context;
	if (count < ITEM_LIMIT)
		items[count] = *item;
	count++;
	return count != stop_after;
}

static void begin(void)
{
	static const uint64_t registers[CORE_WRITER_REGISTERS] = {
		[CORE_WRITER_RIP] = 0x1000, [CORE_WRITER_RSP] = 0x2000};
	memset(ones, 1, sizeof(ones));
	memset(twos, 2, sizeof(twos));
	for (int i = 0; i < 2; i++) {
		core_writer_init(&writers[i]);
		core_writer_process(&writers[i], 77, "victim", "victim");
		core_writer_thread(&writers[i], 77, 0, registers);
		snprintf(paths[i], sizeof(paths[i]), "diff-test-%d-%d.core", (int)getpid(), i);
	}
}

static void save(void)
{
	for (int i = 0; i < 2; i++) {
		core_writer_save(&writers[i], paths[i]);
		core_writer_fini(&writers[i]);
		CHECK_OK(strobe_view_open(paths[i], NULL, &views[i]));
		unlink(paths[i]);
		CHECK_OK(strobe_symbols_open(views[i], &symbols[i]));
	}
	count = stop_after = 0;
}

static void run_with(const struct strobe_diff_options *options, unsigned sections)
{
	save();
	CHECK_OK(strobe_diff_open(symbols[0], symbols[1], options, &diff));
	CHECK_OK(strobe_diff_run(diff, sections, keep, NULL, NULL));
}

static void run(unsigned sections)
{
	run_with(NULL, sections);
}

static void end(void)
{
	diff = strobe_diff_close(diff);
	for (int i = 0; i < 2; i++) {
		symbols[i] = strobe_symbols_close(symbols[i]);
		views[i] = strobe_view_close(views[i]);
	}
}

static void map(int side, uint64_t page, uint64_t pages, uint32_t flags, const void *data)
{
	core_writer_segment(&writers[side], base + page * PAGE, pages * PAGE, flags, data,
			    data ? pages * PAGE : 0);
}

static void check_mapping(size_t index, enum strobe_diff_change change, uint64_t page,
			  uint64_t end_page)
{
	CHECK_EQUAL(items[index].section, STROBE_DIFF_MAPPINGS);
	CHECK_EQUAL(items[index].change, change);
	CHECK_EQUAL(items[index].of.mapping.start, base + page * PAGE);
	CHECK_EQUAL(items[index].of.mapping.end, base + end_page * PAGE);
}

static void equal_views(void)
{
	begin();
	for (int i = 0; i < 2; i++)
		map(i, 0, 4, PF_R | PF_W, ones);
	run(STROBE_DIFF_ALL);
	CHECK_EQUAL(count, 0);
	CHECK(strobe_diff_totals(diff)->same_process);
	CHECK_EQUAL(strobe_diff_totals(diff)->compared_bytes, 4 * PAGE);
	end();
}

static void split_by_mprotect(void)
{
	begin();
	map(0, 0, 8, PF_R | PF_W, ones);
	map(1, 0, 3, PF_R | PF_W, ones);
	map(1, 3, 2, PF_R, ones);
	map(1, 5, 3, PF_R | PF_W, ones);
	run(STROBE_DIFF_MAPPINGS | STROBE_DIFF_MEMORY);
	CHECK_EQUAL(count, 1);
	check_mapping(0, STROBE_DIFF_PERMISSIONS, 3, 5);
	CHECK_EQUAL(strobe_diff_totals(diff)->compared_bytes, 8 * PAGE);
	end();
}

static void grown_and_shrunk(void)
{
	begin();
	map(0, 0, 4, PF_R | PF_W, ones);
	map(1, 0, 6, PF_R | PF_W, ones); // upwards
	map(0, 12, 2, PF_R | PF_W, ones);
	map(1, 10, 4, PF_R | PF_W, ones); // downwards
	map(0, 20, 4, PF_R | PF_W, ones);
	map(1, 20, 1, PF_R | PF_W, ones);
	run(STROBE_DIFF_MAPPINGS | STROBE_DIFF_MEMORY);
	CHECK_EQUAL(count, 3);
	check_mapping(0, STROBE_DIFF_GROWN, 4, 6);
	check_mapping(1, STROBE_DIFF_GROWN, 10, 12);
	check_mapping(2, STROBE_DIFF_SHRUNK, 21, 24);
	CHECK_EQUAL(items[0].of.mapping.old_mapping->start, base);
	CHECK_EQUAL(strobe_diff_totals(diff)->only_new_bytes, 4 * PAGE);
	CHECK_EQUAL(strobe_diff_totals(diff)->only_old_bytes, 3 * PAGE);
	end();
}

static void hole_in_the_middle(void)
{
	begin();
	map(0, 0, 8, PF_R | PF_W, ones);
	map(1, 0, 3, PF_R | PF_W, ones);
	map(1, 5, 3, PF_R | PF_W, ones);
	run(STROBE_DIFF_MAPPINGS);
	CHECK_EQUAL(count, 1);
	check_mapping(0, STROBE_DIFF_SHRUNK, 3, 5);
	end();
}

static void moved(void)
{
	begin();
	map(0, 0, 4, PF_R | PF_W, ones);
	map(1, 100, 8, PF_R | PF_W, ones); // grew with it
	map(0, 200, 4, PF_R | PF_W, twos); // gone
	run(STROBE_DIFF_MAPPINGS);
	CHECK_EQUAL(count, 2);
	check_mapping(0, STROBE_DIFF_MOVED, 100, 108);
	CHECK_EQUAL(items[0].of.mapping.old_mapping->start, base);
	check_mapping(1, STROBE_DIFF_REMOVED, 200, 204);
	end();
}

static void replaced(void)
{
	begin();
	for (int i = 0; i < 2; i++) {
		map(i, 0, 2, PF_R, ones);
		core_writer_file(&writers[i], base, base + 2 * PAGE, 0,
				 i ? "/nowhere/new" : "/nowhere/old");
		map(i, 4, 2, PF_R, ones);
		core_writer_file(&writers[i], base + 4 * PAGE, base + 6 * PAGE, (uint64_t)i,
				 "/nowhere/same");
	}
	run(STROBE_DIFF_MAPPINGS);
	CHECK_EQUAL(count, 2);
	check_mapping(0, STROBE_DIFF_REPLACED, 0, 2);
	check_mapping(1, STROBE_DIFF_REPLACED, 4, 6); // another part of it
	end();
}

static void unknown_is_not_equal(void)
{
	begin();
	map(0, 0, 1, PF_R | PF_W, NULL);
	map(1, 0, 1, PF_R | PF_W, ones);
	map(0, 1, 2, PF_R | PF_W, ones);
	map(1, 1, 2, PF_R | PF_W, NULL);
	map(0, 3, 4, PF_R | PF_W, NULL);
	map(1, 3, 4, PF_R | PF_W, NULL);
	run(STROBE_DIFF_MEMORY);
	const struct strobe_diff_totals *totals = strobe_diff_totals(diff);
	CHECK_EQUAL(count, 0);
	CHECK_EQUAL(totals->old_missing_bytes, PAGE);
	CHECK_EQUAL(totals->new_missing_bytes, 2 * PAGE);
	CHECK_EQUAL(totals->both_missing_bytes, 4 * PAGE);
	CHECK_EQUAL(totals->compared_bytes, 0);
	end();
}

static void ranges_and_limits(void)
{
	struct strobe_diff_options options = {
		.size = sizeof(options), .start = base + PAGE, .end = base + 3 * PAGE};
	begin();
	twos[0] = 9;
	map(0, 0, 4, PF_R | PF_W, ones);
	map(1, 0, 4, PF_R | PF_W, twos);
	run_with(&options, STROBE_DIFF_MEMORY);
	CHECK_EQUAL(count, 1);
	CHECK_EQUAL(items[0].of.range.start, options.start);
	CHECK_EQUAL(items[0].of.range.end, options.end);
	CHECK_EQUAL(items[0].of.range.changed_bytes, 2 * PAGE);
	CHECK_EQUAL(strobe_diff_totals(diff)->changed_pages, 2);
	CHECK_ERROR(strobe_diff_run(diff, STROBE_DIFF_MEMORY, keep, NULL, NULL),
		    STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_diff_run(diff, 1u << 20, keep, NULL, NULL), STROBE_ERROR_INVALID);
	end();
	options.end = options.start;
	begin();
	save();
	CHECK_ERROR(strobe_diff_open(symbols[0], symbols[1], &options, &diff),
		    STROBE_ERROR_INVALID);
	end();
}

static void mapping_borders_end_ranges(void)
{
	begin();
	map(0, 0, 2, PF_R | PF_W, ones);
	map(1, 0, 1, PF_R | PF_W, twos);
	map(1, 1, 1, PF_R | PF_W | PF_X, twos);
	run(STROBE_DIFF_MEMORY);
	CHECK_EQUAL(count, 2);
	CHECK_EQUAL(items[0].of.range.end, base + PAGE);
	CHECK_EQUAL(items[1].of.range.start, base + PAGE);
	CHECK_EQUAL(items[1].of.range.mapping->start, base + PAGE);
	end();
}

static void threads(void)
{
	uint64_t registers[CORE_WRITER_REGISTERS] = {[CORE_WRITER_RIP] = 0x1000, [10] = 5};
	begin();
	core_writer_thread(&writers[0], 90, 0, registers);
	core_writer_thread(&writers[1], 91, 0, registers);
	core_writer_thread(&writers[0], 80, 0, registers);
	registers[CORE_WRITER_RIP] = 0x1003;
	registers[10] = 6; // rax
	core_writer_thread(&writers[1], 80, 0, registers);
	run(STROBE_DIFF_THREADS | STROBE_DIFF_REGISTERS);
	CHECK_EQUAL(count, 5);
	CHECK_EQUAL(items[0].of.thread.tid, 80);
	CHECK_EQUAL(items[0].of.thread.what, STROBE_DIFF_THREAD_PC);
	CHECK(items[1].of.thread.tid == 90 && items[1].change == STROBE_DIFF_REMOVED);
	CHECK(items[2].of.thread.tid == 91 && items[2].change == STROBE_DIFF_ADDED);
	CHECK(items[3].of.reg.tid == 80 && items[4].of.reg.tid == 80);
	CHECK_EQUAL(strobe_diff_totals(diff)->threads_moved, 1);
	CHECK_EQUAL(strobe_diff_totals(diff)->registers, 2);
	end();
}

static void stopping(void)
{
	bool stopped = false;
	begin();
	memset(twos, 1, sizeof(twos));
	for (size_t i = 0; i < sizeof(twos); i += 100)
		twos[i] = 2;
	map(0, 0, 4, PF_R | PF_W, ones);
	map(1, 0, 4, PF_R | PF_W, twos);
	save();
	stop_after = 5;
	CHECK_OK(strobe_diff_open(symbols[0], symbols[1], NULL, &diff));
	CHECK_OK(strobe_diff_run(diff, STROBE_DIFF_ALL, keep, NULL, &stopped));
	CHECK(stopped && count == 5);
	end();
}

static uint64_t last_done, last_total;
static bool note_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	(void)context;
	last_done = done_bytes;
	last_total = total_bytes;
	return true;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sparse(void)
{
	static const uint64_t size = UINT64_C(64) << 30;
	struct strobe_diff_options options = {.size = sizeof(options), .progress = note_progress};
	begin();
	for (int i = 0; i < 2; i++) {
		core_writer_segment(&writers[i], base, size, PF_R | PF_W, NULL, size);
		core_writer_segment(&writers[i], base + size, PAGE, PF_R | PF_W, i ? ones : twos,
				    PAGE);
	}
	// What is a hole here is data there.
	core_writer_segment(&writers[0], base + 2 * size, 8 * PAGE, PF_R | PF_W, NULL, 8 * PAGE);
	core_writer_segment(&writers[1], base + 2 * size, 8 * PAGE, PF_R | PF_W, ones, 8 * PAGE);
	double start = seconds();
	run_with(&options, STROBE_DIFF_MEMORY);
	CHECK(seconds() - start < 2);
	const struct strobe_diff_totals *totals = strobe_diff_totals(diff);
	CHECK_EQUAL(count, 2);
	CHECK_EQUAL(totals->changed_bytes, 9 * PAGE);
	CHECK_EQUAL(totals->compared_bytes, size + 9 * PAGE);
	CHECK(totals->unread_bytes >= size - PAGE && totals->unread_bytes <= size);
	CHECK(last_done == last_total && last_total == size + 9 * PAGE);
	end();
}

static void places(void)
{
	struct strobe_diff_place place;
	begin();
	for (int i = 0; i < 2; i++)
		map(i, 0, 4, PF_R | PF_W, ones);
	run(STROBE_DIFF_THREADS);
	strobe_diff_place(diff, base, &place);
	CHECK_STRING(place.mapping, "[anonymous]");
	CHECK(place.tid == 0 && place.frame == SIZE_MAX && !place.variable);
	strobe_diff_place(diff, base - 1, &place);
	CHECK(!place.mapping);
	end();
}

CHECK_MAIN({"two views of the same have no differences", equal_views},
	   {"a mapping that mprotect split is one change of permissions", split_by_mprotect},
	   {"mappings grow upwards and downwards, and shrink", grown_and_shrunk},
	   {"a hole in a mapping is memory that left it", hole_in_the_middle},
	   {"anonymous memory that is elsewhere with its contents moved", moved},
	   {"another file, or another part of it, is no change of permissions", replaced},
	   {"what is not captured is counted, not equal", unknown_is_not_equal},
	   {"a range is kept to; sections run once", ranges_and_limits},
	   {"ranges end where a mapping does", mapping_borders_end_ranges},
	   {"threads come, go and move", threads},
	   {"a visitor that has seen enough ends the run", stopping},
	   {"64 GiB of holes are not read", sparse},
	   {"an address has its mapping, on no stack no frame", places})
