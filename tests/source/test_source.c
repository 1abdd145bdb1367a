// SPDX-License-Identifier: Apache-2.0
#include <strobe/source.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"
#include "files/files.h"
#include "view/view.h"

// A view without modules: what is tested is where a file is found, and its lines.

static struct files *finder;

const struct strobe_view *strobe_symbols_view(const struct strobe_symbols *symbols)
{
	return (const struct strobe_view *)symbols;
}

struct files *view_files(const struct strobe_view *view)
{
	return finder;
}

size_t strobe_view_module_count(const struct strobe_view *view)
{
	return 0;
}

const struct strobe_module *strobe_view_module(const struct strobe_view *view, size_t index)
{
	return NULL;
}

struct file *view_module_file(const struct strobe_view *view, size_t module_index)
{
	return NULL;
}

static char directory[64];

static void write_file(const char *name, const char *text, size_t size)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "w");
	CHECK(file != NULL);
	CHECK_EQUAL(fwrite(text, 1, size, file), size);
	fclose(file);
}

static void set_up(void)
{
	char path[256];
	struct files_options options = {.no_debuginfod = true};
	CHECK_OK(files_new(&options, &finder));
	strcpy(directory, "/tmp/test_source.XXXXXX");
	CHECK(mkdtemp(directory) != NULL);
	snprintf(path, sizeof(path), "%s/src", directory);
	CHECK_EQUAL(mkdir(path, 0700), 0);
	write_file("src/a.c", "one\ntwo\r\n\nfour", 14);
	write_file("empty.c", "", 0);
}

static void tear_down(void)
{
	static const char *const names[] = {"/src/a.c", "/empty.c", "/src", ""};
	char path[256];
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", directory, names[i]);
		remove(path);
	}
	finder = files_free(finder);
}

static struct strobe_error *open_source(const char *file, const char *search_path,
					struct strobe_source **ret)
{
	return strobe_source_open((struct strobe_symbols *)&finder, file, SIZE_MAX, search_path,
				  ret);
}

static void check_line(const struct strobe_source *source, size_t line, const char *expected)
{
	size_t size;
	const char *text = strobe_source_line(source, line, &size);
	CHECK(text != NULL);
	CHECK_EQUAL(size, strlen(expected));
	CHECK(memcmp(text, expected, size) == 0);
}

static void gives_lines(void)
{
	struct strobe_source *source = NULL;
	char path[256];
	size_t size;
	set_up();
	snprintf(path, sizeof(path), "%s/src/a.c", directory);
	CHECK_OK(open_source(path, NULL, &source));
	CHECK_STRING(strobe_source_path(source), path);
	CHECK_EQUAL(strobe_source_line_count(source), 4);
	check_line(source, 1, "one");
	check_line(source, 2, "two");
	check_line(source, 3, "");
	check_line(source, 4, "four");
	CHECK(strobe_source_line(source, 0, &size) == NULL);
	CHECK(strobe_source_line(source, 5, &size) == NULL);
	CHECK(!strobe_source_is_newer(source));
	strobe_source_close(source);
	tear_down();
}

static void finds_a_file_of_another_machine_below_a_directory(void)
{
	struct strobe_source *source = NULL;
	char search_path[256], path[256];
	set_up();
	snprintf(search_path, sizeof(search_path), "/nonexistent::%s", directory);
	snprintf(path, sizeof(path), "%s/src/a.c", directory);
	CHECK_OK(open_source("/home/builder/project/src/a.c", search_path, &source));
	CHECK_STRING(strobe_source_path(source), path);
	strobe_source_close(source);
	CHECK_OK(open_source("src/a.c", search_path, &source));
	strobe_source_close(source);
	CHECK_ERROR(open_source("/home/builder/b.c", search_path, &source), STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(open_source("/home/builder/src", search_path, &source), STROBE_ERROR_NOT_FOUND);
	tear_down();
}

static void an_empty_file_has_no_lines(void)
{
	struct strobe_source *source = NULL;
	char path[256];
	set_up();
	snprintf(path, sizeof(path), "%s/empty.c", directory);
	CHECK_OK(open_source(path, NULL, &source));
	CHECK_EQUAL(strobe_source_line_count(source), 0);
	strobe_source_close(source);
	tear_down();
}

CHECK_MAIN({"gives lines, without their ends", gives_lines},
	   {"finds a file of another machine below a directory",
	    finds_a_file_of_another_machine_below_a_directory},
	   {"an empty file has no lines", an_empty_file_has_no_lines})
