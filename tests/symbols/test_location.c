// SPDX-License-Identifier: Apache-2.0
#include "symbols/location.h"

#include <dwarf.h>

#include "check.h"

// Lists built byte by byte. Expressions are one byte long, so that each says which entry it is of.

enum { BASE = 0x1000 };

static const uint8_t addresses[] = {0x00, 0x20, 0, 0, 0, 0, 0, 0, 0x80, 0x20, 0, 0, 0, 0, 0, 0};

static struct unit unit_of(uint16_t version, bool split, const uint8_t *bytes, size_t size)
{
	return (struct unit){.version = version,
			     .address_size = 8,
			     .offset_size = 4,
			     .split = split,
			     .low_pc = BASE,
			     .addr = addresses,
			     .addr_size = sizeof(addresses),
			     .loclists = bytes,
			     .loclists_size = size};
}

/** The expression's byte at `pc`, or -1. The list is copied so that a read past it is noticed. */
static int find(uint16_t version, bool split, const uint8_t *bytes, size_t size, uint64_t pc)
{
	uint8_t *copy = malloc(size);
	memcpy(copy, bytes, size);
	struct unit unit = unit_of(version, split, copy, size);
	const uint8_t *data = NULL;
	size_t data_size = 0;
	int found = -1;
	if (location_list_find(&unit, 0, false, pc, &data, &data_size))
		found = data_size == 1 ? data[0] : -2;
	free(copy);
	return found;
}

#define LE8(x) (x) & 0xff, (x) >> 8 & 0xff, 0, 0, 0, 0, 0, 0
#define ONES 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff

static void old_lists(void)
{
	static const uint8_t list[] = {
		LE8(0x10), LE8(0x20), 1, 0, 0x51,		       // BASE + ...
		LE8(0x20), LE8(0x20), 1, 0, 0x52,		       // empty
		LE8(0x20), LE8(0x30), 1, 0, 0x53, ONES,	  LE8(0x5000), // a new base
		LE8(0x10), LE8(0x20), 1, 0, 0x54, LE8(0), LE8(0)};
	CHECK_EQUAL(find(4, false, list, sizeof(list), 0x1010), 0x51);
	CHECK_EQUAL(find(4, false, list, sizeof(list), 0x101f), 0x51);
	CHECK_EQUAL(find(4, false, list, sizeof(list), 0x1020), 0x53);
	CHECK_EQUAL(find(3, false, list, sizeof(list), 0x5010), 0x54);
	CHECK_EQUAL(find(2, false, list, sizeof(list), 0x1030), -1);
	CHECK_EQUAL(find(4, false, list, sizeof(list), 0x100f), -1);
	for (size_t size = 1; size < sizeof(list); size++)
		CHECK(find(4, false, list, size, 0x9999) == -1);
}

static void split_lists_of_dwarf_4(void)
{
	static const uint8_t list[] = {DW_LLE_GNU_start_length_entry,
				       0,
				       0x10,
				       0,
				       0,
				       0,
				       1,
				       0,
				       0x51,
				       DW_LLE_GNU_start_length_entry,
				       7,
				       0x10,
				       0,
				       0,
				       0,
				       1,
				       0,
				       0x52, // no such address
				       DW_LLE_GNU_start_end_entry,
				       0,
				       1,
				       1,
				       0,
				       0x53,
				       DW_LLE_GNU_base_address_selection_entry,
				       1,
				       4,
				       0,
				       1,
				       0,
				       0,
				       0,
				       2,
				       0,
				       0,
				       1,
				       0,
				       0x54,
				       DW_LLE_GNU_end_of_list_entry};
	CHECK_EQUAL(find(4, true, list, sizeof(list), 0x2000), 0x51);
	CHECK_EQUAL(find(4, true, list, sizeof(list), 0x2010), 0x53);
	CHECK_EQUAL(find(4, true, list, sizeof(list), 0x207f), 0x53);
	CHECK_EQUAL(find(4, true, list, sizeof(list), 0x2180), 0x54);
	CHECK_EQUAL(find(4, true, list, sizeof(list), 0x2280), -1);
	CHECK_EQUAL(find(4, true, list, sizeof(list), 0x5), -1);
}

static void lists_of_dwarf_5(void)
{
	static const uint8_t list[] = {DW_LLE_GNU_view_pair,
				       1,
				       2,
				       DW_LLE_offset_pair,
				       0x10,
				       0x20,
				       1,
				       0x51,
				       DW_LLE_startx_endx,
				       0,
				       1,
				       1,
				       0x52,
				       DW_LLE_startx_length,
				       1,
				       0x10,
				       1,
				       0x53,
				       DW_LLE_base_addressx,
				       1,
				       DW_LLE_offset_pair,
				       0x10,
				       0x20,
				       1,
				       0x54,
				       DW_LLE_base_address,
				       LE8(0x7000),
				       DW_LLE_offset_pair,
				       0,
				       1,
				       1,
				       0x55,
				       DW_LLE_start_end,
				       LE8(0x8000),
				       LE8(0x8001),
				       1,
				       0x56,
				       DW_LLE_start_length,
				       LE8(0x9000),
				       1,
				       1,
				       0x57,
				       DW_LLE_default_location,
				       1,
				       0x58,
				       DW_LLE_end_of_list};
	CHECK_EQUAL(find(5, false, list, sizeof(list), 0x1010), 0x51);
	CHECK_EQUAL(find(5, false, list, sizeof(list), 0x2000), 0x52);
	CHECK_EQUAL(find(5, true, list, sizeof(list), 0x208f), 0x53);
	CHECK_EQUAL(find(5, true, list, sizeof(list), 0x2090), 0x54);
	CHECK_EQUAL(find(5, false, list, sizeof(list), 0x7000), 0x55);
	CHECK_EQUAL(find(5, false, list, sizeof(list), 0x8000), 0x56);
	CHECK_EQUAL(find(5, false, list, sizeof(list), 0x9000), 0x57);
	CHECK_EQUAL(find(5, false, list, sizeof(list), 0x1), 0x58);
}

static void lists_by_index(void)
{
	static const uint8_t section[] = {9,
					  9,
					  9,
					  9,
					  8,
					  0,
					  0,
					  0,
					  14,
					  0,
					  0,
					  0,
					  DW_LLE_offset_pair,
					  0,
					  1,
					  1,
					  0x51,
					  0,
					  DW_LLE_offset_pair,
					  0,
					  1,
					  1,
					  0x52,
					  0};
	struct unit unit = unit_of(5, false, section, sizeof(section));
	const uint8_t *data;
	size_t size;
	unit.loclists_base = 4;
	CHECK(location_list_find(&unit, 0, true, BASE, &data, &size));
	CHECK_EQUAL(data[0], 0x51);
	CHECK(location_list_find(&unit, 1, true, BASE, &data, &size));
	CHECK_EQUAL(data[0], 0x52);
	CHECK(!location_list_find(&unit, 100, true, BASE, &data, &size));
	CHECK(!location_list_find(&unit, UINT64_MAX, true, BASE, &data, &size));
	CHECK(!location_list_find(&unit, UINT64_MAX, false, BASE, &data, &size));
	unit.loclists = NULL;
	unit.loclists_size = 0;
	CHECK(!location_list_find(&unit, 0, false, BASE, &data, &size));
	CHECK(!location_list_find(&unit, 0, true, BASE, &data, &size));
}

CHECK_MAIN({"lists of DWARF 2 to 4", old_lists}, {"split lists of DWARF 4", split_lists_of_dwarf_4},
	   {"lists of DWARF 5", lists_of_dwarf_5}, {"lists by index", lists_by_index})
