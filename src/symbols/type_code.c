// SPDX-License-Identifier: Apache-2.0
// The class whose method a piece of code is. Debug information tells it where it describes the code; where it does not, the
// symbol's name does, and the class may be described in another module. And lambdas, which are classes of one method.
#include <dwarf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "base/text.h"
#include "symbols/children.h"
#include "symbols/demangle.h"
#include "symbols/function.h"
#include "symbols/function_table.h"
#include "symbols/names.h"
#include "symbols/qualify.h"
#include "symbols/skim.h"
#include "symbols/type_die.h"

static bool is_class(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);
	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type;
}

static bool from_debug_information(struct strobe_symbols *symbols, uint64_t address,
				   struct type_code *ret)
{
	const struct code_position *position = code_position_at(symbols, address);
	uint64_t parent;
	Dwarf_Die class;
	if (!position || !position->scope_count)
		return false;
	const struct code_scope *scope = &position->scopes[position->scope_count - 1];
	if (scope->inlined || scope->start != address)
		return false;
	GUARD(position->module->debug_path);
	Dwarf_Die die = scope->die;
	struct unit *unit = die_declaration(scope->unit, &die);
	if (!function_table_scope(unit, dwarf_dieoffset(&die), true, &parent) ||
	    !skim_libdw(unit, parent, &class) || !is_class(&class))
		return false;
	ret->name = die_name(&die);
	ret->class = type_from_die(unit, &class);
	ret->function = type_from_die(unit, &die);
	return ret->name && ret->class && ret->function;
}

/** Cuts "(int) const" off the end of "C<void (int)>::f(int) const". */
static void drop_parameters(char *name)
{
	char *end = strrchr(name, ')');
	unsigned depth = 0;
	for (; end && end >= name; end--) {
		depth += *end == ')';
		depth -= *end == '(';
		if (depth == 0) {
			*end = '\0';
			return;
		}
	}
}

static bool from_symbol(struct strobe_symbols *symbols, uint64_t address, struct type_code *ret)
{
	struct strobe_symbol symbol;
	if (!strobe_symbol_at(symbols, address, &symbol) || symbol.address != address)
		return false;
	char *name = strdup(symbol.name);
	if (!name)
		return false;
	drop_parameters(name);
	char *last = name + (names_last_component(name) - name);
	if (last >= name + 3) {
		last[-2] = '\0';
		ret->class = type_class_anywhere(symbols, symbol.module_index, name);
		ret->name = ret->class ? arena_strdup(&symbols->arena, last) : NULL;
	}
	free(name);
	return ret->class && ret->name;
}

bool type_code_at(struct strobe_symbols *symbols, uint64_t address, struct type_code *ret)
{
	*ret = (struct type_code){0};
	bool found = from_debug_information(symbols, address, ret);
	if (!found) {
		*ret = (struct type_code){0};
		found = from_symbol(symbols, address, ret);
	}
	if (found)
		ret->class = type_complete(symbols, ret->class);
	return found;
}

/** Whether a class has an operator() that nobody wrote. */
static bool is_closure(Dwarf_Die *die)
{
	Dwarf_Die child;
	for (bool more = children_first(die, &child); more; more = children_next(&child)) {
		const char *name = dwarf_tag(&child) == DW_TAG_subprogram ? die_name(&child) : NULL;
		if (name && strncmp(name, "operator()", 10) == 0)
			return die_flag(&child, DW_AT_artificial);
	}
	return false;
}

const char *type_closure_name(struct strobe_symbols *symbols, struct type *type)
{
	struct unit *unit;
	Dwarf_Die die;
	uint64_t file, line, column = 0;
	if (type->name || (type->kind != TYPE_STRUCT && type->kind != TYPE_CLASS) ||
	    !language_is_cplus(type->language) || !type_die(type, &unit, &die))
		return NULL;
	GUARD(unit->module->debug_path);
	if (!die_unsigned(&die, DW_AT_decl_file, &file) ||
	    !die_unsigned(&die, DW_AT_decl_line, &line) || !is_closure(&die))
		return NULL;
	die_unsigned(&die, DW_AT_decl_column, &column);
	const char *path = unit_file(unit, file), *slash = path ? strrchr(path, '/') : NULL;
	struct text text cleanup_text = {0};
	text_printf(&text, "(lambda at %s:%" PRIu64 ":%" PRIu64 ")",
		    slash  ? slash + 1
		    : path ? path
			   : "?",
		    line, column);
	return text.failed ? NULL : arena_strdup(&symbols->arena, text_string(&text));
}

bool type_member_constant(const struct type_member *member, int64_t *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Die die;
	return type_place_die(&member->place, &die) &&
	       dwarf_attr(&die, DW_AT_const_value, &attribute) &&
	       attribute_integer(&attribute, ret);
}
