// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_SPLIT_H
#define SYMBOLS_SPLIT_H

#include "symbols/unit.h"

struct sections;

// Split DWARF: the .dwo file, or its part of a .dwp file, that a skeleton unit stands for.

/** A file of split units that has been opened. */
struct split {
	struct split *next;
	Dwarf *dwarf;
	Elf *elf;
	struct file *file; // .dwo, owned; NULL for a part of a .dwp
	void *image;	   // owned; NULL for a .dwo
	size_t image_size;
	const char *path;
	struct sections *sections;
	const uint8_t *group; // of type units of a .dwp: their abbreviations there; else NULL
	struct unit *owner;   // a unit that was joined from here; its addresses serve type units
};

/** Finds the split unit for `skeleton`; NULL if there is none, `skeleton->problem` says why. */
struct split *split_open(struct unit *skeleton, const char *name, uint64_t id);
/** The type with that signature out of the module's .dwp file, for `unit`; false if none. */
bool split_type(struct unit *unit, uint64_t signature, Dwarf_Die *ret);
/** The header offset of the compile unit `id` in `split`; false if it is not there. */
bool split_find_unit(struct split *split, uint16_t version, uint64_t id, uint64_t *ret);
/** The file that libdw's handle belongs to; NULL if it is none of the module's. */
struct split *split_of_dwarf(struct symbols_module *module, Dwarf *dwarf);
/** The offset of the unit whose DIE is at `offset` (`at` in memory). */
uint64_t split_unit_header(struct split *split, const void *at, uint64_t offset, bool *in_types);
// split_close_all() of module.h releases what split_open() made and the module's .dwp.

#endif
