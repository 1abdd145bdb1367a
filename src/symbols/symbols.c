// SPDX-License-Identifier: Apache-2.0
// The symbols of a view: one struct symbols_module for each of its modules.

#include <stdlib.h>
#include <strobe/symbols.h>

#include "base/error.h"
#include "symbols/image.h"
#include "symbols/module.h"
#include "symbols/type_die.h"

struct strobe_error *strobe_symbols_open(const struct strobe_view *view,
					 struct strobe_symbols **ret)
{
	struct strobe_symbols *symbols = calloc(1, sizeof(*symbols));
	if (!symbols)
		return error_no_memory();
	symbols->view = view;
	symbols->module_count = strobe_view_module_count(view);
	symbols->modules = calloc(symbols->module_count + 1, sizeof(*symbols->modules));
	if (!symbols->modules) {
		free(symbols);
		return error_no_memory();
	}
	for (size_t i = 0; i < symbols->module_count; i++) {
		symbols->modules[i].symbols = symbols;
		symbols->modules[i].index = i;
		symbols->modules[i].module = strobe_view_module(view, i);
	}
	elf_version(EV_CURRENT);
	*ret = symbols;
	return NULL;
}

static void close_module(struct symbols_module *module)
{
	if (names_free)
		names_free(module->names);
	if (globals_free)
		globals_free(module->globals);
	if (cfi_free)
		cfi_free(module->cfi);
	if (elf_symbols_free)
		elf_symbols_free(module->elf_symbols);
	unit_table_free(module->units);
	split_close_all(module);
	if (module->dwarf)
		dwarf_end(module->dwarf);
	if (module->alternate)
		dwarf_end(module->alternate);
	image_close_elf(module->alternate_elf);
	if (module->debug_elf != module->main_elf)
		image_close_elf(module->debug_elf);
	image_close_elf(module->main_elf);
	image_free(module->image, module->image_size);
	file_close(module->debug_file);
	file_close(module->alternate_file);
}

struct strobe_symbols *strobe_symbols_close(struct strobe_symbols *symbols)
{
	if (!symbols)
		return NULL;
	for (size_t i = 0; i < symbols->module_count; i++)
		close_module(&symbols->modules[i]);
	free(symbols->modules);
	type_table_free(symbols->types);
	hash_fini(&symbols->pc_cache);
	hash_fini(&symbols->row_cache);
	hash_fini(&symbols->reentry_cache);
	hash_fini(&symbols->tail_cache);
	hash_fini(&symbols->variables_cache);
	hash_fini(&symbols->site_cache);
	arena_fini(&symbols->arena);
	free(symbols);
	return NULL;
}

const struct strobe_view *strobe_symbols_view(const struct strobe_symbols *symbols)
{
	return symbols->view;
}

void strobe_symbols_module_debug(struct strobe_symbols *symbols, size_t module_index,
				 struct strobe_module_debug *ret)
{
	*ret = (struct strobe_module_debug){.kind_name = "none"};
	struct symbols_module *module = symbols_module(symbols, module_index);
	if (module)
		*ret = module->debug;
}

struct symbols_module *symbols_module_at(struct strobe_symbols *symbols, uint64_t address)
{
	size_t index = strobe_view_module_at(symbols->view, address);
	return index == SIZE_MAX ? NULL : symbols_module(symbols, index);
}
