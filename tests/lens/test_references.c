// SPDX-License-Identifier: Apache-2.0
// Programs tell what their objects refer to; the lens must say exactly the same.
#include <strobe/memory.h>

#include "base/text.h"
#include "lens/lens.h"
#include "lens/programs.h"
#include "symbols/program.h"

/** A view's memory, `window` bytes at a time: what is longer is in several pieces. */
struct window_reader {
	const struct strobe_view *view;
	size_t window;
	uint8_t bytes[4096];
};

static const uint8_t *read_window(void *context, uint64_t address, size_t *available)
{
	struct window_reader *reader = context;
	size_t size = reader->window - address % reader->window;
	*available = strobe_memory_read(reader->view, address, reader->bytes, size);
	return *available ? reader->bytes : NULL;
}

enum { LINE_LIMIT = 200 };

/** References as lines, in the order of memory. */
struct telling {
	struct lens *lens;
	uint32_t type;
	size_t count;
	uint64_t offsets[LINE_LIMIT];
	char *lines[LINE_LIMIT];
};

static void keep_line(struct telling *telling, uint64_t offset, char *line)
{
	size_t at = telling->count++;
	for (; at > 0 && telling->offsets[at - 1] > offset; at--) {
		telling->offsets[at] = telling->offsets[at - 1];
		telling->lines[at] = telling->lines[at - 1];
	}
	telling->offsets[at] = offset;
	telling->lines[at] = line;
}

static bool tell(void *context, const struct lens_reference *reference)
{
	struct telling *telling = context;
	char marks[8] = "", *mark = marks, *line = NULL;
	struct text name cleanup_text = {0};
	const struct lens_type *type = lens_type(telling->lens, reference->type);
	if (reference->guessed)
		*mark++ = 'g';
	if (reference->maybe)
		*mark++ = 'm';
	if (reference->code)
		*mark++ = 'c';
	if (reference->tagged)
		*mark++ = 't';
	*mark = 0;
	lens_place_name(telling->lens, telling->type, 0, reference->offset, &name);
	if (telling->count < LINE_LIMIT &&
	    asprintf(&line, "ref %llu %llx %s %s | %s\n", (unsigned long long)reference->offset,
		     (unsigned long long)reference->target, *marks ? marks : "-",
		     type ? type->name : "?", text_string(&name)) > 0)
		keep_line(telling, reference->offset, line);
	return true;
}

static void tell_object(struct lens *lens, struct lens_memory *memory, const char *name,
			uint64_t address, uint64_t size, struct text *ret)
{
	struct telling telling = {.lens = lens};
	telling.type = lens_type_find(lens, name, SIZE_MAX, 0, false);
	if (telling.type == 0)
		printf("# no type is called %s\n", name);
	CHECK(telling.type != 0);
	CHECK_OK(lens_compile(lens));
	CHECK_STRING(lens_type(lens, telling.type)->name, name);
	lens_walk(lens, memory, telling.type, address, size, 0, false, tell, &telling, NULL);
	for (size_t i = 0; i < telling.count; i++) {
		text_append(ret, telling.lines[i]);
		free(telling.lines[i]);
	}
}

/** A pointer to a virtual table: not known until it is learned. */
static void tell_vtable(struct lens *lens, uint64_t vtable, struct text *ret)
{
	uint64_t to_top = 0;
	uint32_t type = 0;
	CHECK(lens_may_be_vtable(lens, vtable));
	CHECK(!lens_may_be_vtable(lens, vtable + 4));
	CHECK_OK(lens_learn(lens, &vtable, 1));
	CHECK(lens_vtable_type(lens, vtable, &type, &to_top));
	CHECK(type != 0 && lens_type(lens, type)->plan != NULL);
	CHECK_EQUAL(lens_type(lens, type)->vtable_offset, 0);
	text_printf(ret, "vtable %llx %llu %s\n", (unsigned long long)vtable,
		    (unsigned long long)to_top, lens_type(lens, type)->name);
}

/** What the lens tells of the objects and tables in `known`. */
static void tell_objects(struct lens *lens, struct lens_memory *memory, const char *known,
			 struct text *ret)
{
	for (const char *line = known; *line; line = strchr(line, '\n') + 1) {
		unsigned long long address, size;
		char name[200];
		if (sscanf(line, "vtable %llx", &address) == 1)
			tell_vtable(lens, address, ret);
		if (sscanf(line, "object %llx %llu %199[^\n]", &address, &size, name) != 3)
			continue;
		text_printf(ret, "object %llx %llu %s\n", address, size, name);
		tell_object(lens, memory, name, address, size, ret);
	}
}

static char *read_known(const struct program *program)
{
	char path[256], *text = NULL;
	size_t size = 0;
	snprintf(path, sizeof(path), "%s/known", program->directory);
	FILE *file = fopen(path, "r");
	CHECK(file != NULL);
	CHECK(getdelim(&text, &size, 0, file) > 0);
	fclose(file);
	return text;
}

/** Shows the lines that differ. */
static bool same_text(const char *told, const char *known)
{
	if (strcmp(told, known) == 0)
		return true;
	for (int i = 0; i < 400 && (*told || *known); i++) {
		size_t a = strcspn(told, "\n"), b = strcspn(known, "\n");
		if (a != b || strncmp(told, known, a) != 0)
			printf("# told %.*s, known %.*s\n", (int)a, told, (int)b, known);
		told += a + (told[a] != 0);
		known += b + (known[b] != 0);
	}
	return false;
}

/** By name and place another lens finds the same types, as one of a stored graph must. */
static void find_again(struct strobe_symbols *symbols, struct lens *lens)
{
	struct lens *other;
	CHECK_OK(lens_new(symbols, &other));
	for (uint32_t id = 1; id <= lens_type_count(lens); id++) {
		const struct lens_type *type = lens_type(lens, id);
		if (!type->type)
			continue;
		const struct type_place *place = &type->type->place;
		size_t module = type->type->module ? type->type->module->index : SIZE_MAX;
		uint32_t found =
			lens_type_find(other, type->name, module, place->offset, place->in_types);
		if (found == 0)
			printf("# %s is not found again\n", type->name);
		CHECK(found != 0);
		CHECK_OK(lens_compile(other));
		CHECK_STRING(lens_type(other, found)->name, type->name);
		CHECK_EQUAL(lens_type(other, found)->size_bytes, type->size_bytes);
		CHECK_EQUAL(lens_type(other, found)->plan->step_count, type->plan->step_count);
	}
	lens_free(other);
}

/** gdb finds every place of `known` by the name that the lens gives it. */
static void compare_with_gdb(const struct program *program, const char *known)
{
	struct text commands cleanup_text = {0}, expected cleanup_text = {0};
	unsigned long long address = 0, size, offset;
	char type[200] = "", name[200];
	text_append(&commands, strstr(known, "::") ? "set language c++\n" : "set language c\n");
	for (const char *line = known; *line; line = strchr(line, '\n') + 1) {
		sscanf(line, "object %llx %llu %199[^\n]", &address, &size, type);
		if (sscanf(line, "ref %llu %*[^|]| %199[^\n]", &offset, name) != 2)
			continue;
		// The address of a reference is its target's, to gdb as to C++.
		if (strcmp(name, ".ref") == 0 || strcmp(name, ".moved") == 0)
			continue;
		text_printf(&commands, "printf \"%%lx\\n\", (long)&(%s(%s *)0x%llx)%s\n",
			    *name == '.' ? "*" : "", type, address, name);
		text_printf(&expected, "%llx\n", address + offset);
	}
	char *answer = program_gdb(program, text_string(&commands));
	if (!answer)
		SKIP("gdb is not installed");
	const char *start = strstr(answer, "\n#0 ");
	start = start ? strchr(start + 1, '\n') + 1 : answer;
	for (size_t size_left = expected.size; strlen(start) > size_left;)
		start = strchr(start, '\n') + 1;
	bool same = same_text(start, text_string(&expected));
	free(answer);
	CHECK(same);
}

static void compare(const char *command, const char *suffix, const char *source, bool gdb)
{
	static const size_t windows[] = {4096, 64, 16, 1};
	struct program program;
	struct lens *lens;
	char *whole = NULL;
	CHECK(asprintf(&whole, "%s%s", known_writer, source) > 0);
	program_open(&program, command, suffix, whole);
	free(whole);
	CHECK_OK(lens_new(program.symbols, &lens));
	char *known = read_known(&program);
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct window_reader reader = {.view = program.view, .window = windows[i]};
		struct lens_memory memory = {read_window, &reader};
		struct text told cleanup_text = {0};
		tell_objects(lens, &memory, known, &told);
		CHECK(same_text(text_string(&told), known));
	}
	find_again(program.symbols, lens);
	if (gdb)
		compare_with_gdb(&program, known);
	free(known);
	lens_free(lens);
	program_close(&program);
}

/** References of Rust's objects: with their counts, without names. */
static bool tell_rust(void *context, const struct lens_reference *reference)
{
	struct telling *telling = context;
	const struct lens_type *type = lens_type(telling->lens, reference->type);
	const char *name = type ? type->name : "?";
	char *line = NULL;
	CHECK(!reference->guessed && !reference->code && !reference->tagged);
	if (strncmp(name, "alloc::rc::Rc", 13) == 0) // RcBox, RcInner: as the library calls it
		name = "Rc";
	if (telling->count < LINE_LIMIT &&
	    asprintf(&line, "ref %llu %llx %llu %s\n", (unsigned long long)reference->offset,
		     (unsigned long long)reference->target, (unsigned long long)reference->count,
		     name) > 0)
		keep_line(telling, reference->offset, line);
	return true;
}

static void rust(const char *command)
{
	struct program program;
	struct lens *lens;
	program_open(&program, command, "rs", rust_program);
	CHECK_OK(lens_new(program.symbols, &lens));
	char *known = read_known(&program);
	struct window_reader reader = {.view = program.view, .window = 4096};
	struct lens_memory memory = {read_window, &reader};
	struct text told cleanup_text = {0};
	for (const char *line = known; *line; line = strchr(line, '\n') + 1) {
		unsigned long long address, size;
		struct telling telling = {.lens = lens};
		if (sscanf(line, "object %llx %llu", &address, &size) != 2)
			continue;
		telling.type = lens_type_find(lens, "r::Node", SIZE_MAX, 0, false);
		CHECK(telling.type != 0);
		CHECK_OK(lens_compile(lens));
		text_printf(&told, "object %llx %llu r::Node\n", address, size);
		lens_walk(lens, &memory, telling.type, address, size, 0, false, tell_rust, &telling,
			  NULL);
		for (size_t i = 0; i < telling.count; i++) {
			text_append(&told, telling.lines[i]);
			free(telling.lines[i]);
		}
	}
	CHECK(same_text(text_string(&told), known));
	free(known);
	lens_free(lens);
	program_close(&program);
}

static void rust_plain(void)
{
	rust("rustc -g --edition 2021 --crate-name r");
}

static void rust_optimised(void)
{
	rust("rustc -g -O --edition 2021 --crate-name r");
}

static void c_plain(void)
{
	compare("gcc -g -O0", "c", c_program, true);
}

static void c_optimised(void)
{
	compare("gcc -g -O2 -gdwarf-4 -fdebug-types-section", "c", c_program, false);
}

static void c_split(void)
{
	compare("gcc -g -O2 -gsplit-dwarf", "c", c_program, false);
}

static void c_clang(void)
{
	compare("clang -g -O1", "c", c_program, false);
}

static void cplus_plain(void)
{
	compare("g++ -g -O0 -w", "cpp", cplus_program, true);
}

static void cplus_optimised(void)
{
	compare("g++ -g -O2 -gdwarf-4 -w", "cpp", cplus_program, false);
}

static void cplus_clang(void)
{
	compare("clang++ -std=c++17 -g -O1 -w", "cpp", cplus_program, false);
}

static void cplus_fixed(void)
{
	compare("g++ -g -O1 -w -no-pie -fno-rtti", "cpp", cplus_program, false);
}

CHECK_MAIN({"a C program's own references, -O0", c_plain},
	   {"the same of -O2 with DWARF 4 and type units", c_optimised},
	   {"the same with split DWARF", c_split}, {"the same of clang", c_clang},
	   {"a C++ program's own references and virtual tables", cplus_plain},
	   {"the same of -O2 with DWARF 4", cplus_optimised},
	   {"the same of clang with C++", cplus_clang},
	   {"the same without type information, at fixed addresses", cplus_fixed},
	   {"a Rust program's own references", rust_plain}, {"the same optimised", rust_optimised})
