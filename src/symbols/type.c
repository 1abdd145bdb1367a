// SPDX-License-Identifier: Apache-2.0
#include "symbols/type.h"

#include <dwarf.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/children.h"
#include "symbols/names.h"
#include "symbols/split.h"
#include "symbols/type_canonical.h"
#include "symbols/type_die.h"

struct type_table *type_table_of(struct strobe_symbols *symbols)
{
	if (symbols->types)
		return symbols->types;
	struct type_table *table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	table->unknown = type_new(symbols, TYPE_UNKNOWN);
	if (!table->unknown)
		return type_table_free(table);
	table->unknown->type.name = "<damaged type>";
	symbols->types = table;
	return table;
}

struct type_table *type_table_free(struct type_table *table)
{
	if (!table)
		return NULL;
	hash_fini(&table->by_die);
	hash_fini(&table->pointers);
	hash_fini(&table->arrays);
	hash_fini(&table->by_name);
	hash_fini(&table->canonical);
	hash_fini(&table->references);
	hash_fini(&table->constants);
	hash_fini(&table->vtables);
	hash_fini(&table->instances);
	free(table);
	return NULL;
}

struct type *type_unknown(struct strobe_symbols *symbols)
{
	struct type_table *table = type_table_of(symbols);
	return table ? &table->unknown->type : NULL;
}

struct compiled_type *type_new(struct strobe_symbols *symbols, enum type_kind kind)
{
	struct compiled_type *compiled = arena_alloc(&symbols->arena, sizeof(*compiled));
	if (compiled)
		compiled->type.kind = kind;
	return compiled;
}

struct type *type_make(struct strobe_symbols *symbols, enum type_kind kind)
{
	struct compiled_type *made = type_new(symbols, kind);
	if (!made)
		return NULL;
	made->type.completed = true;
	return &made->type;
}

struct type *type_copy(struct strobe_symbols *symbols, const struct type *type)
{
	struct compiled_type *copy = type_new(symbols, type->kind);
	if (!copy)
		return NULL;
	*copy = *(const struct compiled_type *)type;
	copy->compiling = copy->completing = false;
	copy->next_array = NULL;
	copy->type.spelled = NULL;
	return &copy->type;
}

bool type_die(struct type *type, struct unit **unit, Dwarf_Die *die)
{
	struct compiled_type *compiled = (struct compiled_type *)type;
	if (!type->place.dwarf || !compiled->die.addr)
		return false;
	*unit = compiled->unit;
	*die = compiled->die;
	return true;
}

bool language_is_c(int language)
{
	return language == DW_LANG_C || language == DW_LANG_C89 || language == DW_LANG_C99 ||
	       language == DW_LANG_C11 || language == 0x2c || language == 0x3e; // C17, C23
}

bool language_is_cplus(int language)
{
	return language == DW_LANG_C_plus_plus || language == DW_LANG_C_plus_plus_03 ||
	       language == DW_LANG_C_plus_plus_11 || language == DW_LANG_C_plus_plus_14 ||
	       language == 0x2a || language == 0x2b || language == 0x3a; // C++17, 20, 23
}

bool language_is_rust(int language)
{
	return language == DW_LANG_Rust || language == 0x9000; // DW_LANG_Rust_old
}

/** Lower bound of arrays that do not tell (DWARF 5, table 7.17). */
static int64_t default_lower_bound(int language)
{
	switch (language) {
	case DW_LANG_Fortran77:
	case DW_LANG_Fortran90:
	case DW_LANG_Fortran95:
	case DW_LANG_Fortran03:
	case DW_LANG_Fortran08:
	case DW_LANG_Ada83:
	case DW_LANG_Ada95:
	case DW_LANG_Cobol74:
	case DW_LANG_Cobol85:
	case DW_LANG_Pascal83:
	case DW_LANG_PLI:
	case DW_LANG_Modula2:
	case DW_LANG_Modula3:
	case DW_LANG_Julia:
		return 1;
	default:
		return 0;
	}
}

bool attribute_integer(Dwarf_Attribute *attribute, int64_t *ret)
{
	Dwarf_Word word;
	Dwarf_Sword sword;
	switch (dwarf_whatform(attribute)) {
	case DW_FORM_sdata:
	case DW_FORM_implicit_const:
		if (dwarf_formsdata(attribute, &sword) != 0)
			return false;
		*ret = sword;
		return true;
	case DW_FORM_data1:
	case DW_FORM_data2:
	case DW_FORM_data4:
	case DW_FORM_data8:
	case DW_FORM_udata:
		if (dwarf_formudata(attribute, &word) != 0)
			return false;
		*ret = (int64_t)word;
		return true;
	default:
		return false;
	}
}

static void compile_base(struct type *type, Dwarf_Die *die)
{
	uint64_t encoding = 0;
	die_unsigned(die, DW_AT_encoding, &encoding);
	switch (encoding) {
	case DW_ATE_boolean:
		type->kind = TYPE_BOOLEAN;
		break;
	case DW_ATE_float:
	case DW_ATE_imaginary_float:
		type->kind = TYPE_FLOAT;
		break;
	case DW_ATE_complex_float:
		type->kind = TYPE_COMPLEX;
		break;
	case DW_ATE_decimal_float:
		type->kind = TYPE_DECIMAL;
		break;
	case DW_ATE_signed_char:
	case DW_ATE_unsigned_char:
	case DW_ATE_UTF:
	case DW_ATE_UCS:
	case DW_ATE_ASCII:
		type->kind = TYPE_CHARACTER;
		type->is_signed = encoding == DW_ATE_signed_char;
		break;
	case DW_ATE_signed:
	case DW_ATE_signed_fixed:
	case DW_ATE_unsigned:
	case DW_ATE_unsigned_fixed:
	case DW_ATE_address:
		type->kind = TYPE_INTEGER;
		type->is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_fixed;
		break;
	default:
		type->kind = TYPE_UNKNOWN;
		return;
	}
	if (type->name && strcmp(type->name, "wchar_t") == 0)
		type->kind = TYPE_CHARACTER;
	if ((type->kind == TYPE_INTEGER || type->kind == TYPE_CHARACTER) && type->size > 16)
		type->kind = TYPE_UNKNOWN;
}

struct type_place type_place_of(const struct unit *unit, Dwarf_Die *die)
{
	return (struct type_place){unit->dwarf, dwarf_dieoffset(die), unit->in_types};
}

bool type_place_die(const struct type_place *place, Dwarf_Die *ret)
{
	if (!place->dwarf)
		return false;
	return place->in_types ? dwarf_offdie_types(place->dwarf, place->offset, ret) != NULL
			       : dwarf_offdie(place->dwarf, place->offset, ret) != NULL;
}

/** The subrange's bounds; what is not constant is left to the frame. */
static void read_dimension(struct compiled_type *array, Dwarf_Die *die)
{
	struct type_dimension *dimension = &array->type.dimension;
	Dwarf_Attribute attribute;
	int64_t upper;
	*dimension = (struct type_dimension){
		.lower = default_lower_bound(array->type.language),
		.place = type_place_of(array->unit, die),
	};
	if (die_attribute(die, DW_AT_lower_bound, &attribute) &&
	    !attribute_integer(&attribute, &dimension->lower))
		dimension->dynamic = true;
	if (die_attribute(die, DW_AT_count, &attribute)) {
		if (attribute_integer(&attribute, &upper))
			dimension->count = (uint64_t)upper;
		else
			dimension->dynamic = true;
	} else if (die_attribute(die, DW_AT_upper_bound, &attribute)) {
		if (!attribute_integer(&attribute, &upper))
			dimension->dynamic = true;
		else if (dwarf_whatform(&attribute) == DW_FORM_data4 && upper == UINT32_MAX)
			dimension->count = 0; // GCC's -1 of int[0]
		else if (upper >= dimension->lower)
			dimension->count = (uint64_t)upper - (uint64_t)dimension->lower + 1;
	} else {
		dimension->unknown = !dimension->dynamic;
	}
	array->type.dynamic |= dimension->dynamic;
}

static bool is_dimension(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);
	return tag == DW_TAG_subrange_type || tag == DW_TAG_enumeration_type;
}

/** Size in bytes where it is known at once, without following declarations to other units. */
static bool plain_size(const struct type *type, uint64_t *ret)
{
	for (unsigned i = 0; type && i < TYPE_NESTING_LIMIT; i++) {
		if (type->size_known) {
			*ret = type->size;
			return true;
		}
		if (type->kind < TYPE_TYPEDEF || type->kind > TYPE_ATOMIC)
			return false;
		type = type->target;
	}
	return false;
}

static void size_array(struct type *array)
{
	uint64_t element;
	if (array->dynamic || array->size_known || array->dimension.unknown || !array->target)
		return;
	array->size_known = plain_size(array->target, &element) &&
			    !__builtin_mul_overflow(element, array->dimension.count, &array->size);
}

/** One DIE may hold several dimensions: the outer type is the DIE's own, the inner are made here. */
static void compile_array(struct compiled_type *compiled)
{
	Dwarf_Die dimensions[TYPE_DIMENSION_LIMIT], child;
	size_t count = 0;
	for (bool more = children_first(&compiled->die, &child); more;
	     more = children_next(&child)) {
		if (dwarf_tag(&child) == DW_TAG_generic_subrange || count == TYPE_DIMENSION_LIMIT) {
			compiled->type.kind = TYPE_UNKNOWN;
			return;
		}
		if (is_dimension(&child))
			dimensions[count++] = child;
	}
	struct type *element = compiled->type.target;
	for (size_t i = count; i-- > 0;) {
		struct compiled_type *array = compiled;
		if (i > 0)
			array = type_new(compiled->type.module->symbols, TYPE_ARRAY);
		if (!array)
			return;
		if (i > 0) {
			array->unit = compiled->unit;
			array->type.language = compiled->type.language;
			array->type.module = compiled->type.module;
			array->type.vector = compiled->type.vector;
		}
		array->type.target = element;
		array->type.dynamic = array->type.dynamic || (element && element->dynamic);
		read_dimension(array, &dimensions[i]);
		size_array(&array->type);
		element = &array->type;
	}
	if (count == 0)
		compiled->type.dimension.unknown = true;
}

static enum type_kind kind_of_tag(int tag)
{
	switch (tag) {
	case DW_TAG_base_type:
		return TYPE_INTEGER;
	case DW_TAG_unspecified_type:
		return TYPE_VOID;
	case DW_TAG_pointer_type:
		return TYPE_POINTER;
	case DW_TAG_reference_type:
		return TYPE_REFERENCE;
	case DW_TAG_rvalue_reference_type:
		return TYPE_RVALUE_REFERENCE;
	case DW_TAG_ptr_to_member_type:
		return TYPE_MEMBER_POINTER;
	case DW_TAG_structure_type:
		return TYPE_STRUCT;
	case DW_TAG_class_type:
	case DW_TAG_interface_type:
		return TYPE_CLASS;
	case DW_TAG_union_type:
		return TYPE_UNION;
	case DW_TAG_enumeration_type:
		return TYPE_ENUM;
	case DW_TAG_array_type:
	case DW_TAG_string_type:
		return TYPE_ARRAY;
	case DW_TAG_subroutine_type:
	case DW_TAG_subprogram:
		return TYPE_FUNCTION;
	case DW_TAG_typedef:
	case DW_TAG_template_alias:
	case DW_TAG_subrange_type:
	case DW_TAG_packed_type:
	case DW_TAG_shared_type:
		return TYPE_TYPEDEF;
	case DW_TAG_const_type:
	case DW_TAG_immutable_type:
		return TYPE_CONST;
	case DW_TAG_volatile_type:
		return TYPE_VOLATILE;
	case DW_TAG_restrict_type:
		return TYPE_RESTRICT;
	case DW_TAG_atomic_type:
		return TYPE_ATOMIC;
	default:
		return TYPE_UNKNOWN;
	}
}

static const char *name_of(struct compiled_type *compiled)
{
	Dwarf_Die *die = &compiled->die;
	struct strobe_symbols *symbols = compiled->type.module->symbols;
	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
		return NULL;
	case DW_TAG_pointer_type: // GCC's __vtbl_ptr_type; gdb has no names for pointers
		return language_is_rust(compiled->unit->language) ? die_name(die) : NULL;
	case DW_TAG_base_type:
	case DW_TAG_unspecified_type:
		return type_canonical_name(symbols, die_name(die), compiled->unit->language);
	default:
		if (!die_name(die))
			return NULL;
		return type_canonical_name(symbols, die_qualified_name(compiled->unit, die),
					   compiled->unit->language);
	}
}

/** A Rust enum is a structure with a variant part. */
static bool has_variants(Dwarf_Die *die)
{
	Dwarf_Die child;
	for (bool more = children_first(die, &child); more; more = children_next(&child))
		if (dwarf_tag(&child) == DW_TAG_variant_part)
			return true;
	return false;
}

/** Whether the values are all single bits, as gdb asks before it prints A | B; and their sign. */
static void classify_enum(struct compiled_type *compiled)
{
	struct type *type = &compiled->type;
	Dwarf_Die child;
	Dwarf_Attribute attribute;
	int64_t value;
	size_t count = 0;
	type->is_flag_enum = true;
	for (bool more = children_first(&compiled->die, &child); more;
	     more = children_next(&child)) {
		if (dwarf_tag(&child) != DW_TAG_enumerator ||
		    !die_attribute(&child, DW_AT_const_value, &attribute) ||
		    !attribute_integer(&attribute, &value))
			continue;
		count++;
		bool negative = value < 0 && dwarf_whatform(&attribute) != DW_FORM_data8 &&
				dwarf_whatform(&attribute) != DW_FORM_udata;
		type->is_signed |= negative;
		if (negative || __builtin_popcountll((uint64_t)value) > 1)
			type->is_flag_enum = false;
	}
	if (count == 0) {
		type->is_flag_enum = false;
		type->is_signed = type->target && type->target->is_signed;
	}
}

static void compile_string(struct compiled_type *compiled)
{
	struct type *type = &compiled->type;
	type->target = type_builtin(type->module->symbols, "char");
	type->dimension.lower = 1;
	type->dimension.count = type->size;
	type->dimension.unknown = !type->size_known;
}

/** What depends on the kind; `target` is known. */
static void compile_kind(struct compiled_type *compiled)
{
	struct type *type = &compiled->type;
	Dwarf_Die *die = &compiled->die, container;
	switch (type->kind) {
	case TYPE_INTEGER:
		compile_base(type, die);
		break;
	case TYPE_ENUM:
		classify_enum(compiled);
		break;
	case TYPE_MEMBER_POINTER:
		if (die_reference(die, DW_AT_containing_type, &container))
			type->container =
				type_from_die(unit_of_die(type->module, &container), &container);
		if (!type->size_known)
			type->size = type->target && type->target->kind == TYPE_FUNCTION ? 16 : 8;
		type->size_known = true;
		break;
	case TYPE_POINTER:
	case TYPE_REFERENCE:
	case TYPE_RVALUE_REFERENCE:
		if (!type->size_known)
			type->size = compiled->unit->address_size;
		type->size_known = true;
		break;
	case TYPE_STRUCT:
	case TYPE_CLASS:
	case TYPE_UNION:
		if (language_is_rust(type->language) && has_variants(die))
			type->kind = TYPE_VARIANT;
		break;
	case TYPE_ARRAY:
		if (dwarf_tag(die) == DW_TAG_string_type)
			compile_string(compiled);
		else
			compile_array(compiled);
		break;
	case TYPE_FUNCTION:
		type->prototyped =
			die_flag(die, DW_AT_prototyped) || !language_is_c(type->language);
		break;
	default:
		type->dynamic |=
			type->target && type->kind >= TYPE_TYPEDEF && type->target->dynamic;
		break;
	}
}

static void compile(struct compiled_type *compiled)
{
	struct type *type = &compiled->type;
	struct unit *unit = compiled->unit;
	Dwarf_Die *die = &compiled->die;
	Dwarf_Attribute attribute;
	uint64_t size;
	type->language = unit->language;
	type->module = unit->module;
	type->place = type_place_of(unit, die);
	type->name = name_of(compiled);
	type->declaration =
		dwarf_hasattr(die, DW_AT_declaration) && dwarf_tag(die) != DW_TAG_subprogram;
	type->vector = die_flag(die, DW_AT_GNU_vector);
	if (die_attribute(die, DW_AT_byte_size, &attribute)) {
		type->size_known = die_unsigned(die, DW_AT_byte_size, &size);
		type->size = type->size_known ? size : 0;
		type->dynamic = !type->size_known;
	} else if (die_unsigned(die, DW_AT_bit_size, &size)) {
		type->size_known = true;
		type->size = size / 8 + (size % 8 != 0);
	}
	if (type->declaration)
		type->size_known = false;
	if (type->kind != TYPE_STRUCT && type->kind != TYPE_CLASS && type->kind != TYPE_UNION &&
	    die_attribute(die, DW_AT_type, &attribute))
		type->target = type_of_die(unit, die);
	if (type->kind == TYPE_ENUM && !type->size_known && type->target)
		type->size_known = plain_size(type->target, &type->size);
	compile_kind(compiled);
}

/** What attribute `at` refers to, also by the signature of a type that is in another file. */
static bool type_reference(struct unit *unit, Dwarf_Die *die, unsigned at, Dwarf_Die *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Word signature;
	if (die_reference(die, at, ret))
		return true;
	if (!dwarf_attr(die, at, &attribute) || dwarf_whatform(&attribute) != DW_FORM_ref_sig8)
		return false;
	attribute.form = DW_FORM_data8; // the same encoding, and libdw bounds it
	return dwarf_formudata(&attribute, &signature) == 0 && split_type(unit, signature, ret);
}

/** A stub that names its type by signature: the type unit's own. */
static struct type *follow_signature(struct unit *unit, Dwarf_Die *die)
{
	struct type_table *table = unit->module->symbols->types;
	struct type *type = NULL;
	Dwarf_Die target;
	table->depth++;
	if (type_reference(unit, die, DW_AT_signature, &target)) {
		struct unit *owner = unit_of_die(unit->module, &target);
		type = owner ? type_from_die(owner, &target) : NULL;
	}
	table->depth--;
	return type ? type : type_unknown(unit->module->symbols);
}

struct type *type_from_die(struct unit *unit, Dwarf_Die *die)
{
	struct strobe_symbols *symbols = unit ? unit->module->symbols : NULL;
	struct type_table *table = symbols ? type_table_of(symbols) : NULL;
	if (!table)
		return NULL;
	uint64_t key = (uintptr_t)die->addr;
	struct compiled_type *compiled = hash_get(&table->by_die, key);
	if (compiled && compiled->compiling) // a type made of itself, which no compiler writes
		return type_unknown(symbols);
	if (compiled)
		return &compiled->type;
	if (table->depth >= TYPE_NESTING_LIMIT)
		return type_unknown(symbols);
	GUARD(unit->module->debug_path);
	if (dwarf_hasattr(die, DW_AT_signature))
		return follow_signature(unit, die);
	compiled = type_new(symbols, kind_of_tag(dwarf_tag(die)));
	if (!compiled || !hash_put(&table->by_die, key, compiled))
		return NULL;
	compiled->unit = unit;
	compiled->die = *die;
	compiled->compiling = true;
	table->depth++;
	compile(compiled);
	table->depth--;
	compiled->compiling = false;
	return &compiled->type;
}

struct type *type_of_die(struct unit *unit, Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	Dwarf_Die target;
	struct strobe_symbols *symbols = unit->module->symbols;
	GUARD(unit->module->debug_path);
	if (!die_attribute(die, DW_AT_type, &attribute))
		return type_builtin(symbols, language_is_rust(unit->language) ? "()" : "void");
	if (!type_reference(unit, die, DW_AT_type, &target))
		return type_unknown(symbols);
	struct unit *owner = unit_of_die(unit->module, &target);
	return owner ? type_from_die(owner, &target) : type_unknown(symbols);
}

struct type *type_strip(struct strobe_symbols *symbols, struct type *type)
{
	for (unsigned i = 0; i <= TYPE_NESTING_LIMIT; i++) {
		if (type->kind < TYPE_TYPEDEF || type->kind > TYPE_ATOMIC)
			return type_complete(symbols, type);
		type = type->target ? type->target : type_builtin(symbols, "void");
	}
	return type_unknown(symbols);
}

bool type_size(struct strobe_symbols *symbols, struct type *type, uint64_t *size)
{
	uint64_t count = 1;
	for (unsigned i = 0; i <= TYPE_NESTING_LIMIT; i++) {
		type = type_strip(symbols, type);
		if (type->size_known)
			return !__builtin_mul_overflow(type->size, count, size);
		if (type->kind != TYPE_ARRAY || type->dynamic || type->dimension.unknown ||
		    !type->target)
			return false;
		if (__builtin_mul_overflow(count, type->dimension.count, &count))
			return false;
		type = type->target;
	}
	return false;
}

bool type_equal(struct strobe_symbols *symbols, struct type *a, struct type *b)
{
	for (unsigned i = 0; i <= TYPE_NESTING_LIMIT; i++) {
		a = type_strip(symbols, a);
		b = type_strip(symbols, b);
		if (a == b)
			return true;
		if (a->kind != b->kind || a->size != b->size ||
		    a->member_count != b->member_count || a->is_signed != b->is_signed ||
		    a->dimension.count != b->dimension.count)
			return false;
		bool follow = a->kind == TYPE_POINTER || a->kind == TYPE_ARRAY ||
			      a->kind == TYPE_REFERENCE || a->kind == TYPE_RVALUE_REFERENCE;
		if (!follow)
			return strcmp(type_name(symbols, a), type_name(symbols, b)) == 0;
		if (!a->target || !b->target)
			return a->target == b->target;
		a = a->target;
		b = b->target;
	}
	return false;
}
