// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <strobe/memory.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "core/core.h"
#include "core_writer.h"
#include "elf/strobe_note.h"

// An image of a child that stands still: its notes and one page in a memfd, the rest in the child.
enum { PAGE = 4096, PAGES = 4096, CHUNK = 64 * PAGE, BIG = 1 << 20 };

static uint8_t *area;
static uint8_t *memory; // in it: PAGES pages: every 16th written, one of them taken away
static uint8_t *stale;	// one page, which the image holds a copy of
static size_t gone = 160;

static int start_child(void)
{
	// What is fetched at once begins where this begins, wherever the kernel puts it.
	area = mmap(NULL, (size_t)PAGES * PAGE + CHUNK, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stale = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED && stale != MAP_FAILED);
	memory = area + (-(uintptr_t)area & (CHUNK - 1));
	for (size_t i = 0; i < PAGES; i += 16)
		memset(memory + i * PAGE, (int)(i / 16 % 255 + 1), PAGE);
	memcpy(memory + (size_t)2000 * PAGE + 5, "needle", 6);
	CHECK(madvise(memory + gone * PAGE, PAGE, MADV_DONTFORK) == 0);
	int child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	munmap(area, (size_t)PAGES * PAGE + CHUNK);
	return child;
}

static struct strobe_view *open_image(int child, bool as_file)
{
	static const uint64_t registers[CORE_WRITER_REGISTERS];
	const struct strobe_note_frozen frozen = {.pid = child};
	static uint8_t copy[PAGE] = "copied";
	struct core_writer writer;
	struct strobe_view *view;
	char path[64];
	uint64_t start = (uint64_t)(uintptr_t)memory;
	int fd = memfd_create("image", MFD_CLOEXEC);
	CHECK(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	core_writer_init(&writer);
	core_writer_thread(&writer, child, 0, registers);
	core_writer_note(&writer, STROBE_NOTE_NAME, NT_STROBE_FROZEN, &frozen, sizeof(frozen));
	core_writer_segment(&writer, start, (uint64_t)PAGES * PAGE, PF_R | PF_W, NULL, 0);
	core_writer_segment(&writer, (uint64_t)(uintptr_t)stale, PAGE, PF_R | PF_W, copy, PAGE);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
	if (as_file)
		CHECK_OK(core_open_file(path, NULL, &view));
	else
		CHECK_OK(core_open_image(fd, "@test", NULL, &view));
	close(fd);
	return view;
}

static bool note_hit(void *context, uint64_t address, uint64_t size)
{
	*(uint64_t *)context = address;
	return true;
}

static void look_at_all(struct strobe_view *view)
{
	static uint8_t buffer[BIG];
	uint64_t start = (uint64_t)(uintptr_t)memory, hit = 0;
	struct strobe_memory_extent extent;
	struct view_run run;
	CHECK_STRING(strobe_view_process_info(view)->source_kind, "frozen copy");
	CHECK_STRING(strobe_view_process_info(view)->source_path, "@test");
	CHECK_EQUAL(strobe_memory_read(view, start + 17 * 16 * PAGE, buffer, 8), 8);
	CHECK_EQUAL(buffer[7], 18);
	CHECK_EQUAL(strobe_memory_read(view, start + 256 * 16 * PAGE - 4, buffer, 8), 4);
	CHECK_EQUAL(strobe_memory_read(view, (uint64_t)(uintptr_t)stale, buffer, PAGE), PAGE);
	CHECK_STRING((char *)buffer, "copied"); // the image's own page hides the child's
	// Small and large reads stop before the page that is not in the child.
	CHECK_EQUAL(strobe_memory_read(view, start + gone * PAGE - 8, buffer, 16), 8);
	CHECK_EQUAL(strobe_memory_read(view, start, buffer, BIG), gone * PAGE);
	CHECK_EQUAL(buffer[144 * PAGE], 10);
	CHECK_EQUAL(strobe_memory_read(view, start + gone * PAGE, buffer, BIG), 0);
	CHECK_EQUAL(strobe_memory_read(view, start + (gone + 1) * PAGE, buffer, BIG), BIG);
	strobe_memory_extent(view, start + gone * PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK_EQUAL(extent.end, start + (gone + 1) * PAGE);
	CHECK_STRING(extent.why, "not in the frozen copy");
	strobe_memory_extent(view, start, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_PRESENT);
	CHECK_EQUAL(extent.end, start + gone * PAGE);
	view_run_at(view, start + 16 * PAGE, start + 100 * PAGE, &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_DATA);
	CHECK_EQUAL(run.end, start + 17 * PAGE);
	view_run_at(view, start + 17 * PAGE, start + 100 * PAGE, &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_ZERO);
	CHECK_EQUAL(run.end, start + 32 * PAGE);
	const struct strobe_search search = {
		.size = sizeof(search), .pattern = "needle", .pattern_size = 6};
	CHECK_OK(strobe_memory_search(view, &search, note_hit, NULL, &hit));
	CHECK_EQUAL(hit, start + 2000 * PAGE + 5);
}

static void the_rest_of_memory_is_the_childs(void)
{
	int child = start_child();
	struct strobe_view *view = open_image(child, false);
	look_at_all(view);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	// What was looked at is still there, what was not is missing, and nothing hangs.
	uint8_t byte;
	uint64_t start = (uint64_t)(uintptr_t)memory;
	CHECK_EQUAL(strobe_memory_read(view, start + 17 * 16 * PAGE, &byte, 1), 1);
	CHECK_EQUAL(byte, 18);
	CHECK_EQUAL(strobe_memory_read(view, start + (uint64_t)2048 * PAGE, &byte, 1), 0);
	struct strobe_memory_extent extent;
	strobe_memory_extent(view, start + (uint64_t)2048 * PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK_STRING(extent.why, "could not be read");
	strobe_view_close(view);
}

static void a_file_may_not_name_a_process(void)
{
	int child = start_child();
	struct strobe_view *view = open_image(child, true);
	uint8_t byte;
	CHECK_EQUAL(strobe_memory_read(view, (uint64_t)(uintptr_t)memory, &byte, 1), 0);
	CHECK_EQUAL(strobe_memory_read(view, (uint64_t)(uintptr_t)stale, &byte, 1), 1);
	strobe_view_close(view);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

CHECK_MAIN({"the rest of memory is the child's", the_rest_of_memory_is_the_childs},
	   {"a file may not name a process", a_file_may_not_name_a_process})
