// SPDX-License-Identifier: Apache-2.0
#include "symbols/unit_header.h"

#include <dwarf.h>

#include "symbols/bytes.h"

bool unit_header_read(const struct section_bytes *section, bool in_types, uint64_t offset,
		      struct unit_header *ret)
{
	struct bytes bytes = bytes_of(section->data, section->size, offset);
	struct unit_header header = {.offset = offset, .type = DW_UT_compile};
	uint64_t length = bytes_initial_length(&bytes, &header.offset_size);
	if (bytes.bad || length > (uint64_t)(bytes.end - bytes.at))
		return false;
	header.end = (uint64_t)(bytes.at - section->data) + length;
	header.version = (uint16_t)bytes_unsigned(&bytes, 2);
	if (header.version < 2 || header.version > 5)
		return false;
	if (header.version >= 5) {
		header.type = (uint8_t)bytes_unsigned(&bytes, 1);
		header.address_size = (uint8_t)bytes_unsigned(&bytes, 1);
		header.abbrev_offset = bytes_unsigned(&bytes, header.offset_size);
	} else {
		header.abbrev_offset = bytes_unsigned(&bytes, header.offset_size);
		header.address_size = (uint8_t)bytes_unsigned(&bytes, 1);
		if (in_types)
			header.type = DW_UT_type;
	}
	bool is_type = header.type == DW_UT_type || header.type == DW_UT_split_type;
	if (is_type || header.type == DW_UT_skeleton || header.type == DW_UT_split_compile)
		header.id = bytes_unsigned(&bytes, 8);
	if (is_type)
		bytes_skip(&bytes, header.offset_size); // the type's DIE
	header.header_size = (uint64_t)(bytes.at - section->data) - offset;
	if (bytes.bad || header.offset + header.header_size > header.end ||
	    (header.address_size != 8 && header.address_size != 4))
		return false;
	*ret = header;
	return true;
}
