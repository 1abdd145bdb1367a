// SPDX-License-Identifier: Apache-2.0
#include "symbols/skim.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/array.h"
#include "symbols/ranges.h"
#include "symbols/sections.h"

#ifndef DW_FORM_GNU_strp_alt
#define DW_FORM_GNU_ref_alt 0x1f20
#define DW_FORM_GNU_strp_alt 0x1f21
#endif

struct abbrev_attribute {
	int64_t implicit;
	uint16_t form;
	uint8_t slot;
	uint8_t size; // bytes if fixed, else 0xff
};

struct abbrev {
	uint64_t code;
	uint32_t first; // attribute
	uint16_t count;
	uint16_t tag;
	uint32_t skip; // bytes of all attributes if fixed and none is kept, else UINT32_MAX
	bool children;
};

struct skim_abbrevs {
	ARRAY(struct abbrev) abbrevs; // sorted by code; dense ones are found at once
	ARRAY(struct abbrev_attribute) attributes;
};

static uint8_t slot_of(uint64_t at)
{
	switch (at) {
	case DW_AT_name:
		return SKIM_NAME;
	case DW_AT_linkage_name:
	case DW_AT_MIPS_linkage_name:
		return SKIM_LINKAGE_NAME;
	case DW_AT_low_pc:
		return SKIM_LOW_PC;
	case DW_AT_high_pc:
		return SKIM_HIGH_PC;
	case DW_AT_ranges:
		return SKIM_RANGES;
	case DW_AT_specification:
		return SKIM_SPECIFICATION;
	case DW_AT_abstract_origin:
		return SKIM_ABSTRACT_ORIGIN;
	case DW_AT_declaration:
		return SKIM_DECLARATION;
	case DW_AT_external:
		return SKIM_EXTERNAL;
	case DW_AT_location:
		return SKIM_LOCATION;
	case DW_AT_const_value:
		return SKIM_CONST_VALUE;
	case DW_AT_sibling:
		return SKIM_SIBLING;
	default:
		return SKIM_NONE;
	}
}

enum { VARIABLE_SIZE = 0xff };

/** Bytes of a form; VARIABLE_SIZE if that depends on them. */
static uint8_t form_size(const struct unit *unit, uint64_t form)
{
	switch (form) {
	case DW_FORM_flag_present:
	case DW_FORM_implicit_const:
		return 0;
	case DW_FORM_data1:
	case DW_FORM_flag:
	case DW_FORM_ref1:
	case DW_FORM_strx1:
	case DW_FORM_addrx1:
		return 1;
	case DW_FORM_data2:
	case DW_FORM_ref2:
	case DW_FORM_strx2:
	case DW_FORM_addrx2:
		return 2;
	case DW_FORM_strx3:
	case DW_FORM_addrx3:
		return 3;
	case DW_FORM_data4:
	case DW_FORM_ref4:
	case DW_FORM_ref_sup4:
	case DW_FORM_strx4:
	case DW_FORM_addrx4:
		return 4;
	case DW_FORM_data8:
	case DW_FORM_ref8:
	case DW_FORM_ref_sup8:
	case DW_FORM_ref_sig8:
		return 8;
	case DW_FORM_data16:
		return 16;
	case DW_FORM_addr:
		return unit->address_size;
	case DW_FORM_ref_addr:
		return unit->version < 3 ? unit->address_size : unit->offset_size;
	case DW_FORM_strp:
	case DW_FORM_line_strp:
	case DW_FORM_strp_sup:
	case DW_FORM_sec_offset:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		return unit->offset_size;
	default:
		return VARIABLE_SIZE;
	}
}

static bool skip_form(const struct unit *unit, struct bytes *bytes, unsigned form)
{
	switch (form) {
	case DW_FORM_udata:
	case DW_FORM_sdata:
	case DW_FORM_ref_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		bytes_uleb(bytes);
		break;
	case DW_FORM_string:
		bytes_string(bytes);
		break;
	case DW_FORM_block1:
		bytes_skip(bytes, bytes_unsigned(bytes, 1));
		break;
	case DW_FORM_block2:
		bytes_skip(bytes, bytes_unsigned(bytes, 2));
		break;
	case DW_FORM_block4:
		bytes_skip(bytes, bytes_unsigned(bytes, 4));
		break;
	case DW_FORM_block:
	case DW_FORM_exprloc:
		bytes_skip(bytes, bytes_uleb(bytes));
		break;
	default: {
		uint8_t size = form_size(unit, form);
		if (size == VARIABLE_SIZE)
			return false; // unknown: what follows cannot be read
		bytes_skip(bytes, size);
	}
	}
	return !bytes->bad;
}

static int compare_codes(const void *a, const void *b)
{
	const struct abbrev *x = a, *y = b;
	return x->code < y->code ? -1 : x->code > y->code;
}

static bool read_attributes(const struct unit *unit, struct bytes *bytes,
			    struct skim_abbrevs *abbrevs, struct abbrev *abbrev)
{
	uint64_t fixed = 0;
	abbrev->first = (uint32_t)abbrevs->attributes.count;
	for (;;) {
		uint64_t at = bytes_uleb(bytes), form = bytes_uleb(bytes);
		int64_t implicit = form == DW_FORM_implicit_const ? bytes_sleb(bytes) : 0;
		if (bytes->bad || form > UINT16_MAX)
			return false;
		if (!at && !form)
			break;
		struct abbrev_attribute attribute = {.implicit = implicit,
						     .form = (uint16_t)form,
						     .slot = slot_of(at),
						     .size = form_size(unit, form)};
		if (attribute.size == VARIABLE_SIZE || attribute.slot)
			fixed = UINT32_MAX;
		if (fixed != UINT32_MAX)
			fixed += attribute.size;
		if (abbrevs->attributes.count - abbrev->first == UINT16_MAX ||
		    !array_push(&abbrevs->attributes, attribute))
			return false;
	}
	abbrev->count = (uint16_t)(abbrevs->attributes.count - abbrev->first);
	abbrev->skip = (uint32_t)fixed;
	return true;
}

static bool read_abbrevs(const struct unit *unit, struct skim_abbrevs *abbrevs)
{
	const struct section_bytes *section = &unit->sections->of[SECTION_ABBREV];
	struct bytes bytes = bytes_of(section->data, section->size, unit->abbrev_offset);
	bool sorted = true;
	for (int i = 0; i < SKIM_ABBREV_LIMIT; i++) {
		struct abbrev abbrev = {.code = bytes_uleb(&bytes)};
		if (bytes.bad)
			return false;
		if (!abbrev.code)
			break;
		abbrev.tag = (uint16_t)bytes_uleb(&bytes);
		abbrev.children = bytes_unsigned(&bytes, 1) != 0;
		if (!read_attributes(unit, &bytes, abbrevs, &abbrev))
			return false;
		size_t count = abbrevs->abbrevs.count;
		if (count && abbrevs->abbrevs.items[count - 1].code >= abbrev.code)
			sorted = false;
		if (!array_push(&abbrevs->abbrevs, abbrev))
			return false;
	}
	if (!sorted)
		qsort(abbrevs->abbrevs.items, abbrevs->abbrevs.count, sizeof(struct abbrev),
		      compare_codes);
	return abbrevs->abbrevs.count != 0;
}

static const struct abbrev *find_abbrev(const struct skim_abbrevs *abbrevs, uint64_t code)
{
	const struct abbrev *items = abbrevs->abbrevs.items;
	if (code <= abbrevs->abbrevs.count && items[code - 1].code == code)
		return &items[code - 1]; // numbered from 1 on, as all compilers do
	struct abbrev key = {.code = code};
	return bsearch(&key, items, abbrevs->abbrevs.count, sizeof(key), compare_codes);
}

void skim_fini(struct skim *skim)
{
	if (!skim->abbrevs)
		return;
	array_fini(&skim->abbrevs->abbrevs);
	array_fini(&skim->abbrevs->attributes);
	free(skim->abbrevs);
	skim->abbrevs = NULL;
}

bool skim_seek(struct skim *skim, uint64_t offset)
{
	struct unit *unit = skim->unit;
	if (offset < unit->offset + unit->header_size || offset >= unit->end)
		return false;
	skim->bytes = bytes_of(skim->section, unit->end, offset);
	skim->depth = 0;
	return !skim->bytes.bad;
}

bool skim_init(struct skim *skim, struct unit *unit, uint64_t offset)
{
	const struct section_bytes *section =
		&unit->sections->of[unit->in_types ? SECTION_TYPES : SECTION_INFO];
	*skim = (struct skim){
		.unit = unit, .section = section->data, .section_size = section->size};
	if (unit->end > section->size || !skim_seek(skim, offset))
		return false;
	skim->abbrevs = calloc(1, sizeof(*skim->abbrevs));
	if (skim->abbrevs && read_abbrevs(unit, skim->abbrevs))
		return true;
	skim_fini(skim);
	return false;
}

static bool read_values(struct skim *skim, const struct abbrev *abbrev, struct skim_die *die)
{
	struct bytes *bytes = &skim->bytes;
	const struct abbrev_attribute *attribute = &skim->abbrevs->attributes.items[abbrev->first];
	for (unsigned i = 0; i < abbrev->count; i++, attribute++) {
		uint16_t form = attribute->form;
		if (form == DW_FORM_indirect) {
			form = (uint16_t)bytes_uleb(bytes);
			if (form == DW_FORM_indirect || form == DW_FORM_implicit_const)
				return false;
		}
		if (attribute->slot) {
			die->present |= 1u << attribute->slot;
			die->values[attribute->slot] = (struct skim_value){
				.at = bytes->at, .implicit = attribute->implicit, .form = form};
		}
		if (attribute->size != VARIABLE_SIZE)
			bytes_skip(bytes, attribute->size);
		else if (!skip_form(skim->unit, bytes, form))
			return false;
	}
	return !bytes->bad;
}

bool skim_next(struct skim *skim, struct skim_die *die)
{
	struct bytes *bytes = &skim->bytes;
	if (bytes->bad || bytes->at >= bytes->end)
		return false;
	die->offset = (uint64_t)(bytes->at - skim->section);
	die->present = 0;
	die->tag = 0;
	die->children = false;
	uint64_t code = *bytes->at < 0x80 ? *bytes->at++ : bytes_uleb(bytes);
	if (!code)
		return true;
	const struct abbrev *abbrev = find_abbrev(skim->abbrevs, code);
	if (!abbrev)
		return false;
	die->tag = abbrev->tag;
	die->children = abbrev->children;
	if (abbrev->skip != UINT32_MAX) {
		bytes_skip(bytes, abbrev->skip);
		return !bytes->bad;
	}
	return read_values(skim, abbrev, die);
}

bool skim_over(struct skim *skim, const struct skim_die *die)
{
	if (!die->children)
		return true;
	uint64_t sibling;
	uint64_t here = (uint64_t)(skim->bytes.at - skim->section);
	// Only forward: a hostile sibling must not make a loop.
	if (skim_reference(skim, die, SKIM_SIBLING, &sibling) && sibling >= here &&
	    sibling <= skim->unit->end) {
		skim->bytes.at = skim->section + sibling;
		return true;
	}
	struct skim_die child;
	for (unsigned depth = 1; depth;) {
		if (!skim_next(skim, &child))
			return false;
		if (!child.tag)
			depth--;
		else if (child.children) {
			here = (uint64_t)(skim->bytes.at - skim->section);
			if (skim_reference(skim, &child, SKIM_SIBLING, &sibling) &&
			    sibling >= here && sibling <= skim->unit->end)
				skim->bytes.at = skim->section + sibling;
			else
				depth++;
		}
	}
	return true;
}

/** The cursor at a value; reads stay inside the unit. */
static struct bytes value_bytes(const struct skim *skim, const struct skim_value *value)
{
	return (struct bytes){.at = value->at, .end = skim->section + skim->unit->end};
}

bool skim_flag(const struct skim_die *die, enum skim_slot slot)
{
	if (!skim_has(die, slot))
		return false;
	const struct skim_value *value = &die->values[slot];
	return value->form == DW_FORM_flag_present ||
	       (value->form == DW_FORM_flag && *value->at != 0) ||
	       (value->form == DW_FORM_implicit_const && value->implicit);
}

static const char *section_string(const struct section_bytes *section, uint64_t offset)
{
	// A section that ends in NUL, as all do, has only whole strings: nothing needs to be read.
	if (offset < section->size && !section->data[section->size - 1])
		return (const char *)section->data + offset;
	struct bytes bytes = bytes_of(section->data, section->size, offset);
	const char *string = bytes_string(&bytes);
	return bytes.bad ? NULL : string;
}

/** The string that .debug_str_offsets has at `index`. */
static const char *indexed_string(const struct unit *unit, uint64_t index)
{
	const struct section_bytes *of = unit->sections->of;
	if (index > of[SECTION_STR_OFFSETS].size)
		return NULL;
	struct bytes bytes = bytes_of(of[SECTION_STR_OFFSETS].data, of[SECTION_STR_OFFSETS].size,
				      unit->str_offsets_base + index * unit->offset_size);
	uint64_t offset = bytes_unsigned(&bytes, unit->offset_size);
	return bytes.bad ? NULL : section_string(&of[SECTION_STR], offset);
}

const char *skim_string(const struct skim *skim, const struct skim_die *die, enum skim_slot slot)
{
	if (!skim_has(die, slot))
		return NULL;
	const struct skim_value *value = &die->values[slot];
	const struct unit *unit = skim->unit;
	const struct section_bytes *of = unit->sections->of;
	struct bytes bytes = value_bytes(skim, value);
	uint8_t size = form_size(unit, value->form);
	switch (value->form) {
	case DW_FORM_string: {
		const char *string = bytes_string(&bytes);
		return bytes.bad ? NULL : string;
	}
	case DW_FORM_strp:
		return section_string(&of[SECTION_STR], bytes_unsigned(&bytes, size));
	case DW_FORM_line_strp:
		return section_string(&of[SECTION_LINE_STR], bytes_unsigned(&bytes, size));
	case DW_FORM_strp_sup:
	case DW_FORM_GNU_strp_alt:
		of = unit_alternate_sections(unit->module)->of;
		return section_string(&of[SECTION_STR], bytes_unsigned(&bytes, size));
	case DW_FORM_strx:
	case DW_FORM_GNU_str_index:
		return indexed_string(unit, bytes_uleb(&bytes));
	case DW_FORM_strx1:
	case DW_FORM_strx2:
	case DW_FORM_strx3:
	case DW_FORM_strx4:
		return indexed_string(unit, bytes_unsigned(&bytes, size));
	default:
		return NULL;
	}
}

bool skim_reference(const struct skim *skim, const struct skim_die *die, enum skim_slot slot,
		    uint64_t *ret)
{
	if (!skim_has(die, slot))
		return false;
	const struct skim_value *value = &die->values[slot];
	struct bytes bytes = value_bytes(skim, value);
	switch (value->form) {
	case DW_FORM_ref1:
	case DW_FORM_ref2:
	case DW_FORM_ref4:
	case DW_FORM_ref8:
		*ret = skim->unit->offset +
		       bytes_unsigned(&bytes, form_size(skim->unit, value->form));
		break;
	case DW_FORM_ref_udata:
		*ret = skim->unit->offset + bytes_uleb(&bytes);
		break;
	case DW_FORM_ref_addr:
		*ret = bytes_unsigned(&bytes, form_size(skim->unit, value->form));
		break;
	default:
		return false;
	}
	return !bytes.bad;
}

static bool value_address(const struct skim *skim, const struct skim_value *value, uint64_t *ret)
{
	struct bytes bytes = value_bytes(skim, value);
	switch (value->form) {
	case DW_FORM_addr:
		*ret = bytes_unsigned(&bytes, skim->unit->address_size);
		return !bytes.bad;
	case DW_FORM_addrx:
	case DW_FORM_GNU_addr_index:
		return unit_address(skim->unit, bytes_uleb(&bytes), ret);
	case DW_FORM_addrx1:
	case DW_FORM_addrx2:
	case DW_FORM_addrx3:
	case DW_FORM_addrx4:
		return unit_address(skim->unit,
				    bytes_unsigned(&bytes, form_size(skim->unit, value->form)),
				    ret);
	default:
		return false;
	}
}

static bool value_constant(const struct skim *skim, const struct skim_value *value, uint64_t *ret)
{
	struct bytes bytes = value_bytes(skim, value);
	switch (value->form) {
	case DW_FORM_implicit_const:
		*ret = (uint64_t)value->implicit;
		return true;
	case DW_FORM_udata:
	case DW_FORM_rnglistx:
		*ret = bytes_uleb(&bytes);
		break;
	case DW_FORM_sdata:
		*ret = (uint64_t)bytes_sleb(&bytes);
		break;
	case DW_FORM_data1:
	case DW_FORM_data2:
	case DW_FORM_data4:
	case DW_FORM_data8:
	case DW_FORM_sec_offset:
		*ret = bytes_unsigned(&bytes, form_size(skim->unit, value->form));
		break;
	default:
		return false;
	}
	return !bytes.bad;
}

bool skim_low_pc(const struct skim *skim, const struct skim_die *die, uint64_t *ret)
{
	return skim_has(die, SKIM_LOW_PC) && value_address(skim, &die->values[SKIM_LOW_PC], ret);
}

void skim_ranges(const struct skim *skim, const struct skim_die *die, range_visit visit,
		 void *context)
{
	uint64_t start, end;
	if (skim_has(die, SKIM_RANGES)) {
		const struct skim_value *value = &die->values[SKIM_RANGES];
		if (value_constant(skim, value, &start))
			ranges_visit(skim->unit, start, value->form == DW_FORM_rnglistx, visit,
				     context);
		return;
	}
	if (!skim_low_pc(skim, die, &start) || !skim_has(die, SKIM_HIGH_PC))
		return;
	const struct skim_value *high = &die->values[SKIM_HIGH_PC];
	if (!value_address(skim, high, &end)) {
		if (!value_constant(skim, high, &end))
			return;
		end += start;
	}
	if (start < end)
		visit(context, start, end);
}

bool skim_libdw(const struct unit *unit, uint64_t offset, Dwarf_Die *ret)
{
	return (unit->in_types ? dwarf_offdie_types(unit->dwarf, offset, ret)
			       : dwarf_offdie(unit->dwarf, offset, ret)) != NULL;
}

/** The name of what a DIE specifies or is an instance of. */
static const char *origin_name(const struct skim *skim, const struct skim_die *die)
{
	const char *name = NULL;
	struct skim other = *skim;
	struct skim_die current = *die;
	for (int i = 0; !name && i < 4; i++) {
		uint64_t offset;
		if (!skim_reference(&other, &current, SKIM_SPECIFICATION, &offset) &&
		    !skim_reference(&other, &current, SKIM_ABSTRACT_ORIGIN, &offset))
			return NULL;
		if (!skim_seek(&other, offset) || !skim_next(&other, &current)) {
			Dwarf_Die libdw; // in another unit
			return skim_libdw(skim->unit, die->offset, &libdw) ? die_name(&libdw)
									   : NULL;
		}
		name = skim_string(&other, &current, SKIM_NAME);
	}
	return name;
}

const char *skim_name(const struct skim *skim, const struct skim_die *die)
{
	const char *name = skim_string(skim, die, SKIM_NAME);
	if (name || !(skim_has(die, SKIM_SPECIFICATION) || skim_has(die, SKIM_ABSTRACT_ORIGIN)))
		return name;
	return origin_name(skim, die);
}
