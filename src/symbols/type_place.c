// SPDX-License-Identifier: Apache-2.0
// Types by where they stand: a DIE's offset, a virtual table's bytes, a module's sections.
#include <dwarf.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/module.h"
#include "symbols/type_die.h"

static bool is_type(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_base_type:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_array_type:
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
	case DW_TAG_ptr_to_member_type:
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
		return true;
	default:
		return false;
	}
}

struct type *type_at(struct strobe_symbols *symbols, size_t module_index, uint64_t offset,
		     bool in_types)
{
	struct symbols_module *module = symbols_module(symbols, module_index);
	Dwarf_Die die;
	if (!module || !module->dwarf)
		return NULL;
	GUARD(module->debug_path);
	struct type_place place = {module->dwarf, offset, in_types};
	struct unit *unit = type_place_die(&place, &die) ? unit_of_die(module, &die) : NULL;
	return unit && is_type(&die) ? type_from_die(unit, &die) : NULL;
}

/** The number that an operation pushes; false if it pushes none. */
static bool pushed(const Dwarf_Op *op, uint64_t *ret)
{
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31) {
		*ret = op->atom - DW_OP_lit0;
		return true;
	}
	*ret = op->number;
	return op->atom == DW_OP_constu || op->atom == DW_OP_const1u || op->atom == DW_OP_const2u ||
	       op->atom == DW_OP_const4u;
}

bool type_virtual_base_slot(const struct type_member *member, uint64_t *ret)
{
	static const uint8_t form[] = {DW_OP_dup,   DW_OP_deref, 0,
				       DW_OP_minus, DW_OP_deref, DW_OP_plus};
	Dwarf_Attribute attribute;
	Dwarf_Die die;
	Dwarf_Op *ops;
	size_t count;
	if (!type_place_die(&member->place, &die) ||
	    !dwarf_attr(&die, DW_AT_data_member_location, &attribute) ||
	    dwarf_getlocation(&attribute, &ops, &count) != 0 || count != sizeof(form))
		return false;
	for (size_t i = 0; i < count; i++)
		if (i == 2 ? !pushed(&ops[i], ret) : ops[i].atom != form[i])
			return false;
	return *ret > 0;
}

/** Whether compilers put virtual tables there: read-only, or so once it is relocated. */
static bool holds_vtables(const char *name, const GElf_Shdr *header)
{
	if (!(header->sh_flags & SHF_ALLOC) || header->sh_flags & SHF_EXECINSTR)
		return false;
	return strncmp(name, ".data.rel.ro", 12) == 0 || strncmp(name, ".rodata", 7) == 0 ||
	       strncmp(name, ".bss.rel.ro", 11) == 0;
}

bool type_vtable_ranges(struct strobe_symbols *symbols, size_t module_index, type_range_visit visit,
			void *context)
{
	struct symbols_module *module = symbols_module(symbols, module_index);
	size_t names;
	GElf_Shdr header;
	if (!module || !module->main_elf || elf_getshdrstrndx(module->main_elf, &names) < 0)
		return true;
	GUARD(module->path);
	for (Elf_Scn *section = NULL; (section = elf_nextscn(module->main_elf, section));) {
		const char *name = gelf_getshdr(section, &header)
					   ? elf_strptr(module->main_elf, names, header.sh_name)
					   : NULL;
		uint64_t start = module->module->bias + header.sh_addr;
		if (name && holds_vtables(name, &header) && header.sh_size > 0 &&
		    start + header.sh_size > start &&
		    !visit(context, start, start + header.sh_size))
			return false;
	}
	return true;
}
