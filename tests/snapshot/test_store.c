// SPDX-License-Identifier: Apache-2.0
// Memory of a child that stands, copied piece by piece.
#include "snapshot/store.h"

#include <errno.h>
#include <sys/mman.h>

#include "../process/child.h"

enum { PAGES = 3000, PAGE = STORE_PAGE }; // more than is copied at once

static uint8_t *area, *closed;

static void live(int ready_fd)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (i % 3 == 0) // data, zeros that were written, nothing
			memset(area + i * PAGE, (int)(1 + i % 200), PAGE);
		else if (i % 3 == 1)
			memset(area + i * PAGE, 0, PAGE);
	child_ready(ready_fd);
}

static pid_t make_child(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	area = mmap(NULL, (PAGES + 1) * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
	CHECK(area != MAP_FAILED);
	closed = area + PAGES * PAGE;
	CHECK(mprotect(closed, PAGE, PROT_NONE) == 0);
	pid_t pid = child_start(live);
	kill(pid, SIGSTOP);
	CHECK(child_reaches(pid, 'T'));
	return pid;
}

static void end(struct store *store, pid_t pid)
{
	store_fini(store);
	munmap(area, (PAGES + 1) * PAGE);
	child_end(pid);
}

static uint64_t at(const uint8_t *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

/** What a page is in the store: 'd'ata as the child has it, an extent's kind, 0 = not there. */
static int kind_of(const struct store *store, uint64_t address)
{
	for (size_t i = 0; i < store->extents.count; i++)
		if (address >= store->extents.items[i].start &&
		    address < store->extents.items[i].end)
			return (int)store->extents.items[i].kind;
	for (size_t i = 0; i < store->runs.count; i++) {
		const struct store_run *run = &store->runs.items[i];
		uint8_t page[PAGE], expected[PAGE];
		if (address < run->start || address >= run->end)
			continue;
		CHECK_EQUAL(
			pread(store->fd, page, PAGE, (off_t)(run->offset + (address - run->start))),
			PAGE);
		unsigned index = (unsigned)((address - at(area)) / PAGE);
		memset(expected, index % 3 == 0 ? (int)(1 + index % 200) : 0, PAGE);
		CHECK(memcmp(page, expected, PAGE) == 0);
		return 'd';
	}
	return 0;
}

static void expect_sorted(const struct store *store)
{
	for (size_t i = 1; i < store->runs.count; i++)
		CHECK(store->runs.items[i - 1].end <= store->runs.items[i].start);
	for (size_t i = 1; i < store->extents.count; i++)
		CHECK(store->extents.items[i - 1].end <= store->extents.items[i].start);
	for (size_t i = 0; i < store->runs.count; i++) {
		CHECK(store->runs.items[i].offset >= STORE_PAGE); // the header's page is free
		CHECK(store->runs.items[i].offset + store->runs.items[i].end -
			      store->runs.items[i].start <=
		      store->size);
	}
}

static void leaves_zeros_out(void)
{
	struct store store;
	pid_t pid = make_child();
	CHECK_OK(store_init(&store));
	CHECK_OK(store_copy(&store, pid, at(area), at(area) + PAGES * PAGE, true));
	store_settle(&store);
	expect_sorted(&store);
	for (unsigned i = 0; i < PAGES; i++) {
		int kind = kind_of(&store, at(area) + i * PAGE);
		if (i % 3 == 0)
			CHECK_EQUAL(kind, 'd');
		else if (i % 3 == 2) // never touched: that much the kernel tells
			CHECK_EQUAL(kind, STROBE_EXTENT_ZERO);
		else
			CHECK(kind == 'd' || kind == STROBE_EXTENT_ZERO);
	}
	CHECK(store.size < (PAGES - PAGES / 3 + 2) * PAGE);
	end(&store, pid);
}

static void copies_all_when_asked(void)
{
	struct store store;
	pid_t pid = make_child();
	CHECK_OK(store_init(&store));
	// In two pieces, the second first: settled, they are in order.
	CHECK_OK(store_copy(&store, pid, at(area) + 2000 * PAGE, at(area) + PAGES * PAGE, false));
	CHECK_OK(store_copy(&store, pid, at(area), at(area) + 2000 * PAGE, false));
	CHECK_OK(store_copy(&store, pid, at(area), at(area), false)); // nothing
	store_settle(&store);
	expect_sorted(&store);
	for (unsigned i = 0; i < PAGES; i++)
		CHECK_EQUAL(kind_of(&store, at(area) + i * PAGE), 'd');
	CHECK_EQUAL(store.size, (PAGES + 1) * PAGE);
	end(&store, pid);
}

static void notes_what_cannot_be_read(void)
{
	struct store store;
	pid_t pid = make_child();
	uint64_t gone = at(area);
	CHECK_OK(store_init(&store));
	CHECK_OK(store_copy(&store, pid, at(area) + 2997 * PAGE, at(closed), false));
	// Where nothing is mapped at all.
	CHECK_OK(store_copy(&store, pid, PAGE, 3 * PAGE, false));
	store_settle(&store);
	expect_sorted(&store);
	CHECK_EQUAL(kind_of(&store, at(area) + 2997 * PAGE), 'd');
	CHECK_EQUAL(kind_of(&store, PAGE), STROBE_EXTENT_UNREADABLE);
	CHECK_EQUAL(kind_of(&store, 2 * PAGE), STROBE_EXTENT_UNREADABLE);
	CHECK_EQUAL(kind_of(&store, gone), 0);
	end(&store, pid);
}

static void a_process_that_is_gone(void)
{
	struct store store;
	pid_t pid = make_child();
	child_end(pid);
	CHECK_OK(store_init(&store));
	struct strobe_error *error = store_copy(&store, pid, at(area), at(area) + PAGE, false);
	if (!error) // then it must say that nothing was read
		CHECK_EQUAL(kind_of(&store, at(area)), STROBE_EXTENT_UNREADABLE);
	strobe_error_free(error);
	store_settle(&store);
	store_fini(&store);
	munmap(area, (PAGES + 1) * PAGE);
}

CHECK_MAIN({"zeros are left out", leaves_zeros_out}, {"all is copied", copies_all_when_asked},
	   {"what cannot be read is noted", notes_what_cannot_be_read},
	   {"a process that is gone", a_process_that_is_gone})
