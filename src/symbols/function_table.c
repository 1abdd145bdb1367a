// SPDX-License-Identifier: Apache-2.0
#include "symbols/function_table.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/guard.h"
#include "symbols/skim.h"

struct entry {
	uint64_t start, end;
	uint64_t reach; // the largest end up to here
	uint64_t die_offset;
};

struct scope {
	uint64_t start, end; // of the DIE with its children
	uint32_t parent;     // index + 1; 0 = the unit
};

struct function_table {
	ARRAY(struct entry) entries;
	ARRAY(struct scope) scopes; // in the order of their offsets
	bool deep;		    // what is within functions is there, too
};

struct scan {
	struct function_table *table;
	struct unit *unit;
	uint64_t die_offset;
	uint32_t stack[SKIM_DEPTH_LIMIT]; // scope index + 1 of each open DIE; 0 = no scope
	unsigned depth;
};

static bool add_entry(void *context, uint64_t start, uint64_t end)
{
	struct scan *scan = context;
	if (!module_is_code(scan->unit->module, start))
		return true;
	struct entry entry = {.start = start, .end = end, .die_offset = scan->die_offset};
	return array_push(&scan->table->entries, entry);
}

static bool is_scope(unsigned tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type:
		return true;
	default:
		return false;
	}
}

/** True if the children of this DIE are to be read. */
static bool enter(struct scan *scan, const struct skim_die *die)
{
	if (!die->children || scan->depth + 1 >= SKIM_DEPTH_LIMIT)
		return false;
	bool function = die->tag == DW_TAG_subprogram || die->tag == DW_TAG_lexical_block;
	if (!is_scope(die->tag) && !(scan->table->deep && function))
		return false;
	uint32_t index = 0;
	if (!function) {
		uint32_t parent = scan->depth ? scan->stack[scan->depth - 1] : 0;
		struct scope scope = {.start = die->offset, .end = UINT64_MAX, .parent = parent};
		if (!array_push(&scan->table->scopes, scope))
			return false;
		index = (uint32_t)scan->table->scopes.count;
	}
	scan->stack[scan->depth++] = index;
	return true;
}

static void leave(struct scan *scan, uint64_t offset)
{
	uint32_t index = scan->depth ? scan->stack[--scan->depth] : 0;
	if (index)
		scan->table->scopes.items[index - 1].end = offset;
}

static void scan_unit(struct scan *scan)
{
	struct skim skim;
	struct skim_die die;
	struct unit *unit = scan->unit;
	if (!skim_init(&skim, unit, unit->offset + unit->header_size))
		return;
	bool going = skim_next(&skim, &die) && die.children; // the unit DIE
	while (going && skim_next(&skim, &die)) {
		if (!die.tag) {
			if (!scan->depth)
				break;
			leave(scan, die.offset + 1);
			continue;
		}
		if (die.tag == DW_TAG_subprogram && !skim_flag(&die, SKIM_DECLARATION)) {
			scan->die_offset = die.offset;
			skim_ranges(&skim, &die, add_entry, scan);
		}
		if (!enter(scan, &die))
			going = skim_over(&skim, &die);
	}
	skim_fini(&skim);
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1; // the narrower one last, found first
	// Of names for the same code (assembly aliases, folded functions) gdb shows the last.
	return x->die_offset < y->die_offset ? -1 : x->die_offset > y->die_offset;
}

static void build(struct unit *unit, struct function_table *table)
{
	struct scan scan = {.table = table, .unit = unit};
	GUARD(unit->module->debug_path);
	table->entries.count = table->scopes.count = 0;
	scan_unit(&scan);
	if (table->entries.count)
		qsort(table->entries.items, table->entries.count, sizeof(struct entry), compare);
	uint64_t reach = 0;
	for (size_t i = 0; i < table->entries.count; i++) {
		if (table->entries.items[i].end > reach)
			reach = table->entries.items[i].end;
		table->entries.items[i].reach = reach;
	}
}

static struct function_table *table_of(struct unit *unit)
{
	if (!unit->functions) {
		unit->functions = calloc(1, sizeof(*unit->functions));
		if (unit->functions)
			build(unit, unit->functions);
	}
	return unit->functions;
}

void function_table_free(struct unit *unit)
{
	if (!unit->functions)
		return;
	array_fini(&unit->functions->entries);
	array_fini(&unit->functions->scopes);
	free(unit->functions);
	unit->functions = NULL;
}

void function_table_ranges(struct unit *unit, range_visit visit, void *context)
{
	struct function_table *table = table_of(unit);
	for (size_t i = 0; table && i < table->entries.count; i++) {
		if (!visit(context, table->entries.items[i].start, table->entries.items[i].end))
			return;
	}
}

static const struct entry *find(const struct function_table *table, uint64_t pc)
{
	const struct entry *items = table->entries.items;
	size_t low = 0, high = table->entries.count;
	while (low < high) { // the first entry that starts behind `pc`
		size_t middle = low + (high - low) / 2;
		if (items[middle].start <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low > 0 && items[low - 1].reach > pc; low--) {
		if (items[low - 1].end > pc)
			return &items[low - 1];
	}
	return NULL;
}

bool function_table_find(struct unit *unit, uint64_t pc, uint64_t *die_offset)
{
	struct function_table *table = table_of(unit);
	if (!table)
		return false;
	const struct entry *entry = find(table, pc);
	if (!entry && !table->deep) {
		table->deep = true; // nested functions, where the language has them
		build(unit, table);
		entry = find(table, pc);
	}
	if (entry)
		*die_offset = entry->die_offset;
	return entry != NULL;
}

bool function_table_scope(struct unit *unit, uint64_t offset, bool deep, uint64_t *ret)
{
	struct function_table *table = table_of(unit);
	if (!table)
		return false;
	if (deep && !table->deep) {
		table->deep = true;
		build(unit, table);
	}
	const struct scope *scopes = table->scopes.items;
	size_t low = 0, high = table->scopes.count;
	while (low < high) { // the first scope that starts at `offset` or behind
		size_t middle = low + (high - low) / 2;
		if (scopes[middle].start < offset)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i; i = scopes[i - 1].parent) {
		if (scopes[i - 1].end > offset) {
			*ret = scopes[i - 1].start;
			return true;
		}
	}
	return false;
}
