// SPDX-License-Identifier: Apache-2.0
// Opens the files of a module: the program itself (or what memory holds of it), its separate debug
// file, and the dwz file that this refers to.

#include "symbols/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "files/files.h"
#include "symbols/image.h"
#include "symbols/sections.h"
#include "view/view.h"

enum { BUILD_ID_LIMIT = 64 };

static void note_problem(struct symbols_module *module, const char *problem)
{
	if (!module->debug.problem)
		module->debug.problem = problem;
}

void module_problem(struct symbols_module *module, const char *problem)
{
	if (!module->debug.problem && problem)
		view_warn(module->symbols->view, "%s", problem);
	note_problem(module, problem);
}

/** Takes over a malloc'ed line of files/files.h. That there is no debug information is no news. */
static void take_problem(struct symbols_module *module, char *problem)
{
	static const char absent[] = "not found";
	if (problem && *problem) {
		const char *line = arena_strdup(&module->symbols->arena, problem);
		if (strncmp(problem, absent, sizeof(absent) - 1) == 0)
			note_problem(module, line);
		else
			module_problem(module, line);
	}
	free(problem);
}

static bool has_dwarf(Elf *elf)
{
	return section_exists(elf, ".debug_info") || section_exists(elf, ".zdebug_info");
}

/** An ELF handle on a file; NULL with a problem noted if it is none. */
static Elf *open_elf(struct symbols_module *module, const struct file *file)
{
	GUARD(file->path);
	Elf *elf = image_open_elf(file);
	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getclass(elf) == ELFCLASS64)
		return elf;
	module_problem(module, arena_printf(&module->symbols->arena, "%s: not a usable ELF file",
					    file->path));
	image_close_elf(elf);
	return NULL;
}

static void open_main(struct symbols_module *module)
{
	const struct strobe_view *view = module->symbols->view;
	module->path = module->module->path ? module->module->path : module->module->name;
	struct file *file = view_module_file(view, module->index);
	if (file) {
		module->path = file->path;
		module->main_elf = open_elf(module, file);
		return;
	}
	module->image = image_from_memory(view, module->module, &module->image_size);
	if (!module->image)
		return;
	GUARD(module->path);
	module->main_elf = elf_memory(module->image, module->image_size);
	if (module->main_elf && elf_kind(module->main_elf) != ELF_K_ELF) {
		elf_end(module->main_elf);
		module->main_elf = NULL;
	}
}

static void find_debug(struct symbols_module *module)
{
	GElf_Word crc = 0;
	const char *link = NULL;
	if (module->main_elf) {
		GUARD(module->path);
		link = dwelf_elf_gnu_debuglink(module->main_elf, &crc);
	}
	if (!link && !module->module->build_id)
		return;
	char *problem = NULL;
	struct strobe_error *error = files_find_debug(view_files(module->symbols->view),
						      module->path, module->module->build_id, link,
						      crc, &module->debug_file, &problem);
	if (error) {
		strobe_error_free(error);
		module_problem(module, "out of memory");
	}
	if (!module->debug_file) {
		take_problem(module, problem);
		return;
	}
	free(problem);
	Elf *elf = open_elf(module, module->debug_file);
	if (elf) {
		module->debug_elf = elf;
		module->debug_path = module->debug_file->path;
	}
}

static void find_alternate(struct symbols_module *module)
{
	const char *name;
	const void *id;
	ssize_t size = dwelf_dwarf_gnu_debugaltlink(module->dwarf, &name, &id);
	if (size <= 0 || size > BUILD_ID_LIMIT)
		return;
	char hex[2 * BUILD_ID_LIMIT + 1];
	for (ssize_t i = 0; i < size; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
	char *problem = NULL;
	struct strobe_error *error =
		files_find_alternate(view_files(module->symbols->view), module->debug_path, name,
				     hex, &module->alternate_file, &problem);
	strobe_error_free(error);
	if (!module->alternate_file) {
		take_problem(module, problem);
		return;
	}
	free(problem);
	module->alternate_elf = open_elf(module, module->alternate_file);
	if (!module->alternate_elf)
		return;
	GUARD(module->alternate_file->path);
	module->alternate = dwarf_begin_elf(module->alternate_elf, DWARF_C_READ, NULL);
	if (module->alternate)
		dwarf_setalt(module->dwarf, module->alternate);
	else
		module_problem(module, arena_printf(&module->symbols->arena, "%s: no usable DWARF",
						    module->alternate_file->path));
}

static void open_dwarf(struct symbols_module *module)
{
	if (!has_dwarf(module->debug_elf))
		return;
	GUARD(module->debug_path);
	module->dwarf = dwarf_begin_elf(module->debug_elf, DWARF_C_READ, NULL);
	if (module->dwarf)
		find_alternate(module);
	else
		module_problem(module, arena_printf(&module->symbols->arena, "%s: DWARF: %s",
						    module->debug_path, dwarf_errmsg(-1)));
}

static void find_code(struct symbols_module *module)
{
	Elf *elf = module->main_elf ? module->main_elf : module->debug_elf;
	size_t count = 0;
	if (!elf || elf_getphdrnum(elf, &count) < 0)
		return;
	module->code_start = UINT64_MAX;
	for (size_t i = 0; i < count && i < INT32_MAX; i++) {
		GElf_Phdr phdr;
		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD ||
		    !(phdr.p_flags & PF_X))
			continue;
		uint64_t start = phdr.p_vaddr;
		if (!phdr.p_offset) // the ELF header is no code
			start += sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
		if (start < module->code_start)
			module->code_start = start;
		if (phdr.p_vaddr + phdr.p_memsz > module->code_end)
			module->code_end = phdr.p_vaddr + phdr.p_memsz;
	}
	if (!module->code_end)
		module->code_start = 0; // unknown
}

static void describe(struct symbols_module *module)
{
	struct strobe_module_debug *debug = &module->debug;
	debug->kind_name = "none";
	if (module->dwarf) {
		debug->kind = STROBE_DEBUG_DWARF;
		debug->kind_name = "dwarf";
		debug->file = module->debug_path;
	} else if (section_exists(module->debug_elf, ".symtab") ||
		   section_exists(module->main_elf, ".symtab")) {
		debug->kind = STROBE_DEBUG_SYMTAB;
		debug->kind_name = "symtab";
		debug->file = section_exists(module->debug_elf, ".symtab") ? module->debug_path
									   : module->path;
	} else if (section_exists(module->main_elf, ".gnu_debugdata")) {
		debug->kind = STROBE_DEBUG_MINI;
		debug->kind_name = "mini";
		debug->file = module->path;
	} else if (section_exists(module->main_elf, ".dynsym")) {
		debug->kind = STROBE_DEBUG_DYNAMIC;
		debug->kind_name = "dynamic";
		debug->file = module->path;
	}
	if (!module->main_elf)
		note_problem(module, module->module->file_problem); // the view has warned of it
}

static void open_module(struct symbols_module *module)
{
	module->opened = true;
	open_main(module);
	module->debug_elf = module->main_elf;
	module->debug_path = module->path;
	if (!has_dwarf(module->main_elf))
		find_debug(module);
	open_dwarf(module);
	GUARD(module->path);
	find_code(module);
	describe(module);
}

struct symbols_module *symbols_module(struct strobe_symbols *symbols, size_t index)
{
	if (index >= symbols->module_count)
		return NULL;
	if (!symbols->modules[index].opened)
		open_module(&symbols->modules[index]);
	return &symbols->modules[index];
}
