// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_TYPE_H
#define SYMBOLS_TYPE_H

// Types, compiled once from DIEs: what values and expressions need, without libdw.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

struct strobe_symbols;
struct symbols_module;
struct unit;
struct expression_bytes;

enum type_kind {
	TYPE_VOID,
	TYPE_INTEGER,	// signed or unsigned; 1 to 16 bytes
	TYPE_CHARACTER, // char, signed/unsigned char, char8/16/32_t, wchar_t
	TYPE_BOOLEAN,
	TYPE_FLOAT,   // 2 to 16 bytes; 80-bit extended in 10, 12 or 16
	TYPE_DECIMAL, // decimal floating point
	TYPE_COMPLEX, // of `size / 2` floats each
	TYPE_ENUM,
	TYPE_POINTER,
	TYPE_REFERENCE, // &
	TYPE_RVALUE_REFERENCE,
	TYPE_MEMBER_POINTER, // pointer to member; `target` member type, `container` class
	TYPE_STRUCT,
	TYPE_CLASS,
	TYPE_UNION,
	TYPE_VARIANT, // Rust enum: variant part (see members' discriminants)
	TYPE_ARRAY,
	TYPE_FUNCTION,
	TYPE_TYPEDEF,
	TYPE_CONST,
	TYPE_VOLATILE,
	TYPE_RESTRICT,
	TYPE_ATOMIC,
	TYPE_UNKNOWN, // unsupported or damaged; `name` says what
};

/** Where the DIE of a type or of a part of one stands; type_place_die() reads it again. */
struct type_place {
	void *dwarf; // Dwarf handle; NULL if there is no DIE
	uint64_t offset;
	bool in_types; // in .debug_types, whose offsets are its own
};

/** A member, base class or static member of a structure. */
struct type_member {
	const char *name; // NULL or "" for anonymous
	struct type *type;
	uint64_t offset_bits; // from the start of the structure
	uint32_t bit_size;    // of a bit-field; 0 = not a bit-field
	bool base;	      // DW_TAG_inheritance
	bool virtual_base;    // its offset is found at run time (location expression)
	bool static_member;
	bool artificial;       // _vptr and the like
	bool has_discriminant; // of a variant member
	uint64_t discriminant; // its value
	bool default_variant;
	struct type_place place; // its DIE, to locate statics and virtual bases
};

struct type_enumerator {
	const char *name;
	int64_t value;
};

struct type_parameter {
	const char *name;
	struct type *type;
};

/** Bounds of one dimension of an array. */
struct type_dimension {
	int64_t lower;
	uint64_t count;
	bool unknown;		 // flexible or incomplete: []
	bool dynamic;		 // count depends on the frame (VLA); see variable.h to resolve
	struct type_place place; // its DIE
};

struct type {
	enum type_kind kind;
	const char *name; // tag or typedef name without "struct"; NULL if anonymous
	uint64_t size;	  // bytes; 0 if incomplete
	bool size_known;
	bool is_signed;	  // integers, characters, enums
	bool declaration; // incomplete here and nowhere complete
	bool is_flag_enum;
	bool dynamic;  // size or layout depends on the frame
	bool variadic; // functions
	bool vector;   // GNU vector type
	bool vtable;   // class has a vptr (itself or by base)
	bool prototyped;
	int language; // DW_LANG_* of its unit
	struct symbols_module *module;
	struct type *target; // pointee, element, underlying, return type; NULL = void
	struct type *container;
	// Filled by type_complete():
	bool completed;
	struct type *definition; // of a declaration, once found; NULL
	size_t member_count;
	struct type_member *members;
	size_t enumerator_count;
	struct type_enumerator *enumerators;
	size_t parameter_count;
	struct type_parameter *parameters;
	struct type_dimension dimension;  // one a TYPE_ARRAY; nested arrays for more
	struct type_member *discriminant; // TYPE_VARIANT: where it is; NULL = one variant
	const char *spelled;		  // cache of type_name()
	struct type_place place;	  // its DIE
};

/** Of DW_LANG_*. */
bool language_is_c(int language);
bool language_is_cplus(int language);
bool language_is_rust(int language);

/** Fills members, enumerators, parameters; follows a declaration to its definition in any module.
 *  Returns `type`, or the definition. Never NULL. */
struct type *type_complete(struct strobe_symbols *symbols, struct type *type);
/** Without typedefs and qualifiers; completed. */
struct type *type_strip(struct strobe_symbols *symbols, struct type *type);
/** Size in bytes with typedefs followed; false if incomplete or dynamic. */
bool type_size(struct strobe_symbols *symbols, struct type *type, uint64_t *size);
/** "struct conn *", "char [16]", "int (*)(void *)"; never NULL; lives as long as the symbols. */
const char *type_name(struct strobe_symbols *symbols, struct type *type);
/** The type whose DIE is at `offset` of .debug_info, or of .debug_types, of module `module_index`; NULL if there is
 *  none, or it is in a file of its own (split DWARF). */
struct type *type_at(struct strobe_symbols *symbols, size_t module_index, uint64_t offset,
		     bool in_types);
/** Return false to stop. */
typedef bool (*type_visit)(void *context, struct type *type);
/** Visits the structures, classes and unions of a module that have a name and are complete there, in no order, those of
 *  several units several times. False when memory is short. */
bool type_each_structure(struct strobe_symbols *symbols, size_t module_index, type_visit visit,
			 void *context);
/** How many bytes before the address point of its class's virtual table the offset of a virtual base stands (Itanium
 *  C++ ABI, 2.5.2), by the member's location; false where that is of another form. */
bool type_virtual_base_slot(const struct type_member *member, uint64_t *ret);
/** Return false to stop. */
typedef bool (*type_range_visit)(void *context, uint64_t start, uint64_t end);
/** Visits the stretches of a module, run-time addresses [start, end), where compilers put virtual tables. False if
 *  stopped. */
bool type_vtable_ranges(struct strobe_symbols *symbols, size_t module_index, type_range_visit visit,
			void *context);
/** Derived types, made and kept in the symbols. */
struct type *type_pointer_to(struct strobe_symbols *symbols, struct type *target);
struct type *type_reference_to(struct strobe_symbols *symbols, struct type *target, bool rvalue);
/** `target` itself where it is const, or memory is short. */
struct type *type_const_of(struct strobe_symbols *symbols, struct type *target);
struct type *type_array_of(struct strobe_symbols *symbols, struct type *element, uint64_t count);
/** A new type of `kind`, complete as its maker leaves it, kept in the symbols. Types come from here, from
 *  type_copy() or from debug information, never from elsewhere: type_complete() relies on it. NULL
 *  when memory is short. */
struct type *type_make(struct strobe_symbols *symbols, enum type_kind kind);
/** A type like `type` that can be changed; it is completed by itself. NULL when memory is short. */
struct type *type_copy(struct strobe_symbols *symbols, const struct type *type);
/** C's own types with their size on x86-64: "int", "unsigned long", "char", "double", ... */
struct type *type_builtin(struct strobe_symbols *symbols, const char *name);
/** The named type, by C or C++ spelling without declarator ("struct conn", "pid_t",
 *  "unsigned long", "ns::T"); prefers `near` (may be NULL), its module, then all. NULL if none. */
struct type *type_find(struct strobe_symbols *symbols, struct unit *near, const char *name);
/** The complete class whose virtual table starts its entries at run-time `vtable` (what an object's
 *  pointer to it holds); NULL if that is no such table, or the class is not described. */
struct type *type_of_vtable(struct strobe_symbols *symbols, uint64_t vtable);
/** The virtual method in entry `slot` of the virtual table at `adjustment` bytes in `class`, with
 *  its parameters: "ns::C::f(int) const". NULL if there is none. */
const char *type_virtual_method(struct strobe_symbols *symbols, struct type *class, uint64_t slot,
				uint64_t adjustment);
/** A method that a class itself declares. */
struct type_method {
	struct type *type;
	bool has_code;	  // somewhere in the process, out of line
	uint64_t address; // of the code, run-time
};
/** The first method of that name, one with code before others; false if `class` has none. */
bool type_method(struct strobe_symbols *symbols, struct type *class, const char *name,
		 struct type_method *ret);
/** Whether somebody wrote a constructor for a class, as far as debug information tells. */
bool type_declares_constructor(struct strobe_symbols *symbols, struct type *class);
/** What code is: a method of a class. */
struct type_code {
	struct type *class; // complete
	struct type
		*function; // the method, as declared; NULL where only its symbol tells what it is
	const char *name;  // "f" of "ns::C::f"; lives as long as the symbols
};
/** The method whose code begins at run-time `address`; false if there is none there, or its class is not described. */
bool type_code_at(struct strobe_symbols *symbols, uint64_t address, struct type_code *ret);
/** What Clang calls the class of a lambda, "(lambda at x.cpp:24:14)", for GCC, which gives it no name; NULL if `type` is none or
 *  has a name. From the symbols' arena. */
const char *type_closure_name(struct strobe_symbols *symbols, struct type *type);
/** The constant that debug information has of a static member; false if it has none. */
bool type_member_constant(const struct type_member *member, int64_t *ret);
/** Type argument `index` (from 0; values do not count, those of a pack do, one by one) of a template's instance;
 *  NULL past the last. void is a type. */
struct type *type_template_argument(struct strobe_symbols *symbols, struct type *type,
				    size_t index);
/** Whether two types are the same for comparisons and assignment (names and layout). */
bool type_equal(struct strobe_symbols *symbols, struct type *a, struct type *b);

#endif
