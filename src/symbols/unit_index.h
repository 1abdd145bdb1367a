// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_UNIT_INDEX_H
#define SYMBOLS_UNIT_INDEX_H

#include "symbols/unit.h"

// Which unit holds an address: sorted intervals, made once without reading any DIE tree.

struct sections;
struct unit_index;

struct unit_index *unit_index_new(struct symbols_module *module);
struct unit_index *unit_index_free(struct unit_index *index);
/** The index for unit_get() of the unit at link-time `address`; SIZE_MAX if none. */
size_t unit_index_find(const struct unit_index *index, uint64_t address);

// From unit.c, for this index:
/** Unit `index` of unit_get() as its own file has it, with no .dwo looked for. */
struct unit *unit_plain(struct symbols_module *module, size_t index);
/** The sections of the module's DWARF file. */
const struct sections *unit_sections(struct symbols_module *module);
/** The unit_get() index of the unit that holds .debug_info `offset`; SIZE_MAX if none. */
size_t unit_at_offset(struct symbols_module *module, uint64_t offset);

#endif
