// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_SYMBOLS_PROGRAM_H
#define TESTS_SYMBOLS_PROGRAM_H

// A small program, compiled and run until it dumps core, and that core opened.

#include <dirent.h>
#include <stdarg.h>
#include <strobe/symbols.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "symbols/children.h"
#include "symbols/variable.h"

struct program {
	char directory[64];
	struct strobe_view *view;
	struct strobe_symbols *symbols;
};

static inline int program_shell(const char *format, ...)
{
	char command[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

static inline void program_close(struct program *program)
{
	strobe_symbols_close(program->symbols);
	strobe_view_close(program->view);
	program->symbols = NULL;
	program->view = NULL;
	if (program->directory[0])
		program_shell("rm -rf '%s'", program->directory);
	program->directory[0] = 0;
}

/** The core file in the program's directory, whatever the kernel calls it. */
static inline bool program_core(const struct program *program, char *path, size_t size)
{
	DIR *directory = opendir(program->directory);
	struct dirent *entry;
	bool found = false;
	while (directory && !found && (entry = readdir(directory)) != NULL) {
		found = strncmp(entry->d_name, "core", 4) == 0;
		if (found)
			snprintf(path, size, "%s/%s", program->directory, entry->d_name);
	}
	if (directory)
		closedir(directory);
	return found;
}

/**
 * Compiles `source` to `program` in a directory of its own with `command` ("gcc -g -O2") and runs
 * it; it must dump core. Skips the case where the compiler or cores are missing.
 */
static inline void program_open(struct program *program, const char *command, const char *suffix,
				const char *source)
{
	char path[512], compiler[32];
	*program = (struct program){0};
	snprintf(compiler, sizeof(compiler), "%.*s", (int)strcspn(command, " "), command);
	if (program_shell("command -v %s >/dev/null", compiler) != 0)
		SKIP("%s is not installed", compiler);
	snprintf(program->directory, sizeof(program->directory), "/tmp/strobe-test-XXXXXX");
	CHECK(mkdtemp(program->directory) != NULL);
	snprintf(path, sizeof(path), "%s/source.%s", program->directory, suffix);
	FILE *file = fopen(path, "w");
	CHECK(file != NULL);
	fputs(source, file);
	fclose(file);
	CHECK_EQUAL(program_shell("cd '%s' && %s source.%s -o program", program->directory, command,
				  suffix),
		    0);
	program_shell("cd '%s' && ulimit -c unlimited && { ./program; } >/dev/null 2>&1",
		      program->directory);
	if (!program_core(program, path, sizeof(path))) {
		program_close(program);
		SKIP("the kernel leaves no core file in the working directory");
	}
	CHECK_OK(strobe_view_open(path, NULL, &program->view));
	CHECK_OK(strobe_symbols_open(program->view, &program->symbols));
}

/** The program's own module: the first with DWARF that is called so. */
static inline struct symbols_module *program_module(const struct program *program)
{
	for (size_t i = 0; i < program->symbols->module_count; i++) {
		struct symbols_module *module = symbols_module(program->symbols, i);
		if (module && strcmp(module->module->name, "program") == 0 && module->dwarf)
			return module;
	}
	return NULL;
}

/** A global variable of the program, looked for unit by unit. */
static inline bool program_variable(const struct program *program, const char *name,
				    struct variable *ret)
{
	struct symbols_module *module = program_module(program);
	CHECK(module != NULL);
	for (size_t i = 0; i < unit_count(module); i++) {
		struct unit *unit = unit_get(module, i);
		Dwarf_Die die;
		for (bool more = unit && children_first(&unit->die, &die); more;
		     more = children_next(&die)) {
			const char *found = die_name(&die);
			if (dwarf_tag(&die) == 0x34 /* DW_TAG_variable */ && found &&
			    strcmp(found, name) == 0 && variable_from_die(unit, &die, ret))
				return true;
		}
	}
	return false;
}

/** What gdb answers to each of `commands` (on lines of their own), or NULL without gdb. */
static inline char *program_gdb(const struct program *program, const char *commands)
{
	char path[512];
	char *answer = NULL;
	size_t size = 0;
	if (program_shell("command -v gdb >/dev/null") != 0)
		return NULL;
	snprintf(path, sizeof(path), "%s/commands", program->directory);
	FILE *file = fopen(path, "w");
	CHECK(file != NULL);
	fputs(commands, file);
	fclose(file);
	CHECK(program_core(program, path, sizeof(path)));
	char command[1024];
	snprintf(command, sizeof(command),
		 "cd '%s' && gdb -q -nx -batch -ex 'source commands' program %s 2>/dev/null",
		 program->directory, path);
	file = popen(command, "r");
	CHECK(file != NULL);
	if (getdelim(&answer, &size, 0, file) < 0) {
		free(answer);
		answer = NULL;
	}
	pclose(file);
	return answer;
}

#endif
