// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_NAMES_H
#define SYMBOLS_NAMES_H

// Global names of a module's debug information: variables, functions, types, enumerators.

#include "symbols/unit.h"

enum name_kind {
	NAME_VARIABLE = 1, // DW_TAG_variable with a location or constant (definitions first)
	NAME_FUNCTION = 2, // DW_TAG_subprogram with code
	NAME_TYPE = 4,	   // typedefs, base types, C++ classes under their plain name
	NAME_TAG = 8,	   // struct, union, enum, class tags
	NAME_ENUMERATOR = 16,
};

struct name_entry {
	struct unit *unit;
	Dwarf_Die die;	  // for an enumerator its own DIE; dwarf parent through `parent`
	Dwarf_Die parent; // enumeration type of an enumerator
	enum name_kind kind;
	bool external;	  // DW_AT_external
	bool declaration; // incomplete
};
/** Return false to stop. */
typedef bool (*name_visit)(void *context, const struct name_entry *entry);
/**
 * Visits entries of `module` called `name` (qualified with "::" for scopes, or plain) whose kind
 * is in `kinds`, complete ones before declarations. The index is made at first use and covers all
 * units; if `only` is not NULL just that unit is looked at, without an index. False when memory
 * is short.
 */
bool names_find(struct symbols_module *module, const char *name, unsigned kinds, struct unit *only,
		name_visit visit, void *context);
/** Visits all classes (NAME_TAG) of `module`, in no order. False when memory is short. */
bool names_each_class(struct symbols_module *module, name_visit visit, void *context);
/** "ns::f<a::b>" -> "f<a::b>", within `name`. */
const char *names_last_component(const char *name);
/** The unit whose DW_AT_name ends with `file` in whole path components, or NULL. `index` counts
 *  from 0 among several. */
struct unit *names_unit(struct symbols_module *module, const char *file, size_t index);

#endif
