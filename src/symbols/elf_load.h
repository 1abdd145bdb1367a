// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_ELF_LOAD_H
#define SYMBOLS_ELF_LOAD_H

// Reads a module's symbol tables into one array; for elf_symbols.c and elf_objects.c only.

#include "symbols/elf_symbols.h"

/** Named limits: symbols of one module, and tables they come from. */
enum { ELF_SYMBOL_LIMIT = 16 << 20, ELF_TABLE_LIMIT = 8 };

/** 24 bytes: programs have millions. */
struct elf_symbol {
	uint64_t value; // link-time address; of TLS symbols the offset in the block
	uint64_t size;
	uint32_t name;	  // offset in the string table
	uint16_t section; // as in the file: SHN_ABS matters
	uint8_t info;	  // type and binding
	uint8_t table;
};

struct elf_strings {
	const char *data; // ends with a NUL at data[size - 1]
	size_t size;
};

/** A stretch of the module that holds code or data: a section, or a segment where there are none. */
struct elf_extent {
	uint64_t start, end; // link-time
};

struct elf_symbols {
	// Those with an address in the process come first, sorted by it; then the others.
	ARRAY(struct elf_symbol) symbols;
	size_t addressed;
	struct elf_strings tables[ELF_TABLE_LIMIT];
	size_t table_count;
	ARRAY(struct elf_extent) extents; // sorted
	struct elf_symbols_summary summary;
	ARRAY(char) made_names; // of PLT entries
	uint8_t *mini;		// unpacked .gnu_debugdata
	Elf *mini_elf;
	// By name, made at the first search: heads and chains of 1-based symbol numbers.
	uint32_t *buckets, *chain;
	size_t bucket_count;
};

/** Fills `symbols`; false when memory is short. */
bool elf_load(struct symbols_module *module, struct elf_symbols *symbols);
/** Adds a symbol for each entry of the PLT sections, "puts@plt". False when memory is short. */
bool elf_load_plt(Elf *elf, struct elf_symbols *symbols);
/** The first section called `name`, or NULL. */
Elf_Scn *elf_load_section(Elf *elf, const char *name, GElf_Shdr *header);
const char *elf_symbol_name(const struct elf_symbols *symbols, const struct elf_symbol *symbol);

/** elf_symbols.c: the symbol as the interface shows it. */
void elf_symbols_fill(struct symbols_module *module, const struct elf_symbols *symbols,
		      const struct elf_symbol *symbol, struct strobe_symbol *ret);

#endif
