// SPDX-License-Identifier: Apache-2.0
#include <dwarf.h>

#include "base/guard.h"
#include "symbols/children.h"
#include "symbols/type_die.h"

// Arguments of templates.

/** Named limits: arguments looked at; packs within each other (there is one level in C++). */
enum { ARGUMENT_LIMIT = 1000 };

/** Looks for type argument `*left` among the children of `die`, counting it down. */
static bool find_in(Dwarf_Die *die, size_t *left, Dwarf_Die *ret)
{
	Dwarf_Die child;
	unsigned seen = 0;
	for (bool more = children_first(die, &child); more && seen < ARGUMENT_LIMIT;
	     more = children_next(&child), seen++) {
		if (dwarf_tag(&child) != DW_TAG_template_type_parameter)
			continue;
		if ((*left)-- == 0) {
			*ret = child;
			return true;
		}
	}
	return false;
}

/** Argument `index` of what `die` is an instance of. */
static struct type *argument_of(struct unit *unit, Dwarf_Die *die, size_t index)
{
	Dwarf_Die child, found;
	size_t left = index, seen = 0;
	if (index >= ARGUMENT_LIMIT)
		return NULL;
	for (bool more = children_first(die, &child); more && seen < ARGUMENT_LIMIT;
	     more = children_next(&child), seen++) {
		unsigned tag = (unsigned)dwarf_tag(&child);
		if (tag == DW_TAG_GNU_template_parameter_pack && find_in(&child, &left, &found))
			return type_of_die(unit, &found);
		if (tag == DW_TAG_template_type_parameter && left-- == 0)
			return type_of_die(unit, &child);
	}
	return NULL;
}

struct type *type_template_argument(struct strobe_symbols *symbols, struct type *type, size_t index)
{
	struct unit *unit;
	Dwarf_Die die;
	type = type_complete(symbols, type);
	if (!type_die(type, &unit, &die))
		return NULL;
	GUARD(unit->module->debug_path);
	return argument_of(unit, &die, index);
}
