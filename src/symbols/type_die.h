// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_TYPE_DIE_H
#define SYMBOLS_TYPE_DIE_H

#include "symbols/type.h"
#include "symbols/unit.h"

// The part of types that speaks libdw; for src/symbols only.

/** The type that is `die` itself (a DW_TAG_*_type). Interned by DIE. NULL when memory is short. */
struct type *type_from_die(struct unit *unit, Dwarf_Die *die);
/** The type that DW_AT_type of `die` names (void if absent). */
struct type *type_of_die(struct unit *unit, Dwarf_Die *die);

#endif
