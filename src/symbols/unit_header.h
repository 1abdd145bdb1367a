// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_UNIT_HEADER_H
#define SYMBOLS_UNIT_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "symbols/sections.h"

/** The header of a unit in .debug_info or .debug_types (DWARF 5, section 7.5.1). */
struct unit_header {
	uint64_t offset, end; // in the section
	uint64_t header_size;
	uint64_t abbrev_offset;
	uint64_t id; // dwo id or type signature; 0 if none
	uint16_t version;
	uint8_t type; // DW_UT_*; DW_UT_compile for older ones of .debug_info
	uint8_t address_size, offset_size;
};

/** Reads the header at `offset`; false at the section's end or when it is damaged. */
bool unit_header_read(const struct section_bytes *section, bool in_types, uint64_t offset,
		      struct unit_header *ret);

#endif
