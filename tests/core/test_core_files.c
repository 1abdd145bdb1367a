// SPDX-License-Identifier: Apache-2.0
#include <strobe/memory.h>
#include <strobe/view.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "check.h"
#include "core_writer.h"

// What a core leaves out and how files fill it, or do not.

enum { PAGE = 4096, FIRST_WORD = 0x7e57 };
static const uint64_t program_at = 0x555555554000, stack_at = 0x7ffd00000000;
static char directory[64], core[128], program_path[128], data_path[128];
static uint8_t program[3 * PAGE];

static void put(uint64_t at, uint64_t value)
{
	memcpy(program + at, &value, 8);
}

/** A program of three pages: headers, code, and data with a dynamic section. No build id. */
static void make_program(void)
{
	memset(program, 0, sizeof(program));
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(header),
		.e_phnum = 5,
	};
	Elf64_Phdr segments[5] = {
		{.p_type = PT_PHDR, .p_offset = 64, .p_vaddr = 64, .p_filesz = 280},
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
		 .p_memsz = PAGE},
		{.p_type = PT_DYNAMIC,
		 .p_offset = 2 * PAGE,
		 .p_vaddr = 2 * PAGE,
		 .p_filesz = 32,
		 .p_memsz = 32},
	};
	memcpy(program, &header, sizeof(header));
	memcpy(program + 64, segments, sizeof(segments));
	memset(program + PAGE, 0xc3, PAGE);
	// As the loader leaves it: DT_DEBUG to r_debug to a list of one link_map.
	put(2 * PAGE, DT_DEBUG);
	put(2 * PAGE + 8, program_at + 2 * PAGE + 64);
	put(2 * PAGE + 64, 1);
	put(2 * PAGE + 72, program_at + 2 * PAGE + 128);
	put(2 * PAGE + 128, program_at);		  // l_addr
	put(2 * PAGE + 136, program_at + 2 * PAGE + 256); // l_name
	put(2 * PAGE + 144, program_at + 2 * PAGE);	  // l_ld
	put(2 * PAGE + 152, program_at + 2 * PAGE + 128); // l_next: an endless list
	strcpy((char *)program + 2 * PAGE + 256, program_path);
	memcpy(program + PAGE, &(uint16_t){FIRST_WORD}, 2);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
		abort();
	struct utimbuf past = {time(NULL) - 100, time(NULL) - 100};
	utime(path, &past);
}

struct shape {
	bool with_list;	   // NT_FILE
	bool with_header;  // the program's first page
	bool with_private; // changed pages: data and stack
	bool with_data;	   // a mapped data file
	bool with_hole;	   // between code and data, and somebody else's memory in it
};

static struct strobe_view *view_of(const struct shape *shape)
{
	static uint8_t stack[PAGE];
	struct core_writer writer;
	struct strobe_view *view = NULL;
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	const uint64_t auxv[][2] = {{AT_PHDR, program_at + 64},
				    {AT_PHNUM, 5},
				    {AT_ENTRY, program_at + PAGE},
				    {AT_NULL, 0}};
	registers[CORE_WRITER_RSP] = stack_at + 8;
	core_writer_init(&writer);
	core_writer_thread(&writer, 1, 11, registers);
	core_writer_auxv(&writer, auxv, 4);
	core_writer_segment(&writer, program_at, PAGE, PF_R, program,
			    shape->with_header ? PAGE : 0);
	core_writer_segment(&writer, program_at + PAGE, PAGE, PF_R | PF_X, NULL, 0);
	uint64_t data_at = program_at + (shape->with_hole ? 3 : 2) * PAGE;
	if (shape->with_hole)
		core_writer_segment(&writer, program_at + 2 * PAGE, PAGE, PF_R | PF_W, stack, PAGE);
	core_writer_segment(&writer, data_at, PAGE, PF_R | PF_W, program + 2 * PAGE,
			    shape->with_private ? PAGE : 0);
	core_writer_segment(&writer, stack_at, PAGE, PF_R | PF_W, stack,
			    shape->with_private ? PAGE : 0);
	if (shape->with_data)
		core_writer_segment(&writer, 0x10000, 2 * PAGE, PF_R, NULL, 0);
	for (int i = 0; shape->with_list && i < 3; i++) {
		uint64_t at = i == 2 ? data_at : program_at + i * PAGE;
		core_writer_file(&writer, at, at + PAGE, i, program_path);
	}
	if (shape->with_data)
		core_writer_file(&writer, 0x10000, 0x10000 + 2 * PAGE, 0, data_path);
	core_writer_save(&writer, core);
	core_writer_fini(&writer);
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	CHECK_OK(strobe_view_open(core, &options, &view));
	return view;
}

static enum strobe_memory_state state_at(const struct strobe_view *view, uint64_t address)
{
	struct strobe_memory_extent extent;
	strobe_memory_extent(view, address, &extent);
	return extent.state;
}

static bool warned(const struct strobe_view *view, const char *part)
{
	for (size_t i = 0; i < strobe_view_warning_count(view); i++)
		if (strstr(strobe_view_warning(view, i), part))
			return true;
	return false;
}

static void uses_an_unchecked_file_with_a_warning(void)
{
	make_program();
	write_file(program_path, program, sizeof(program));
	struct strobe_view *view = view_of(&(struct shape){true, true, true, false, false});
	uint16_t word = 0;
	CHECK_EQUAL(strobe_memory_read(view, program_at + PAGE, &word, 2), 2);
	CHECK_EQUAL(word, FIRST_WORD);
	CHECK(warned(view, "no build id is known to check it by"));
	strobe_view_close(view);
}

static void refuses_a_file_that_memory_contradicts(void)
{
	make_program();
	uint8_t other[sizeof(program)];
	memcpy(other, program, sizeof(other));
	other[2000] ^= 1; // in the header page, which the core holds
	write_file(program_path, other, sizeof(other));
	struct strobe_view *view = view_of(&(struct shape){true, true, true, false, false});
	CHECK_EQUAL(state_at(view, program_at + PAGE), STROBE_MEMORY_MISSING);
	CHECK(warned(view, "differs from the pages in memory"));
	CHECK(!strobe_view_module(view, 0)->file);
	strobe_view_close(view);
}

static void refuses_a_file_newer_than_the_core(void)
{
	make_program();
	write_file(program_path, program, sizeof(program));
	struct utimbuf future = {time(NULL) + 1000, time(NULL) + 1000};
	utime(program_path, &future);
	struct strobe_view *view = view_of(&(struct shape){true, true, true, false, false});
	CHECK_EQUAL(state_at(view, program_at + PAGE), STROBE_MEMORY_MISSING);
	CHECK(warned(view, "was modified after"));
	strobe_view_close(view);
}

static void does_not_take_changed_pages_from_files(void)
{
	make_program();
	write_file(program_path, program, sizeof(program));
	// coredump_filter 0: neither headers nor private pages.
	struct strobe_view *view = view_of(&(struct shape){true, false, false, false, false});
	CHECK_EQUAL(strobe_view_module_count(view), 1);
	CHECK_EQUAL(state_at(view, program_at), STROBE_MEMORY_FILE);
	CHECK_EQUAL(state_at(view, program_at + PAGE), STROBE_MEMORY_FILE);
	CHECK_EQUAL(state_at(view, program_at + 2 * PAGE), STROBE_MEMORY_MISSING);
	CHECK_EQUAL(strobe_view_process_info(view)->file_bytes, 2 * PAGE);
	CHECK_EQUAL(strobe_view_process_info(view)->missing_bytes, 2 * PAGE);
	strobe_view_close(view);
}

static void names_modules_by_the_loaders_list(void)
{
	make_program();
	write_file(program_path, program, sizeof(program));
	struct strobe_view *view = view_of(&(struct shape){false, true, true, false, false});
	CHECK_EQUAL(strobe_view_module_count(view), 1);
	CHECK_STRING(strobe_view_module(view, 0)->path, program_path);
	CHECK_STRING(strobe_view_process_info(view)->executable, program_path);
	CHECK_EQUAL(strobe_view_mapping_at(view, program_at + PAGE)->offset_bytes, PAGE);
	CHECK_EQUAL(state_at(view, program_at + PAGE), STROBE_MEMORY_FILE);
	strobe_view_close(view);
}

static void reads_data_files_that_did_not_change(void)
{
	uint8_t page[PAGE + 10];
	memset(page, 0x3c, sizeof(page));
	make_program();
	write_file(program_path, program, sizeof(program));
	write_file(data_path, page, sizeof(page));
	struct strobe_view *view = view_of(&(struct shape){true, true, true, true, false});
	uint8_t bytes[16] = {0};
	CHECK_EQUAL(strobe_memory_read(view, 0x10000 + PAGE + 8, bytes, 16), 16);
	CHECK_EQUAL(bytes[0], 0x3c);
	CHECK_EQUAL(bytes[2], 0); // behind the file's end, in its last page
	CHECK_EQUAL(strobe_view_module_at(view, 0x10000), SIZE_MAX);
	strobe_view_close(view);
	write_file(data_path, page, 10); // shorter now
	view = view_of(&(struct shape){true, true, true, true, false});
	CHECK_EQUAL(state_at(view, 0x10000), STROBE_MEMORY_FILE);
	CHECK_EQUAL(state_at(view, 0x10000 + PAGE), STROBE_MEMORY_MISSING);
	strobe_view_close(view);
	struct utimbuf future = {time(NULL) + 1000, time(NULL) + 1000};
	utime(data_path, &future);
	view = view_of(&(struct shape){true, true, true, true, false});
	CHECK_EQUAL(state_at(view, 0x10000), STROBE_MEMORY_MISSING);
	strobe_view_close(view);
}

static void leaves_others_memory_to_them(void)
{
	make_program();
	put(64 + 3 * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_vaddr), 3 * PAGE);
	write_file(program_path, program, sizeof(program));
	struct strobe_view *view = view_of(&(struct shape){true, true, true, false, true});
	CHECK_EQUAL(strobe_view_module_count(view), 1);
	CHECK_EQUAL(strobe_view_module(view, 0)->end, program_at + 4 * PAGE);
	CHECK_EQUAL(strobe_view_module_at(view, program_at + PAGE), 0);
	CHECK_EQUAL(strobe_view_module_at(view, program_at + 2 * PAGE), SIZE_MAX);
	CHECK_EQUAL(strobe_view_module_at(view, program_at + 3 * PAGE), 0);
	strobe_view_close(view);
}

static void takes_another_file_for_the_program(void)
{
	char moved[160];
	make_program();
	snprintf(moved, sizeof(moved), "%s/moved", directory);
	write_file(moved, program, sizeof(program));
	unlink(program_path);
	strobe_view_close(view_of(&(struct shape){true, true, true, false, false}));
	struct strobe_view_options options = {
		.size = sizeof(options), .no_debuginfod = true, .executable = moved};
	struct strobe_view *view = NULL;
	CHECK_OK(strobe_view_open(core, &options, &view));
	CHECK_EQUAL(state_at(view, program_at + PAGE), STROBE_MEMORY_FILE);
	CHECK_STRING(strobe_view_module(view, 0)->file, moved);
	strobe_view_close(view);
}

static void remove_directory(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	if (system(command) != 0)
		printf("# %s stays behind\n", directory);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"a file without a build id is used with a warning",
		 uses_an_unchecked_file_with_a_warning},
		{"a file that memory contradicts is not used",
		 refuses_a_file_that_memory_contradicts},
		{"a file newer than the core needs a build id", refuses_a_file_newer_than_the_core},
		{"pages that may have changed are not taken from files",
		 does_not_take_changed_pages_from_files},
		{"without NT_FILE the loader's list names modules",
		 names_modules_by_the_loaders_list},
		{"mapped data files are read if they did not change",
		 reads_data_files_that_did_not_change},
		{"memory that others mapped into a hole is not the module's",
		 leaves_others_memory_to_them},
		{"another file may stand in for the program", takes_another_file_for_the_program},
	};
	strcpy(directory, "/tmp/strobe-pages-XXXXXX");
	if (!mkdtemp(directory))
		return 1;
	snprintf(core, sizeof(core), "%s/core", directory);
	snprintf(program_path, sizeof(program_path), "%s/program", directory);
	snprintf(data_path, sizeof(data_path), "%s/data", directory);
	atexit(remove_directory);
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}
