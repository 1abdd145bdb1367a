// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_TAIL_CALLS_H
#define SYMBOLS_TAIL_CALLS_H

// Functions that left the stack by a tail call, told from call sites (DWARF 5, section 3.4.1).

#include "symbols/function.h"

/** Named limits on hostile or very large call graphs. */
enum {
	TAIL_CHAIN_LIMIT = 32,	   // tail calls in a row
	TAIL_FUNCTION_LIMIT = 256, // functions looked into for one chain
	TAIL_DIE_LIMIT = 200000,   // DIEs read for one chain
};

/** Whether a DIE is a call site, of DWARF 5 or GNU's before it. */
bool call_site_is(Dwarf_Die *die);
/** The link-time address that the call returns to; false if the site does not tell. */
bool call_site_return_pc(struct unit *unit, Dwarf_Die *site, uint64_t *ret);
/** Whether the call is a jump: its caller has left the stack. */
bool call_site_is_tail(Dwarf_Die *site);
/**
 * Where a call site leads (run-time entry), if its DW_AT_call_origin says so: a function with code,
 * or a declaration, found by its symbol. False if that depends on the run, or if only the abstract
 * instance of a function with clones is named (gdb does not follow that either).
 */
bool call_site_target(struct unit *unit, Dwarf_Die *site, uint64_t *ret);

/** Calls between a caller and a callee that are not on the stack any more. */
struct tail_chain {
	uint64_t caller_pc, callee; // what it is for
	size_t count;
	uint64_t pcs[]; // run-time: behind each jump, innermost function first
};

/**
 * The chain by which the call that returns to run-time `caller_pc` led to the function at
 * `callee_pc`. What several chains have in common, if there are several. Count 0 if it is a plain
 * call or nothing is known. NULL when memory is short. Cached; lives as long as the symbols.
 */
const struct tail_chain *tail_calls_between(struct strobe_symbols *symbols, uint64_t caller_pc,
					    uint64_t callee_pc);

#endif
