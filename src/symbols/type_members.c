// SPDX-License-Identifier: Apache-2.0
#include <dwarf.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/children.h"
#include "symbols/expression.h"
#include "symbols/names.h"
#include "symbols/type_die.h"

// What stands within types: members, enumerators, parameters; and the definition of a declaration.

typedef ARRAY(struct type_member) member_array;

static void *keep(struct strobe_symbols *symbols, const void *items, size_t size)
{
	void *copy = size ? arena_alloc(&symbols->arena, size) : NULL;
	if (copy)
		memcpy(copy, items, size);
	return copy;
}

/** DW_AT_data_member_location in bytes; false if it depends on the object. */
static bool member_location(struct unit *unit, Dwarf_Die *die, uint64_t *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Block block;
	struct expression_context context = {.symbols = unit->module->symbols, .unit = unit};
	struct location location;
	int64_t constant;
	*ret = 0;
	if (!die_attribute(die, DW_AT_data_member_location, &attribute))
		return true;
	if (attribute_integer(&attribute, &constant)) {
		*ret = (uint64_t)constant;
		return true;
	}
	if (dwarf_formblock(&attribute, &block) != 0)
		return false;
	expression_evaluate_with(&context, block.data, block.length, 0, &location);
	bool good = location.pieces[0].kind == LOCATION_MEMORY && location.piece_count == 1;
	*ret = good ? location.pieces[0].address : 0;
	location_fini(&location);
	return good;
}

/** Where a bit-field starts. DWARF 2 and 3 count from the storage unit's most significant bit. */
static void bit_field_offset(Dwarf_Die *die, struct type_member *member)
{
	uint64_t from_top, storage;
	if (!die_unsigned(die, DW_AT_bit_offset, &from_top))
		return;
	if (!die_unsigned(die, DW_AT_byte_size, &storage)) {
		const struct type *type = member->type;
		for (unsigned i = 0; i < TYPE_NESTING_LIMIT && type && !type->size_known; i++)
			type = type->target;
		storage = type && type->size_known ? type->size : 0;
	}
	member->offset_bits += storage * 8 - from_top - member->bit_size;
}

static void read_member(struct compiled_type *compiled, Dwarf_Die *die, struct type_member *member)
{
	struct unit *unit = compiled->unit;
	uint64_t value;
	*member = (struct type_member){
		.name = die_name(die),
		.type = type_of_die(unit, die),
		.artificial = die_flag(die, DW_AT_artificial),
		.place = type_place_of(unit, die),
	};
	int tag = dwarf_tag(die);
	member->static_member =
		tag == DW_TAG_variable || (tag == DW_TAG_member && die_flag(die, DW_AT_external) &&
					   die_flag(die, DW_AT_declaration));
	if (member->static_member)
		return;
	if (die_unsigned(die, DW_AT_bit_size, &value) && value <= UINT32_MAX)
		member->bit_size = (uint32_t)value;
	if (die_unsigned(die, DW_AT_data_bit_offset, &value)) {
		member->offset_bits = value;
		return;
	}
	bool constant = member_location(unit, die, &value);
	member->offset_bits = value * 8;
	if (tag == DW_TAG_inheritance) {
		member->base = true;
		member->virtual_base =
			!constant || (die_unsigned(die, DW_AT_virtuality, &value) && value != 0);
		member->name = member->type ? member->type->name : NULL;
	} else if (!constant) {
		member->type = type_unknown(compiled->type.module->symbols);
	}
	if (member->bit_size)
		bit_field_offset(die, member);
}

static void read_variant(struct compiled_type *compiled, Dwarf_Die *variant, member_array *members)
{
	struct type_member member;
	Dwarf_Attribute attribute;
	Dwarf_Die child;
	int64_t value = 0;
	bool has_value = dwarf_attr(variant, DW_AT_discr_value, &attribute) &&
			 attribute_integer(&attribute, &value);
	for (bool more = children_first(variant, &child); more; more = children_next(&child)) {
		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		read_member(compiled, &child, &member);
		member.has_discriminant = has_value;
		member.discriminant = (uint64_t)value;
		member.default_variant = !has_value;
		if (!array_push(members, member))
			return;
	}
}

static void read_variant_part(struct compiled_type *compiled, Dwarf_Die *part,
			      member_array *members)
{
	struct type_member discriminant;
	Dwarf_Die die;
	if (dwarf_hasattr(part, DW_AT_discr) && die_reference(part, DW_AT_discr, &die)) {
		read_member(compiled, &die, &discriminant);
		compiled->type.discriminant =
			keep(compiled->type.module->symbols, &discriminant, sizeof(discriminant));
	}
	for (bool more = children_first(part, &die); more; more = children_next(&die))
		if (dwarf_tag(&die) == DW_TAG_variant)
			read_variant(compiled, &die, members);
}

static bool has_vtable(const struct compiled_type *compiled, const struct type_member *member)
{
	if (member->base)
		return member->virtual_base || (member->type && member->type->vtable);
	return member->name && strncmp(member->name, "_vptr", 5) == 0;
}

static void read_members(struct compiled_type *compiled)
{
	struct strobe_symbols *symbols = compiled->type.module->symbols;
	member_array members = {0};
	struct type_member member;
	Dwarf_Die child;
	for (bool more = children_first(&compiled->die, &child); more;
	     more = children_next(&child)) {
		switch (dwarf_tag(&child)) {
		case DW_TAG_member:
		case DW_TAG_inheritance:
		case DW_TAG_variable:
			read_member(compiled, &child, &member);
			if (!array_push(&members, member))
				break;
			if (member.base && member.type)
				type_complete(symbols, member.type); // its vtable is ours
			compiled->type.vtable |= has_vtable(compiled, &member);
			break;
		case DW_TAG_variant_part:
			read_variant_part(compiled, &child, &members);
			break;
		default:
			break;
		}
	}
	compiled->type.vtable |= dwarf_hasattr(&compiled->die, DW_AT_containing_type) != 0;
	compiled->type.members = keep(symbols, members.items, members.count * sizeof(member));
	compiled->type.member_count = compiled->type.members ? members.count : 0;
	array_fini(&members);
}

/** "Color::RED" of an enum class, "ns::RED" of a plain enum in a namespace, as gdb prints them. */
static const char *enumerator_name(const struct compiled_type *compiled, const char *name)
{
	const struct type *type = &compiled->type;
	Dwarf_Die die = compiled->die;
	if (!name || !type->name || language_is_c(type->language))
		return name;
	size_t scope = strlen(type->name);
	if (!die_flag(&die, DW_AT_enum_class)) {
		const char *own = die_name(&die);
		size_t own_size = own ? strlen(own) : 0;
		if (own_size + 2 >= scope ||
		    memcmp(type->name + scope - own_size - 2, "::", 2) != 0)
			return name;
		scope -= own_size + 2;
	}
	const char *full = arena_printf(&type->module->symbols->arena, "%.*s::%s", (int)scope,
					type->name, name);
	return full ? full : name;
}

static void read_enumerators(struct compiled_type *compiled)
{
	struct type *type = &compiled->type;
	ARRAY(struct type_enumerator) enumerators = {0};
	Dwarf_Attribute attribute;
	Dwarf_Die child;
	for (bool more = children_first(&compiled->die, &child); more;
	     more = children_next(&child)) {
		struct type_enumerator enumerator = {
			.name = enumerator_name(compiled, die_name(&child))};
		if (dwarf_tag(&child) == DW_TAG_enumerator && enumerator.name &&
		    die_attribute(&child, DW_AT_const_value, &attribute) &&
		    attribute_integer(&attribute, &enumerator.value) &&
		    !array_push(&enumerators, enumerator))
			break;
	}
	type->enumerators = keep(type->module->symbols, enumerators.items,
				 enumerators.count * sizeof(*enumerators.items));
	type->enumerator_count = type->enumerators ? enumerators.count : 0;
	array_fini(&enumerators);
}

/** Whether a parameter is `this`, which gdb takes as const where GCC does not say so (PR 43053). */
static bool is_this(const struct compiled_type *compiled, Dwarf_Die *die, size_t index)
{
	Dwarf_Die function = compiled->die, object;
	if (!language_is_cplus(compiled->type.language) || !die_flag(die, DW_AT_artificial))
		return false;
	if (die_reference(&function, DW_AT_object_pointer, &object))
		return object.addr == die->addr;
	const char *name = die_name(die);
	return name ? strcmp(name, "this") == 0 : index == 0;
}

static void read_parameters(struct compiled_type *compiled)
{
	struct type *type = &compiled->type;
	ARRAY(struct type_parameter) parameters = {0};
	Dwarf_Die child;
	for (bool more = children_first(&compiled->die, &child); more;
	     more = children_next(&child)) {
		int tag = dwarf_tag(&child);
		if (tag == DW_TAG_unspecified_parameters)
			type->variadic = true;
		if (tag != DW_TAG_formal_parameter)
			continue;
		struct type_parameter parameter = {.name = die_name(&child),
						   .type = type_of_die(compiled->unit, &child)};
		if (is_this(compiled, &child, parameters.count))
			parameter.type = type_const_of(type->module->symbols, parameter.type);
		if (!array_push(&parameters, parameter))
			break;
	}
	type->parameters = keep(type->module->symbols, parameters.items,
				parameters.count * sizeof(*parameters.items));
	type->parameter_count = type->parameters ? parameters.count : 0;
	array_fini(&parameters);
}

struct search {
	const struct compiled_type *declaration;
	struct type *found;
};

/** class and struct are one in C++; a union or enum is another type of the same name. */
static bool same_tag(int a, int b)
{
	bool a_struct = a == DW_TAG_structure_type || a == DW_TAG_class_type;
	bool b_struct = b == DW_TAG_structure_type || b == DW_TAG_class_type;
	return a == b || (a_struct && b_struct);
}

static bool visit_definition(void *context, const struct name_entry *entry)
{
	struct search *search = context;
	Dwarf_Die die = entry->die, declaration = search->declaration->die;
	if (entry->declaration || !same_tag(dwarf_tag(&die), dwarf_tag(&declaration)))
		return true;
	search->found = type_from_die(entry->unit, &die);
	return !search->found || search->found->declaration;
}

/** The definition of an incomplete type: by name, its own module first. */
static struct type *find_definition(struct strobe_symbols *symbols, struct compiled_type *compiled)
{
	struct search search = {.declaration = compiled};
	struct symbols_module *own = compiled->type.module;
	const char *name = die_qualified_name(compiled->unit, &compiled->die);
	if (!name)
		return NULL;
	names_find(own, name, NAME_TAG | NAME_TYPE, NULL, visit_definition, &search);
	for (size_t i = 0; i < symbols->module_count && !search.found; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (module && module != own && module->dwarf)
			names_find(module, name, NAME_TAG | NAME_TYPE, NULL, visit_definition,
				   &search);
	}
	return search.found;
}

static void complete(struct compiled_type *compiled)
{
	GUARD(compiled->type.module->debug_path);
	switch (compiled->type.kind) {
	case TYPE_STRUCT:
	case TYPE_CLASS:
	case TYPE_UNION:
	case TYPE_VARIANT:
		read_members(compiled);
		break;
	case TYPE_ENUM:
		read_enumerators(compiled);
		break;
	case TYPE_FUNCTION:
		read_parameters(compiled);
		break;
	default:
		break;
	}
}

struct type *type_complete(struct strobe_symbols *symbols, struct type *type)
{
	if (type->completed)
		return type->definition ? type->definition : type;
	struct compiled_type *compiled = (struct compiled_type *)type;
	struct type_table *table = type_table_of(symbols);
	// Bases are completed within their classes: as deep as a hostile file chains them.
	if (!table || !compiled->die.addr || compiled->completing ||
	    table->depth >= TYPE_NESTING_LIMIT) {
		type->completed = !compiled->die.addr;
		return type;
	}
	compiled->completing = true;
	table->depth++;
	struct type *definition = type->declaration ? find_definition(symbols, compiled) : NULL;
	if (definition && definition != type)
		compiled->type.definition = type_complete(symbols, definition);
	else
		complete(compiled);
	table->depth--;
	compiled->completing = false;
	type->completed = true;
	return compiled->type.definition ? compiled->type.definition : type;
}
