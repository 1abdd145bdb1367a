// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_ELF_OBJECTS_H
#define SYMBOLS_ELF_OBJECTS_H

// A module's data as its ELF file names it: objects of the symbol tables, and sections.

#include "symbols/elf_symbols.h"

/** Visits the symbols of variables, thread-local ones too (their address is the offset in the module's block), that have a
 *  size; nothing else is demangled. Sorted by address, thread-local ones behind. False if stopped. */
bool elf_objects(struct symbols_module *module, elf_symbols_visit visit, void *context);

/** The name of the section that holds link-time `address`, and where it ends; borrowed from the module. NULL if it is in
 *  none; `*end` is then where the next one begins (UINT64_MAX: there is none). */
const char *elf_section_at(struct symbols_module *module, uint64_t address, uint64_t *end);

#endif
