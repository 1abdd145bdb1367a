// SPDX-License-Identifier: Apache-2.0
// What only snapshots have: compressed bytes, extents, parents, embedded files, page hashes.
#include <elf.h>
#include <strobe/memory.h>
#include <strobe/view.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/seekable_writer.h"
#include "base/hash_page.h"
#include "check.h"
#include "core_writer.h"
#include "elf/strobe_note.h"
#include "view/build.h"
#include "view/view.h"

enum { PAGE = 4096, FRAME = 65536, BIG_PAGES = 300 };
static const uint64_t heap_at = 0x10000000, file_at = 0x20000000;
static char folder[64], plain[128], packed[128];
static uint8_t heap[BIG_PAGES * PAGE];

static const char *below(const char *name)
{
	static char paths[8][160];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%.80s", folder, name);
	return path;
}

static void remove_folder(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command) != 0)
		printf("# %s stays\n", folder);
}

static void set_up(void)
{
	uint32_t state = 1;
	for (size_t i = 0; i < sizeof(heap); i++) {
		state = state * 1664525 + 1013904223;
		heap[i] = (uint8_t)(state >> 24 & 31);
	}
	memset(heap + 100 * PAGE, 0, 100 * PAGE);
	if (*folder)
		return;
	strcpy(folder, "/tmp/strobe-snapshot-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	atexit(remove_folder);
	strcpy(plain, below("plain"));
	strcpy(packed, below("packed"));
}

static uint8_t *read_whole(const char *path, size_t *size)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	CHECK(file && fstat(fileno(file), &st) == 0);
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	CHECK(bytes && fread(bytes, 1, (size_t)st.st_size, file) == (size_t)st.st_size);
	fclose(file);
	*size = (size_t)st.st_size;
	return bytes;
}

static void write_whole(const char *path, const uint8_t *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void pack(const char *from, const char *to)
{
	size_t size, packed_size;
	uint8_t *bytes = read_whole(from, &size);
	uint8_t *file = seekable_write(bytes, size, FRAME, 1, &packed_size);
	write_whole(to, file, packed_size);
	free(file);
	free(bytes);
}

static void begin(struct core_writer *writer, uint8_t id)
{
	static const uint64_t registers[CORE_WRITER_REGISTERS];
	core_writer_init(writer);
	core_writer_thread(writer, 42, 0, registers);
	core_writer_process(writer, 42, "program", "program -x");
	core_writer_capture(writer, (uint64_t)time(NULL) * 1000000000 + 999999999, 1, id);
}

static void save(struct core_writer *writer, const char *path)
{
	core_writer_save(writer, path);
	core_writer_fini(writer);
}

static struct strobe_view *open_view(const char *path)
{
	struct strobe_view *view;
	const struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	CHECK_OK(strobe_view_open(path, &options, &view));
	return view;
}

static bool has_warning(const struct strobe_view *view, const char *part)
{
	for (size_t i = 0; i < strobe_view_warning_count(view); i++)
		if (strstr(strobe_view_warning(view, i), part))
			return true;
	return false;
}

static void compressed_is_as_plain(void)
{
	static uint8_t buffer[sizeof(heap)];
	struct core_writer writer;
	struct view_run run;
	set_up();
	begin(&writer, 1);
	core_writer_segment(&writer, heap_at, sizeof(heap), PF_R | PF_W, heap, sizeof(heap));
	for (uint64_t i = 0; i < 2000; i++) // program headers of more than one piece
		core_writer_segment(&writer, file_at + i * 2 * PAGE, PAGE, PF_R, heap + i, PAGE);
	save(&writer, plain);
	pack(plain, packed);
	struct strobe_view *view = open_view(packed);
	CHECK_EQUAL(strobe_view_warning_count(view), 0);
	CHECK_EQUAL(strobe_view_process_info(view)->pid, 42);
	CHECK_EQUAL(strobe_view_mapping_count(view), 2001);
	CHECK_EQUAL(strobe_view_process_info(view)->present_bytes, sizeof(heap) + 2000 * PAGE);
	CHECK_EQUAL(strobe_memory_read(view, heap_at, buffer, sizeof(heap)), sizeof(heap));
	CHECK(memcmp(buffer, heap, sizeof(heap)) == 0);
	for (uint64_t i = 0; i < 2000; i += 7) {
		CHECK_EQUAL(strobe_memory_read(view, file_at + i * 2 * PAGE + 9, buffer, PAGE),
			    PAGE - 9);
		CHECK(memcmp(buffer, heap + i + 9, PAGE - 9) == 0);
	}
	view_run_at(view, heap_at, heap_at + sizeof(heap), &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_DATA);
	uint64_t zeros = 0;
	for (uint64_t at = heap_at; at < heap_at + sizeof(heap); at = run.end) {
		view_run_at(view, at, heap_at + sizeof(heap), &run);
		if (run.kind == VIEW_RUN_ZERO) {
			CHECK(at >= heap_at + 100 * PAGE && run.end <= heap_at + 200 * PAGE);
			zeros += run.end - at;
		}
	}
	CHECK(zeros >= 100 * PAGE - 2 * FRAME);
	strobe_view_close(view);
}

static void more_segments_than_a_header_counts(void)
{
	struct core_writer writer;
	uint64_t value;
	set_up();
	begin(&writer, 1);
	for (uint64_t i = 0; i < 70000; i++)
		core_writer_segment(&writer, heap_at + i * 2 * PAGE, PAGE, PF_R, &heap[i % 64], 8);
	save(&writer, plain);
	pack(plain, packed);
	struct strobe_view *view = open_view(packed);
	CHECK_EQUAL(strobe_view_mapping_count(view), 70000);
	CHECK(view_read_unsigned(view, heap_at + UINT64_C(69999) * 2 * PAGE, 8, &value));
	CHECK(memcmp(&value, &heap[69999 % 64], 8) == 0);
	strobe_view_close(view);
}

static void damage_in_a_frame_is_missing_memory(void)
{
	static uint8_t buffer[sizeof(heap)];
	struct core_writer writer;
	struct strobe_memory_extent extent;
	struct strobe_view *view;
	size_t size;
	set_up();
	begin(&writer, 1);
	core_writer_segment(&writer, heap_at, sizeof(heap), PF_R | PF_W, heap, sizeof(heap));
	save(&writer, plain);
	pack(plain, packed);
	uint8_t *bytes = read_whole(packed, &size);
	size_t first = ZSTD_findFrameCompressedSize(bytes, size);
	bytes[first + 500] ^= 1; // frame 1: the core's bytes from 64 KiB to 128 KiB
	write_whole(packed, bytes, size);
	view = open_view(packed);
	// Notes and headers are one page: memory begins at 0x1000 of the file.
	CHECK_EQUAL(strobe_memory_read(view, heap_at, buffer, 4 * FRAME), FRAME - PAGE);
	CHECK(memcmp(buffer, heap, FRAME - PAGE) == 0);
	CHECK(has_warning(view, "damaged: frame 1 at file offset 0x"));
	CHECK_EQUAL(strobe_memory_read(view, heap_at + FRAME - PAGE, buffer, 8), 0);
	CHECK_EQUAL(strobe_memory_read(view, heap_at + 2 * FRAME - PAGE - 1, buffer, 8), 0);
	CHECK_EQUAL(strobe_memory_read(view, heap_at + 2 * FRAME - PAGE, buffer, 8), 8);
	strobe_memory_extent(view, heap_at + FRAME - PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK_STRING(extent.why, "could not be read");
	strobe_view_close(view);
	bytes[first + 500] ^= 1;
	bytes[100] ^= 1; // frame 0: headers
	write_whole(packed, bytes, size);
	struct strobe_error *error = strobe_view_open(packed, NULL, &view);
	CHECK(error && strstr(strobe_error_message(error), "damaged: frame 0 at file offset 0x0"));
	strobe_error_free(error);
	bytes[100] ^= 1;
	write_whole(packed, bytes, size - 10); // cut
	error = strobe_view_open(packed, NULL, &view);
	CHECK(error && strstr(strobe_error_message(error), "cut off"));
	strobe_error_free(error);
	free(bytes);
}

static void extents_say_what_is_not_there(void)
{
	struct core_writer writer;
	struct strobe_memory_extent extent;
	struct view_run run;
	uint8_t buffer[64];
	set_up();
	uint8_t *bytes = heap;
	write_whole(below("mapped"), bytes, 8 * PAGE);
	const struct strobe_note_extent extents[] = {
		{heap_at + 1 * PAGE, heap_at + 3 * PAGE, STROBE_EXTENT_ZERO, 0},
		{heap_at + 3 * PAGE, heap_at + 4 * PAGE, STROBE_EXTENT_UNREADABLE, 0},
		{heap_at + 4 * PAGE, heap_at + 5 * PAGE, STROBE_EXTENT_LEFT_OUT, 0},
		{file_at + 1 * PAGE, file_at + 4 * PAGE, STROBE_EXTENT_AS_FILE, 0},
		{file_at + 4 * PAGE, file_at + 6 * PAGE, STROBE_EXTENT_LEFT_OUT, 0},
	};
	begin(&writer, 1);
	core_writer_strobe(&writer, NT_STROBE_EXTENTS, extents, sizeof(extents), NULL, 0);
	core_writer_segment(&writer, heap_at, PAGE, PF_R | PF_W, heap, PAGE);
	core_writer_segment(&writer, heap_at + PAGE, 4 * PAGE, PF_R | PF_W, NULL, 0);
	core_writer_segment(&writer, file_at, PAGE, PF_R | PF_W, heap + 64, PAGE);
	core_writer_segment(&writer, file_at + PAGE, 7 * PAGE, PF_R | PF_W, NULL, 0);
	core_writer_file(&writer, file_at, file_at + 8 * PAGE, 0, below("mapped"));
	save(&writer, plain);
	struct strobe_view *view = open_view(plain);
	view->anonymous_dumped = false; // as where changed memory may be left out
	CHECK_EQUAL(strobe_memory_read(view, heap_at + PAGE - 8, buffer, 64), 64);
	CHECK(memcmp(buffer, heap + PAGE - 8, 8) == 0 && buffer[8] == 0 && buffer[63] == 0);
	view_run_at(view, heap_at + PAGE, heap_at + 5 * PAGE, &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_ZERO);
	CHECK_EQUAL(run.end, heap_at + 3 * PAGE);
	strobe_memory_extent(view, heap_at + 3 * PAGE, &extent);
	CHECK_STRING(extent.why, "could not be read when it was captured");
	CHECK_EQUAL(extent.end, heap_at + 4 * PAGE);
	strobe_memory_extent(view, heap_at + 4 * PAGE, &extent);
	CHECK_STRING(extent.why, "left out of the snapshot");
	// Writable, but known to be as in the file.
	CHECK_EQUAL(strobe_memory_read(view, file_at + 3 * PAGE, buffer, 64), 64);
	CHECK(memcmp(buffer, heap + 3 * PAGE, 64) == 0);
	view_run_at(view, file_at + 2 * PAGE, file_at + 8 * PAGE, &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_FILE);
	CHECK_EQUAL(run.end, file_at + 4 * PAGE);
	strobe_memory_extent(view, file_at + 4 * PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK_EQUAL(extent.end, file_at + 6 * PAGE);
	CHECK_STRING(extent.why, "left out of the snapshot, and may differ from its file");
	view_run_at(view, file_at + 4 * PAGE, file_at + 8 * PAGE, &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_MISSING);
	view_run_at(view, 0x1000, file_at, &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_MISSING);
	CHECK_EQUAL(run.end, heap_at);
	strobe_view_close(view);
}

/** Snapshot `id` of two pages: its own number in the first, the second as in `parent`. */
static void write_link(const char *path, uint8_t id, const char *parent_path, uint8_t parent_id)
{
	struct core_writer writer;
	struct strobe_note_parent parent;
	const struct strobe_note_extent rest = {heap_at + PAGE, heap_at + 2 * PAGE,
						STROBE_EXTENT_AS_PARENT, 0};
	uint8_t page[2 * PAGE];
	memset(page, id, PAGE);
	memset(page + PAGE, id + 100, PAGE);
	memset(parent.id, parent_id, sizeof(parent.id));
	begin(&writer, id);
	if (parent_path) {
		core_writer_strobe(&writer, NT_STROBE_PARENT, &parent, sizeof(parent), parent_path,
				   strlen(parent_path) + 1);
		core_writer_strobe(&writer, NT_STROBE_EXTENTS, &rest, sizeof(rest), NULL, 0);
	}
	core_writer_segment(&writer, heap_at, 2 * PAGE, PF_R | PF_W, page,
			    parent_path ? PAGE : 2 * PAGE);
	save(&writer, path);
}

static uint8_t byte_at(const struct strobe_view *view, uint64_t address)
{
	uint8_t byte;
	CHECK_EQUAL(strobe_memory_read(view, address, &byte, 1), 1);
	return byte;
}

static void a_chain_is_one_view(void)
{
	set_up();
	write_link(below("a"), 1, NULL, 0);
	write_link(below("b.plain"), 2, below("a"), 1);
	pack(below("b.plain"), below("b"));
	mkdir(below("moved"), 0700);
	write_link(below("c"), 3, "/gone/b", 2); // its basename beside the child
	struct strobe_view *view = open_view(below("c"));
	CHECK_EQUAL(strobe_view_warning_count(view), 0);
	CHECK_EQUAL(byte_at(view, heap_at), 3);
	CHECK_EQUAL(byte_at(view, heap_at + PAGE), 101); // a's, through b
	CHECK_EQUAL(strobe_view_process_info(view)->present_bytes, 2 * PAGE);
	strobe_view_close(view);
}

static void a_missing_link_is_named(void)
{
	struct strobe_memory_extent extent;
	set_up();
	write_link(below("a"), 1, NULL, 0);
	write_link(below("b"), 2, below("a"), 9); // there is something, but not that
	struct strobe_view *view = open_view(below("b"));
	CHECK_EQUAL(byte_at(view, heap_at), 2);
	strobe_memory_extent(view, heap_at + PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK(strstr(extent.why, "/a, id 09090909090909090909090909090909, which is missing"));
	CHECK(has_warning(view, "is the snapshot 01010101010101010101010101010101, not 0909"));
	strobe_view_close(view);
	unlink(below("a"));
	view = open_view(below("b"));
	CHECK(has_warning(view, "is missing: "));
	CHECK(has_warning(view, "No such file or directory"));
	CHECK_EQUAL(byte_at(view, heap_at), 2);
	strobe_view_close(view);
	// The end of a longer chain is told to who opens its beginning.
	write_link(below("c"), 3, below("b"), 2);
	view = open_view(below("c"));
	CHECK(has_warning(view, "No such file or directory"));
	strobe_memory_extent(view, heap_at + PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	strobe_view_close(view);
}

static void a_ring_is_refused(void)
{
	set_up();
	write_link(below("a"), 1, below("c"), 3);
	write_link(below("b"), 2, below("a"), 1);
	write_link(below("c"), 3, below("b"), 2);
	struct strobe_view *view = open_view(below("c"));
	CHECK(has_warning(view, "it builds on itself"));
	CHECK_EQUAL(byte_at(view, heap_at), 3);
	strobe_view_close(view);
}

static void long_chains_are_read_through(void)
{
	char name[16], parent[16];
	set_up();
	write_link(below("0"), 0, NULL, 0);
	for (unsigned i = 1; i < 200; i++) {
		snprintf(name, sizeof(name), "%u", i);
		snprintf(parent, sizeof(parent), "%u", i - 1);
		write_link(below(name), (uint8_t)i, parent, (uint8_t)(i - 1));
	}
	struct strobe_view *view = open_view(below("199"));
	CHECK_EQUAL(strobe_view_warning_count(view), 0);
	CHECK_EQUAL(byte_at(view, heap_at), 199);
	CHECK_EQUAL(byte_at(view, heap_at + 2 * PAGE - 1), 100);
	strobe_view_close(view);
}

/** An ELF file with the build id 11...11 and `mark` as its last byte. */
static void make_elf(uint8_t bytes[PAGE], uint8_t mark)
{
	memset(bytes, 0, PAGE);
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(header),
		.e_phnum = 1,
	};
	Elf64_Phdr note = {.p_type = PT_NOTE, .p_offset = 256, .p_filesz = 36, .p_align = 4};
	Elf64_Nhdr start = {4, 20, NT_GNU_BUILD_ID};
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), &note, sizeof(note));
	memcpy(bytes + 256, &start, sizeof(start));
	memcpy(bytes + 268, "GNU", 4);
	memset(bytes + 272, 0x11, 20);
	bytes[PAGE - 1] = mark;
}

static void write_embedded(const char *path)
{
	static const struct {
		uint32_t kind;
		const char *text;
		size_t size;
	} names[] = {
#define NAME(kind, text) {kind, text, sizeof(text)}
		NAME(STROBE_EMBEDDED_EXECUTABLE,
		     "1111111111111111111111111111111111111111\0/nowhere/program"),
		NAME(STROBE_EMBEDDED_DEBUG,
		     "1111111111111111111111111111111111111111\0/nowhere/program.debug"),
		NAME(STROBE_EMBEDDED_COMPANION, "\0/nowhere/unit.dwo"),
		NAME(99, "\0/nowhere/later"),
	};
	struct core_writer writer;
	uint8_t pages[4][PAGE];
	begin(&writer, 1);
	for (size_t i = 0; i < 4; i++) {
		// The core's headers and notes take one page, its memory another.
		const struct strobe_note_embedded head = {(2 + i) * PAGE, PAGE, names[i].kind, 0};
		core_writer_strobe(&writer, NT_STROBE_EMBEDDED, &head, sizeof(head), names[i].text,
				   names[i].size);
		make_elf(pages[i], (uint8_t)(i + 1));
	}
	core_writer_segment(&writer, heap_at, PAGE, PF_R | PF_W, heap, PAGE);
	save(&writer, path);
	FILE *file = fopen(path, "ab");
	CHECK(file && fwrite(pages, 1, sizeof(pages), file) == sizeof(pages) && fclose(file) == 0);
}

static void check_embedded(const char *path)
{
	static const char id[] = "1111111111111111111111111111111111111111";
	struct file *file = NULL;
	bool unchecked;
	struct strobe_view *view = open_view(path);
	CHECK_EQUAL(strobe_view_warning_count(view), 0);
	struct files *files = view_files(view);
	CHECK_OK(files_find_local(files, "/nowhere/program", id, &file, &unchecked, NULL));
	CHECK(file && file->size == PAGE && file->data[PAGE - 1] == 1);
	CHECK(strncmp(file->path, "/nowhere/program (in /tmp/", 26) == 0);
	file = file_close(file);
	CHECK_OK(files_find_debug(files, "/x/program", id, NULL, 0, &file, NULL));
	CHECK(file && file->data[PAGE - 1] == 2);
	file = file_close(file);
	CHECK_OK(files_find_companion(files, "/build", "unit.dwo", NULL, &file));
	CHECK(file && file->data[PAGE - 1] == 3);
	file = file_close(file);
	CHECK_OK(files_find_companion(files, NULL, "/nowhere/later", NULL, &file));
	CHECK(!file);
	CHECK_OK(files_find_local(files, "/nowhere/program",
				  "2222222222222222222222222222222222222222", &file, &unchecked,
				  NULL));
	CHECK(!file);
	strobe_view_close(view);
}

static void embedded_files_are_found_first(void)
{
	set_up();
	write_embedded(plain);
	check_embedded(plain);
	pack(plain, packed);
	check_embedded(packed);
}

enum { HASHED_PAGES = 600 };

static void write_hashed(const char *path)
{
	struct core_writer writer;
	size_t size;
	const struct strobe_note_page_hashes place = {(1 + HASHED_PAGES) * PAGE, PAGE, HASHED_PAGES,
						      PAGE, 1};
	uint64_t hashes[HASHED_PAGES];
	begin(&writer, 1);
	core_writer_strobe(&writer, NT_STROBE_PAGE_HASHES, &place, sizeof(place), NULL, 0);
	core_writer_segment(&writer, heap_at, sizeof(heap), PF_R | PF_W, heap, sizeof(heap));
	core_writer_segment(&writer, file_at, sizeof(heap), PF_R | PF_W, heap, sizeof(heap));
	save(&writer, path);
	uint8_t *bytes = read_whole(path, &size);
	CHECK_EQUAL(size, (1 + HASHED_PAGES) * PAGE);
	for (size_t i = 0; i < HASHED_PAGES; i++)
		hashes[i] = i == 150 ? 0 : page_hash(bytes + (1 + i) * PAGE, PAGE); // of zeros
	FILE *file = fopen(path, "ab");
	CHECK(file && fwrite(hashes, 1, sizeof(hashes), file) == sizeof(hashes));
	CHECK(fclose(file) == 0);
	free(bytes);
}

static bool cancel(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	CHECK_EQUAL(total_bytes, HASHED_PAGES * PAGE);
	return --*(int *)context > 0;
}

static void check_verified(const char *path, uint64_t damaged, uint64_t address)
{
	struct strobe_verification found;
	struct strobe_view *view = open_view(path);
	CHECK_OK(strobe_view_verify(view, NULL, NULL, &found));
	CHECK_EQUAL(found.page_count, HASHED_PAGES);
	CHECK_EQUAL(found.damaged_count, damaged);
	CHECK_EQUAL(found.has_address, damaged > 0);
	if (damaged)
		CHECK_EQUAL(found.first_address, address);
	strobe_view_close(view);
}

static void pages_are_held_against_their_hashes(void)
{
	size_t size;
	set_up();
	write_hashed(plain);
	check_verified(plain, 0, 0);
	pack(plain, packed);
	check_verified(packed, 0, 0);
	uint8_t *bytes = read_whole(plain, &size);
	bytes[(1 + BIG_PAGES + 7) * PAGE + 99] ^= 1; // page 7 of the second segment
	bytes[(1 + BIG_PAGES + 9) * PAGE] ^= 1;
	write_whole(plain, bytes, size);
	check_verified(plain, 2, file_at + 7 * PAGE);
	pack(plain, packed);
	check_verified(packed, 2, file_at + 7 * PAGE);
	bytes[(1 + 150) * PAGE + 9] = 1; // the page that is said to be zero
	write_whole(plain, bytes, size);
	check_verified(plain, 3, heap_at + 150 * PAGE);
	free(bytes);
	// A frame that cannot be unpacked: all its pages.
	write_hashed(plain);
	pack(plain, packed);
	bytes = read_whole(packed, &size);
	size_t first = ZSTD_findFrameCompressedSize(bytes, size);
	bytes[first + 500] ^= 1;
	write_whole(packed, bytes, size);
	check_verified(packed, FRAME / PAGE, heap_at + FRAME - PAGE);
	free(bytes);
	int calls = 2;
	struct strobe_verification found;
	struct strobe_view *view = open_view(plain);
	CHECK_ERROR(strobe_view_verify(view, cancel, &calls, &found), STROBE_ERROR_LIMIT);
	CHECK_EQUAL(calls, 0);
	strobe_view_close(view);
	write_link(below("a"), 1, NULL, 0);
	view = open_view(below("a"));
	CHECK_ERROR(strobe_view_verify(view, NULL, NULL, &found), STROBE_ERROR_UNSUPPORTED);
	strobe_view_close(view);
}

CHECK_MAIN({"compressed is as plain", compressed_is_as_plain},
	   {"more segments than a header counts", more_segments_than_a_header_counts},
	   {"damage in a frame is missing memory", damage_in_a_frame_is_missing_memory},
	   {"extents say what is not there", extents_say_what_is_not_there},
	   {"a chain is one view", a_chain_is_one_view},
	   {"a missing link is named", a_missing_link_is_named},
	   {"a ring is refused", a_ring_is_refused},
	   {"long chains are read through", long_chains_are_read_through},
	   {"embedded files are found first", embedded_files_are_found_first},
	   {"pages are held against their hashes", pages_are_held_against_their_hashes})
