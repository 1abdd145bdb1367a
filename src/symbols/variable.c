// SPDX-License-Identifier: Apache-2.0
#include "symbols/variable.h"

#include <dwarf.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/elf_symbols.h"
#include "symbols/location.h"
#include "symbols/type_die.h"

// Where variables are. Which ones a frame has is in scope.c.

/** Named limit: bounds that lead to variables that lead to bounds ... */
enum { ATTRIBUTE_DEPTH_LIMIT = 8 };

/** Reads an attribute of another form as `form`, which libdw then bounds by its section. */
static bool read_as(const Dwarf_Attribute *attribute, unsigned form, uint64_t *ret)
{
	Dwarf_Attribute copy = *attribute;
	Dwarf_Word value;
	copy.form = form;
	copy.code = DW_AT_const_value; // not one that libdw takes for an offset
	if (dwarf_formudata(&copy, &value) != 0)
		return false;
	*ret = value;
	return true;
}

/** The bytes of an expression attribute, or of a list's entry in force at `pc`. */
static bool expression_of(struct unit *unit, Dwarf_Attribute *attribute, uint64_t pc,
			  const uint8_t **bytes, size_t *size)
{
	Dwarf_Block block;
	uint64_t value;
	switch (attribute->form) {
	case DW_FORM_exprloc:
	case DW_FORM_block:
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
		if (dwarf_formblock(attribute, &block) != 0)
			return false;
		*bytes = block.data;
		*size = block.length;
		return true;
	case DW_FORM_loclistx:
		return read_as(attribute, DW_FORM_udata, &value) &&
		       location_list_find(unit, value, true, pc, bytes, size);
	case DW_FORM_sec_offset:
		return read_as(attribute, unit->offset_size == 8 ? DW_FORM_data8 : DW_FORM_data4,
			       &value) &&
		       location_list_find(unit, value, false, pc, bytes, size);
	case DW_FORM_data4:
	case DW_FORM_data8:
		return unit->version < 4 && read_as(attribute, attribute->form, &value) &&
		       location_list_find(unit, value, false, pc, bytes, size);
	default:
		return false;
	}
}

bool attribute_expression(struct unit *unit, Dwarf_Die *die, unsigned at, uint64_t pc,
			  const uint8_t **bytes, size_t *size)
{
	Dwarf_Attribute attribute;
	GUARD(unit->module->debug_path);
	return die_attribute(die, at, &attribute) &&
	       expression_of(unit, &attribute, pc, bytes, size);
}

bool variable_from_die(struct unit *unit, Dwarf_Die *die, struct variable *ret)
{
	GUARD(unit->module->debug_path);
	uint64_t line = 0;
	const uint8_t *bytes;
	size_t size;
	*ret = (struct variable){.unit = unit, .die = *die, .name = die_name(die)};
	if (!ret->name)
		return false;
	ret->type = type_of_die(unit, die);
	ret->argument = dwarf_tag(die) == DW_TAG_formal_parameter;
	ret->artificial = die_flag(die, DW_AT_artificial);
	die_unsigned(die, DW_AT_decl_line, &line);
	ret->line = (unsigned)line;
	ret->is_static = !ret->argument &&
			 attribute_expression(unit, die, DW_AT_location, 0, &bytes, &size) &&
			 size > 0 &&
			 (bytes[0] == DW_OP_addr || bytes[0] == DW_OP_addrx ||
			  bytes[0] == DW_OP_GNU_addr_index);
	return ret->type != NULL;
}

static void set_single(struct location *location, struct location_piece piece)
{
	*location = (struct location){.piece_count = 1, .single = piece};
	location->pieces = &location->single;
}

static bool locate_constant(struct unit *unit, Dwarf_Attribute *attribute, uint64_t bias,
			    struct location *ret)
{
	struct location_piece piece = {.kind = LOCATION_VALUE};
	Dwarf_Block block;
	int64_t value;
	uint64_t address;
	if (attribute_integer(attribute, &value)) {
		memcpy(piece.bytes, &value, sizeof(value));
		// Wider variables take the sign along.
		bool is_signed = attribute->form == DW_FORM_sdata ||
				 attribute->form == DW_FORM_implicit_const;
		memset(piece.bytes + 8, is_signed && value < 0 ? 0xff : 0, 8);
	} else if (dwarf_formblock(attribute, &block) == 0) {
		piece.data = block.data;
		piece.data_size = block.length;
	} else if (attribute->form == DW_FORM_addr && unit->address_size == 8 &&
		   read_as(attribute, DW_FORM_data8, &address)) {
		address += bias;
		memcpy(piece.bytes, &address, sizeof(address));
	} else {
		const char *string = dwarf_formstring(attribute);
		if (!string)
			return false;
		piece.data = (const uint8_t *)string;
		piece.data_size = strlen(string) + 1;
	}
	set_single(ret, piece);
	return true;
}

struct definition {
	struct unit *unit;
	Dwarf_Die die;
	bool found;
};

static bool take_definition(void *context, const struct name_entry *entry)
{
	struct definition *definition = context;
	Dwarf_Attribute attribute;
	Dwarf_Die die = entry->die;
	if (entry->declaration || !(die_attribute(&die, DW_AT_location, &attribute) ||
				    die_attribute(&die, DW_AT_const_value, &attribute)))
		return true;
	*definition = (struct definition){.unit = entry->unit, .die = entry->die, .found = true};
	return false;
}

/** Where an external variable that is only declared here is defined: this module, then others. */
static bool find_definition(const struct variable *variable, struct definition *ret)
{
	struct symbols_module *own = variable->unit->module;
	Dwarf_Die die = variable->die;
	*ret = (struct definition){0};
	const char *name = die_qualified_name(variable->unit, &die);
	if (!name)
		return false;
	names_find(own, name, NAME_VARIABLE, NULL, take_definition, ret);
	for (size_t i = 0; i < own->symbols->module_count && !ret->found; i++) {
		struct symbols_module *module = symbols_module(own->symbols, i);
		if (module && module != own && module->dwarf)
			names_find(module, name, NAME_VARIABLE, NULL, take_definition, ret);
	}
	return ret->found;
}

/** True if the DIE itself tells; false leaves the definition to be looked for. */
static bool locate_here(struct unit *unit, Dwarf_Die *die, const struct expression_context *context,
			struct location *ret)
{
	Dwarf_Attribute attribute;
	const uint8_t *bytes;
	size_t size;
	if (die_attribute(die, DW_AT_const_value, &attribute) &&
	    locate_constant(unit, &attribute, context->bias, ret))
		return true;
	if (!die_attribute(die, DW_AT_location, &attribute))
		return false;
	if (expression_of(unit, &attribute, context->pc, &bytes, &size))
		expression_evaluate(context, bytes, size, ret);
	else
		set_single(ret, (struct location_piece){.kind = LOCATION_OPTIMIZED_OUT});
	return true;
}

/** The context for what stands in `unit`, which may be of another module than the frame. */
static struct expression_context context_in(const struct expression_context *context,
					    struct unit *unit)
{
	struct expression_context other = *context;
	if (context->unit && context->unit->module != unit->module)
		other.get_tls = NULL; // of the other module's storage it knows nothing
	other.bias = unit->module->module->bias;
	other.unit = unit;
	return other;
}

/** By the ELF symbol: a variable of a module without debug information. */
static bool locate_symbol(const struct variable *variable, struct location *ret)
{
	struct strobe_symbols *symbols = variable->unit->module->symbols;
	Dwarf_Die die = variable->die;
	Dwarf_Attribute attribute;
	struct strobe_symbol symbol;
	const char *name = variable->name;
	if (die_attribute(&die, DW_AT_linkage_name, &attribute) ||
	    die_attribute(&die, DW_AT_MIPS_linkage_name, &attribute))
		name = dwarf_formstring(&attribute);
	// Lower modules first: the program itself wins over its libraries (copy relocations).
	for (size_t i = 0; name && i < symbols->module_count; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (!module || !elf_symbols_find(module, name, 0, &symbol) ||
		    strcmp(symbol.type, "object") != 0)
			continue;
		set_single(ret, (struct location_piece){.kind = LOCATION_MEMORY,
							.address = symbol.address});
		return true;
	}
	return false;
}

/** External variables without a place of their own are declarations of what stands elsewhere. */
static bool is_elsewhere(const struct variable *variable)
{
	Dwarf_Die die = variable->die;
	return !variable->argument &&
	       (dwarf_hasattr(&die, DW_AT_declaration) || die_flag(&die, DW_AT_external));
}

void variable_prepare(struct variable *variable, uint64_t pc)
{
	Dwarf_Attribute attribute;
	struct unit *unit = variable->unit;
	GUARD(unit->module->debug_path);
	variable->prepared_pc = pc;
	variable->expression = NULL;
	if (die_attribute(&variable->die, DW_AT_const_value, &attribute))
		return;
	bool here = die_attribute(&variable->die, DW_AT_location, &attribute);
	if (here &&
	    !expression_of(unit, &attribute, pc, &variable->expression, &variable->expression_size))
		variable->expression = NULL;
	variable->prepared = here || !is_elsewhere(variable);
}

void variable_locate(const struct variable *variable, const struct expression_context *context,
		     struct location *ret)
{
	struct unit *unit = variable->unit;
	struct definition definition;
	Dwarf_Die die = variable->die;
	GUARD(unit->module->debug_path);
	struct expression_context own = context_in(context, unit);
	if (variable->prepared && variable->prepared_pc == context->pc) {
		if (variable->expression)
			expression_evaluate(&own, variable->expression, variable->expression_size,
					    ret);
		else
			set_single(ret, (struct location_piece){.kind = LOCATION_OPTIMIZED_OUT});
		return;
	}
	if (locate_here(unit, &die, &own, ret))
		return;
	bool elsewhere = is_elsewhere(variable);
	if (elsewhere && find_definition(variable, &definition)) {
		struct expression_context other = context_in(&own, definition.unit);
		if (locate_here(definition.unit, &definition.die, &other, ret))
			return;
	}
	if (elsewhere && locate_symbol(variable, ret))
		return;
	set_single(ret, (struct location_piece){.kind = LOCATION_OPTIMIZED_OUT});
}

/** A location taken as a number: an address, a register's contents, or a value. */
static bool location_number(const struct expression_context *context,
			    const struct location *location, uint64_t *ret)
{
	const struct location_piece *piece = &location->pieces[0];
	uint64_t address;
	uint8_t buffer[64] = {0};
	size_t size = sizeof(buffer);
	if (location->piece_count != 1)
		return false;
	switch (piece->kind) {
	case LOCATION_MEMORY:
		*ret = piece->address;
		return true;
	case LOCATION_REGISTER:
		if (!context->get_register ||
		    !context->get_register(context->data, piece->reg, buffer, &size, &address))
			return false;
		memcpy(ret, buffer, sizeof(*ret));
		return true;
	case LOCATION_VALUE:
		*ret = 0;
		if (piece->data)
			memcpy(ret, piece->data, piece->data_size < 8 ? piece->data_size : 8);
		else
			memcpy(ret, piece->bytes, sizeof(*ret));
		return true;
	default:
		return false;
	}
}

bool scope_frame_base(const struct code_scope *scope, const struct expression_context *context,
		      uint64_t *ret)
{
	const uint8_t *bytes;
	size_t size;
	struct location location;
	// Inlined functions live in the frame of the function that stands last.
	for (unsigned i = 0; scope->inlined && i < SCOPE_DEPTH_LIMIT; i++)
		scope++;
	Dwarf_Die die = scope->die;
	struct expression_context own = *context;
	own.unit = scope->unit;
	own.get_frame_base = NULL; // it cannot be defined by itself
	if (!attribute_expression(scope->unit, &die, DW_AT_frame_base, context->pc, &bytes, &size))
		return false;
	expression_evaluate(&own, bytes, size, &location);
	bool good = location_number(&own, &location, ret);
	location_fini(&location);
	return good;
}

/** The value of a variable that a bound refers to. */
static bool variable_number(struct unit *unit, Dwarf_Die *die,
			    const struct expression_context *context, uint64_t *ret)
{
	struct variable variable = {.unit = unit, .die = *die};
	struct strobe_symbols *symbols = unit->module->symbols;
	struct location location;
	struct type *type = type_of_die(unit, die);
	uint64_t size = 8;
	if (type)
		type = type_strip(symbols, type);
	if (type && !type_size(symbols, type, &size))
		size = 8;
	variable_locate(&variable, context, &location);
	bool good = location_number(context, &location, ret);
	if (good && location.pieces[0].kind == LOCATION_MEMORY) {
		uint64_t address = *ret;
		size = size > 8 ? 8 : size;
		*ret = 0;
		good = context->read_memory &&
		       context->read_memory(context->data, address, ret, size) == size;
	}
	location_fini(&location);
	if (good && type && size < 8 && size > 0 && type->is_signed)
		*ret = (uint64_t)((int64_t)(*ret << (64 - 8 * size)) >> (64 - 8 * size));
	return good;
}

static bool evaluate(struct unit *unit, Dwarf_Die *die, unsigned at,
		     const struct expression_context *context, unsigned depth, uint64_t *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Die target;
	const uint8_t *bytes;
	size_t size;
	int64_t constant;
	struct location location;
	if (depth > ATTRIBUTE_DEPTH_LIMIT || !die_attribute(die, at, &attribute))
		return false;
	struct expression_context own = context_in(context, unit);
	if (attribute_integer(&attribute, &constant)) {
		*ret = (uint64_t)constant;
		return true;
	}
	if (expression_of(unit, &attribute, context->pc, &bytes, &size)) {
		expression_evaluate(&own, bytes, size, &location);
		bool good = location_number(&own, &location, ret);
		location_fini(&location);
		return good;
	}
	if (!die_reference(die, at, &target))
		return false;
	struct unit *owner = unit_of_die(unit->module, &target);
	if (!owner)
		return false;
	if (dwarf_tag(&target) == DW_TAG_variable || dwarf_tag(&target) == DW_TAG_formal_parameter)
		return variable_number(owner, &target, &own, ret);
	return evaluate(owner, &target, DW_AT_location, &own, depth + 1, ret);
}

bool attribute_evaluate(struct unit *unit, Dwarf_Die *die, unsigned at,
			const struct expression_context *context, uint64_t *ret)
{
	GUARD(unit->module->debug_path);
	return evaluate(unit, die, at, context, 0, ret);
}
