// SPDX-License-Identifier: Apache-2.0
#include "files/files.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "files/crc.h"

static char root[64];

static const char *below(const char *name)
{
	static char paths[8][1024];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	snprintf(path, sizeof(paths[0]), "%s%.900s", root, name);
	return path;
}

static void make_directories(const char *path)
{
	char part[1024];
	for (size_t i = strlen(root) + 1; path[i]; i++) {
		if (path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		mkdir(part, 0700);
	}
}

/** An ELF file with a build id of 20 bytes `id`; none if `id` is 0. */
static void write_elf(const char *name, uint8_t id)
{
	uint8_t bytes[512] = {0};
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(header),
		.e_phnum = id ? 1 : 0,
	};
	Elf64_Phdr note = {.p_type = PT_NOTE, .p_offset = 256, .p_filesz = 36, .p_align = 4};
	Elf64_Nhdr start = {4, 20, NT_GNU_BUILD_ID};
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), &note, sizeof(note));
	memcpy(bytes + 256, &start, sizeof(start));
	memcpy(bytes + 268, "GNU", 4);
	memset(bytes + 272, id, 20);
	const char *path = below(name);
	make_directories(path);
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, sizeof(bytes), file) != sizeof(bytes) || fclose(file) != 0)
		abort();
}

static const char id_11[] = "1111111111111111111111111111111111111111";
static const char id_22[] = "2222222222222222222222222222222222222222";

static struct files *finder(const char *sysroot)
{
	static char debug[1100];
	struct files *files = NULL;
	snprintf(debug, sizeof(debug), "/nowhere:%s", below("/debug"));
	struct files_options options = {
		.sysroot = sysroot, .debug_directories = debug, .no_debuginfod = true};
	CHECK_OK(files_new(&options, &files));
	return files;
}

static void finds_the_path_itself(void)
{
	struct files *files = finder(NULL);
	struct file *file = NULL;
	bool unchecked = true;
	char *problem = NULL;
	write_elf("/bin/prog", 0x11);
	CHECK_OK(files_find_executable(files, below("/bin/prog"), id_11, &file, &unchecked,
				       &problem));
	CHECK(file && !unchecked && !problem);
	CHECK_STRING(file->path, below("/bin/prog"));
	file = file_close(file);
	char deleted[1100];
	snprintf(deleted, sizeof(deleted), "%s (deleted)", below("/bin/prog"));
	CHECK_OK(files_find_executable(files, deleted, id_11, &file, &unchecked, &problem));
	CHECK(file);
	file = file_close(file);
	CHECK_OK(files_find_executable(files, below("/bin/prog"), NULL, &file, &unchecked,
				       &problem));
	CHECK(file && unchecked);
	file_close(file);
	files_free(files);
}

static void names_both_ids_of_a_mismatch(void)
{
	struct files *files = finder(NULL);
	struct file *file = NULL;
	bool unchecked;
	char *problem = NULL;
	write_elf("/bin/prog", 0x11);
	CHECK_OK(files_find_executable(files, below("/bin/prog"), id_22, &file, &unchecked,
				       &problem));
	CHECK(!file);
	CHECK(strstr(problem, id_11) && strstr(problem, id_22) && strstr(problem, "/bin/prog"));
	free(problem);
	write_elf("/bin/none", 0);
	CHECK_OK(files_find_executable(files, below("/bin/none"), id_22, &file, &unchecked,
				       &problem));
	CHECK(!file);
	CHECK(strstr(problem, "has no build id"));
	free(problem);
	CHECK_OK(files_find_executable(files, "/nowhere/x", id_22, &file, &unchecked, &problem));
	CHECK(!file);
	CHECK(strstr(problem, "not found: /nowhere/x; "));
	free(problem);
	files_free(files);
}

static void looks_below_the_sysroot_first(void)
{
	struct files *files = finder(below("/root/"));
	struct file *file = NULL;
	bool unchecked;
	char *problem = NULL, path[1100];
	write_elf("/bin/prog", 0x11);
	snprintf(path, sizeof(path), "/root%s", below("/bin/prog"));
	write_elf(path, 0x22);
	CHECK_OK(files_find_executable(files, below("/bin/prog"), id_22, &file, &unchecked,
				       &problem));
	CHECK(file);
	CHECK_STRING(file->path, below(path));
	file = file_close(file);
	CHECK_OK(files_find_executable(files, below("/bin/prog"), id_11, &file, &unchecked,
				       &problem));
	CHECK_STRING(file->path, below("/bin/prog"));
	file_close(file);
	files_free(files);
}

static void finds_debug_files(void)
{
	struct files *files = finder(NULL);
	struct file *file = NULL;
	char *problem = NULL;
	write_elf("/debug/.build-id/11/11111111111111111111111111111111111111.debug", 0x11);
	CHECK_OK(files_find_debug(files, "/bin/x", id_11, NULL, 0, &file, &problem));
	CHECK(file && strstr(file->path, ".build-id/11/"));
	file = file_close(file);
	write_elf("/lib/.debug/linked.debug", 0);
	FILE *linked = fopen(below("/lib/.debug/linked.debug"), "rb");
	uint8_t bytes[512];
	CHECK(linked && fread(bytes, 1, sizeof(bytes), linked) == sizeof(bytes));
	fclose(linked);
	uint32_t crc = crc_debuglink(bytes, sizeof(bytes));
	CHECK_OK(files_find_debug(files, below("/lib/x.so"), NULL, "linked.debug", crc, &file,
				  &problem));
	CHECK(file && strstr(file->path, "/.debug/linked.debug"));
	file = file_close(file);
	CHECK_OK(files_find_debug(files, below("/lib/x.so"), NULL, "linked.debug", crc + 1, &file,
				  &problem));
	CHECK(!file);
	CHECK(strstr(problem, "another CRC"));
	free(problem);
	CHECK_OK(files_find_debug(files, below("/lib/x.so"), NULL, "../lib/x", crc, &file,
				  &problem));
	CHECK(!file);
	free(problem);
	files_free(files);
}

static void finds_alternates_and_companions(void)
{
	struct files *files = finder(NULL);
	struct file *file = NULL;
	char *problem = NULL;
	write_elf("/debug/.dwz/all", 0x22);
	CHECK_OK(files_find_alternate(files, below("/debug/sub/x.debug"), "../.dwz/all", id_22,
				      &file, &problem));
	CHECK(!file); // /debug/sub is no directory: the name leads nowhere
	free(problem);
	write_elf("/debug/sub/x.debug", 0x11);
	CHECK_OK(files_find_alternate(files, below("/debug/sub/x.debug"), "../.dwz/all", id_22,
				      &file, &problem));
	CHECK(file);
	file = file_close(file);
	CHECK_OK(files_find_companion(files, below("/debug"), "sub/x.debug", NULL, &file));
	CHECK(file);
	file = file_close(file);
	CHECK_OK(
		files_find_companion(files, "/nowhere", "y/x.debug", below("/debug/sub/z"), &file));
	CHECK(file);
	file = file_close(file);
	CHECK_OK(files_find_companion(files, "/nowhere", "y/none.dwo", below("/debug/sub/z"),
				      &file));
	CHECK(!file);
	files_free(files);
}

static void asks_servers_only_when_told(void)
{
	struct files_options options = {.no_debuginfod = false};
	struct files *files = NULL;
	CHECK_OK(files_new(&options, &files));
	unsetenv("DEBUGINFOD_URLS");
	CHECK(!files_ask_servers(files));
	setenv("DEBUGINFOD_URLS", "  ", 1);
	CHECK(!files_ask_servers(files));
	// Debian's own scheme for directories: a server without a network.
	char urls[1100], cache[1100], path[1100];
	snprintf(urls, sizeof(urls), "file://%s", below("/server"));
	snprintf(cache, sizeof(cache), "%s", below("/cache"));
	setenv("DEBUGINFOD_URLS", urls, 1);
	setenv("DEBUGINFOD_CACHE_PATH", cache, 1);
	CHECK(files_ask_servers(files));
	struct file *file = NULL;
	char *problem = NULL;
	bool unchecked;
	snprintf(path, sizeof(path), "/server/buildid/%s/executable", id_22);
	write_elf(path, 0x22);
	CHECK_OK(files_find_executable(files, "/nowhere/x", id_22, &file, &unchecked, &problem));
	free(problem);
	CHECK(file && !unchecked);
	file = file_close(file);
	// A server that hands out something else is not believed.
	snprintf(path, sizeof(path), "/server/buildid/%s/executable", id_11);
	write_elf(path, 0x22);
	CHECK_OK(files_find_executable(files, "/nowhere/x", id_11, &file, &unchecked, &problem));
	CHECK(!file);
	CHECK(strstr(problem, id_22));
	free(problem);
	unsetenv("DEBUGINFOD_URLS");
	files_free(files);
}

static void counts_the_crc(void)
{
	CHECK_EQUAL(crc_debuglink((const uint8_t *)"123456789", 9), 0xcbf43926);
	CHECK_EQUAL(crc_debuglink((const uint8_t *)"", 0), 0);
}

static void remove_root(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", root);
	if (system(command) != 0)
		printf("# %s stays behind\n", root);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"a file is found by its path", finds_the_path_itself},
		{"a mismatch names both build ids", names_both_ids_of_a_mismatch},
		{"the sysroot comes first", looks_below_the_sysroot_first},
		{"debug files are found by build id and by link", finds_debug_files},
		{"dwz files and companions are found", finds_alternates_and_companions},
		{"servers are asked when configured, and checked", asks_servers_only_when_told},
		{"the CRC is the one of .gnu_debuglink", counts_the_crc},
	};
	strcpy(root, "/tmp/strobe-files-XXXXXX");
	if (!mkdtemp(root))
		return 1;
	atexit(remove_root);
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}
