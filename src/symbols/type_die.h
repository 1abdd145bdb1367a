// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_TYPE_DIE_H
#define SYMBOLS_TYPE_DIE_H

#include "symbols/type.h"
#include "symbols/unit.h"

// The part of types that speaks libdw; for src/symbols only.

/** Named limits on hostile debug information. */
enum {
	TYPE_NESTING_LIMIT = 200,  // pointers, arrays, typedefs, ... around each other
	TYPE_DIMENSION_LIMIT = 32, // of one array
};

struct compiled_type;

/** All types of the symbols, of every module: DIEs are told apart by where they are mapped. */
struct type_table {
	struct hash by_die;	       // Dwarf_Die.addr -> struct compiled_type
	struct hash pointers;	       // struct type -> pointer to it
	struct hash arrays;	       // struct type -> list of arrays of it
	struct hash by_name;	       // hash of the name -> builtin
	struct hash references;	       // struct type, with bit 0 for && -> reference to it
	struct hash constants;	       // struct type -> const of it
	struct hash vtables;	       // address of a virtual table -> its class
	struct hash instances;	       // type_vtable.c: hash of a name -> instances of templates
	struct hash canonical;	       // address of a DWARF string -> its canonical spelling
	unsigned depth;		       // of types being compiled within each other
	struct compiled_type *unknown; // for what could not be followed
};

/** A type with what type_complete() needs to go on. Every struct type is the first member of one. */
struct compiled_type {
	struct type type;
	struct unit *unit;
	Dwarf_Die die; // addr is NULL for builtins and derived types
	bool compiling;
	bool completing;
	struct compiled_type *next_array;
};

/** The table, made at first use; NULL when memory is short. */
struct type_table *type_table_of(struct strobe_symbols *symbols);
struct type_table *type_table_free(struct type_table *table);
/** A new, empty type that belongs to the symbols. */
struct compiled_type *type_new(struct strobe_symbols *symbols, enum type_kind kind);
/** Unit and DIE of a type; false for builtins and derived types. */
bool type_die(struct type *type, struct unit **unit, Dwarf_Die *die);
/** An instance of a class template in `module`, however its arguments are spelled; NULL if none. */
struct type *type_instance(struct symbols_module *module, const char *name);
/** The class of a demangled name, in that module (SIZE_MAX: none) before others, however its arguments are spelled, within a
 *  function too; NULL if none. */
struct type *type_class_anywhere(struct strobe_symbols *symbols, size_t module_index,
				 const char *name);
/** The type that stands for what is damaged or nested too deep. */
struct type *type_unknown(struct strobe_symbols *symbols);
/** A constant of either sign; false for any other class of attribute. */
bool attribute_integer(Dwarf_Attribute *attribute, int64_t *ret);

/** The type that is `die` itself (a DW_TAG_*_type). Interned by DIE. NULL when memory is short. */
struct type *type_from_die(struct unit *unit, Dwarf_Die *die);
/** The type that DW_AT_type of `die` names (void if absent). */
struct type *type_of_die(struct unit *unit, Dwarf_Die *die);

/** The place of `die` of `unit`, and the DIE of a place (false if it has none or is damaged). */
struct type_place type_place_of(const struct unit *unit, Dwarf_Die *die);
bool type_place_die(const struct type_place *place, Dwarf_Die *ret);

#endif
