// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <strobe/memory.h>
#include <strobe/overlay.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "core_writer.h"
#include "elf/strobe_note.h"

enum { DATA = 0x10000, HEADER = 48, RECORD = 40 };

static char directory[64], core[80], other[80], journal[96];
static uint8_t data[0x1000];

static struct strobe_view *open_core(const char *path)
{
	struct strobe_view *view = NULL;
	CHECK_OK(strobe_view_open(path, NULL, &view));
	return view;
}

static void make_core(const char *path, uint64_t rip, const uint8_t *id)
{
	struct core_writer writer;
	uint64_t registers[CORE_WRITER_REGISTERS] = {[CORE_WRITER_RIP] = rip};
	core_writer_init(&writer);
	core_writer_thread(&writer, 7, 11, registers);
	if (id) {
		struct strobe_note_capture capture = {.version = STROBE_NOTE_VERSION};
		memcpy(capture.id, id, sizeof(capture.id));
		core_writer_note(&writer, STROBE_NOTE_NAME, NT_STROBE_CAPTURE, &capture,
				 sizeof(capture));
	}
	core_writer_segment(&writer, DATA, sizeof(data), PF_R | PF_W, data, sizeof(data));
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
}

static uint8_t byte_at(const struct strobe_view *view, uint64_t address)
{
	uint8_t byte = 0xee;
	CHECK_EQUAL(strobe_memory_read(view, address, &byte, 1), 1);
	return byte;
}

static off_t size_of(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 ? status.st_size : -1;
}

/** A journal of three writes. */
static void make_journal(void)
{
	uint64_t rip = 0x1234;
	unlink(journal);
	make_core(core, 0x4000, NULL);
	struct strobe_view *view = open_core(core);
	CHECK_OK(strobe_overlay_open(view, journal, NULL));
	CHECK_OK(strobe_overlay_write(view, DATA, "a", 1));
	CHECK_OK(strobe_overlay_write(view, DATA + 1, "b", 1));
	CHECK_OK(strobe_overlay_set_register(view, 0, "rip", &rip, 8));
	strobe_view_close(view);
	CHECK_EQUAL(size_of(journal), HEADER + 3 * (RECORD + 8) + 1 + 1 + 8);
}

static void load(const char *path, size_t count, bool damaged, uint64_t ignored)
{
	struct strobe_overlay_loaded loaded = {.size = sizeof(loaded)};
	struct strobe_view *view = open_core(path);
	CHECK_OK(strobe_overlay_load(view, journal, &loaded));
	CHECK_EQUAL(loaded.count, count);
	CHECK_EQUAL(strobe_overlay_count(view), count);
	CHECK_EQUAL(loaded.damaged, damaged);
	CHECK_EQUAL(loaded.ignored_bytes, ignored);
	if (count > 0)
		CHECK_EQUAL(byte_at(view, DATA), 'a');
	if (count > 1)
		CHECK_EQUAL(byte_at(view, DATA + 1), 'b');
	CHECK_EQUAL(strobe_view_thread(view, 0)->pc, count > 2 ? 0x1234 : 0x4000);
	strobe_view_close(view);
}

static void keeps_writes(void)
{
	struct stat status;
	make_journal();
	CHECK(stat(journal, &status) == 0 && (status.st_mode & 0777) == 0600);
	load(core, 3, false, 0);
	struct strobe_view *view = open_core(core);
	char beside[128];
	snprintf(beside, sizeof(beside), "%s.overlay", core);
	CHECK_STRING(strobe_overlay_path(view), beside);
	strobe_view_close(view);
}

static void undoes_and_removes(void)
{
	make_journal();
	struct strobe_view *view = open_core(core);
	CHECK_OK(strobe_overlay_open(view, journal, NULL));
	CHECK_OK(strobe_overlay_undo(view, 1));
	CHECK_OK(strobe_overlay_write(view, DATA + 2, "c", 1));
	CHECK_OK(strobe_overlay_undo(view, 1));
	CHECK_EQUAL(byte_at(view, DATA + 2), 0);
	strobe_view_close(view);
	load(core, 2, false, 0);
	view = open_core(core);
	CHECK_OK(strobe_overlay_open(view, journal, NULL));
	CHECK_OK(strobe_overlay_undo(view, SIZE_MAX));
	CHECK_OK(strobe_overlay_write(view, DATA, "a", 1)); // begins anew
	strobe_view_close(view);
	load(core, 1, false, 0);
	view = open_core(core);
	CHECK_OK(strobe_overlay_open(view, journal, NULL));
	CHECK_OK(strobe_overlay_undo(view, 1));
	strobe_view_close(view);
	CHECK_EQUAL(size_of(journal), -1);
	load(core, 0, false, 0);
	// Opened, but nothing written.
	view = open_core(core);
	CHECK_OK(strobe_overlay_open(view, journal, NULL));
	CHECK_ERROR(strobe_overlay_write(view, 0x999, "a", 1), STROBE_ERROR_UNREADABLE);
	strobe_view_close(view);
	CHECK_EQUAL(size_of(journal), -1);
}

static void ignores_a_half_written_record(void)
{
	make_journal();
	off_t whole = size_of(journal), last = whole - RECORD - 16;
	for (off_t size = last + 1; size < whole; size++) {
		make_journal();
		CHECK(truncate(journal, size) == 0);
		load(core, 2, false, (uint64_t)(size - last));
	}
	// The next write takes its place.
	struct strobe_view *view = open_core(core);
	CHECK_OK(strobe_overlay_open(view, journal, NULL));
	CHECK_OK(strobe_overlay_write(view, DATA + 3, "d", 1));
	strobe_view_close(view);
	struct strobe_view *again = open_core(core);
	CHECK_OK(strobe_overlay_load(again, journal, NULL));
	CHECK_EQUAL(strobe_overlay_count(again), 3);
	CHECK_EQUAL(byte_at(again, DATA + 3), 'd');
	strobe_view_close(again);
}

static void flip(off_t at)
{
	uint8_t byte;
	int fd = open(journal, O_RDWR);
	CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte ^= 0x41;
	CHECK(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

static void stops_at_damage(void)
{
	off_t second = HEADER + RECORD + 1 + 8, third = second + RECORD + 1 + 8;
	for (off_t at = second; at < third; at++) {
		struct strobe_overlay_loaded loaded = {.size = sizeof(loaded)};
		make_journal();
		flip(at);
		struct strobe_view *view = open_core(core);
		CHECK_OK(strobe_overlay_load(view, journal, &loaded));
		CHECK_EQUAL(loaded.count, 1);
		CHECK(loaded.ignored_bytes > 0 && *loaded.why);
		CHECK_EQUAL(byte_at(view, DATA + 1), 0);
		strobe_view_close(view);
	}
	// Nothing may be added behind it, but all can be undone.
	make_journal();
	flip(second + RECORD);
	load(core, 1, true, (uint64_t)(size_of(journal) - second));
	off_t size = size_of(journal);
	struct strobe_view *view = open_core(core);
	CHECK_OK(strobe_overlay_open(view, journal, NULL));
	CHECK_ERROR(strobe_overlay_write(view, DATA, "x", 1), STROBE_ERROR_FORMAT);
	CHECK_EQUAL(byte_at(view, DATA), 'a');
	CHECK_EQUAL(size_of(journal), size);
	CHECK_OK(strobe_overlay_undo(view, SIZE_MAX));
	strobe_view_close(view);
	CHECK_EQUAL(size_of(journal), -1);
}

static void refuses_a_damaged_header(void)
{
	for (off_t at = 0; at < HEADER; at++) {
		make_journal();
		flip(at);
		struct strobe_view *view = open_core(core);
		CHECK_ERROR(strobe_overlay_load(view, journal, NULL), STROBE_ERROR_FORMAT);
		CHECK_ERROR(strobe_overlay_open(view, journal, NULL), STROBE_ERROR_FORMAT);
		CHECK_EQUAL(strobe_overlay_count(view), 0);
		strobe_view_close(view);
		CHECK(size_of(journal) > 0);
	}
	for (off_t size = 0; size < HEADER; size++) { // its maker died: no writes
		make_journal();
		CHECK(truncate(journal, size) == 0);
		load(core, 0, false, (uint64_t)size);
	}
}

static void refuses_the_journal_of_another(void)
{
	make_journal();
	make_core(other, 0x4001, NULL);
	struct strobe_view *view = open_core(other);
	CHECK_ERROR(strobe_overlay_load(view, journal, NULL), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_overlay_open(view, journal, NULL), STROBE_ERROR_INVALID);
	strobe_view_close(view);
	load(core, 3, false, 0);
}

static void goes_by_the_id_of_a_capture(void)
{
	static const uint8_t one[16] = {1}, two[16] = {2};
	unlink(journal);
	make_core(core, 0x4000, one);
	struct strobe_view *view = open_core(core);
	CHECK_OK(strobe_overlay_write(view, DATA, "a", 1));
	CHECK_OK(strobe_overlay_save(view, journal));
	strobe_view_close(view);
	load(core, 1, false, 0);
	make_core(other, 0x4000, two);
	view = open_core(other);
	CHECK_ERROR(strobe_overlay_load(view, journal, NULL), STROBE_ERROR_INVALID);
	strobe_view_close(view);
	make_core(other, 0x4000, one); // a copy of it, in another place
	load(other, 1, false, 0);
}

static void refuses_what_is_no_journal(void)
{
	struct strobe_view *view;
	make_journal();
	view = open_core(core);
	CHECK_ERROR(strobe_overlay_load(view, core, NULL), STROBE_ERROR_FORMAT);
	CHECK_ERROR(strobe_overlay_load(view, "/dev/null", NULL), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_overlay_open(view, "/dev/null", NULL), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_overlay_open(view, "/nowhere/at/all", NULL), STROBE_ERROR_SYSTEM);
	CHECK_ERROR(strobe_overlay_save(view, "/nowhere/at/all"), STROBE_ERROR_SYSTEM);
	CHECK_OK(strobe_overlay_write(view, DATA, "a", 1));
	CHECK_ERROR(strobe_overlay_load(view, journal, NULL), STROBE_ERROR_INVALID);
	strobe_view_close(view);
}

static void keeps_what_the_file_had_when_the_disk_is_full(void)
{
	make_journal();
	off_t before = size_of(journal);
	struct strobe_view *view = open_core(core);
	CHECK_OK(strobe_overlay_open(view, journal, NULL));
	// Of a write that does not fit nothing is left, in the file or in the view.
	static uint8_t large[0x800] = {'z'};
	struct strobe_error *error = NULL;
	pid_t child = fork();
	if (child == 0) {
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE,
			  &(struct rlimit){(rlim_t)before + 100, (rlim_t)before + 100});
		error = strobe_overlay_write(view, DATA + 16, large, sizeof(large));
		_exit(error && strobe_error_code(error) == STROBE_ERROR_SYSTEM &&
				      byte_at(view, DATA + 16) == 0 &&
				      strobe_overlay_count(view) == 3 && size_of(journal) == before
			      ? 0
			      : 1);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
	strobe_view_close(view);
	load(core, 3, false, 0);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"keeps writes", keeps_writes},
		{"undoes writes, and removes an empty journal", undoes_and_removes},
		{"ignores a half-written record", ignores_a_half_written_record},
		{"stops at damage", stops_at_damage},
		{"refuses a damaged header", refuses_a_damaged_header},
		{"refuses the journal of another file", refuses_the_journal_of_another},
		{"goes by the id of a capture", goes_by_the_id_of_a_capture},
		{"refuses what is no journal", refuses_what_is_no_journal},
		{"loses nothing when the disk is full",
		 keeps_what_the_file_had_when_the_disk_is_full},
	};
	strcpy(directory, "/tmp/strobe-overlay-XXXXXX");
	if (!mkdtemp(directory))
		return 1;
	snprintf(core, sizeof(core), "%s/core", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	snprintf(journal, sizeof(journal), "%s/journal", directory);
	int status = check_run(cases, sizeof(cases) / sizeof(cases[0]));
	unlink(core);
	unlink(other);
	unlink(journal);
	rmdir(directory);
	return status;
}
