// SPDX-License-Identifier: Apache-2.0
// Names of DIEs with the scopes around them, spelled as gdb spells them.

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "base/text.h"
#include "symbols/demangle.h"
#include "symbols/function_table.h"
#include "symbols/qualify.h"
#include "symbols/skim.h"

/** Named limits. */
enum { ORIGIN_LIMIT = 16, SCOPE_LIMIT = 64 };

bool language_has_scopes(int language)
{
	switch (language) {
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_Mips_Assembler:
	case 0x2c: // C17
	case 0x3e: // C23
	case 0:
		return false;
	default:
		return true;
	}
}

bool language_is_cxx(int language)
{
	switch (language) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case 0x2a: // C++17
	case 0x2b: // C++20
	case 0x3a: // C++23
		return true;
	default:
		return false;
	}
}

// Its origin's specification, where the scopes are.
struct unit *die_declaration(struct unit *unit, Dwarf_Die *die)
{
	for (int i = 0; i < ORIGIN_LIMIT; i++) {
		Dwarf_Attribute attribute;
		Dwarf_Die next;
		if (!dwarf_attr(die, DW_AT_abstract_origin, &attribute) &&
		    !dwarf_attr(die, DW_AT_specification, &attribute))
			break;
		if (!dwarf_formref_die(&attribute, &next))
			break;
		if (next.cu != die->cu) {
			struct unit *other = unit_of_die(unit->module, &next);
			if (!other)
				break;
			unit = other;
		}
		*die = next;
	}
	return unit;
}

static const char *plain_name(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	return dwarf_attr(die, DW_AT_name, &attribute) ? dwarf_formstring(&attribute) : NULL;
}

/** An unscoped enumeration is no scope for its enumerators, an inline namespace is one. */
static bool counts(Dwarf_Die *scope)
{
	if (dwarf_tag(scope) != DW_TAG_enumeration_type)
		return true;
	Dwarf_Attribute attribute;
	return dwarf_attr(scope, DW_AT_enum_class, &attribute) != NULL;
}

/** Appends "ns::Class::" for the DIE at `offset`. */
static void append_scopes(struct unit *unit, uint64_t offset, bool deep, struct text *text,
			  int depth)
{
	uint64_t parent;
	Dwarf_Die scope;
	if (depth >= SCOPE_LIMIT || !function_table_scope(unit, offset, deep, &parent) ||
	    !skim_libdw(unit, parent, &scope))
		return;
	Dwarf_Die declared = scope;
	struct unit *where = die_declaration(unit, &declared);
	const char *name = plain_name(&declared);
	bool named = name && *name;
	if (!named && dwarf_tag(&declared) == DW_TAG_namespace)
		name = "(anonymous namespace)";
	else if (!named && counts(&scope))
		return; // closures: gdb takes their members for global ones
	append_scopes(where, dwarf_dieoffset(&declared), deep, text, depth + 1);
	if (!counts(&scope))
		return;
	text_append(text, name);
	text_append(text, "::");
}

const char *die_linkage_name(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	if (!die_attribute(die, DW_AT_linkage_name, &attribute) &&
	    !die_attribute(die, DW_AT_MIPS_linkage_name, &attribute))
		return NULL;
	return dwarf_formstring(&attribute);
}

/** Where a compiler gave a linkage name, gdb shows that (demangled), not what DIEs say. */
static const char *from_linkage_name(struct unit *unit, Dwarf_Die *die)
{
	if (unit->language == DW_LANG_Rust || dwarf_tag(die) == DW_TAG_variable)
		return NULL;
	const char *linkage = die_linkage_name(die);
	if (!linkage || !*linkage)
		return NULL;
	char *demangled = demangle_plain(linkage);
	if (!demangled)
		return linkage;
	const char *copy = arena_strdup(&unit->module->symbols->arena, demangled);
	free(demangled);
	return copy;
}

const char *die_scoped_name(struct unit *unit, Dwarf_Die *die)
{
	const char *name = die_name(die);
	if (!name || !language_has_scopes(unit->language))
		return name;
	Dwarf_Die declared = *die;
	struct unit *where = die_declaration(unit, &declared);
	struct text text = {0};
	// Methods of classes within functions have no linkage name, nearly all others have.
	Dwarf_Attribute attribute;
	bool deep = dwarf_attr(&declared, DW_AT_object_pointer, &attribute) != NULL &&
		    !die_linkage_name(die);
	append_scopes(where, dwarf_dieoffset(&declared), deep, &text, 0);
	if (!text.size) {
		text_fini(&text);
		return name;
	}
	text_append(&text, name);
	const char *result =
		arena_strdup(&unit->module->symbols->arena, text.failed ? name : text.data);
	text_fini(&text);
	return result;
}

const char *die_qualified_name(struct unit *unit, Dwarf_Die *die)
{
	GUARD(unit->module->debug_path);
	bool function =
		dwarf_tag(die) == DW_TAG_subprogram || dwarf_tag(die) == DW_TAG_inlined_subroutine;
	const char *linkage = function ? from_linkage_name(unit, die) : NULL;
	return linkage ? linkage : die_scoped_name(unit, die);
}
