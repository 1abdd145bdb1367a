// SPDX-License-Identifier: Apache-2.0
#include "symbols/location.h"

#include <dwarf.h>

#include "symbols/bytes.h"

/** One entry of a list: [start, end) and its expression. */
struct entry {
	uint64_t start, end;
	const uint8_t *data;
	uint64_t size;
	bool known; // addresses by index may lead nowhere
	bool is_default;
};

enum entry_kind { ENTRY_LOCATION, ENTRY_OTHER, ENTRY_LAST };

static bool table_address(const struct unit *unit, uint64_t index, uint64_t *ret)
{
	if (!unit->addr || index >= unit->addr_size / unit->address_size)
		return false;
	*ret = 0;
	memcpy(ret, unit->addr + index * unit->address_size, unit->address_size);
	return true;
}

static void take_expression(struct bytes *bytes, uint64_t size, struct entry *entry)
{
	entry->data = bytes->at;
	entry->size = size;
	bytes_skip(bytes, size);
}

static enum entry_kind read_old(const struct unit *unit, struct bytes *bytes, uint64_t *base,
				struct entry *entry)
{
	unsigned width = unit->address_size;
	uint64_t largest = width >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1;
	uint64_t start = bytes_unsigned(bytes, width), end = bytes_unsigned(bytes, width);
	if (start == 0 && end == 0)
		return ENTRY_LAST;
	if (start == largest) {
		*base = end;
		return ENTRY_OTHER;
	}
	entry->start = *base + start;
	entry->end = *base + end;
	take_expression(bytes, bytes_unsigned(bytes, 2), entry);
	return ENTRY_LOCATION;
}

/** The draft of split DWARF that GCC and clang write with DWARF 4. */
static enum entry_kind read_split(const struct unit *unit, struct bytes *bytes, uint64_t *base,
				  struct entry *entry)
{
	switch (bytes_unsigned(bytes, 1)) {
	case DW_LLE_GNU_base_address_selection_entry:
		table_address(unit, bytes_uleb(bytes), base);
		return ENTRY_OTHER;
	case DW_LLE_GNU_start_end_entry:
		entry->known = table_address(unit, bytes_uleb(bytes), &entry->start);
		entry->known &= table_address(unit, bytes_uleb(bytes), &entry->end);
		break;
	case DW_LLE_GNU_start_length_entry:
		entry->known = table_address(unit, bytes_uleb(bytes), &entry->start);
		entry->end = entry->start + bytes_unsigned(bytes, 4);
		break;
	case 4: // offset pair
		entry->start = *base + bytes_unsigned(bytes, 4);
		entry->end = *base + bytes_unsigned(bytes, 4);
		break;
	default:
		return ENTRY_LAST;
	}
	take_expression(bytes, bytes_unsigned(bytes, 2), entry);
	return ENTRY_LOCATION;
}

static enum entry_kind read_new(const struct unit *unit, struct bytes *bytes, uint64_t *base,
				struct entry *entry)
{
	unsigned width = unit->address_size;
	switch (bytes_unsigned(bytes, 1)) {
	case DW_LLE_base_addressx:
		table_address(unit, bytes_uleb(bytes), base);
		return ENTRY_OTHER;
	case DW_LLE_startx_endx:
		entry->known = table_address(unit, bytes_uleb(bytes), &entry->start);
		entry->known &= table_address(unit, bytes_uleb(bytes), &entry->end);
		break;
	case DW_LLE_startx_length:
		entry->known = table_address(unit, bytes_uleb(bytes), &entry->start);
		entry->end = entry->start + bytes_uleb(bytes);
		break;
	case DW_LLE_offset_pair:
		entry->start = *base + bytes_uleb(bytes);
		entry->end = *base + bytes_uleb(bytes);
		break;
	case DW_LLE_default_location:
		entry->is_default = true;
		break;
	case DW_LLE_base_address:
		*base = bytes_unsigned(bytes, width);
		return ENTRY_OTHER;
	case DW_LLE_start_end:
		entry->start = bytes_unsigned(bytes, width);
		entry->end = bytes_unsigned(bytes, width);
		break;
	case DW_LLE_start_length:
		entry->start = bytes_unsigned(bytes, width);
		entry->end = entry->start + bytes_uleb(bytes);
		break;
	case DW_LLE_GNU_view_pair:
		bytes_uleb(bytes);
		bytes_uleb(bytes);
		return ENTRY_OTHER;
	default:
		return ENTRY_LAST;
	}
	take_expression(bytes, bytes_uleb(bytes), entry);
	return ENTRY_LOCATION;
}

static enum entry_kind read_entry(const struct unit *unit, struct bytes *bytes, uint64_t *base,
				  struct entry *entry)
{
	*entry = (struct entry){.known = true};
	if (unit->version >= 5)
		return read_new(unit, bytes, base, entry);
	if (unit->split)
		return read_split(unit, bytes, base, entry);
	return read_old(unit, bytes, base, entry);
}

/** The offset of list number `index`. */
static bool list_offset(const struct unit *unit, uint64_t index, uint64_t *ret)
{
	if (index > unit->loclists_size)
		return false;
	struct bytes table = bytes_of(unit->loclists, unit->loclists_size,
				      unit->loclists_base + index * unit->offset_size);
	*ret = unit->loclists_base + bytes_unsigned(&table, unit->offset_size);
	return !table.bad;
}

bool location_list_find(const struct unit *unit, uint64_t value, bool is_index, uint64_t pc,
			const uint8_t **data, size_t *size)
{
	uint64_t base = unit->low_pc;
	struct entry entry, fallback = {0};
	if (unit->address_size == 0 || unit->address_size > 8 ||
	    (is_index && !list_offset(unit, value, &value)))
		return false;
	struct bytes bytes = bytes_of(unit->loclists, unit->loclists_size, value);
	for (int i = 0; i < LOCATION_LIST_LIMIT && !bytes.bad; i++) {
		enum entry_kind kind = read_entry(unit, &bytes, &base, &entry);
		if (bytes.bad || kind == ENTRY_LAST)
			break;
		if (kind == ENTRY_OTHER)
			continue;
		if (entry.is_default)
			fallback = entry;
		else if (entry.known && entry.start <= pc && pc < entry.end) {
			*data = entry.data;
			*size = entry.size;
			return true;
		}
	}
	*data = fallback.data;
	*size = fallback.size;
	return fallback.is_default;
}
