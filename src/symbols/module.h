// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_MODULE_H
#define SYMBOLS_MODULE_H

#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <strobe/symbols.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/file.h"
#include "base/hash.h"
#include "view/view.h"

struct unit;

/** Debug state of one module, opened at first use. Addresses in it are link-time unless said. */
struct symbols_module {
	struct strobe_symbols *symbols;
	size_t index;			    // in the view
	const struct strobe_module *module; // of the view: bias, name, path, build id
	bool opened;
	struct strobe_module_debug debug;

	Elf *main_elf;		     // file or memory image of the mapped module; NULL if none
	Elf *debug_elf;		     // separate debug file, or main_elf
	Elf *mini_elf;		     // unpacked .gnu_debugdata, or NULL
	Dwarf *dwarf;		     // NULL if there is no DWARF
	Dwarf *alternate;	     // dwz file, set with dwarf_setalt()
	const char *path;	     // for guards and messages
	const char *debug_path;	     // likewise, of debug_elf
	struct file *debug_file;     // owned; NULL if debug_elf is main_elf
	struct file *alternate_file; // owned
	Elf *alternate_elf;
	void *image; // main_elf read from the view's memory; owned, NULL if from a file
	size_t image_size;
	uint64_t code_start, code_end; // executable segments: DWARF ranges elsewhere are dead code

	struct elf_symbols *elf_symbols; // elf_symbols.c
	struct unit_table *units;	 // unit.c
	struct cfi *cfi;		 // cfi.c
	struct splits *splits;		 // split.c
	struct names *names;		 // names.c
	struct globals *globals;	 // globals.c
};

struct strobe_symbols {
	const struct strobe_view *view;
	struct arena arena; // strings and tables that live as long as the symbols
	struct symbols_module *modules;
	size_t module_count;
	struct hash pc_cache;	     // function.c: run-time pc -> struct code_position
	struct hash row_cache;	     // cfi.c: run-time pc -> struct cfi_row
	struct hash reentry_cache;   // entry_value.c: function -> whether it may jump to itself
	struct hash tail_cache;	     // tail_calls.c: caller and callee -> struct tail_chain
	struct hash site_cache;	     // entry_value.c: return address -> its struct call_site
	struct hash variables_cache; // value/variables.c: code_scope -> struct frame_variables
	struct type_table *types;    // type.c; freed by type_table_free()
};

// What the other files of this folder hang into a module, released with it.
struct elf_symbols *elf_symbols_free(struct elf_symbols *elf_symbols) __attribute__((weak));
struct cfi *cfi_free(struct cfi *cfi) __attribute__((weak));
struct unit_table *unit_table_free(struct unit_table *units);
struct names *names_free(struct names *names) __attribute__((weak));
struct globals *globals_free(struct globals *globals) __attribute__((weak));
void split_close_all(struct symbols_module *module);

/** Notes `problem` (from the arena or static) for strobe_symbols_module_debug(); the first stays. */
void module_problem(struct symbols_module *module, const char *problem);
/** Module `index` of the view, opened (ELF and DWARF handles made, nothing scanned). */
struct symbols_module *symbols_module(struct strobe_symbols *symbols, size_t index);
/** The opened module that holds run-time `address`, or NULL. */
struct symbols_module *symbols_module_at(struct strobe_symbols *symbols, uint64_t address);

#endif
