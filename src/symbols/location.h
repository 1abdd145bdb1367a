// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_LOCATION_H
#define SYMBOLS_LOCATION_H

#include "symbols/unit.h"

// Location lists: .debug_loc (DWARF 2 to 4), .debug_loc.dwo (GNU's split DWARF 4) and
// .debug_loclists (DWARF 5, section 7.29).

/** Named limit: entries of one list. */
enum { LOCATION_LIST_LIMIT = 1 << 20 };

/**
 * The expression that the list at `value` (an offset, or with `is_index` the number of a
 * DW_FORM_loclistx) has in force at link-time `pc`. False if there is none or it is damaged.
 */
bool location_list_find(const struct unit *unit, uint64_t value, bool is_index, uint64_t pc,
			const uint8_t **bytes, size_t *size);

#endif
