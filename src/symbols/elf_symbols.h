// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_ELF_SYMBOLS_H
#define SYMBOLS_ELF_SYMBOLS_H

// ELF symbol tables of a module: .symtab, .dynsym, .gnu_debugdata, and one for each PLT entry.

#include "symbols/module.h"

struct elf_symbols;

/** What the tables of a module are; loads them at first use. */
struct elf_symbols_summary {
	bool symtab, mini, dynamic; // which kinds were found
	size_t count;
};
void elf_symbols_summary(struct symbols_module *module, struct elf_symbols_summary *ret);
/** Releases module->elf_symbols (NULL is fine); returns NULL. */
struct elf_symbols *elf_symbols_free(struct elf_symbols *elf_symbols);

/**
 * The name of the function at link-time `address`, demangled, without parameters, as frames show
 * it; NULL if unknown. `*start` is its link-time address. From the arena.
 */
const char *elf_symbols_function_at(struct symbols_module *module, uint64_t address,
				    uint64_t *start);
/** The best symbol at link-time `address` (see strobe_symbol_at()); false if none. */
bool elf_symbols_at(struct symbols_module *module, uint64_t address, struct strobe_symbol *ret);
/**
 * Symbol number `nth` (from 0) called `name`: its linkage name, or demangled with or without
 * parameters; global ones first. False when there are no more.
 */
bool elf_symbols_find(struct symbols_module *module, const char *name, size_t nth,
		      struct strobe_symbol *ret);

/** True if the symbol with that linkage name, `size` bytes without its version, is wanted. */
typedef bool (*elf_symbols_filter)(void *context, const char *name, size_t size);
/** Return false to stop. */
typedef bool (*elf_symbols_visit)(void *context, const struct strobe_symbol *symbol);
/** Visits the symbols called `exact` or, if that is NULL, those that `filter` takes. False if
 *  stopped. */
bool elf_symbols_for_each(struct symbols_module *module, const char *exact,
			  elf_symbols_filter filter, elf_symbols_visit visit, void *context);

#endif
