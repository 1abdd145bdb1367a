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

struct telling {
	struct lens *lens;
	struct text *text;
	uint32_t type;
};

static bool tell(void *context, const struct lens_reference *reference)
{
	struct telling *telling = context;
	char marks[8] = "", *mark = marks;
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
	lens_place_name(telling->lens, telling->type, reference->offset, &name);
	text_printf(telling->text, "ref %llu %llx %s %s | %s\n",
		    (unsigned long long)reference->offset, (unsigned long long)reference->target,
		    *marks ? marks : "-", type ? type->name : "?", text_string(&name));
	return true;
}

/** What the lens tells of the objects in `known`. */
static void tell_objects(struct lens *lens, struct lens_memory *memory, const char *known,
			 struct text *ret)
{
	for (const char *line = known; *line; line = strchr(line, '\n') + 1) {
		unsigned long long address, size;
		int start = 0;
		char name[200];
		if (sscanf(line, "object %llx %llu %n%199[^\n]", &address, &size, &start, name) !=
		    3)
			continue;
		struct telling telling = {lens, ret,
					  lens_type_find(lens, name, SIZE_MAX, 0, false)};
		CHECK(telling.type != 0);
		CHECK_OK(lens_compile(lens));
		CHECK_STRING(lens_type(lens, telling.type)->name, name);
		text_printf(ret, "object %llx %llu %s\n", address, size, name);
		lens_walk(lens, memory, telling.type, address, size, 0, false, tell, &telling,
			  NULL);
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

static void compare(const char *command, const char *suffix, const char *source)
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
	free(known);
	lens_free(lens);
	program_close(&program);
}

static void c_plain(void)
{
	compare("gcc -g -O0", "c", c_program);
}

static void c_optimised(void)
{
	compare("gcc -g -O2 -gdwarf-4 -fdebug-types-section", "c", c_program);
}

static void c_split(void)
{
	compare("gcc -g -O2 -gsplit-dwarf", "c", c_program);
}

static void c_clang(void)
{
	compare("clang -g -O1", "c", c_program);
}

CHECK_MAIN({"a C program's own references, -O0", c_plain},
	   {"the same of -O2 with DWARF 4 and type units", c_optimised},
	   {"the same with split DWARF", c_split}, {"the same of clang", c_clang})
