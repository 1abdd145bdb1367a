// SPDX-License-Identifier: Apache-2.0
// Functions, inlined calls, lines and names of programs that are compiled here, compared with
// gdb's answers at every third address.

#include "check.h"

#include <strobe/symbols.h>
#include <unistd.h>

#include "symbols/file_view.h"
#include "symbols/function.h"
#include "symbols/names.h"

static const char c_program[] =
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"int counter = 3; static int hidden = 4;\n"
	"struct point { int x, y; }; typedef struct point point_t;\n"
	"enum colour { RED, GREEN = 7 };\n"
	"static inline int square(int x) { return x * x + (x >> 3); }\n"
	"static inline int both(int x, int y)\n{\n\tint a = square(x);\n\tint b = square(y);\n"
	"\treturn a * b + square(a + b);\n}\n"
	"static int order(const void *a, const void *b) { return *(int *)a - *(int *)b; }\n"
	"__attribute__((noinline)) int work(int *v, int n)\n{\n\tint s = hidden;\n"
	"\tfor (int i = 0; i < n; i++) {\n\t\tif (v[i] & 1)\n\t\t\ts += both(v[i], i);\n"
	"\t\telse { int k = square(s); s -= k; }\n\t}\n\tqsort(v, n, sizeof *v, order);\n"
	"\tif (s == 77) abort();\n\treturn s;\n}\n"
	"int main(int argc, char **argv)\n{\n\tpoint_t p = {argc, 2}; enum colour c = GREEN;\n"
	"\tint v[10];\n\tmemset(v, argc, sizeof v);\n\treturn work(v, 10) + p.x + c + "
	"counter;\n}\n";

static const char cxx_program[] =
	"namespace outer { namespace {\nint quiet(int x) { return x * 3 + 1; }\n}\n"
	"template <class T> struct box { T v; box(T x) : v(x) {} T get() const { return v; }\n"
	"\tstruct inside { int a; int go(int k) { return a * k; } }; };\n"
	"struct shape { static int count; virtual ~shape() {} virtual int area() const { return 1; "
	"} };\n"
	"int shape::count = 5;\nenum class kind { A, B };\n"
	"struct square : shape { int s; square(int d) : s(d) {}\n"
	"\tint area() const override { return s * s; } };\n}\n"
	"template <typename F> int apply(F f, int n)\n{\n\tint s = 0;\n"
	"\tfor (int i = 0; i < n; i++)\n\t\ts += f(i);\n\treturn s;\n}\n"
	"static int twice(int x) { return x * 2; }\n"
	"int main(int argc, char **)\n{\n\touter::box<int> b(argc);\n"
	"\touter::box<int>::inside n{argc};\n\touter::shape *p = new outer::square(argc);\n"
	"\tint t = apply(twice, argc) + outer::quiet(argc) + n.go(2) + b.get() + p->area();\n"
	"\tdelete p;\n\treturn t + outer::shape::count + (int)outer::kind::B;\n}\n";

static const char gdb_script[] =
	"import gdb, os\n"
	"def plain(n):\n"
	"    if not n.endswith(')') and not n.endswith(') const'): return n\n"
	"    i = n.rfind(')'); depth = 0\n"
	"    while i >= 0:\n"
	"        depth += (n[i] == ')') - (n[i] == '(')\n"
	"        if depth == 0: break\n"
	"        i -= 1\n"
	"    return n[:i]\n"
	"out = open('gdb.txt', 'w')\n"
	"for pc in [int(l, 16) for l in open('pcs.txt')]:\n"
	"    s = ''\n"
	"    b = gdb.block_for_pc(pc)\n"
	"    sal = gdb.find_pc_line(pc)\n"
	"    f = sal.symtab.filename if sal.symtab and sal.line else '?'\n"
	"    line = sal.line if f != '?' else 0\n"
	"    while b is not None and not b.is_global:\n"
	"        if b.function:\n"
	"            s += ' | %s %s:%d' % (plain(b.function.print_name), os.path.basename(f), "
	"line)\n"
	"            f = b.function.symtab.filename; line = b.function.line\n"
	"        b = b.superblock\n"
	"    out.write('%x%s\\n' % (pc, s))\n"
	"out.close()\n";

static char folder[64];

/** A shell command in the test's folder; its exit status. */
static int run(const char *format, const char *argument)
{
	char command[1024], line[900];
	snprintf(line, sizeof(line), format, argument);
	snprintf(command, sizeof(command), "cd %s && (%s) >out.txt 2>&1", folder, line);
	return system(command);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	CHECK(file != NULL);
	fputs(text, file);
	fclose(file);
}

static void enter_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/strobe-code-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	write_file("a.c", c_program);
	write_file("a.cc", cxx_program);
	write_file("dump.py", gdb_script);
}

static void leave_folder(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	CHECK_EQUAL(system(command), 0);
}

struct program {
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct symbols_module *module;
};

static void open_program(struct program *program, uint64_t bias)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/program", folder);
	program->view = file_view_open(path, bias);
	CHECK(program->view != NULL);
	CHECK_OK(strobe_symbols_open(program->view, &program->symbols));
	program->module = symbols_module(program->symbols, 0);
}

static void close_program(struct program *program)
{
	strobe_symbols_close(program->symbols);
	file_view_close(program->view);
}

/** Every third address of .text, one a line. */
static void write_addresses(struct symbols_module *module)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/pcs.txt", folder);
	FILE *file = fopen(path, "w");
	CHECK(file != NULL);
	Elf_Scn *scn = NULL;
	size_t strings;
	elf_getshdrstrndx(module->main_elf, &strings);
	while ((scn = elf_nextscn(module->main_elf, scn)) != NULL) {
		GElf_Shdr shdr;
		gelf_getshdr(scn, &shdr);
		if (strcmp(elf_strptr(module->main_elf, strings, shdr.sh_name), ".text") != 0)
			continue;
		for (uint64_t i = 0; i < shdr.sh_size; i += 3)
			fprintf(file, "%llx\n", (unsigned long long)(shdr.sh_addr + i));
	}
	fclose(file);
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path ? path : "?";
}

/** Our answer in the form of the script's. */
static void describe(struct program *program, uint64_t pc, char *buffer, size_t size)
{
	const struct code_position *position = code_position_at(program->symbols, pc);
	size_t used = (size_t)snprintf(buffer, size, "%llx", (unsigned long long)pc);
	for (size_t i = 0; position && i < position->scope_count && used < size; i++) {
		const struct code_scope *scope = &position->scopes[i];
		used += (size_t)snprintf(buffer + used, size - used, " | %s %s:%u", scope->function,
					 base_name(scope->file), scope->line);
	}
	snprintf(buffer + (used < size ? used : size - 1), 2, "\n");
}

/** Compiles with `command` and compares with gdb at every third address. */
static void compare(const char *command)
{
	enter_folder();
	if (run("gdb --version && %s", command) != 0)
		SKIP("gdb or the tools for this are missing: %s", command);
	struct program program;
	open_program(&program, 0);
	write_addresses(program.module);
	CHECK_EQUAL(run("gdb -nx -batch program -x dump.py%s", ""), 0);
	char path[128], expected[4096], found[4096];
	snprintf(path, sizeof(path), "%s/gdb.txt", folder);
	FILE *file = fopen(path, "r");
	CHECK(file != NULL);
	unsigned lines = 0, inlined = 0, different = 0;
	while (fgets(expected, sizeof(expected), file)) {
		describe(&program, strtoull(expected, NULL, 16), found, sizeof(found));
		const char *first = strchr(expected, '|');
		inlined += first && strchr(first + 1, '|');
		lines += first != NULL;
		if (strcmp(expected, found) != 0 && different++ < 3)
			printf("# gdb:  %s# here: %s", expected, found);
	}
	fclose(file);
	close_program(&program);
	leave_folder();
	printf("# %u addresses, %u in inlined calls\n", lines, inlined);
	CHECK(lines > 30);
	CHECK_EQUAL(different, 0);
}

static void gcc_plain(void)
{
	compare("gcc -g -O0 a.c -o program");
}
static void gcc_optimized(void)
{
	compare("gcc -g -O2 a.c -o program");
}
static void gcc_dwarf4(void)
{
	compare("gcc -gdwarf-4 -O3 a.c -o program");
}
static void gcc_compressed(void)
{
	compare("gcc -g -O2 -gz a.c -o program");
}
static void gcc_split(void)
{
	compare("gcc -g -O2 -gsplit-dwarf a.c -o program");
}
static void gcc_split4(void)
{
	compare("gcc -gdwarf-4 -O2 -gsplit-dwarf a.c -o program");
}
static void gcc_package(void)
{
	compare("gcc -gdwarf-4 -O2 -gsplit-dwarf a.c -o program && dwp -e program -o program.dwp "
		"&& rm *.dwo");
}
static void gcc_dwz(void)
{
	compare("gcc -gdwarf-4 -O2 a.c -o program && cp program other && dwz -m shared program "
		"other");
}
static void gcc_lto(void)
{
	compare("gcc -g -O2 -flto a.c -o program");
}
static void clang_optimized(void)
{
	compare("clang -g -O2 a.c -o program");
}
static void clang_split(void)
{
	compare("clang -gdwarf-5 -O2 -gsplit-dwarf a.c -o program");
}
static void cxx_plain(void)
{
	compare("g++ -g -O0 a.cc -o program");
}
static void cxx_optimized(void)
{
	compare("g++ -g -O2 a.cc -o program");
}
static void cxx_clang(void)
{
	compare("clang++ -g -O1 a.cc -o program");
}

struct wanted {
	const char *full;
	unsigned kind;
	unsigned count;
	bool declaration;
};

static bool count_name(void *context, const struct name_entry *entry)
{
	struct wanted *wanted = context;
	wanted->count += entry->kind == wanted->kind;
	wanted->declaration = entry->declaration;
	return false;
}

static void check_name(struct symbols_module *module, const char *name, unsigned kind,
		       unsigned count)
{
	struct wanted wanted = {.kind = kind};
	CHECK(names_find(module, name, kind, NULL, count_name, &wanted));
	if (wanted.count != count)
		printf("# %s: %u, expected %u\n", name, wanted.count, count);
	CHECK_EQUAL(wanted.count, count);
	CHECK(!wanted.declaration);
}

static void names_of_c(void)
{
	enter_folder();
	CHECK_EQUAL(run("gcc -g -O0 a.c -o program%s", ""), 0);
	struct program program;
	open_program(&program, 0);
	check_name(program.module, "counter", NAME_VARIABLE, 1);
	check_name(program.module, "hidden", NAME_VARIABLE, 1);
	check_name(program.module, "point", NAME_TAG, 1);
	check_name(program.module, "point", NAME_TYPE, 0);
	check_name(program.module, "point_t", NAME_TYPE, 1);
	check_name(program.module, "GREEN", NAME_ENUMERATOR, 1);
	check_name(program.module, "work", NAME_FUNCTION, 1);
	check_name(program.module, "nothing", 31, 0);
	CHECK(names_unit(program.module, "a.c", 0) != NULL);
	CHECK(names_unit(program.module, "a.c", 1) == NULL);
	CHECK(names_unit(program.module, ".c", 0) == NULL);
	close_program(&program);
	leave_folder();
}

static void names_of_cxx(void)
{
	enter_folder();
	CHECK_EQUAL(run("g++ -g -O0 a.cc -o program%s", ""), 0);
	struct program program;
	open_program(&program, 0);
	check_name(program.module, "outer::shape::count", NAME_VARIABLE, 1);
	check_name(program.module, "outer::box<int>", NAME_TAG, 1);
	check_name(program.module, "outer::box<int>::inside", NAME_TYPE, 1);
	check_name(program.module, "outer::kind::B", NAME_ENUMERATOR, 1);
	check_name(program.module, "inner::shape", 31, 0);
	struct strobe_function function;
	CHECK_OK(strobe_function_find(program.symbols, "outer::square::area", &function));
	CHECK_STRING(function.name, "outer::square::area");
	CHECK(function.end > function.start);
	CHECK_ERROR(strobe_function_find(program.symbols, "outer::nothing", &function),
		    STROBE_ERROR_NOT_FOUND);
	close_program(&program);
	leave_folder();
}

static bool take_line(void *context, uint64_t address, const struct strobe_line *line)
{
	*(uint64_t *)context = address;
	return line->line != 13;
}

static void addresses_follow_the_bias(void)
{
	enter_folder();
	CHECK_EQUAL(run("gcc -g -O0 -no-pie a.c -o program%s", ""), 0);
	struct program program;
	const uint64_t bias = 0x7000000000;
	open_program(&program, bias);
	struct strobe_function function, same;
	CHECK_OK(strobe_function_find(program.symbols, "'a.c'::order", &function));
	CHECK(function.start > bias);
	CHECK_EQUAL(function.line, 13);
	CHECK(strobe_function_at(program.symbols, function.start + 1, &same));
	CHECK_EQUAL(same.start, function.start);
	struct strobe_line line;
	CHECK(strobe_line_at(program.symbols, function.start, &line));
	CHECK_EQUAL(line.line, 13);
	CHECK_EQUAL(line.start, function.start);
	CHECK(*line.file == '/');
	uint64_t address = 0;
	CHECK_OK(strobe_line_find(program.symbols, "a.c", 13, take_line, &address));
	CHECK_EQUAL(address, function.start);
	CHECK_ERROR(strobe_line_find(program.symbols, "b.c", 13, take_line, &address),
		    STROBE_ERROR_NOT_FOUND);
	close_program(&program);
	leave_folder();
}

static void missing_split_file_is_named(void)
{
	enter_folder();
	CHECK_EQUAL(run("gcc -g -O0 -gsplit-dwarf a.c -o program && rm *.dwo%s", ""), 0);
	struct program program;
	open_program(&program, 0);
	CHECK(unit_get(program.module, 0) != NULL);
	struct strobe_module_debug debug;
	strobe_symbols_module_debug(program.symbols, 0, &debug);
	CHECK(debug.problem && strstr(debug.problem, "program-a.dwo"));
	close_program(&program);
	leave_folder();
}

CHECK_MAIN({"gcc -O0 agrees with gdb", gcc_plain}, {"gcc -O2 agrees with gdb", gcc_optimized},
	   {"DWARF 4 at -O3 agrees with gdb", gcc_dwarf4},
	   {"compressed sections agree with gdb", gcc_compressed},
	   {"split DWARF 5 agrees with gdb", gcc_split},
	   {"split DWARF 4 agrees with gdb", gcc_split4},
	   {"a .dwp without its .dwo files agrees with gdb", gcc_package},
	   {"a file shared by dwz agrees with gdb", gcc_dwz},
	   {"link-time optimization agrees with gdb", gcc_lto},
	   {"clang -O2 agrees with gdb", clang_optimized},
	   {"split DWARF of clang agrees with gdb", clang_split},
	   {"C++ -O0 agrees with gdb", cxx_plain}, {"C++ -O2 agrees with gdb", cxx_optimized},
	   {"C++ of clang agrees with gdb", cxx_clang}, {"C names are found by kind", names_of_c},
	   {"C++ names are found with their scopes", names_of_cxx},
	   {"addresses follow the module's bias", addresses_follow_the_bias},
	   {"a missing .dwo file is named", missing_split_file_is_named})
