// SPDX-License-Identifier: Apache-2.0
#include "symbols/code_sites.h"

#include <dwarf.h>
#include <string.h>

#include "base/error.h"
#include "base/guard.h"
#include "symbols/elf_symbols.h"
#include "symbols/function.h"
#include "symbols/names.h"
#include "symbols/skim.h"

struct walk {
	const char *name; // NULL = all
	const char *last; // its last component
	const char *file; // of the unit, NULL = any
	code_site_visit visit;
	void *context;
	struct unit *unit;
	ARRAY(struct code_range) ranges;
	bool found, stopped, failed;
};

static bool add_range(void *context, uint64_t start, uint64_t end)
{
	struct walk *walk = context;
	struct symbols_module *module = walk->unit->module;
	if (start >= end || !module_is_code(module, start))
		return true;
	uint64_t bias = module->module->bias;
	struct code_range range = {start + bias, end + bias};
	walk->failed |= !array_push(&walk->ranges, range);
	return !walk->failed;
}

/** "b::f" is "a::b::f", too. */
static bool ends_with(const char *qualified, const char *name)
{
	size_t size = strlen(qualified), tail = strlen(name);
	if (tail > size || strcmp(qualified + size - tail, name) != 0)
		return false;
	return tail == size ||
	       (size - tail >= 2 && strncmp(qualified + size - tail - 2, "::", 2) == 0);
}

static bool is_wanted(struct walk *walk, const struct skim *skim, const struct skim_die *die)
{
	if (!walk->name)
		return true;
	const char *name = skim_name(skim, die);
	if (!name || strcmp(name, walk->last) != 0)
		return false;
	Dwarf_Die libdw;
	if (walk->last == walk->name)
		return true;
	if (!skim_libdw(walk->unit, die->offset, &libdw))
		return false;
	const char *qualified = die_qualified_name(walk->unit, &libdw);
	return qualified && ends_with(qualified, walk->name);
}

static uint64_t entry_of(struct walk *walk, const struct skim_die *die)
{
	Dwarf_Die libdw;
	uint64_t entry;
	// Of an inlined call DW_AT_entry_pc tells, where the compiler wrote it.
	if (skim_libdw(walk->unit, die->offset, &libdw) &&
	    (die_address(walk->unit, &libdw, DW_AT_entry_pc, &entry) ||
	     die_entry_pc(walk->unit, &libdw, &entry)))
		return entry + walk->unit->module->module->bias;
	return walk->ranges.items[0].start;
}

static uint64_t origin_of(const struct skim *skim, const struct skim_die *die)
{
	uint64_t origin;
	if (!skim_has(die, SKIM_ABSTRACT_ORIGIN))
		return die->offset;
	return skim_reference(skim, die, SKIM_ABSTRACT_ORIGIN, &origin) ? origin : UINT64_MAX;
}

static void visit_die(struct walk *walk, const struct skim *skim, const struct skim_die *die)
{
	walk->ranges.count = 0;
	skim_ranges(skim, die, add_range, walk);
	if (!walk->ranges.count || walk->failed)
		return;
	struct code_site site = {
		.inlined = die->tag == DW_TAG_inlined_subroutine,
		.entry = entry_of(walk, die),
		.ranges = walk->ranges.items,
		.range_count = walk->ranges.count,
		.module_index = walk->unit->module->index,
		.unit = walk->unit,
		.die_offset = die->offset,
		.origin = origin_of(skim, die),
	};
	walk->found = true;
	walk->stopped = !walk->visit(walk->context, &site);
}

static void visit_unit(struct walk *walk, struct unit *unit)
{
	struct skim skim;
	struct skim_die die;
	walk->unit = unit;
	if (!skim_init(&skim, unit, unit->offset + unit->header_size))
		return;
	while (!walk->stopped && !walk->failed && skim_next(&skim, &die)) {
		bool function = die.tag == DW_TAG_subprogram && !skim_flag(&die, SKIM_DECLARATION);
		if ((function || die.tag == DW_TAG_inlined_subroutine) &&
		    (skim_has(&die, SKIM_LOW_PC) || skim_has(&die, SKIM_RANGES)) &&
		    is_wanted(walk, &skim, &die))
			visit_die(walk, &skim, &die);
	}
	skim_fini(&skim);
}

static void visit_module(struct walk *walk, struct symbols_module *module)
{
	GUARD(module->debug_path);
	struct unit *unit;
	for (size_t i = 0;
	     walk->file && !walk->stopped && (unit = names_unit(module, walk->file, i)); i++)
		visit_unit(walk, unit);
	size_t count = walk->file ? 0 : unit_count(module);
	for (size_t i = 0; i < count && !walk->stopped && !walk->failed; i++) {
		unit = unit_get(module, i);
		if (unit)
			visit_unit(walk, unit);
	}
}

static void visit_symbols(struct walk *walk, struct symbols_module *module)
{
	struct strobe_symbol symbol;
	for (size_t nth = 0; !walk->stopped && elf_symbols_find(module, walk->name, nth, &symbol);
	     nth++) {
		if (strcmp(symbol.type, "function") != 0 && strcmp(symbol.type, "ifunc") != 0 &&
		    strcmp(symbol.type, "notype") != 0)
			continue;
		struct code_range range = {symbol.address,
					   symbol.address +
						   (symbol.size_bytes ? symbol.size_bytes : 1)};
		struct code_site site = {
			.entry = symbol.address,
			.ranges = &range,
			.range_count = 1,
			.module_index = module->index,
			.symbol = symbol.name,
		};
		walk->found = true;
		walk->stopped = !walk->visit(walk->context, &site);
	}
}

/** "'FILE'::NAME" has two parts. */
static bool split_name(struct strobe_symbols *symbols, struct walk *walk)
{
	const char *end = walk->name && *walk->name == '\'' ? strchr(walk->name + 1, '\'') : NULL;
	if (end && strncmp(end + 1, "::", 2) == 0) {
		size_t size = (size_t)(end - walk->name - 1);
		walk->file = arena_copy_string(&symbols->arena, walk->name + 1, size);
		walk->name = end + 3;
		if (!walk->file)
			return false;
	}
	walk->last = walk->name ? names_last_component(walk->name) : NULL;
	return true;
}

struct strobe_error *code_sites_for_each(struct strobe_symbols *symbols, const char *name,
					 code_site_visit visit, void *context)
{
	struct walk walk = {.name = name, .visit = visit, .context = context};
	if (!split_name(symbols, &walk))
		return error_no_memory();
	for (size_t i = 0; i < symbols->module_count && !walk.stopped; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (module && module->dwarf)
			visit_module(&walk, module);
	}
	bool by_symbol = name && !walk.file && !walk.found;
	for (size_t i = 0; by_symbol && i < symbols->module_count && !walk.stopped; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (module)
			visit_symbols(&walk, module);
	}
	array_fini(&walk.ranges);
	return walk.failed ? error_no_memory() : NULL;
}

void code_site_function(struct strobe_symbols *symbols, const struct code_site *site,
			struct strobe_function *ret)
{
	Dwarf_Die die;
	*ret = (struct strobe_function){
		.name = site->symbol ? site->symbol : "",
		.start = site->ranges[0].start,
		.end = site->ranges[0].end,
		.module_index = site->module_index,
	};
	if (site->unit && skim_libdw(site->unit, site->die_offset, &die))
		function_describe(site->unit, &die, ret);
}
