// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_GLOBALS_H
#define SYMBOLS_GLOBALS_H

// Variables with a fixed place, by address: global ones, statics of files, classes and functions,
// and thread-locals. A table a module, made at first use.

#include "symbols/variable.h"

struct globals;

/** A variable. Sorted by address, one an address. */
struct global {
	uint64_t address; // link-time; of a thread-local, in its module's block
	uint32_t unit;	  // slot
	uint32_t offset;  // of its DIE, from the unit's start
	uint32_t scope;	  // of the function that it is static in, likewise; 0 = none
};

/** The module's table, `*count` long; NULL if it has none, is not described, or memory is short. */
const struct global *globals_plain(struct symbols_module *module, size_t *count);
const struct global *globals_thread_local(struct symbols_module *module, size_t *count);
/** The last variable at or before link-time `address`; its index, SIZE_MAX if there is none. */
size_t globals_before(const struct global *table, size_t count, uint64_t address);
/** The variable itself, of this or of another module with the same debug information; false if it
 *  cannot be read. */
bool globals_variable(struct symbols_module *module, const struct global *global,
		      struct variable *ret);
/** "ns::name", "function::name"; lives as long as the symbols; NULL if it has none. */
const char *globals_name(struct symbols_module *module, const struct global *global);
/** The unit's name of a variable that is not external; else NULL. */
const char *globals_file(struct variable *variable);
/** Size of a module's block of thread-locals; 0 if it has none. */
uint64_t globals_thread_block(struct symbols_module *module);
/** Releases module->globals (NULL is fine); returns NULL. */
struct globals *globals_free(struct globals *globals);

#endif
