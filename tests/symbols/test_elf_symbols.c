// SPDX-License-Identifier: Apache-2.0
// Symbols of a program compiled here, in a core that gdb made of it.

#include "symbols/elf_symbols.h"

#include <unistd.h>

#include "check.h"

static char directory[] = "/tmp/strobe-symbols-XXXXXX";
static bool made;
static struct strobe_view *view;
static struct strobe_symbols *symbols;

static const char source[] =
	"#include <cstdio>\n#include <cstdlib>\n"
	"namespace ns { int object = 3; __attribute__((noinline)) int f(int x) { return x + 1; }\n"
	"template <class T> __attribute__((noinline)) T g(T x) { return x * 2; } }\n"
	"__thread volatile int tls = 5;\n"
	"extern \"C\" { __attribute__((noinline)) int plain(int x) { return x - 1; }\n"
	"__attribute__((alias(\"plain\"))) int another(int x); }\n"
	"int main(int c, char **v) { puts(\"x\"); tls = ns::f(c) + ns::g(c) + plain(c);\n"
	"if (tls + ns::object) abort(); }\n";

static int run(const char *command)
{
	char text[1024];
	snprintf(text, sizeof(text), "cd %s && { %s; } >/dev/null 2>&1 </dev/null", directory,
		 command);
	return system(text);
}

static void open_core(const char *compile)
{
	if (system("command -v g++ >/dev/null && command -v gdb >/dev/null") != 0)
		SKIP("g++ or gdb is not installed");
	CHECK(made || mkdtemp(directory));
	made = true;
	char path[128];
	snprintf(path, sizeof(path), "%s/p.cc", directory);
	FILE *file = fopen(path, "w");
	CHECK(file);
	fputs(source, file);
	fclose(file);
	CHECK_EQUAL(run(compile), 0);
	run("rm -f core; gdb -nx -batch -ex run -ex 'gcore core' ./p");
	if (run("test -s core") != 0)
		SKIP("gdb cannot run programs here");
	snprintf(path, sizeof(path), "%s/core", directory);
	CHECK_OK(strobe_view_open(path, NULL, &view));
	CHECK_OK(strobe_symbols_open(view, &symbols));
}

static void close_core(void)
{
	symbols = strobe_symbols_close(symbols);
	view = strobe_view_close(view);
}

struct found {
	size_t count;
	struct strobe_symbol first;
};

static bool note(void *context, const struct strobe_symbol *symbol)
{
	struct found *found = context;
	if (!found->count++)
		found->first = *symbol;
	return true;
}

static struct found find(enum strobe_match match, const char *pattern)
{
	struct found found = {0};
	CHECK_OK(strobe_symbols_find(symbols, match, pattern, "p", note, &found));
	return found;
}

static void check_round_trip(const char *name, const char *type)
{
	struct found found = find(STROBE_MATCH_EXACT, name);
	CHECK(found.count >= 1);
	CHECK_STRING(found.first.type, type);
	struct strobe_symbol at;
	CHECK(strobe_symbol_at(symbols, found.first.address, &at));
	CHECK_EQUAL(at.address, found.first.address);
	if (found.first.size_bytes) {
		CHECK(strobe_symbol_at(symbols, found.first.address + found.first.size_bytes - 1,
				       &at));
		CHECK_EQUAL(at.address, found.first.address);
	}
}

static void finds_names(void)
{
	open_core("g++ -O1 -o p p.cc");
	check_round_trip("plain", "function");
	check_round_trip("ns::f", "function");
	check_round_trip("ns::f(int)", "function");
	check_round_trip("_ZN2ns1fEi", "function");
	check_round_trip("ns::object", "object");
	check_round_trip("main", "function");
	check_round_trip("puts@plt", "function");
	CHECK_STRING(find(STROBE_MATCH_EXACT, "_ZN2ns1fEi").first.name, "ns::f(int)");
	CHECK_EQUAL(find(STROBE_MATCH_EXACT, "ns::g<int>").count, 1);
	CHECK_EQUAL(find(STROBE_MATCH_EXACT, "nothing").count, 0);
	CHECK_EQUAL(find(STROBE_MATCH_GLOB, "ns::*").count, 2); // f and object; g begins with int
	CHECK_EQUAL(find(STROBE_MATCH_REGEX, "^(plain|another)$").count, 2);
	CHECK_STRING(find(STROBE_MATCH_REGEX, "tls").first.type, "tls");
	struct strobe_symbol symbol;
	CHECK(strobe_symbol_at(symbols, find(STROBE_MATCH_EXACT, "another").first.address,
			       &symbol));
	CHECK_STRING(symbol.name, "plain"); // the last in the alphabet
	CHECK(!strobe_symbol_at(symbols, 16, &symbol));
	struct found found = {0};
	CHECK_ERROR(strobe_symbols_find(symbols, STROBE_MATCH_REGEX, "(", NULL, note, &found),
		    STROBE_ERROR_SYNTAX);
	CHECK_ERROR(strobe_symbols_find(symbols, STROBE_MATCH_EXACT, "x", "no.so", note, &found),
		    STROBE_ERROR_NOT_FOUND);
	close_core();
}

static void stripped_has_dynamic_symbols(void)
{
	open_core("g++ -O1 -rdynamic -s -o p p.cc");
	check_round_trip("plain", "function");
	check_round_trip("puts@plt", "function");
	CHECK_EQUAL(find(STROBE_MATCH_EXACT, "_init").count, 0);
	close_core();
}

static void reads_minidebuginfo(void)
{
	if (system("command -v xz >/dev/null && command -v objcopy >/dev/null") != 0)
		SKIP("xz is not installed");
	open_core("g++ -O1 -g -o p p.cc && objcopy --only-keep-debug p m && strip -g m && "
		  "strip -s p && xz -f m && objcopy --add-section .gnu_debugdata=m.xz p");
	check_round_trip("plain", "function");
	struct strobe_module_debug debug;
	strobe_symbols_module_debug(symbols, 0, &debug);
	CHECK_EQUAL(debug.kind, STROBE_DEBUG_MINI);
	close_core();
}

static void a_program_that_is_gone(void)
{
	open_core("g++ -O1 -rdynamic -o p p.cc");
	close_core();
	run("rm p");
	char path[128];
	snprintf(path, sizeof(path), "%s/core", directory);
	CHECK_OK(strobe_view_open(path, NULL, &view));
	CHECK_OK(strobe_symbols_open(view, &symbols));
	check_round_trip("plain", "function"); // by the dynamic segment in memory
	close_core();
}

static void clean_up(void)
{
	char command[64];
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CHECK(!made || system(command) == 0);
}

CHECK_MAIN({"finds symbols by name, pattern and address", finds_names},
	   {"a stripped program has its dynamic symbols", stripped_has_dynamic_symbols},
	   {"minidebuginfo is unpacked", reads_minidebuginfo},
	   {"a deleted program's symbols come from memory", a_program_that_is_gone},
	   {"leaves nothing behind", clean_up})
