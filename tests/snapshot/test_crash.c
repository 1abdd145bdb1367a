// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <strobe/crash.h>
#include <strobe/memory.h>
#include <strobe/view.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "core_writer.h"

enum { PAGE = 4096, PAGES = 40, TID = 4711, TRUNCATIONS = 300, FLIPS = 3000 };
static const uint64_t base = 0x500000000000, stack = 0x7ffc00000000;

static char folder[PATH_MAX], in[PATH_MAX + 16], out[PATH_MAX + 16];
static uint8_t pages[PAGES * PAGE];

// Pages 8 to 23 are zero; the others are all different.
static void fill_pages(void)
{
	for (size_t i = 0; i < sizeof(pages); i++)
		pages[i] = i / PAGE >= 8 && i / PAGE < 24
				   ? 0
				   : (uint8_t)((i / PAGE + 1) * 31 + i * 2654435761u / PAGE);
}

static void begin(void)
{
	snprintf(folder, sizeof(folder), "/tmp/strobe-test-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(in, sizeof(in), "%s/in", folder);
	snprintf(out, sizeof(out), "%s/out", folder);
	fill_pages();
}

static void end(void)
{
	unlink(in);
	unlink(out);
	CHECK(rmdir(folder) == 0); // nothing else is there
}

// A core as the kernel makes it, with `extra` segments of one page each behind the two others.
static void make_core(size_t extra)
{
	static uint8_t page[PAGE] = {1};
	struct core_writer writer;
	uint64_t registers[CORE_WRITER_REGISTERS] = {
		[CORE_WRITER_RIP] = base, [CORE_WRITER_RSP] = stack + 64};
	core_writer_init(&writer);
	core_writer_thread(&writer, TID, 11, registers);
	core_writer_process(&writer, TID, "dying", "dying -v");
	core_writer_fault(&writer, 11, 1, 0x10);
	core_writer_segment(&writer, base, sizeof(pages), PF_R | PF_W, pages, sizeof(pages));
	for (size_t i = 0; i < extra; i++)
		core_writer_segment(&writer, 0x600000000000 + i * 2 * PAGE, PAGE, PF_R | PF_W,
				    i % 1000 ? NULL : page, i % 1000 ? 0 : PAGE);
	core_writer_segment(&writer, stack, 2 * PAGE, PF_R | PF_W, pages, 2 * PAGE);
	core_writer_save(&writer, in);
	core_writer_fini(&writer);
}

static struct strobe_error *save_from(int fd, const struct strobe_crash_options *options,
				      struct strobe_crash_saved *saved)
{
	memset(saved, 0, sizeof(*saved));
	return strobe_crash_save(fd, out, options, saved);
}

static struct strobe_error *save(const struct strobe_crash_options *options,
				 struct strobe_crash_saved *saved)
{
	int fd = open(in, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	struct strobe_error *error = save_from(fd, options, saved);
	close(fd);
	return error;
}

static void check_memory(const struct strobe_view *view, uint64_t address, const uint8_t *bytes,
			 size_t size)
{
	static uint8_t got[sizeof(pages)];
	CHECK_EQUAL(strobe_memory_read(view, address, got, size), size);
	CHECK(memcmp(got, bytes, size) == 0);
}

static void check_view(void)
{
	struct strobe_view *view;
	CHECK_OK(strobe_view_open(out, NULL, &view));
	CHECK_EQUAL(strobe_view_warning_count(view), 0);
	CHECK_EQUAL(strobe_view_thread_count(view), 1);
	CHECK_EQUAL(strobe_view_thread(view, 0)->tid, TID);
	CHECK_EQUAL(strobe_view_thread(view, 0)->pc, base);
	CHECK_STRING(strobe_view_process_info(view)->signal.name, "SIGSEGV");
	CHECK(strobe_view_capture(view) != NULL);
	CHECK_STRING(strobe_view_capture(view)->method, "crash");
	check_memory(view, base, pages, sizeof(pages));
	check_memory(view, stack, pages, 2 * PAGE);
	strobe_view_close(view);
}

static void as_the_kernel_pipes_it(void)
{
	struct strobe_crash_options options = {.size = sizeof(options)};
	struct strobe_crash_saved saved;
	struct stat status;
	begin();
	make_core(0);
	CHECK_OK(save(&options, &saved));
	CHECK(!saved.plain && !saved.missing_bytes && !saved.process_gone);
	CHECK_EQUAL(saved.memory_bytes, sizeof(pages) + 2 * PAGE);
	CHECK_EQUAL(saved.written.page_bytes, sizeof(pages) + 2 * PAGE - 16 * PAGE);
	check_view();
	CHECK(stat(out, &status) == 0 && (status.st_mode & 0777) == 0600);
	CHECK_EQUAL(saved.written.file_bytes, status.st_size);
	CHECK(saved.written.disk_bytes < saved.written.file_bytes);
	options.compress = true;
	CHECK_OK(save(&options, &saved));
	CHECK(stat(out, &status) == 0 && status.st_size < (off_t)sizeof(pages) / 2);
	check_view();
	end();
}

static void through_a_slow_pipe(void)
{
	struct strobe_crash_saved saved;
	int ends[2];
	begin();
	make_core(3);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	pid_t child = fork();
	if (child == 0) {
		// Odd sizes: no header, note or page begins where a read does.
		static char piece[997];
		int fd = open(in, O_RDONLY);
		ssize_t size;
		while ((size = read(fd, piece, sizeof(piece))) > 0)
			if (write(ends[1], piece, (size_t)size) != size)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	CHECK_OK(save_from(ends[0], NULL, &saved));
	close(ends[0]);
	CHECK(waitpid(child, NULL, 0) == child);
	check_view();
	end();
}

static void what_proc_tells(void)
{
	struct strobe_crash_options options = {
		.size = sizeof(options), .pid = getpid(), .time_ns = INT64_C(1700000000000000000)};
	struct strobe_crash_saved saved;
	struct strobe_view *view;
	bool known;
	size_t size;
	begin();
	make_core(0);
	CHECK_OK(save(&options, &saved));
	CHECK_EQUAL(saved.thread_count, 1);
	CHECK(!saved.process_gone);
	CHECK_OK(strobe_view_open(out, NULL, &view));
	CHECK_EQUAL(strobe_view_process_info(view)->time_ns, options.time_ns);
	CHECK(strobe_view_descriptor_count(view, &known) >= 3 && known);
	CHECK(strobe_view_proc_file(view, "status", &size) != NULL && size > 100);
	CHECK(strobe_view_proc_file(view, "limits", NULL) != NULL);
	CHECK(strobe_view_environment(view, 0) != NULL);
	strobe_view_close(view);
	options.pid = INT_MAX; // no process has this id
	CHECK_OK(save(&options, &saved));
	CHECK(saved.process_gone);
	check_view();
	end();
}

static void many_segments(void)
{
	enum { EXTRA = 70000 };
	struct strobe_crash_saved saved;
	struct strobe_view *view;
	begin();
	make_core(EXTRA);
	CHECK_OK(save(NULL, &saved));
	CHECK(!saved.plain && !saved.missing_bytes);
	CHECK_OK(strobe_view_open(out, NULL, &view));
	CHECK_EQUAL(strobe_view_warning_count(view), 0);
	CHECK_EQUAL(strobe_view_mapping_count(view), EXTRA + 2);
	check_memory(view, base, pages, sizeof(pages));
	strobe_view_close(view);
	end();
}

static void cut_to(uint64_t size)
{
	CHECK(truncate(in, (off_t)size) == 0);
}

// Whatever comes is kept: pages that came whole are in the file.
static void broken_off(void)
{
	struct strobe_crash_options options = {.size = sizeof(options), .no_fsync = true};
	struct strobe_crash_saved saved;
	struct stat status;
	begin();
	make_core(1);
	CHECK(stat(in, &status) == 0);
	size_t saved_count = 0, refused = 0;
	for (uint64_t i = 0; i < TRUNCATIONS; i++) {
		uint64_t size = (uint64_t)status.st_size * (TRUNCATIONS - 1 - i) / TRUNCATIONS;
		options.compress = i % 2;
		cut_to(size);
		struct strobe_error *error = save(&options, &saved);
		if (error) {
			CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_FORMAT);
			strobe_error_free(error);
			refused++;
			continue;
		}
		saved_count++;
		CHECK_EQUAL(saved.missing_bytes, (uint64_t)status.st_size - size);
		struct strobe_view *view;
		CHECK_OK(strobe_view_open(out, NULL, &view));
		CHECK_STRING(strobe_view_capture(view)->method, "crash");
		uint64_t first = (uint64_t)status.st_size - 3 * PAGE - sizeof(pages);
		if (size > first + PAGE)
			check_memory(view, base, pages,
				     size - first < sizeof(pages) ? (size - first) & -(size_t)PAGE
								  : sizeof(pages));
		strobe_view_close(view);
	}
	CHECK(saved_count > TRUNCATIONS / 2 && refused >= 1);
	cut_to(0);
	CHECK_ERROR(save(&options, &saved), STROBE_ERROR_FORMAT);
	end();
}

static void patch(uint64_t offset, const void *bytes, size_t size)
{
	int fd = open(in, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size);
	close(fd);
}

static bool same_files(void)
{
	char command[3 * PATH_MAX];
	snprintf(command, sizeof(command), "cmp -s '%s' '%s'", in, out);
	return system(command) == 0;
}

static void other_shapes(void)
{
	static const uint8_t narrow = ELFCLASS32;
	static const uint16_t program = ET_EXEC, cannot_be = 55;
	uint64_t offset;
	struct strobe_crash_saved saved;
	begin();
	make_core(0);
	patch(EI_CLASS, &narrow, 1);
	CHECK_OK(save(NULL, &saved));
	CHECK(saved.plain != NULL && same_files());
	make_core(0);
	patch(offsetof(Elf64_Ehdr, e_phentsize), &cannot_be, 2);
	CHECK_OK(save(NULL, &saved));
	CHECK(saved.plain != NULL && same_files());
	make_core(0); // the first segment of memory begins among the notes
	offset = 500;
	patch(sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_offset), &offset, 8);
	CHECK_OK(save(NULL, &saved));
	CHECK(saved.plain != NULL && same_files());
	make_core(0); // ends beyond everything
	offset = UINT64_MAX - 100;
	patch(sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_offset), &offset, 8);
	CHECK_OK(save(NULL, &saved));
	CHECK(saved.plain != NULL && same_files());
	unlink(out);
	make_core(0);
	patch(offsetof(Elf64_Ehdr, e_type), &program, 2);
	CHECK_ERROR(save(NULL, &saved), STROBE_ERROR_FORMAT);
	patch(0, "GIF89a", 6);
	CHECK_ERROR(save(NULL, &saved), STROBE_ERROR_FORMAT);
	CHECK(access(out, F_OK) != 0);
	end();
}

// Any header: it may be refused or saved, but not take us down or go on for ever.
static void hostile_headers(void)
{
	struct strobe_crash_options options = {.size = sizeof(options), .no_fsync = true};
	struct strobe_crash_saved saved;
	uint64_t state = 88172645463325252;
	begin();
	make_core(2);
	int fd = open(in, O_RDONLY | O_CLOEXEC);
	uint8_t original[sizeof(Elf64_Ehdr) + 5 * sizeof(Elf64_Phdr)];
	CHECK(fd >= 0 && pread(fd, original, sizeof(original), 0) == sizeof(original));
	close(fd);
	for (unsigned i = 0; i < FLIPS; i++) {
		uint8_t changed[sizeof(original)];
		memcpy(changed, original, sizeof(changed));
		for (unsigned k = 0; k <= i % 4; k++) {
			state ^= state << 13, state ^= state >> 7, state ^= state << 17;
			changed[state % sizeof(changed)] = (uint8_t)(state >> 32);
		}
		patch(0, changed, sizeof(changed));
		options.compress = i % 8 == 0;
		strobe_error_free(save(&options, &saved));
	}
	end();
}

static bool refuse(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	unsigned *calls = context;
	return ++*calls < 3;
}

static void cancelled(void)
{
	unsigned calls = 0;
	struct strobe_crash_options options = {
		.size = sizeof(options), .progress = refuse, .context = &calls};
	struct strobe_crash_saved saved;
	begin();
	make_core(0);
	CHECK_ERROR(save(&options, &saved), STROBE_ERROR_LIMIT);
	CHECK_EQUAL(calls, 3);
	CHECK(access(out, F_OK) != 0);
	end();
}

CHECK_MAIN({"a core as the kernel pipes it becomes a snapshot", as_the_kernel_pipes_it},
	   {"a pipe that gives odd pieces", through_a_slow_pipe},
	   {"what /proc tells of the process stands in it", what_proc_tells},
	   {"more segments than the header can count", many_segments},
	   {"a core that breaks off is kept as far as it came", broken_off},
	   {"cores of other shapes are saved as they come, other files refused", other_shapes},
	   {"headers that say anything", hostile_headers}, {"a cancel leaves nothing", cancelled})
