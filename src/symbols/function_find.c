// SPDX-License-Identifier: Apache-2.0
// Functions by name.

#include <string.h>

#include "base/error.h"
#include "symbols/elf_symbols.h"
#include "symbols/function.h"
#include "symbols/names.h"

struct search {
	struct strobe_function *ret;
	bool found;
	bool external;
};

static bool take(void *context, const struct name_entry *entry)
{
	struct search *search = context;
	if (search->found && !entry->external)
		return true;
	Dwarf_Die die = entry->die;
	struct strobe_function function;
	function_describe(entry->unit, &die, &function);
	uint64_t bias = entry->unit->module->module->bias;
	if (function.start == function.end ||
	    !module_is_code(entry->unit->module, function.start - bias))
		return true; // dropped by the linker
	*search->ret = function;
	search->found = true;
	return !entry->external;
}

static bool find_symbol(struct strobe_symbols *symbols, const char *name,
			struct strobe_function *ret)
{
	struct strobe_symbol symbol;
	for (size_t i = 0; i < symbols->module_count; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		for (size_t nth = 0; module && elf_symbols_find(module, name, nth, &symbol);
		     nth++) {
			if (strcmp(symbol.type, "function") != 0 &&
			    strcmp(symbol.type, "ifunc") != 0 && strcmp(symbol.type, "notype") != 0)
				continue;
			*ret = (struct strobe_function){.name = symbol.name,
							.start = symbol.address,
							.end = symbol.address + symbol.size_bytes,
							.module_index = i};
			return true;
		}
	}
	return false;
}

/** "'FILE'::NAME": both parts; false if `name` is no such thing. */
static bool split_file(struct strobe_symbols *symbols, const char *name, const char **file,
		       const char **function)
{
	const char *end = *name == '\'' ? strchr(name + 1, '\'') : NULL;
	if (!end || strncmp(end + 1, "::", 2) != 0)
		return false;
	*file = arena_copy_string(&symbols->arena, name + 1, (size_t)(end - name - 1));
	*function = end + 3;
	return *file != NULL;
}

struct strobe_error *strobe_function_find(struct strobe_symbols *symbols, const char *name,
					  struct strobe_function *ret)
{
	struct search search = {.ret = ret};
	const char *file = NULL, *function = name;
	bool in_file = split_file(symbols, name, &file, &function);
	for (size_t i = 0; i < symbols->module_count && !search.found; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		struct unit *unit = NULL;
		for (size_t j = 0; module && in_file && !search.found; j++) {
			unit = names_unit(module, file, j);
			if (!unit)
				break;
			if (!names_find(module, function, NAME_FUNCTION, unit, take, &search))
				return error_no_memory();
		}
		if (module && !in_file &&
		    !names_find(module, function, NAME_FUNCTION, NULL, take, &search))
			return error_no_memory();
	}
	if (search.found || (!in_file && find_symbol(symbols, name, ret)))
		return NULL;
	return error_new(STROBE_ERROR_NOT_FOUND, "no function '%s'", name);
}
