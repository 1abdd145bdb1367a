// SPDX-License-Identifier: Apache-2.0
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/children.h"
#include "symbols/demangle.h"
#include "symbols/names.h"
#include "symbols/qualify.h"
#include "symbols/type_die.h"

// Methods of C++ classes. They are few questions asked seldom: DIEs are walked, nothing is kept.

/** Index of a virtual method in the virtual table; false if it is none. */
static bool virtual_slot(Dwarf_Die *die, uint64_t *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *ops;
	size_t count;
	if (!die_attribute(die, DW_AT_vtable_elem_location, &attribute))
		return false;
	if (dwarf_getlocation(&attribute, &ops, &count) != 0)
		return dwarf_formudata(&attribute, ret) == 0;
	if (count != 1 || (ops[0].atom != DW_OP_constu &&
			   !(ops[0].atom >= DW_OP_lit0 && ops[0].atom <= DW_OP_lit31)))
		return false;
	*ret = ops[0].number;
	if (ops[0].atom != DW_OP_constu)
		*ret = (uint64_t)ops[0].atom - DW_OP_lit0;
	return true;
}

/** "ns::Class::method(int) const", as gdb names methods; from the arena. */
static const char *full_name(struct unit *unit, Dwarf_Die *die)
{
	const char *linkage = die_linkage_name(die);
	char *demangled = linkage ? demangle(linkage) : NULL;
	if (!demangled)
		return die_scoped_name(unit, die);
	const char *copy = arena_strdup(&unit->module->symbols->arena, demangled);
	free(demangled);
	return copy;
}

static const char *own_virtual_method(struct type *class, uint64_t slot)
{
	struct unit *unit;
	Dwarf_Die die, child;
	uint64_t found;
	if (!type_die(class, &unit, &die))
		return NULL;
	GUARD(unit->module->debug_path);
	for (bool more = children_first(&die, &child); more; more = children_next(&child))
		if (dwarf_tag(&child) == DW_TAG_subprogram && virtual_slot(&child, &found) &&
		    found == slot)
			return full_name(unit, &child);
	return NULL;
}

const char *type_virtual_method(struct strobe_symbols *symbols, struct type *class, uint64_t slot,
				uint64_t adjustment)
{
	for (unsigned depth = 0; class && depth < TYPE_NESTING_LIMIT; depth++) {
		class = type_strip(symbols, class);
		const char *name = adjustment == 0 ? own_virtual_method(class, slot) : NULL;
		if (name)
			return name;
		struct type *next = NULL;
		for (size_t i = 0; i < class->member_count && !next; i++) {
			const struct type_member *base = &class->members[i];
			uint64_t size = 0, start = base->offset_bits / 8;
			if (!base->base || base->virtual_base || adjustment < start ||
			    !type_size(symbols, base->type, &size) || adjustment >= start + size)
				continue;
			next = base->type;
			adjustment -= start;
		}
		class = next;
	}
	return NULL;
}

/** The definition of a method among the functions of its name. */
struct definition {
	const char *linkage;
	uint64_t address; // run-time
	bool found;
};

static bool take_definition(void *context, const struct name_entry *entry)
{
	struct definition *definition = context;
	Dwarf_Die die = entry->die;
	const char *linkage = die_linkage_name(&die);
	uint64_t pc;
	if ((definition->linkage && (!linkage || strcmp(linkage, definition->linkage) != 0)) ||
	    !die_entry_pc(entry->unit, &die, &pc) || !module_is_code(entry->unit->module, pc))
		return true;
	definition->address = pc + entry->unit->module->module->bias;
	definition->found = true;
	return false;
}

static bool find_code(struct strobe_symbols *symbols, struct unit *unit, Dwarf_Die *die,
		      uint64_t *ret)
{
	struct definition definition = {.linkage = die_linkage_name(die)};
	const char *name = die_scoped_name(unit, die);
	if (name)
		names_find(unit->module, name, NAME_FUNCTION, NULL, take_definition, &definition);
	for (size_t i = 0; name && i < symbols->module_count && !definition.found; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (module && module != unit->module && module->dwarf)
			names_find(module, name, NAME_FUNCTION, NULL, take_definition, &definition);
	}
	*ret = definition.address;
	return definition.found;
}

bool type_declares_constructor(struct strobe_symbols *symbols, struct type *class)
{
	struct unit *unit;
	Dwarf_Die die, child;
	class = type_strip(symbols, class);
	if (!type_die(class, &unit, &die))
		return false;
	GUARD(unit->module->debug_path);
	const char *name = die_name(&die);
	size_t size = name ? strcspn(name, "<") : 0;
	for (bool more = size && children_first(&die, &child); more; more = children_next(&child)) {
		const char *called =
			dwarf_tag(&child) == DW_TAG_subprogram ? die_name(&child) : NULL;
		if (called && strncmp(called, name, size) == 0 && !called[size] &&
		    !die_flag(&child, DW_AT_artificial))
			return true;
	}
	return false;
}

bool type_method(struct strobe_symbols *symbols, struct type *class, const char *name,
		 struct type_method *ret)
{
	struct unit *unit;
	Dwarf_Die die, child;
	*ret = (struct type_method){0};
	class = type_strip(symbols, class);
	if (!type_die(class, &unit, &die))
		return false;
	GUARD(unit->module->debug_path);
	for (bool more = children_first(&die, &child); more; more = children_next(&child)) {
		const char *called =
			dwarf_tag(&child) == DW_TAG_subprogram ? die_name(&child) : NULL;
		if (!called || strcmp(called, name) != 0)
			continue;
		ret->type = type_from_die(unit, &child);
		ret->has_code = find_code(symbols, unit, &child, &ret->address);
		if (ret->type && ret->has_code)
			return true;
	}
	return ret->type != NULL;
}
