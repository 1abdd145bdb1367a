// SPDX-License-Identifier: Apache-2.0
#include "symbols/unit_index.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/guard.h"
#include "symbols/bytes.h"
#include "symbols/function_table.h"
#include "symbols/sections.h"

struct interval {
	uint64_t start, end;
	uint64_t reach; // the largest end up to here: ends the search among overlapping ones
	uint32_t unit;
};

struct unit_index {
	ARRAY(struct interval) intervals;
};

struct unit_index *unit_index_free(struct unit_index *index)
{
	if (!index)
		return NULL;
	array_fini(&index->intervals);
	free(index);
	return NULL;
}

struct adding {
	struct unit_index *index;
	struct symbols_module *module;
	uint32_t unit;
	bool any;
};

static bool add(void *context, uint64_t start, uint64_t end)
{
	struct adding *adding = context;
	if (!module_is_code(adding->module, start) || start >= end)
		return true;
	adding->any = true;
	struct interval interval = {.start = start, .end = end, .unit = adding->unit};
	return array_push(&adding->index->intervals, interval);
}

/** One set of .debug_aranges (DWARF 5, section 6.1.2). */
static void read_set(struct adding *adding, struct bytes *bytes, const uint8_t *section,
		     uint8_t *covered)
{
	uint8_t offset_size;
	uint64_t length = bytes_initial_length(bytes, &offset_size);
	const uint8_t *start = bytes->at;
	struct bytes set = *bytes;
	bytes_skip(bytes, length);
	if (bytes->bad)
		return;
	set.end = bytes->at;
	bytes_unsigned(&set, 2); // version
	uint64_t unit = bytes_unsigned(&set, offset_size);
	unsigned size = (unsigned)bytes_unsigned(&set, 1);
	unsigned segment = (unsigned)bytes_unsigned(&set, 1);
	size_t index = unit_at_offset(adding->module, unit);
	if (set.bad || (size != 4 && size != 8) || segment || index == SIZE_MAX)
		return;
	// Tuples are aligned to twice the address size from the start of the set.
	uint64_t header = (uint64_t)(set.at - start) + (offset_size == 8 ? 12 : 4);
	bytes_skip(&set, (2 * size - header % (2 * size)) % (2 * size));
	adding->unit = (uint32_t)index;
	adding->any = false;
	while (!set.bad) {
		uint64_t address = bytes_unsigned(&set, size);
		uint64_t count = bytes_unsigned(&set, size);
		if (set.bad || (!address && !count))
			break;
		if (count)
			add(adding, address, address + count);
	}
	if (adding->any)
		covered[index] = 1;
	(void)section;
}

static void read_aranges(struct adding *adding, uint8_t *covered)
{
	const struct section_bytes *section = &unit_sections(adding->module)->of[SECTION_ARANGES];
	struct bytes bytes = bytes_of(section->data, section->size, 0);
	while (!bytes.bad && bytes.at < bytes.end)
		read_set(adding, &bytes, section->data, covered);
}

static bool add_function(void *context, uint64_t start, uint64_t end)
{
	return add(context, start, end);
}

static void read_unit(struct adding *adding)
{
	struct unit *unit = unit_plain(adding->module, adding->unit);
	if (!unit)
		return;
	int tag = dwarf_tag(&unit->die);
	if (tag == DW_TAG_partial_unit || tag == DW_TAG_type_unit)
		return;
	adding->any = false;
	die_ranges(unit, &unit->die, add, adding);
	Dwarf_Attribute attribute;
	if (adding->any || dwarf_attr(&unit->die, DW_AT_ranges, &attribute) ||
	    dwarf_attr(&unit->die, DW_AT_high_pc, &attribute))
		return;
	// Old compilers and assemblers leave the ranges out: the functions tell.
	unit = unit_get(adding->module, adding->unit);
	if (unit)
		function_table_ranges(unit, add_function, adding);
}

static int compare(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1; // the narrower one last, found first
	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

struct unit_index *unit_index_new(struct symbols_module *module)
{
	struct unit_index *index = calloc(1, sizeof(*index));
	size_t count = unit_count(module);
	uint8_t *covered = calloc(count + 1, 1);
	if (!index || !covered) {
		free(index);
		free(covered);
		return NULL;
	}
	GUARD(module->debug_path);
	struct adding adding = {.index = index, .module = module};
	read_aranges(&adding, covered);
	for (size_t i = 0; i < count; i++) {
		adding.unit = (uint32_t)i;
		if (!covered[i])
			read_unit(&adding);
	}
	free(covered);
	struct interval *items = index->intervals.items;
	if (index->intervals.count)
		qsort(items, index->intervals.count, sizeof(*items), compare);
	uint64_t reach = 0;
	for (size_t i = 0; i < index->intervals.count; i++) {
		if (items[i].end > reach)
			reach = items[i].end;
		items[i].reach = reach;
	}
	return index;
}

size_t unit_index_find(const struct unit_index *index, uint64_t address)
{
	const struct interval *items = index->intervals.items;
	size_t low = 0, high = index->intervals.count;
	while (low < high) { // the first interval that starts behind `address`
		size_t middle = low + (high - low) / 2;
		if (items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low > 0 && items[low - 1].reach > address; low--) {
		if (items[low - 1].end > address)
			return items[low - 1].unit;
	}
	return SIZE_MAX;
}
