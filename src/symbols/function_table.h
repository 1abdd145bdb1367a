// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_FUNCTION_TABLE_H
#define SYMBOLS_FUNCTION_TABLE_H

#include "symbols/unit.h"

// The functions with code of one unit, by address, and the scopes around its DIEs.

/** Visits the ranges of all functions of `unit`. */
void function_table_ranges(struct unit *unit, range_visit visit, void *context);
/** The DIE offset of the innermost function whose ranges hold link-time `pc`; false if none. */
bool function_table_find(struct unit *unit, uint64_t pc, uint64_t *die_offset);
/** The offset of the namespace, class or enumeration DIE around the DIE at `offset`; false if it is
 *  at the top of the unit or, unless `deep`, within a function. */
bool function_table_scope(struct unit *unit, uint64_t offset, bool deep, uint64_t *ret);
void function_table_free(struct unit *unit);

#endif
