// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_FUNCTION_H
#define SYMBOLS_FUNCTION_H

#include "symbols/unit.h"

/** Named limit: inlined calls within each other at one pc. */
enum { SCOPE_DEPTH_LIMIT = 256 };

/** One function, real or inlined, that is active at a pc. */
struct code_scope {
	struct unit *unit;
	Dwarf_Die die; // DW_TAG_subprogram or DW_TAG_inlined_subroutine
	bool inlined;
	const char *function;	  // qualified name without parameters; may be NULL
	const char *linkage_name; // mangled, may be NULL
	uint64_t start;		  // entry, run-time (for offsets)
	const char *file;	  // of the position in this scope; NULL if unknown
	unsigned line, column;
};

/** Everything known of a code address; cached by pc in struct strobe_symbols. */
struct code_position {
	uint64_t pc;		       // run-time
	struct symbols_module *module; // NULL if in none
	size_t scope_count;	       // 0 without debug information
	struct code_scope *scopes;     // innermost (inlined) first; the real function last
	const char *function; // ELF symbol's demangled name if scope_count is 0; may be NULL
	uint64_t start;	      // its address
};

/** The position at run-time `pc` (for callers pass return address - 1). NULL only when memory is
 *  short. Borrowed from the symbols. */
const struct code_position *code_position_at(struct strobe_symbols *symbols, uint64_t pc);
/** What strobe_function says of the function that is `die` of `unit`. */
void function_describe(struct unit *unit, Dwarf_Die *die, struct strobe_function *ret);

#endif
