// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <strobe/memory.h>
#include <strobe/view.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "core_writer.h"

enum { PAGE = 4096 };
static const uint64_t stack_at = 0x7ffd00000000, heap_at = 0x10000;

/** A directory of this run; removed at exit. */
static const char *directory(void)
{
	static char path[64];
	if (!*path) {
		strcpy(path, "/tmp/strobe-core-XXXXXX");
		if (!mkdtemp(path))
			abort();
	}
	return path;
}

static const char *name_file(const char *name)
{
	static char paths[4][128];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", directory(), name);
	return path;
}

static void remove_directory(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", directory());
	if (system(command) != 0)
		printf("# %s stays behind\n", directory());
}

static struct strobe_view *open_view(const char *path)
{
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_view *view = NULL;
	CHECK_OK(strobe_view_open(path, &options, &view));
	return view;
}

static bool warned(const struct strobe_view *view, const char *part)
{
	for (size_t i = 0; i < strobe_view_warning_count(view); i++)
		if (strstr(strobe_view_warning(view, i), part))
			return true;
	for (size_t i = 0; i < strobe_view_warning_count(view); i++)
		printf("# warning: %s\n", strobe_view_warning(view, i));
	return false;
}

/** An ELF shared library of three pages: header with build id, code, data. */
static void make_library(uint8_t bytes[3 * PAGE], uint8_t id_byte)
{
	memset(bytes, 0, 3 * PAGE);
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 4,
	};
	Elf64_Phdr segments[4] = {
		{.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = PAGE, .p_memsz = PAGE},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_offset = PAGE,
		 .p_vaddr = PAGE,
		 .p_filesz = PAGE,
		 .p_memsz = PAGE},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_W,
		 .p_offset = 2 * PAGE,
		 .p_vaddr = 2 * PAGE,
		 .p_filesz = PAGE,
		 .p_memsz = 2 * PAGE},
		{.p_type = PT_NOTE,
		 .p_offset = 1024,
		 .p_vaddr = 1024,
		 .p_filesz = 36,
		 .p_memsz = 36,
		 .p_align = 4},
	};
	Elf64_Nhdr note = {4, 20, NT_GNU_BUILD_ID};
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), segments, sizeof(segments));
	memcpy(bytes + 1024, &note, sizeof(note));
	memcpy(bytes + 1036, "GNU", 4);
	memset(bytes + 1040, id_byte, 20);
	memset(bytes + PAGE, 0x90, PAGE);
	memset(bytes + 2 * PAGE, 0x44, PAGE);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
		abort();
}

/** What the basic core is made of: two threads, a stack, a library without its code. */
static const uint64_t library_at = 0x7f0000000000;
static uint8_t library[3 * PAGE];
static uint8_t stack_page[PAGE];

static void add_basics(struct core_writer *writer, const char *library_path)
{
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	static const uint64_t auxv[][2] = {{AT_PAGESZ, PAGE},
					   {AT_RANDOM, 0x7ffd00000100},
					   {AT_ENTRY, 0x7f0000001000},
					   {AT_NULL, 0}};
	make_library(library, 0xab);
	for (int i = 0; i < CORE_WRITER_REGISTERS; i++)
		registers[i] = 0x1122334455667700 + i;
	registers[CORE_WRITER_RIP] = library_at + PAGE + 16;
	registers[CORE_WRITER_RSP] = stack_at + 64;
	for (int i = 0; i < PAGE; i++)
		stack_page[i] = (uint8_t)i;
	core_writer_thread(writer, 4242, 11, registers);
	core_writer_process(writer, 4242, "victim", "victim --now ");
	core_writer_fault(writer, 11, 1, 0xdead);
	core_writer_auxv(writer, auxv, 4);
	core_writer_thread(writer, 4243, 11, registers);
	core_writer_segment(writer, heap_at, PAGE, PF_R | PF_W, stack_page, PAGE);
	core_writer_segment(writer, library_at, PAGE, PF_R, library, PAGE);
	core_writer_segment(writer, library_at + PAGE, PAGE, PF_R | PF_X, NULL, 0);
	core_writer_segment(writer, library_at + 2 * PAGE, PAGE, PF_R | PF_W, library + 2 * PAGE,
			    PAGE);
	core_writer_segment(writer, library_at + 3 * PAGE, PAGE, PF_R | PF_W, NULL, 0);
	core_writer_segment(writer, stack_at, PAGE, PF_R | PF_W, stack_page, PAGE);
	for (int i = 0; i < 3; i++)
		core_writer_file(writer, library_at + i * PAGE, library_at + (i + 1) * PAGE, i,
				 library_path);
}

static void save_basic(const char *path, const char *library_path)
{
	struct core_writer writer;
	core_writer_init(&writer);
	add_basics(&writer, library_path);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
}

static void reads_a_core(void)
{
	const char *library_path = name_file("libgood.so"), *core = name_file("core.basic");
	save_basic(core, library_path);
	write_file(library_path, library, sizeof(library));
	struct strobe_view *view = open_view(core);
	const struct strobe_process_info *info = strobe_view_process_info(view);
	CHECK_EQUAL(info->pid, 4242);
	CHECK_STRING(info->command, "victim --now");
	CHECK_STRING(info->executable, library_path);
	CHECK_EQUAL(info->signal.number, 11);
	CHECK_STRING(info->signal.code_name, "SEGV_MAPERR");
	CHECK(info->signal.has_address);
	CHECK_EQUAL(info->signal.address, 0xdead);
	CHECK_EQUAL(info->mapped_bytes, 6 * PAGE);
	CHECK_EQUAL(info->present_bytes, 4 * PAGE);
	CHECK_EQUAL(info->file_bytes, PAGE);
	CHECK_EQUAL(info->missing_bytes, PAGE);
	CHECK_EQUAL(strobe_view_thread_count(view), 2);
	CHECK_EQUAL(strobe_view_thread(view, 0)->signal.number, 11);
	CHECK_EQUAL(strobe_view_thread(view, 1)->signal.number, 0);
	CHECK_EQUAL(strobe_view_thread_index(view, 4243), 1);
	CHECK_EQUAL(strobe_view_thread_index(view, 1), SIZE_MAX);
	CHECK_STRING(strobe_view_mapping_at(view, stack_at)->path, "[stack]");
	CHECK(!strobe_view_mapping_at(view, stack_at + PAGE));
	CHECK_EQUAL(strobe_view_module_count(view), 1);
	const struct strobe_module *module = strobe_view_module(view, 0);
	CHECK_EQUAL(module->bias, library_at);
	CHECK_EQUAL(module->end, library_at + 4 * PAGE);
	CHECK_STRING(module->build_id, "abababababababababababababababababababab");
	CHECK_STRING(module->file, library_path);
	CHECK_EQUAL(strobe_view_module_at(view, library_at + 3 * PAGE), 0);
	CHECK_EQUAL(strobe_view_module_at(view, heap_at), SIZE_MAX);
	strobe_view_close(view);
}

static void names_registers(void)
{
	const char *core = name_file("core.registers");
	save_basic(core, "/nowhere/lib.so");
	struct strobe_view *view = open_view(core);
	struct strobe_register r;
	CHECK(strobe_view_register_by_name(view, 0, "rax", &r));
	CHECK_EQUAL(r.size_bytes, 8);
	CHECK_EQUAL(r.bytes[0], 10); // the eleventh of user_regs_struct
	CHECK(strobe_view_register_by_name(view, 0, "ah", &r));
	CHECK_EQUAL(r.size_bytes, 1);
	CHECK_EQUAL(r.bytes[0], 0x77);
	CHECK(strobe_view_register_by_name(view, 0, "pc", &r));
	CHECK_EQUAL(r.bytes[0], 16);
	CHECK(!strobe_view_register_by_name(view, 0, "xmm0", &r));
	CHECK(!strobe_view_register_by_name(view, 0, "nonsense", &r));
	CHECK(!strobe_view_register_by_name(view, 9, "rax", &r));
	CHECK_EQUAL(strobe_view_register_count(view, 0), 27);
	strobe_view_close(view);
}

static void fills_from_the_file(void)
{
	const char *library_path = name_file("libfill.so"), *core = name_file("core.fill");
	save_basic(core, library_path);
	write_file(library_path, library, sizeof(library));
	struct strobe_view *view = open_view(core);
	uint8_t bytes[8];
	struct strobe_memory_extent extent;
	CHECK_EQUAL(strobe_memory_read(view, library_at + PAGE - 4, bytes, 8), 8);
	CHECK_EQUAL(bytes[4], 0x90);
	strobe_memory_extent(view, library_at + PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_FILE);
	CHECK_EQUAL(extent.end, library_at + 2 * PAGE);
	strobe_memory_extent(view, library_at + 3 * PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK_STRING(extent.why, "not captured");
	strobe_memory_extent(view, library_at + 4 * PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_UNMAPPED);
	CHECK_EQUAL(extent.end, stack_at);
	strobe_memory_extent(view, stack_at + PAGE, &extent);
	CHECK_EQUAL(extent.end, 0);
	CHECK_EQUAL(strobe_memory_read(view, stack_at + PAGE - 3, bytes, 8), 3);
	strobe_view_close(view);
}

static void refuses_another_build(void)
{
	const char *library_path = name_file("libother.so"), *core = name_file("core.other");
	uint8_t wrong[3 * PAGE];
	save_basic(core, library_path);
	make_library(wrong, 0xcd);
	write_file(library_path, wrong, sizeof(wrong));
	struct strobe_view *view = open_view(core);
	uint8_t bytes[8];
	CHECK_EQUAL(strobe_memory_read(view, library_at + PAGE - 4, bytes, 8), 4);
	CHECK(!strobe_view_module(view, 0)->file);
	CHECK(warned(view, "has build id cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd, not the "
			   "abababababababababababababababababababab wanted"));
	struct strobe_memory_extent extent;
	strobe_memory_extent(view, library_at + PAGE, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK(strstr(extent.why, "cdcd"));
	strobe_view_close(view);
}

static void names_what_truncation_took(void)
{
	const char *core = name_file("core.cut");
	save_basic(core, "/nowhere/lib.so");
	struct stat st;
	CHECK(stat(core, &st) == 0);
	CHECK(truncate(core, st.st_size - 100) == 0);
	struct strobe_view *view = open_view(core);
	uint8_t bytes[PAGE];
	CHECK_EQUAL(strobe_memory_read(view, stack_at, bytes, PAGE), PAGE - 100);
	CHECK(warned(view, "100 bytes of 1 segment are missing"));
	struct strobe_memory_extent extent;
	strobe_memory_extent(view, stack_at + PAGE - 100, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK(strstr(extent.why, "cut off"));
	strobe_view_close(view);
}

static void counts_many_segments(void)
{
	enum { COUNT = 70000 };
	const char *core = name_file("core.many");
	struct core_writer writer;
	core_writer_init(&writer);
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	core_writer_thread(&writer, 1, 6, registers);
	for (uint64_t i = 0; i < COUNT; i++) {
		core_writer_segment(&writer, 0x100000 + i * 2 * PAGE, PAGE, PF_R, NULL, 0);
		core_writer_file(&writer, 0x100000 + i * 2 * PAGE, 0x101000 + i * 2 * PAGE, i,
				 i & 1 ? "/nowhere/a" : "/nowhere/b");
	}
	core_writer_save(&writer, core);
	core_writer_fini(&writer);
	struct timespec before, after;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	struct strobe_view *view = open_view(core);
	strobe_view_process_info(view);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	CHECK_EQUAL(strobe_view_mapping_count(view), COUNT);
	CHECK_EQUAL(strobe_view_mapping(view, COUNT - 1)->offset_bytes,
		    (COUNT - 1) * (uint64_t)PAGE);
	CHECK_EQUAL(strobe_view_process_info(view)->missing_bytes, COUNT * (uint64_t)PAGE);
	double seconds = (double)(after.tv_sec - before.tv_sec) +
			 (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	printf("# %d segments in %.3f s\n", COUNT, seconds);
	CHECK(seconds < 2); // a quadratic step would take minutes
	strobe_view_close(view);
}

static void opens_a_sparse_giant(void)
{
	const char *core = name_file("core.sparse");
	struct core_writer writer;
	core_writer_init(&writer);
	add_basics(&writer, "/nowhere/lib.so");
	core_writer_segment(&writer, 0x200000000000, 64ull << 30, PF_R | PF_W, NULL, 64ull << 30);
	core_writer_save(&writer, core);
	core_writer_fini(&writer);
	struct rusage usage_before, usage_after;
	struct timespec before, after;
	getrusage(RUSAGE_SELF, &usage_before);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	struct strobe_view *view = open_view(core);
	CHECK_EQUAL(strobe_view_process_info(view)->present_bytes, (64ull << 30) + 4 * PAGE);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	getrusage(RUSAGE_SELF, &usage_after);
	double seconds = (double)(after.tv_sec - before.tv_sec) +
			 (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	printf("# 64 GiB in %.4f s, %ld KiB more\n", seconds,
	       usage_after.ru_maxrss - usage_before.ru_maxrss);
	CHECK(seconds < 0.05);
	CHECK(usage_after.ru_maxrss - usage_before.ru_maxrss < 16 * 1024);
	uint64_t last;
	CHECK_EQUAL(strobe_memory_read(view, 0x200000000000 + (64ull << 30) - 8, &last, 8), 8);
	CHECK_EQUAL(last, 0);
	strobe_view_close(view);
}

/** Touches everything that a view tells. */
static void exercise(const struct strobe_view *view)
{
	uint8_t bytes[64];
	struct strobe_register r;
	uint64_t at = 0, type, value;
	struct strobe_memory_extent extent;
	strobe_view_process_info(view);
	for (size_t i = 0; i < strobe_view_thread_count(view); i++)
		for (size_t k = 0, n = strobe_view_register_count(view, i); k < n; k++)
			strobe_view_register(view, i, k, &r);
	for (size_t i = 0; i < strobe_view_mapping_count(view); i++)
		strobe_memory_read(view, strobe_view_mapping(view, i)->end - 32, bytes, 64);
	for (size_t i = 0; i < strobe_view_module_count(view); i++)
		strobe_view_module(view, i);
	for (size_t i = 0; strobe_view_auxv(view, i, &type, &value); i++)
		continue;
	for (int i = 0; i < 100000; i++, at = extent.end) {
		strobe_memory_extent(view, at, &extent);
		CHECK(extent.end > at || extent.end == 0);
		if (!extent.end)
			return;
	}
	CHECK(!"the extents never end");
}

static void open_and_exercise(const char *path)
{
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_view *view;
	struct strobe_error *error = strobe_view_open(path, &options, &view);
	if (error) {
		CHECK(strstr(strobe_error_message(error), path));
		strobe_error_free(error);
		return;
	}
	exercise(view);
	strobe_view_close(view);
}

static size_t read_whole(const char *path, uint8_t **ret)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	if (!file || stat(path, &st) != 0)
		abort();
	*ret = malloc((size_t)st.st_size);
	if (fread(*ret, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		abort();
	fclose(file);
	return (size_t)st.st_size;
}

static void survives_truncation(void)
{
	const char *core = name_file("core.whole");
	save_basic(core, name_file("libgood.so"));
	uint8_t *bytes;
	size_t size = read_whole(core, &bytes);
	const char *cut = name_file("core.cut");
	for (size_t i = 0; i < 200; i++) {
		// Half of the places lie in the headers and notes, where it matters most.
		size_t length = i < 100 ? i * 40 : i * (size / 200);
		write_file(cut, bytes, length);
		open_and_exercise(cut);
	}
	free(bytes);
}

static void survives_flipped_bits(void)
{
	const char *core = name_file("core.whole");
	save_basic(core, name_file("libgood.so"));
	uint8_t *bytes;
	size_t size = read_whole(core, &bytes);
	const char *flipped = name_file("core.flipped");
	uint32_t random = 12345;
	for (int i = 0; i < 2000; i++) {
		random = random * 1664525 + 1013904223;
		size_t room = i % 4 ? 4000 : size; // headers and notes most of the time
		size_t at = (random >> 4) % room;
		uint8_t was = bytes[at];
		bytes[at] ^= (uint8_t)(1 + (random >> 24) % 255);
		write_file(flipped, bytes, size);
		open_and_exercise(flipped);
		bytes[at] = was;
	}
	free(bytes);
}

static void explains_what_is_no_core(void)
{
	struct strobe_view *view = NULL;
	const char *path = name_file("libonly.so"), *empty = name_file("empty");
	make_library(library, 1);
	write_file(path, library, sizeof(library));
	struct strobe_error *error = strobe_view_open(path, NULL, &view);
	CHECK(error && strstr(strobe_error_message(error), "not a core file: ELF type DYN"));
	strobe_error_free(error);
	write_file(empty, "\x28\xb5\x2f\xfd....", 8);
	error = strobe_view_open(empty, NULL, &view);
	CHECK(error && strstr(strobe_error_message(error), "unpack it with zstd -d first"));
	strobe_error_free(error);
	write_file(empty, "", 0);
	error = strobe_view_open(empty, NULL, &view);
	CHECK(error && strstr(strobe_error_message(error), "empty file"));
	strobe_error_free(error);
	CHECK_ERROR(strobe_view_open("99999999", NULL, &view), STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_view_open("@held", NULL, &view), STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_view_open("/nowhere/core", NULL, &view), STROBE_ERROR_SYSTEM);
	CHECK_ERROR(strobe_view_open("", NULL, &view), STROBE_ERROR_INVALID);
	CHECK(!view);
}

static void shows_other_machines(void)
{
	const char *core = name_file("core.arm");
	struct core_writer writer;
	core_writer_init(&writer);
	writer.machine = EM_AARCH64;
	add_basics(&writer, "/nowhere/lib.so");
	core_writer_save(&writer, core);
	core_writer_fini(&writer);
	struct strobe_view *view = open_view(core);
	CHECK_STRING(strobe_view_process_info(view)->machine, "aarch64");
	CHECK_EQUAL(strobe_view_thread_count(view), 2);
	CHECK(!strobe_view_thread(view, 0)->has_registers);
	CHECK_EQUAL(strobe_view_register_count(view, 0), 0);
	CHECK(warned(view, "registers are read for x86_64 alone"));
	strobe_view_close(view);
}

/** Pages of mapped files that are resident, in bytes. */
static uint64_t resident_file_bytes(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *status = fopen("/proc/self/status", "re");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "RssFile: %lu kB", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return (uint64_t)kib * 1024;
}

static bool no_hit(void *context, uint64_t address, uint64_t size)
{
	(void)context;
	(void)address;
	(void)size;
	return true;
}

static void gives_pages_back(void)
{
	enum { SIZE = 96 << 20, STEP = 5000, BOUND = 24 << 20 };
	struct core_writer writer;
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	uint32_t *data = malloc(SIZE);
	uint8_t bytes[STEP];
	CHECK(data);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		data[i] = i * 2654435761u;
	core_writer_init(&writer);
	core_writer_thread(&writer, 7, 6, registers);
	core_writer_segment(&writer, heap_at, SIZE, PF_R | PF_W, data, SIZE);
	const char *path = name_file("large");
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
	struct strobe_view *view = open_view(path);
	uint64_t before = resident_file_bytes(), most = 0;
	bool same = true;
	for (uint64_t at = 0; at + STEP <= SIZE; at += STEP) {
		same = same && strobe_memory_read(view, heap_at + at, bytes, STEP) == STEP &&
		       memcmp(bytes, (uint8_t *)data + at, STEP) == 0;
		if (at % (STEP * 200) == 0 && resident_file_bytes() > most)
			most = resident_file_bytes();
	}
	CHECK(same);
	CHECK(most < before + BOUND);
	struct strobe_search search = {
		.size = sizeof(search), .pattern = "not in there", .pattern_size = 12};
	CHECK_OK(strobe_memory_search(view, &search, no_hit, NULL, NULL));
	CHECK(resident_file_bytes() < before + BOUND);
	strobe_view_close(view);
	free(data);
}

static int run(void)
{
	static const struct check_case cases[] = {
		{"a core is read whole", reads_a_core},
		{"registers are found by gdb's names", names_registers},
		{"pages left out come from the mapped file", fills_from_the_file},
		{"a file of another build is named and not used", refuses_another_build},
		{"a truncated segment is named with its offset", names_what_truncation_took},
		{"70,000 segments are counted by section 0", counts_many_segments},
		{"a sparse 64 GiB core opens at once", opens_a_sparse_giant},
		{"pages that were read are given back", gives_pages_back},
		{"200 truncations end well", survives_truncation},
		{"2,000 flipped bytes end well", survives_flipped_bits},
		{"what is no core is refused in a line", explains_what_is_no_core},
		{"cores of other machines show all but registers", shows_other_machines},
	};
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	atexit(remove_directory);
	return run();
}
