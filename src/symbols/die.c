// SPDX-License-Identifier: Apache-2.0
// Attributes of DIEs, by libdw but for what it does not resolve in split units.

#include <dwarf.h>
#include <string.h>

#include "symbols/ranges.h"
#include "symbols/unit.h"

enum { ORIGIN_LIMIT = 16 }; // abstract origins and specifications in a row

bool die_attribute(Dwarf_Die *die, unsigned at, Dwarf_Attribute *ret)
{
	Dwarf_Die current = *die;
	for (int i = 0; i < ORIGIN_LIMIT; i++) {
		if (dwarf_attr(&current, at, ret))
			return true;
		Dwarf_Attribute origin;
		Dwarf_Die next;
		if (at == DW_AT_sibling || at == DW_AT_declaration)
			return false;
		if (!dwarf_attr(&current, DW_AT_abstract_origin, &origin) &&
		    !dwarf_attr(&current, DW_AT_specification, &origin))
			return false;
		if (!dwarf_formref_die(&origin, &next))
			return false;
		current = next;
	}
	return false;
}

const char *die_name(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	return die_attribute(die, DW_AT_name, &attribute) ? dwarf_formstring(&attribute) : NULL;
}

bool die_flag(Dwarf_Die *die, unsigned at)
{
	Dwarf_Attribute attribute;
	bool value;
	return die_attribute(die, at, &attribute) && dwarf_formflag(&attribute, &value) == 0 &&
	       value;
}

bool die_unsigned(Dwarf_Die *die, unsigned at, uint64_t *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;
	if (!die_attribute(die, at, &attribute) || dwarf_formudata(&attribute, &value) != 0)
		return false;
	*ret = value;
	return true;
}

bool die_reference(Dwarf_Die *die, unsigned at, Dwarf_Die *ret)
{
	Dwarf_Attribute attribute;
	return die_attribute(die, at, &attribute) && dwarf_formref_die(&attribute, ret) != NULL;
}

bool unit_address(struct unit *unit, uint64_t index, uint64_t *ret)
{
	if (!unit->addr || !unit->address_size || index >= unit->addr_size / unit->address_size)
		return false;
	*ret = 0;
	memcpy(ret, unit->addr + index * unit->address_size,
	       unit->address_size <= 8 ? unit->address_size : 8);
	return true;
}

/** Reads an index form as the constant form of the same encoding: libdw bounds that. */
static bool index_of(const Dwarf_Attribute *attribute, unsigned form, uint64_t *ret)
{
	Dwarf_Attribute copy = *attribute;
	copy.form = form;
	Dwarf_Word value;
	if (dwarf_formudata(&copy, &value) != 0)
		return false;
	*ret = value;
	return true;
}

/** `*is_index` tells addresses by index; false if the attribute is no address. */
static bool address_index(const Dwarf_Attribute *attribute, uint64_t *index)
{
	switch (attribute->form) {
	case DW_FORM_addrx:
	case DW_FORM_GNU_addr_index:
		return index_of(attribute, DW_FORM_udata, index);
	case DW_FORM_addrx1:
		return index_of(attribute, DW_FORM_data1, index);
	case DW_FORM_addrx2:
		return index_of(attribute, DW_FORM_data2, index);
	case DW_FORM_addrx3:
		if (!index_of(attribute, DW_FORM_data4, index))
			return false;
		*index &= 0xffffff;
		return true;
	case DW_FORM_addrx4:
		return index_of(attribute, DW_FORM_data4, index);
	default:
		return false;
	}
}

static bool attribute_address(struct unit *unit, Dwarf_Attribute *attribute, uint64_t *ret)
{
	if (attribute->form == DW_FORM_addr) {
		Dwarf_Addr address;
		if (dwarf_formaddr(attribute, &address) != 0)
			return false;
		*ret = address;
		return true;
	}
	uint64_t index;
	return address_index(attribute, &index) && unit_address(unit, index, ret);
}

bool die_address(struct unit *unit, Dwarf_Die *die, unsigned at, uint64_t *ret)
{
	Dwarf_Attribute attribute;
	return dwarf_attr(die, at, &attribute) && attribute_address(unit, &attribute, ret);
}

/** [low, high) of DW_AT_low_pc and DW_AT_high_pc. */
static bool low_high(struct unit *unit, Dwarf_Die *die, uint64_t *low, uint64_t *high)
{
	Dwarf_Attribute attribute;
	if (!die_address(unit, die, DW_AT_low_pc, low) ||
	    !dwarf_attr(die, DW_AT_high_pc, &attribute))
		return false;
	if (attribute_address(unit, &attribute, high))
		return true;
	Dwarf_Word size;
	if (dwarf_formudata(&attribute, &size) != 0)
		return false;
	*high = *low + size;
	return true;
}

/** The offset or index that DW_AT_ranges holds. */
static bool ranges_value(const struct unit *unit, Dwarf_Die *die, uint64_t *ret, bool *is_index)
{
	Dwarf_Attribute attribute;
	if (!dwarf_attr(die, DW_AT_ranges, &attribute))
		return false;
	*is_index = attribute.form == DW_FORM_rnglistx;
	if (*is_index)
		return index_of(&attribute, DW_FORM_udata, ret);
	if (attribute.form == DW_FORM_sec_offset) {
		// As a plain number: libdw looks for the list in the .dwo itself, but in DWARF 4 it
		// is in the program's file.
		attribute.code = DW_AT_const_value;
		return index_of(&attribute, unit->offset_size == 8 ? DW_FORM_data8 : DW_FORM_data4,
				ret);
	}
	Dwarf_Word value;
	if (dwarf_formudata(&attribute, &value) != 0)
		return false;
	*ret = value;
	return true;
}

bool die_ranges(struct unit *unit, Dwarf_Die *die, range_visit visit, void *context)
{
	uint64_t value, end;
	bool is_index;
	// The skeleton's own list is in the program's file, the split unit's in the other.
	if (unit->plain != unit && die->addr == unit->skeleton.addr)
		unit = unit->plain;
	if (ranges_value(unit, die, &value, &is_index))
		return ranges_visit(unit, value, is_index, visit, context);
	if (low_high(unit, die, &value, &end) && end > value)
		visit(context, value, end);
	return true;
}

struct holds {
	uint64_t pc;
	bool found;
};

static bool check_holds(void *context, uint64_t start, uint64_t end)
{
	struct holds *holds = context;
	holds->found = start <= holds->pc && holds->pc < end;
	return !holds->found;
}

bool die_holds_pc(struct unit *unit, Dwarf_Die *die, uint64_t pc)
{
	struct holds holds = {.pc = pc};
	die_ranges(unit, die, check_holds, &holds);
	return holds.found;
}

static bool take_entry(void *context, uint64_t start, uint64_t end)
{
	(void)end;
	*(uint64_t *)context = start;
	return false;
}

bool die_entry_pc(struct unit *unit, Dwarf_Die *die, uint64_t *ret)
{
	if (die_address(unit, die, DW_AT_low_pc, ret))
		return true;
	// The first range holds a split function's entry, also where its cold part lies below.
	uint64_t entry = UINT64_MAX;
	die_ranges(unit, die, take_entry, &entry);
	if (entry == UINT64_MAX)
		return false;
	*ret = entry;
	return true;
}

bool module_is_code(const struct symbols_module *module, uint64_t address)
{
	return !module->code_end || (address >= module->code_start && address < module->code_end);
}
