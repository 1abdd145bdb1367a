// SPDX-License-Identifier: Apache-2.0
// The parts of a value, one by one, and what static members stand for.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbols/type_die.h"
#include "symbols/module.h"
#include "value/place.h"

/** Finds a static member's definition: C++ gives it a DIE of its own, found by qualified name. */
struct definition {
	struct variable variable;
	bool found;
};

static bool keep_definition(void *context, const struct name_entry *entry)
{
	struct definition *d = context;
	Dwarf_Die die = entry->die;
	d->found = variable_from_die(entry->unit, &die, &d->variable);
	return !d->found;
}

static bool declared(const struct strobe_value *value, const struct type_member *member,
		     struct unit **unit, Dwarf_Die *die)
{
	struct type *type = value_stripped(value);
	if (!type->module || !type_place_die(&member->place, die))
		return false;
	*unit = unit_of_die(type->module, die);
	return *unit != NULL;
}

struct strobe_value value_static_member(const struct strobe_value *value,
					const struct type_member *member)
{
	struct strobe_value lost = {.symbols = value->symbols,
				    .type = member->type,
				    .place = PLACE_OPTIMIZED_OUT,
				    .language = value->language};
	struct unit *unit;
	Dwarf_Die die;
	struct place_frame frame;
	struct definition definition = {0};
	place_frame_init(&frame, value->symbols, NULL, 0);
	if (!declared(value, member, &unit, &die))
		return lost;
	const char *name = die_qualified_name(unit, &die);
	if (name)
		names_find(unit->module, name, NAME_VARIABLE, NULL, keep_definition, &definition);
	if (!definition.found && !variable_from_die(unit, &die, &definition.variable))
		return lost;
	return place_variable(&frame, &definition.variable);
}

uint64_t strobe_value_child_count(const struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	uint64_t address;
	switch (type->kind) {
	case TYPE_STRUCT:
	case TYPE_CLASS:
	case TYPE_UNION:
	case TYPE_VARIANT:
		return type->member_count;
	case TYPE_ARRAY:
		return type->dimension.unknown || type->dimension.dynamic ? 0
									  : type->dimension.count;
	case TYPE_POINTER:
		return strobe_value_integer(value, &address) && address && type->target &&
		       value_type_size(value->symbols, type->target);
	default:
		return 0;
	}
}

static struct strobe_value child(struct strobe_value *parent, struct type *type, uint64_t index)
{
	uint64_t address = 0;
	char name[512];
	if (type->kind == TYPE_ARRAY) {
		snprintf(name, sizeof(name), "[%lld]",
			 (long long)(type->dimension.lower + (int64_t)index));
		parent->name_cache = strdup(name);
		struct strobe_value element = value_element(parent, index);
		return value_copy(&element);
	}
	if (type->kind == TYPE_POINTER) {
		parent->name_cache = strdup("*");
		strobe_value_integer(parent, &address);
		return value_in_memory(parent->symbols, type->target, address);
	}
	const struct type_member *member = &type->members[index];
	snprintf(name, sizeof(name), member->base ? "<%s>" : "%s",
		 member->base	? type_name(parent->symbols, member->type)
		 : member->name ? member->name
				: "");
	parent->name_cache = strdup(name);
	if (member->static_member)
		return value_static_member(parent, member);
	struct strobe_value part = value_member(parent, member);
	return value_copy(&part);
}

struct strobe_error *strobe_value_child(const struct strobe_value *value, uint64_t index,
					const char **name, struct strobe_value **ret)
{
	if (index >= strobe_value_child_count(value))
		return error_new(STROBE_ERROR_INVALID, "no part %llu of a %s",
				 (unsigned long long)index, strobe_value_type(value));
	// The name handed out last is kept in the parent: a cache, not a change of the value.
	struct strobe_value *parent = (struct strobe_value *)value;
	free(parent->name_cache);
	parent->name_cache = NULL;
	struct strobe_value part = child(parent, value_stripped(value), index);
	part.language = value->language;
	struct strobe_value *box = value_box(&part);
	if (!box)
		return error_no_memory();
	if (name)
		*name = parent->name_cache;
	*ret = box;
	return NULL;
}
