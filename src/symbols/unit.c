// SPDX-License-Identifier: Apache-2.0
// The units of a module: listed by their headers alone, filled one by one when they are needed.

#include "symbols/unit.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/guard.h"
#include "symbols/function_table.h"
#include "symbols/line_table.h"
#include "symbols/sections.h"
#include "symbols/split.h"
#include "symbols/unit_header.h"
#include "symbols/unit_index.h"

enum { UNIT_LIMIT = 4 << 20 }; // units in one section

enum place { IN_INFO, IN_TYPES, IN_ALTERNATE };

struct unit_slot {
	uint64_t offset;    // of the header
	struct unit *plain; // as read from its own file; NULL until needed
	struct unit *unit;  // with the split unit joined
	uint8_t place;
	uint8_t type; // DW_UT_*
	bool damaged;
};

struct unit_table {
	struct sections sections;
	struct sections alternate_sections;
	ARRAY(struct unit_slot) slots;
	size_t place_end[3];	 // in slots, for each place
	ARRAY(uint32_t) compile; // slots of compile, partial and skeleton units
	struct hash by_cu;	 // Dwarf_CU of libdw -> struct unit
	struct unit_index *index;
	ARRAY(struct unit *) units; // all that were made; they live in the arena
};

struct unit_table *unit_table_free(struct unit_table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->units.count; i++) {
		function_table_free(table->units.items[i]);
		line_table_free(table->units.items[i]);
	}
	array_fini(&table->units);
	array_fini(&table->slots);
	array_fini(&table->compile);
	hash_fini(&table->by_cu);
	unit_index_free(table->index);
	free(table);
	return NULL;
}

static void list_units(struct symbols_module *module, struct unit_table *table,
		       const struct section_bytes *section, enum place place)
{
	uint64_t offset = 0;
	struct unit_header header;
	while (offset < section->size && table->slots.count < UNIT_LIMIT) {
		if (!unit_header_read(section, place == IN_TYPES, offset, &header)) {
			module_problem(
				module,
				arena_printf(&module->symbols->arena,
					     "%s: damaged unit header at 0x%llx of .debug_%s",
					     module->debug_path, (unsigned long long)offset,
					     place == IN_TYPES ? "types" : "info"));
			break;
		}
		struct unit_slot slot = {
			.offset = offset, .place = (uint8_t)place, .type = header.type};
		if (!array_push(&table->slots, slot))
			break;
		if (place == IN_INFO && header.type != DW_UT_type &&
		    !array_push(&table->compile, (uint32_t)(table->slots.count - 1)))
			break;
		offset = header.end;
	}
	table->place_end[place] = table->slots.count;
}

static struct unit_table *unit_table(struct symbols_module *module)
{
	if (module->units)
		return module->units;
	struct unit_table *table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	module->units = table;
	if (!module->dwarf)
		return table;
	GUARD(module->debug_path);
	sections_read(dwarf_getelf(module->dwarf), false, &table->sections);
	if (table->sections.problem)
		module_problem(module, table->sections.problem);
	if (module->alternate)
		sections_read(dwarf_getelf(module->alternate), false, &table->alternate_sections);
	list_units(module, table, &table->sections.of[SECTION_INFO], IN_INFO);
	list_units(module, table, &table->sections.of[SECTION_TYPES], IN_TYPES);
	list_units(module, table, &table->alternate_sections.of[SECTION_INFO], IN_ALTERNATE);
	return table;
}

static const char *attribute_string(Dwarf_Die *die, unsigned at)
{
	Dwarf_Attribute attribute;
	return dwarf_attr(die, at, &attribute) ? dwarf_formstring(&attribute) : NULL;
}

static uint64_t attribute_number(Dwarf_Die *die, unsigned at, uint64_t absent)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;
	if (!dwarf_attr(die, at, &attribute) || dwarf_formudata(&attribute, &value) != 0)
		return absent;
	return value;
}

/** Names and other facts of the unit DIE that need no other section. */
static void read_facts(struct unit *unit)
{
	Dwarf_Die *die = &unit->die;
	const char *name = attribute_string(die, DW_AT_name);
	unit->name = name ? name : "";
	unit->directory = attribute_string(die, DW_AT_comp_dir);
	unit->producer = attribute_string(die, DW_AT_producer);
	unit->language = (int)attribute_number(die, DW_AT_language, 0);
}

/** Header sizes of .debug_rnglists and .debug_loclists, and of .debug_addr. */
static uint64_t list_header(const struct unit *unit)
{
	return unit->offset_size == 8 ? 20 : 12;
}

/** Sections and bases of a unit that is read from the program's own file. */
static void set_bases(struct unit *unit)
{
	const struct section_bytes *of = unit->sections->of;
	Dwarf_Die *die = &unit->die;
	bool new = unit->version >= 5;
	uint64_t header = unit->offset_size == 8 ? 16 : 8;
	uint64_t base = attribute_number(
		die, DW_AT_addr_base, attribute_number(die, DW_AT_GNU_addr_base, new ? header : 0));
	if (of[SECTION_ADDR].data && base <= of[SECTION_ADDR].size) {
		unit->addr = of[SECTION_ADDR].data + base;
		unit->addr_size = of[SECTION_ADDR].size - base;
	}
	const struct section_bytes *ranges = &of[new ? SECTION_RNGLISTS : SECTION_RANGES];
	const struct section_bytes *locations = &of[new ? SECTION_LOCLISTS : SECTION_LOC];
	unit->rnglists = ranges->data;
	unit->rnglists_size = ranges->size;
	unit->loclists = locations->data;
	unit->loclists_size = locations->size;
	unit->str_offsets_base = attribute_number(die, DW_AT_str_offsets_base, new ? header : 0);
	unit->rnglists_base = attribute_number(die, DW_AT_rnglists_base, list_header(unit));
	unit->loclists_base = attribute_number(die, DW_AT_loclists_base, list_header(unit));
	uint64_t low_pc;
	if (die_address(unit, die, DW_AT_low_pc, &low_pc))
		unit->low_pc = low_pc;
}

static struct unit *make_unit(struct symbols_module *module, Dwarf *dwarf,
			      const struct sections *sections, uint64_t offset, bool in_types)
{
	struct unit_header header;
	if (!unit_header_read(&sections->of[in_types ? SECTION_TYPES : SECTION_INFO], in_types,
			      offset, &header))
		return NULL;
	struct unit *unit = arena_alloc(&module->symbols->arena, sizeof(*unit));
	if (!unit || !array_push(&module->units->units, unit))
		return NULL;
	unit->module = module;
	unit->dwarf = dwarf;
	unit->sections = sections;
	unit->offset = offset;
	unit->end = header.end;
	unit->header_size = header.header_size;
	unit->abbrev_offset = header.abbrev_offset;
	unit->in_types = in_types;
	unit->plain = unit;
	unit->version = header.version;
	unit->address_size = header.address_size;
	unit->offset_size = header.offset_size;
	uint64_t die_offset = offset + header.header_size;
	if (!(in_types ? dwarf_offdie_types(dwarf, die_offset, &unit->die)
		       : dwarf_offdie(dwarf, die_offset, &unit->die)))
		return NULL;
	unit->skeleton = unit->die;
	read_facts(unit);
	return unit;
}

static void remember(struct symbols_module *module, struct unit *unit)
{
	// Out of memory only costs time here: unit_of_die() searches again.
	(void)!hash_put(&module->units->by_cu, (uintptr_t)unit->die.cu, unit);
}

static struct unit *slot_plain(struct symbols_module *module, struct unit_table *table,
			       struct unit_slot *slot)
{
	if (slot->plain || slot->damaged)
		return slot->plain;
	bool alternate = slot->place == IN_ALTERNATE;
	GUARD(alternate ? module->alternate_file->path : module->debug_path);
	slot->plain = make_unit(module, alternate ? module->alternate : module->dwarf,
				alternate ? &table->alternate_sections : &table->sections,
				slot->offset, slot->place == IN_TYPES);
	if (!slot->plain) {
		slot->damaged = true;
		module_problem(module,
			       arena_printf(&module->symbols->arena, "%s: damaged unit at 0x%llx",
					    module->debug_path, (unsigned long long)slot->offset));
		return NULL;
	}
	slot->plain->in_alternate = alternate;
	set_bases(slot->plain);
	return slot->plain;
}

/** What the split unit takes from its skeleton. */
static void join_skeleton(struct unit *unit, struct unit *plain)
{
	const struct section_bytes *of = unit->sections->of;
	Dwarf_Die *skeleton = &plain->die;
	unit->split = true;
	unit->plain = plain;
	unit->skeleton = *skeleton;
	unit->low_pc = plain->low_pc;
	unit->addr = plain->addr;
	unit->addr_size = plain->addr_size;
	if (!unit->directory)
		unit->directory = plain->directory;
	bool new = unit->version >= 5;
	const struct section_bytes *locations = &of[new ? SECTION_LOCLISTS : SECTION_LOC];
	unit->loclists = locations->data;
	unit->loclists_size = locations->size;
	unit->str_offsets_base = !new ? 0 : unit->offset_size == 8 ? 16 : 8;
	unit->loclists_base = new ? list_header(unit) : 0;
	unit->rnglists_base = new ? list_header(unit) : 0;
	if (new &&of[SECTION_RNGLISTS].data) {
		unit->rnglists = of[SECTION_RNGLISTS].data;
		unit->rnglists_size = of[SECTION_RNGLISTS].size;
		return;
	}
	// DWARF 4: range lists stay in the program's file.
	unit->rnglists = plain->rnglists;
	unit->rnglists_size = plain->rnglists_size;
	unit->ranges_base = attribute_number(skeleton, DW_AT_GNU_ranges_base, 0);
	if (new)
		unit->rnglists_base = plain->rnglists_base;
}

/** The unit for a skeleton: the split one where it can be found, else the skeleton itself. */
static struct unit *resolve_split(struct symbols_module *module, struct unit *plain)
{
	const char *name = attribute_string(&plain->die, DW_AT_dwo_name);
	if (!name)
		name = attribute_string(&plain->die, DW_AT_GNU_dwo_name);
	if (!name || plain->in_alternate)
		return plain;
	struct unit_header header;
	uint64_t id = attribute_number(&plain->die, DW_AT_GNU_dwo_id, 0);
	if (plain->version >= 5 &&
	    unit_header_read(&plain->sections->of[SECTION_INFO], false, plain->offset, &header))
		id = header.id;
	struct split *split = split_open(plain, name, id);
	if (!split)
		return plain;
	GUARD(split->path);
	uint64_t offset;
	struct unit *unit = NULL;
	if (split_find_unit(split, plain->version, id, &offset))
		unit = make_unit(module, split->dwarf, split->sections, offset, false);
	if (!unit) {
		plain->problem =
			arena_printf(&module->symbols->arena, "%s: no unit with id %016llx",
				     split->path, (unsigned long long)id);
		module_problem(module, plain->problem);
		return plain;
	}
	join_skeleton(unit, plain);
	unit->split_file = split;
	split->owner = unit;
	return unit;
}

static struct unit *slot_unit(struct symbols_module *module, struct unit_table *table,
			      struct unit_slot *slot)
{
	if (slot->unit)
		return slot->unit;
	struct unit *plain = slot_plain(module, table, slot);
	if (!plain)
		return NULL;
	slot->unit = plain;
	if (slot->place == IN_INFO && slot->type != DW_UT_type)
		slot->unit = resolve_split(module, plain);
	remember(module, plain);
	if (slot->unit != plain)
		remember(module, slot->unit);
	return slot->unit;
}

size_t unit_count(struct symbols_module *module)
{
	struct unit_table *table = unit_table(module);
	return table ? table->compile.count : 0;
}

struct unit *unit_get(struct symbols_module *module, size_t index)
{
	struct unit_table *table = unit_table(module);
	if (!table || index >= table->compile.count)
		return NULL;
	return slot_unit(module, table, &table->slots.items[table->compile.items[index]]);
}

struct unit *unit_plain(struct symbols_module *module, size_t index)
{
	struct unit_table *table = unit_table(module);
	if (!table || index >= table->compile.count)
		return NULL;
	return slot_plain(module, table, &table->slots.items[table->compile.items[index]]);
}

size_t unit_slot_count(struct symbols_module *module)
{
	struct unit_table *table = unit_table(module);
	return table ? table->slots.count : 0;
}

struct unit *unit_slot(struct symbols_module *module, size_t index)
{
	struct unit_table *table = unit_table(module);
	if (!table || index >= table->slots.count)
		return NULL;
	return slot_unit(module, table, &table->slots.items[index]);
}

const struct sections *unit_sections(struct symbols_module *module)
{
	struct unit_table *table = unit_table(module);
	return table ? &table->sections : NULL;
}

const struct sections *unit_alternate_sections(struct symbols_module *module)
{
	struct unit_table *table = unit_table(module);
	return table ? &table->alternate_sections : NULL;
}

size_t unit_at_offset(struct symbols_module *module, uint64_t offset)
{
	struct unit_table *table = unit_table(module);
	size_t low = 0, high = table ? table->compile.count : 0;
	while (low < high) { // the first unit that starts behind `offset`
		size_t middle = low + (high - low) / 2;
		if (table->slots.items[table->compile.items[middle]].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : SIZE_MAX;
}

struct unit *unit_at(struct symbols_module *module, uint64_t address)
{
	struct unit_table *table = unit_table(module);
	if (!table || !table->compile.count)
		return NULL;
	if (!table->index) {
		table->index = unit_index_new(module);
		if (!table->index)
			return NULL;
	}
	size_t index = unit_index_find(table->index, address);
	return index == SIZE_MAX ? NULL : unit_get(module, index);
}

/** The slot of `place` that holds section offset `offset`. */
static struct unit_slot *find_slot(struct unit_table *table, enum place place, uint64_t offset)
{
	size_t first = place ? table->place_end[place - 1] : 0;
	size_t low = first, high = table->place_end[place];
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->slots.items[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low > first ? &table->slots.items[low - 1] : NULL;
}

/** A type unit of a .dwo or .dwp: like the unit that was joined from there. */
static struct unit *type_unit(struct symbols_module *module, Dwarf *dwarf, Dwarf_Die *unit_die)
{
	struct split *split = split_of_dwarf(module, dwarf);
	if (!split || !split->owner)
		return NULL;
	struct unit *owner = split->owner;
	bool in_types;
	uint64_t offset = dwarf_dieoffset(unit_die);
	uint64_t header = split_unit_header(split, unit_die->addr, offset, &in_types);
	struct unit *unit = make_unit(module, dwarf, split->sections, header, in_types);
	if (!unit)
		return NULL;
	join_skeleton(unit, owner->plain);
	unit->split_file = split;
	remember(module, unit);
	return unit;
}

struct unit *unit_of_die(struct symbols_module *module, Dwarf_Die *die)
{
	struct unit_table *table = unit_table(module);
	struct unit *known = table ? hash_get(&table->by_cu, (uintptr_t)die->cu) : NULL;
	if (known || !table)
		return known;
	Dwarf_Die unit_die;
	Dwarf *dwarf = dwarf_cu_getdwarf(die->cu);
	if (!dwarf_diecu(die, &unit_die, NULL, NULL))
		return NULL;
	if (dwarf != module->dwarf && dwarf != module->alternate)
		return type_unit(module, dwarf, &unit_die);
	const struct section_bytes *types = &table->sections.of[SECTION_TYPES];
	const uint8_t *at = unit_die.addr;
	enum place place = dwarf == module->alternate ? IN_ALTERNATE : IN_INFO;
	if (place == IN_INFO && types->data && at >= types->data && at < types->data + types->size)
		place = IN_TYPES;
	struct unit_slot *slot = find_slot(table, place, dwarf_dieoffset(&unit_die));
	if (!slot)
		return NULL;
	struct unit *unit = slot_unit(module, table, slot);
	// A DIE of the skeleton itself keeps its unit, for addresses and lists are read alike.
	return unit;
}
