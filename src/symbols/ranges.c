// SPDX-License-Identifier: Apache-2.0
// Range lists: .debug_ranges (DWARF 2 to 4) and .debug_rnglists (DWARF 5, section 7.25).

#include "symbols/ranges.h"

#include <dwarf.h>

#include "symbols/bytes.h"

static bool visit_old(struct unit *unit, struct bytes bytes, range_visit visit, void *context)
{
	uint64_t base = unit->low_pc;
	unsigned size = unit->address_size;
	uint64_t largest = size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1;
	for (int i = 0; i < RANGE_LIST_LIMIT; i++) {
		uint64_t start = bytes_unsigned(&bytes, size);
		uint64_t end = bytes_unsigned(&bytes, size);
		if (bytes.bad)
			return false;
		if (!start && !end)
			return true;
		if (start == largest)
			base = end;
		else if (start < end && !visit(context, base + start, base + end))
			return true;
	}
	return false;
}

static bool visit_new(struct unit *unit, struct bytes bytes, range_visit visit, void *context)
{
	uint64_t base = unit->low_pc, start, end;
	unsigned size = unit->address_size;
	for (int i = 0; i < RANGE_LIST_LIMIT; i++) {
		unsigned kind = (unsigned)bytes_unsigned(&bytes, 1);
		bool known = true;
		if (bytes.bad)
			return false;
		switch (kind) {
		case DW_RLE_end_of_list:
			return true;
		case DW_RLE_base_addressx:
			if (!unit_address(unit, bytes_uleb(&bytes), &base))
				return false;
			continue;
		case DW_RLE_startx_endx:
			known = unit_address(unit, bytes_uleb(&bytes), &start);
			known = unit_address(unit, bytes_uleb(&bytes), &end) && known;
			break;
		case DW_RLE_startx_length:
			known = unit_address(unit, bytes_uleb(&bytes), &start);
			end = bytes_uleb(&bytes);
			if (known)
				end += start;
			break;
		case DW_RLE_offset_pair:
			start = base + bytes_uleb(&bytes);
			end = base + bytes_uleb(&bytes);
			break;
		case DW_RLE_base_address:
			base = bytes_unsigned(&bytes, size);
			continue;
		case DW_RLE_start_end:
			start = bytes_unsigned(&bytes, size);
			end = bytes_unsigned(&bytes, size);
			break;
		case DW_RLE_start_length:
			start = bytes_unsigned(&bytes, size);
			end = start + bytes_uleb(&bytes);
			break;
		default:
			return false;
		}
		if (bytes.bad)
			return false;
		if (known && start < end && !visit(context, start, end))
			return true;
	}
	return false;
}

bool ranges_visit(struct unit *unit, uint64_t value, bool is_index, range_visit visit,
		  void *context)
{
	if (!unit->address_size || unit->address_size > 8)
		return false;
	if (unit->version < 5)
		return visit_old(
			unit,
			bytes_of(unit->rnglists, unit->rnglists_size, value + unit->ranges_base),
			visit, context);
	if (is_index) {
		if (value > unit->rnglists_size)
			return false;
		struct bytes table = bytes_of(unit->rnglists, unit->rnglists_size,
					      unit->rnglists_base + value * unit->offset_size);
		value = unit->rnglists_base + bytes_unsigned(&table, unit->offset_size);
		if (table.bad)
			return false;
	}
	return visit_new(unit, bytes_of(unit->rnglists, unit->rnglists_size, value), visit,
			 context);
}
