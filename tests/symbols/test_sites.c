// SPDX-License-Identifier: Apache-2.0
// All code of a function, and of a line, against what is told of each single address.

#include "check.h"

#include <strobe/symbols.h>
#include <unistd.h>

#include "base/array.h"
#include "symbols/code_lines.h"
#include "symbols/code_sites.h"
#include "symbols/file_view.h"
#include "symbols/function.h"

static const char program[] =
	"#include <stdlib.h>\n"
	"static inline int square(int x)\n{\n\treturn x * x + (x >> 3);\n}\n"
	"static inline int both(int x, int y)\n{\n\tint a = square(x);\n\tint b = square(y);\n"
	"\treturn a * b + square(a + b);\n}\n"
	"__attribute__((noinline)) int work(int *v, int n)\n{\n\tint s = 0;\n"
	"\tfor (int i = 0; i < n; i++) {\n\t\tif (v[i] & 1)\n\t\t\ts += both(v[i], i);\n"
	"\t\telse\n\t\t\ts -= square(s);\n\t}\n\tif (s == 77)\n\t\tabort();\n\treturn s;\n}\n"
	"int main(int argc, char **argv)\n{\n\tint v[3] = {argc, 2, 3};\n"
	"\treturn work(v, 3) + square(argc);\n}\n";

static char folder[64];
static struct strobe_view *view;
static struct strobe_symbols *symbols;
static struct code_range code; // of the program

static void open_program(void)
{
	char path[128], command[512];
	snprintf(folder, sizeof(folder), "/tmp/strobe-sites-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/a.c", folder);
	FILE *file = fopen(path, "w");
	CHECK(file != NULL);
	fputs(program, file);
	fclose(file);
	snprintf(command, sizeof(command), "cd %s && cc -g -O2 -o program a.c >out.txt 2>&1",
		 folder);
	if (system(command) != 0)
		SKIP("no compiler");
	snprintf(path, sizeof(path), "%s/program", folder);
	view = file_view_open(path, 0x10000);
	CHECK(view != NULL);
	CHECK_OK(strobe_symbols_open(view, &symbols));
	const struct symbols_module *module = symbols_module(symbols, 0);
	code.start = module->code_start + module->module->bias;
	code.end = module->code_end + module->module->bias;
	CHECK(code.end - code.start < 65536);
}

static void close_program(void)
{
	char command[128];
	strobe_symbols_close(symbols);
	file_view_close(view);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	CHECK_EQUAL(system(command), 0);
}

struct found {
	ARRAY(struct code_range) ranges;
	unsigned functions, inlined;
	unsigned line;
};

static bool add_site(void *context, const struct code_site *site)
{
	struct found *found = context;
	CHECK(site->range_count > 0);
	found->inlined += site->inlined;
	found->functions += !site->inlined;
	for (size_t i = 0; i < site->range_count; i++)
		CHECK(array_push(&found->ranges, site->ranges[i]));
	return true;
}

static bool add_line(void *context, const struct code_line *line)
{
	struct found *found = context;
	struct code_range range = {line->start, line->end};
	if (line->line == found->line)
		CHECK(array_push(&found->ranges, range));
	return true;
}

static bool holds(const struct found *found, uint64_t address)
{
	for (size_t i = 0; i < found->ranges.count; i++) {
		if (found->ranges.items[i].start <= address && address < found->ranges.items[i].end)
			return true;
	}
	return false;
}

static bool is_in(uint64_t address, const char *name)
{
	const struct code_position *position = code_position_at(symbols, address);
	CHECK(position != NULL);
	for (size_t i = 0; i < position->scope_count; i++) {
		if (position->scopes[i].function && !strcmp(position->scopes[i].function, name))
			return true;
	}
	return false;
}

static void check_function(const char *name, unsigned functions, unsigned inlined)
{
	struct found found = {0};
	CHECK_OK(code_sites_for_each(symbols, name, add_site, &found));
	CHECK_EQUAL(found.functions, functions);
	CHECK(found.inlined >= inlined);
	unsigned inside = 0;
	for (uint64_t at = code.start; at < code.end; at++) {
		CHECK_EQUAL(holds(&found, at), is_in(at, name));
		inside += is_in(at, name);
	}
	CHECK(inside > 0);
	array_fini(&found.ranges);
}

static void test_functions(void)
{
	open_program();
	check_function("work", 1, 0);
	check_function("main", 1, 0);
	check_function("square", 0, 3);
	check_function("both", 0, 1);
	struct found none = {0};
	CHECK_OK(code_sites_for_each(symbols, "nothing", add_site, &none));
	CHECK_EQUAL(none.functions + none.inlined, 0);
	CHECK_OK(code_sites_for_each(symbols, "'a.c'::square", add_site, &none));
	CHECK(none.inlined > 0);
	array_fini(&none.ranges);
	close_program();
}

static void test_lines(void)
{
	open_program();
	unsigned inside = 0;
	for (unsigned line = 1; line < 32; line++) {
		struct found found = {.line = line};
		CHECK_OK(code_lines_for_each(symbols, "a.c", add_line, &found));
		for (uint64_t at = code.start; at < code.end; at++) {
			struct strobe_line told;
			bool is = strobe_line_at(symbols, at, &told) && told.line == line;
			CHECK_EQUAL(holds(&found, at), is);
			inside += is;
		}
		array_fini(&found.ranges);
	}
	CHECK(inside > 0);
	struct found none = {0};
	CHECK_ERROR(code_lines_for_each(symbols, "b.c", add_line, &none), STROBE_ERROR_NOT_FOUND);
	close_program();
}

CHECK_MAIN({"the code of functions, inlined copies included, is what each address says",
	    test_functions},
	   {"the code of lines is what each address says", test_lines})
