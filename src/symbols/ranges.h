// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_RANGES_H
#define SYMBOLS_RANGES_H

#include "symbols/unit.h"

/** Named limit: entries of one range list. */
enum { RANGE_LIST_LIMIT = 1 << 20 };

/**
 * Visits the range list that a DW_AT_ranges of `unit` means: an offset into its section, or an
 * index (DW_FORM_rnglistx). False if it is damaged.
 */
bool ranges_visit(struct unit *unit, uint64_t value, bool is_index, range_visit visit,
		  void *context);

#endif
