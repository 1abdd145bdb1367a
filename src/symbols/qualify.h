// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_QUALIFY_H
#define SYMBOLS_QUALIFY_H

#include "symbols/unit.h"

// Beside die_qualified_name() of unit.h.

/** True for languages with namespaces or classes: all but C and assembler. */
bool language_has_scopes(int language);
bool language_is_cxx(int language);
/** The name with its scopes as the DIEs tell them, whatever the linkage name says. */
const char *die_scoped_name(struct unit *unit, Dwarf_Die *die);
/** Makes `die` the one that declares it, in its class or namespace; the unit of that. */
struct unit *die_declaration(struct unit *unit, Dwarf_Die *die);
/** DW_AT_linkage_name (integrated), or NULL. */
const char *die_linkage_name(Dwarf_Die *die);

#endif
