// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_UNIT_H
#define SYMBOLS_UNIT_H

// Units of DWARF and the reading of DIEs. libdw reads the trees; addresses by index, range lists
// and location lists are read here, so that .dwo and .dwp units (which libdw 0.188 cannot link to
// their skeletons in every case) answer like any other.

#include "symbols/module.h"

/** A compile, partial or type unit; with split DWARF the pair of skeleton and full unit. */
struct unit {
	struct symbols_module *module;
	const struct sections *sections; // of the file that `die` is in
	uint64_t offset, end; // of the unit with its header, in .debug_info or .debug_types
	uint64_t header_size; // from `offset` to the unit DIE
	uint64_t abbrev_offset;
	bool in_types;	    // of .debug_types
	bool in_alternate;  // of the dwz file
	struct unit *plain; // the skeleton as a unit of its own; this unit itself if not split
	Dwarf *dwarf;	    // where `die` is read from: module->dwarf, the dwz file, a .dwo, .dwp
	Dwarf_Die die;	    // the full unit DIE (the split one where there is one)
	Dwarf_Die skeleton; // same as `die` if not split
	const char *name;   // DW_AT_name, "" if none
	const char *directory; // DW_AT_comp_dir, or NULL
	uint16_t version;
	uint8_t address_size;
	uint8_t offset_size;
	bool split;
	int language;	      // DW_LANG_*; 0 if unknown
	const char *producer; // may be NULL
	uint64_t low_pc;      // base address for range and location lists
	const char *problem;  // e.g. "a.dwo not found"; NULL if none
	// Raw sections that this unit's attributes index, NULL/0 if absent.
	const uint8_t *addr;	 // .debug_addr at the unit's addr_base (of the skeleton's file)
	size_t addr_size;	 // bytes from there to the end of the section
	const uint8_t *loclists; // whole .debug_loclists[.dwo] or .debug_loc[.dwo]
	size_t loclists_size;
	uint64_t loclists_base;	 // where loclistx offsets start
	const uint8_t *rnglists; // whole .debug_rnglists[.dwo] or .debug_ranges
	size_t rnglists_size;
	uint64_t rnglists_base;		  // where rnglistx offsets start
	uint64_t str_offsets_base;	  // where DW_FORM_strx indexes start
	uint64_t ranges_base;		  // DW_AT_GNU_ranges_base, added to .debug_ranges offsets
	struct function_table *functions; // function.c
	struct line_table *lines;	  // line.c
	struct scope_table *scopes;	  // scope.c
	struct split *split_file;	  // split.c: where a split unit is read from
};

/** Number of compile units (skeletons included) of the module, and one of them; opens .dwo lazily. */
size_t unit_count(struct symbols_module *module);
struct unit *unit_get(struct symbols_module *module, size_t index);
/** The unit whose code holds link-time `address`, or NULL. Uses .debug_aranges where it covers the
 *  unit, else the units' own ranges; indexed once. */
struct unit *unit_at(struct symbols_module *module, uint64_t address);
/** The unit that `die` belongs to (also partial units, type units and those of the dwz file). */
struct unit *unit_of_die(struct symbols_module *module, Dwarf_Die *die);

/** Attribute `at`, following DW_AT_abstract_origin and DW_AT_specification; false if absent. */
bool die_attribute(Dwarf_Die *die, unsigned at, Dwarf_Attribute *ret);
/** DW_AT_name (integrated), or NULL. */
const char *die_name(Dwarf_Die *die);
/** A flag attribute (integrated); false if absent. */
bool die_flag(Dwarf_Die *die, unsigned at);
/** An unsigned constant (integrated). */
bool die_unsigned(Dwarf_Die *die, unsigned at, uint64_t *ret);
/** A reference attribute of any form: unit, section, type signature, dwz. */
bool die_reference(Dwarf_Die *die, unsigned at, Dwarf_Die *ret);
/** An address attribute: addr, addrx*, GNU_addr_index. Link-time. */
bool die_address(struct unit *unit, Dwarf_Die *die, unsigned at, uint64_t *ret);
/** Entry `index` of the unit's address table. */
bool unit_address(struct unit *unit, uint64_t index, uint64_t *ret);
/** Where a code DIE is entered: DW_AT_low_pc, or the start of its first range. False if it has no
 *  code. Parts that the compiler moved away may lie below it. */
bool die_entry_pc(struct unit *unit, Dwarf_Die *die, uint64_t *ret);

/** True for a link-time address in the module's code: linkers leave zeros and ones for functions
 *  that they dropped. */
bool module_is_code(const struct symbols_module *module, uint64_t address);
/** The sections of the dwz file; all absent if there is none. */
const struct sections *unit_alternate_sections(struct symbols_module *module);
/** Every unit of any kind: those of .debug_info, .debug_types and the dwz file, in that order;
 *  NULL for a damaged one. */
size_t unit_slot_count(struct symbols_module *module);
struct unit *unit_slot(struct symbols_module *module, size_t index);

/** Called for each [start, end), link-time; return false to stop. */
typedef bool (*range_visit)(void *context, uint64_t start, uint64_t end);
/** Visits the code ranges of a DIE (low/high pc or any range list). False if damaged. */
bool die_ranges(struct unit *unit, Dwarf_Die *die, range_visit visit, void *context);
/** True if one of the ranges holds link-time `pc`. */
bool die_holds_pc(struct unit *unit, Dwarf_Die *die, uint64_t pc);

/** The path of a file number of the unit's line table (decl_file, call_file), absolute; NULL. */
const char *unit_file(struct unit *unit, uint64_t number);
/** "ns::Class::name" of a DIE in `unit`; from the arena; NULL if it has no name. Rust and C++
 *  scopes with "::"; C names plain. */
const char *die_qualified_name(struct unit *unit, Dwarf_Die *die);

#endif
