// SPDX-License-Identifier: Apache-2.0
#include "view/process_memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

// A child that stands still with pages of each kind at addresses that both know.
enum {
	PAGE = 4096,
	SPARSE_PAGES = 3000, // touched every second: more regions than a batch holds
};
static uint8_t *anonymous;   // 16 pages: 0-3 written, 4 only read, the rest never touched
static uint8_t *private_map; // of a file of 3 pages and 100 bytes, 8 pages long: 1 is written
static uint8_t *shared_map;  // the same, shared
static uint8_t *hidden;	     // 4 pages, 1 written, then PROT_NONE
static uint8_t *reserved;    // 1 GiB, PROT_NONE, never written
static uint8_t *shared_anonymous;
static uint8_t *sparse;
static uint8_t *deleted; // a private mapping of a file that is gone
static uint8_t *gone;	 // MADV_DONTFORK
static char file_name[] = "/var/tmp/strobe-process-memory-XXXXXX";

static void *map(size_t size, int protection, int flags, int fd)
{
	void *memory = mmap(NULL, size, protection, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (memory == MAP_FAILED)
		abort();
	return memory;
}

static void make_memory(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	uint8_t bytes[3 * PAGE + 100];
	char name[] = "/var/tmp/strobe-process-memory-XXXXXX";
	memset(bytes, 'f', sizeof(bytes));
	int fd = mkstemp(file_name), other = mkstemp(name);
	if (fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
		abort();
	if (other < 0 || write(other, bytes, sizeof(bytes)) != sizeof(bytes))
		abort();
	anonymous = map(16 * PAGE, rw, MAP_PRIVATE, -1);
	private_map = map(8 * PAGE, rw, MAP_PRIVATE, fd);
	shared_map = map(8 * PAGE, PROT_READ, MAP_SHARED, fd);
	deleted = map(3 * PAGE, PROT_READ, MAP_PRIVATE, other);
	hidden = map(4 * PAGE, rw, MAP_PRIVATE, -1);
	reserved = map((size_t)1 << 30, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE, -1);
	shared_anonymous = map(4 * PAGE, rw, MAP_SHARED, -1);
	sparse = map((size_t)2 * SPARSE_PAGES * PAGE, rw, MAP_PRIVATE, -1);
	gone = map(2 * PAGE, rw, MAP_PRIVATE, -1);
	unlink(name);
	close(fd);
	close(other);
	madvise(anonymous, 16 * PAGE, MADV_NOHUGEPAGE);
	madvise(sparse, (size_t)2 * SPARSE_PAGES * PAGE, MADV_NOHUGEPAGE);
	madvise(gone, 2 * PAGE, MADV_DONTFORK);
	for (size_t i = 0; i < 4; i++)
		memset(anonymous + i * PAGE, (int)('a' + i), PAGE);
	volatile uint8_t sink = anonymous[4 * PAGE];
	sink = private_map[0]; // mapped, and unchanged
	(void)sink;
	private_map[PAGE] = 'x';
	hidden[PAGE] = 'h';
	mprotect(hidden, 4 * PAGE, PROT_NONE);
	shared_anonymous[PAGE] = 's';
	for (size_t i = 0; i < SPARSE_PAGES; i++)
		sparse[2 * i * PAGE] = (uint8_t)(i % 255 + 1);
}

static int child;

static void end_child(void)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	unlink(file_name);
}

static struct lazy_source open_child(bool no_scan)
{
	struct process_memory *memory;
	if (!child) {
		make_memory();
		child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		if (child < 0)
			abort();
		atexit(end_child);
	}
	CHECK_OK(process_memory_open(child, NULL, no_scan, &memory));
	return process_memory_source(memory);
}

static void run_is(const struct lazy_source *source, const uint8_t *at, size_t pages,
		   enum view_run_kind kind, size_t expected_pages)
{
	struct view_run run;
	uint64_t address = (uint64_t)(uintptr_t)at;
	source->run(source->context, address, address + pages * PAGE, &run);
	CHECK_EQUAL(run.kind, kind);
	CHECK_EQUAL((run.end - address) / PAGE, expected_pages);
}

static void check_runs(bool no_scan)
{
	struct lazy_source source = open_child(no_scan);
	run_is(&source, anonymous, 16, VIEW_RUN_DATA, no_scan ? 5 : 4);
	run_is(&source, anonymous + 1 * PAGE, 2, VIEW_RUN_DATA, 2);
	if (!no_scan) // who may not see frame numbers cannot tell a page of zeros
		run_is(&source, anonymous + 4 * PAGE, 12, VIEW_RUN_ZERO, 12);
	run_is(&source, anonymous + 5 * PAGE, 11, VIEW_RUN_ZERO, 11);
	run_is(&source, private_map, 8, VIEW_RUN_FILE, 1);
	run_is(&source, private_map + PAGE, 7, VIEW_RUN_DATA, 1);
	run_is(&source, private_map + 2 * PAGE, 6, VIEW_RUN_FILE, 2);
	run_is(&source, private_map + 4 * PAGE, 4, VIEW_RUN_MISSING, 4);
	run_is(&source, shared_map, 8, VIEW_RUN_FILE, 4);
	run_is(&source, shared_map + 5 * PAGE, 3, VIEW_RUN_MISSING, 3);
	run_is(&source, deleted, 3, VIEW_RUN_DATA, 3);
	run_is(&source, hidden, 4, VIEW_RUN_ZERO, 1);
	run_is(&source, hidden + PAGE, 3, VIEW_RUN_DATA, 1);
	run_is(&source, hidden + 2 * PAGE, 2, VIEW_RUN_ZERO, 2);
	run_is(&source, reserved, 1 << 18, VIEW_RUN_ZERO, 1 << 18);
	run_is(&source, shared_anonymous, 4, VIEW_RUN_DATA, 4);
	run_is(&source, gone, 2, VIEW_RUN_MISSING, 2);
	source.close(source.context);
}

static void runs_are_told_by_the_kernels_scan(void)
{
	check_runs(false);
}

static void runs_are_told_by_page_table_entries(void)
{
	check_runs(true);
}

static void walk_sparse(bool no_scan)
{
	struct lazy_source source = open_child(no_scan);
	uint64_t start = (uint64_t)(uintptr_t)sparse, end = start + 2 * SPARSE_PAGES * PAGE;
	size_t data = 0, zero = 0;
	for (uint64_t at = start; at < end;) {
		struct view_run run;
		source.run(source.context, at, end, &run);
		CHECK_EQUAL(run.end - at, PAGE);
		CHECK_EQUAL(run.kind, (at - start) / PAGE % 2 ? VIEW_RUN_ZERO : VIEW_RUN_DATA);
		data += run.kind == VIEW_RUN_DATA;
		zero += run.kind == VIEW_RUN_ZERO;
		at = run.end;
	}
	CHECK_EQUAL(data, SPARSE_PAGES);
	CHECK_EQUAL(zero, SPARSE_PAGES);
	// Backwards: no batch serves twice.
	for (size_t i = 2 * SPARSE_PAGES; i-- > 0;)
		run_is(&source, sparse + i * PAGE, 1, i % 2 ? VIEW_RUN_ZERO : VIEW_RUN_DATA, 1);
	source.close(source.context);
}

static void walks_through_more_regions_than_a_batch_holds(void)
{
	walk_sparse(false);
	walk_sparse(true);
}

static size_t read_at(const struct lazy_source *source, const uint8_t *at, void *buffer,
		      size_t size)
{
	return source->read(source->context, (uint64_t)(uintptr_t)at, buffer, size);
}

static void reads_until_the_page_that_fails(void)
{
	static uint8_t buffer[16 * PAGE];
	struct lazy_source source = open_child(false);
	anonymous[0] = '!'; // ours, not the child's any more
	CHECK_EQUAL(read_at(&source, anonymous, buffer, 16 * PAGE), 16 * PAGE);
	CHECK(buffer[0] == 'a' && buffer[4 * PAGE - 1] == 'd' && buffer[4 * PAGE] == 0);
	CHECK_EQUAL(read_at(&source, private_map + 7, buffer, 8 * PAGE - 7), 4 * PAGE - 7);
	CHECK(buffer[0] == 'f' && buffer[PAGE - 7] == 'x' && buffer[PAGE - 6] == 'f');
	CHECK(buffer[3 * PAGE + 99 - 7] == 'f' && buffer[3 * PAGE + 100 - 7] == 0);
	CHECK_EQUAL(read_at(&source, private_map + 4 * PAGE, buffer, PAGE), 0);
	CHECK_EQUAL(read_at(&source, gone, buffer, PAGE), 0);
	CHECK_EQUAL(read_at(&source, (uint8_t *)UINT64_C(0xffffffffff600000), buffer, 1), 0);
	CHECK_EQUAL(read_at(&source, shared_anonymous + PAGE, buffer, 1), 1);
	CHECK_EQUAL(buffer[0], 's');
	CHECK_EQUAL(read_at(&source, hidden + PAGE, buffer, 1), 1);
	CHECK_EQUAL(buffer[0], 'h');
	source.close(source.context);
}

static void checks_what_may_be_read(void)
{
	struct lazy_source source = open_child(false);
	const char *why;
	uint64_t at = (uint64_t)(uintptr_t)private_map;
	CHECK_EQUAL(process_memory_check(source.context, at, at + 8 * PAGE, &why), at + 4 * PAGE);
	CHECK(!why);
	CHECK_EQUAL(process_memory_check(source.context, at + 4 * PAGE, at + 8 * PAGE, &why),
		    at + 8 * PAGE);
	CHECK_STRING(why, "beyond the end of its file");
	process_memory_check(source.context, (uint64_t)(uintptr_t)gone,
			     (uint64_t)(uintptr_t)gone + PAGE, &why);
	CHECK_STRING(why, "not in the frozen copy");
	source.close(source.context);
}

static void a_process_that_is_gone_is_an_error(void)
{
	struct process_memory *memory;
	CHECK_ERROR(process_memory_open(0x7ffffff0, NULL, false, &memory), STROBE_ERROR_SYSTEM);
}

CHECK_MAIN({"runs are told by the kernel's scan", runs_are_told_by_the_kernels_scan},
	   {"runs are told by page table entries", runs_are_told_by_page_table_entries},
	   {"walks through more regions than a batch holds",
	    walks_through_more_regions_than_a_batch_holds},
	   {"reads until the page that fails", reads_until_the_page_that_fails},
	   {"checks what may be read", checks_what_may_be_read},
	   {"a process that is gone is an error", a_process_that_is_gone_is_an_error})
