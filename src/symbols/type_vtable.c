// SPDX-License-Identifier: Apache-2.0
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/children.h"
#include "symbols/demangle.h"
#include "symbols/elf_symbols.h"
#include "symbols/function.h"
#include "symbols/names.h"
#include "symbols/type_die.h"

// The class that a virtual table belongs to: Itanium C++ ABI, 2.5 (virtual tables) and 2.9 (run-time
// type information). The table's symbol names the class; where there is none, or it is a table for
// the time of construction, the type information does, by a string of its own.

static bool take_class(void *context, const struct name_entry *entry)
{
	struct type **found = context;
	Dwarf_Die die = entry->die;
	int tag = dwarf_tag(&die);
	if (entry->declaration || (tag != DW_TAG_structure_type && tag != DW_TAG_class_type))
		return true;
	*found = type_from_die(entry->unit, &die);
	return !*found;
}

static bool take_local(Dwarf_Die *parent, const char *name, unsigned depth, Dwarf_Die *ret)
{
	if (depth > TYPE_NESTING_LIMIT)
		return false;
	for (bool more = children_first(parent, ret); more; more = children_next(ret)) {
		int tag = dwarf_tag(ret);
		const char *called = die_name(ret);
		if ((tag == DW_TAG_structure_type || tag == DW_TAG_class_type) && called &&
		    strcmp(called, name) == 0)
			return true;
		Dwarf_Die block = *ret;
		if (tag == DW_TAG_lexical_block && take_local(&block, name, depth + 1, ret))
			return true;
		*ret = block;
	}
	return false;
}

/** "ns::f(int)::C": a class within a function. */
static struct type *find_local(struct symbols_module *module, const char *name)
{
	const char *last = names_last_component(name);
	struct strobe_symbol symbol;
	struct type *found = NULL;
	if (last < name + 3)
		return NULL;
	char *function = strndup(name, (size_t)(last - name) - 2);
	if (function && elf_symbols_find(module, function, 0, &symbol)) {
		const struct code_position *at = code_position_at(module->symbols, symbol.address);
		struct code_scope *scope =
			at && at->scope_count ? &at->scopes[at->scope_count - 1] : NULL;
		Dwarf_Die die;
		if (scope && take_local(&scope->die, last, 0, &die))
			found = type_from_die(scope->unit, &die);
	}
	free(function);
	return found;
}

static struct type *find_class(struct symbols_module *module, const char *name)
{
	struct type *found = NULL;
	if (!module || !module->dwarf)
		return NULL;
	GUARD(module->debug_path);
	names_find(module, name, NAME_TAG | NAME_TYPE, NULL, take_class, &found);
	if (!found && strchr(name, '<'))
		found = type_instance(module, name);
	return found ? found : find_local(module, name);
}

struct type *type_class_anywhere(struct strobe_symbols *symbols, size_t module_index,
				 const char *name)
{
	struct type *found = find_class(symbols_module(symbols, module_index), name);
	for (size_t i = 0; i < symbols->module_count && !found; i++)
		if (i != module_index)
			found = find_class(symbols_module(symbols, i), name);
	return found;
}

static bool read_word(struct strobe_symbols *symbols, uint64_t address, uint64_t *ret)
{
	return strobe_memory_read(symbols->view, address, ret, sizeof(*ret)) == sizeof(*ret);
}

/** The class's name out of the type information: "N2ns1CE" -> "ns::C"; malloc'ed, or NULL. */
static char *name_from_type_information(struct strobe_symbols *symbols, uint64_t vtable)
{
	enum { NAME_LIMIT = 4096 };
	static const char prefix[] = "_ZTI", words[] = "typeinfo for ";
	uint64_t information, address;
	if (!read_word(symbols, vtable - 8, &information) ||
	    !read_word(symbols, information + 8, &address))
		return NULL;
	char *mangled = calloc(1, sizeof(prefix) + NAME_LIMIT);
	if (!mangled)
		return NULL;
	memcpy(mangled, prefix, sizeof(prefix) - 1);
	size_t got = strobe_memory_read(symbols->view, address, mangled + sizeof(prefix) - 1,
					NAME_LIMIT);
	char *name = NULL;
	char *start = mangled + sizeof(prefix) - 1;
	if (got && *start == '*') // a name that is compared by its address alone
		memmove(start, start + 1, NAME_LIMIT);
	if (got && strlen(start) < got)
		name = demangle(mangled);
	free(mangled);
	if (!name || strncmp(name, words, sizeof(words) - 1) != 0) {
		free(name);
		return NULL;
	}
	memmove(name, name + sizeof(words) - 1, strlen(name) - sizeof(words) + 2);
	return name;
}

/** An instance of the template that `name` is one of, by its methods: arguments that have no name ("main::{lambda()#1}") are
 *  spelled by nobody as by anybody else. Some entries are of base classes. */
static struct type *find_by_methods(struct strobe_symbols *symbols, uint64_t vtable,
				    const char *name)
{
	enum { ENTRY_LIMIT = 16 };
	size_t size = strcspn(name, "<");
	uint64_t address;
	if (!name[size])
		return NULL;
	for (unsigned i = 0; i < ENTRY_LIMIT && read_word(symbols, vtable + i * 8, &address); i++) {
		struct type_code code;
		if (!address || !type_code_at(symbols, address, &code))
			continue;
		const char *class = code.class->name;
		if (class && strncmp(class, name, size + 1) == 0 && code.class->vtable)
			return code.class;
	}
	return NULL;
}

static struct type *find_class_of(struct strobe_symbols *symbols, uint64_t vtable,
				  size_t module_index, const char *name)
{
	struct type *found = type_class_anywhere(symbols, module_index, name);
	return found ? found : find_by_methods(symbols, vtable, name);
}

static struct type *find_type(struct strobe_symbols *symbols, uint64_t vtable)
{
	static const char words[] = "vtable for ";
	struct strobe_symbol symbol;
	bool known = strobe_symbol_at(symbols, vtable, &symbol);
	const struct strobe_mapping *mapping = strobe_view_mapping_at(symbols->view, vtable);
	if (!mapping)
		return NULL;
	if (known && strncmp(symbol.name, words, sizeof(words) - 1) == 0)
		return find_class_of(symbols, vtable, symbol.module_index,
				     symbol.name + sizeof(words) - 1);
	char *name = name_from_type_information(symbols, vtable);
	struct type *found = NULL;
	if (name)
		found = find_class_of(symbols, vtable, known ? symbol.module_index : SIZE_MAX,
				      name);
	free(name);
	return found;
}

struct type *type_of_vtable(struct strobe_symbols *symbols, uint64_t vtable)
{
	struct type_table *table = type_table_of(symbols);
	if (!table || vtable < 4096 || vtable % 8 != 0)
		return NULL;
	struct type *none = &table->unknown->type;
	struct type *known = hash_get(&table->vtables, vtable);
	if (known)
		return known == none ? NULL : known;
	struct type *found = find_type(symbols, vtable);
	if (found)
		found = type_complete(symbols, found);
	(void)!hash_put(&table->vtables, vtable, found ? found : none);
	return found;
}
