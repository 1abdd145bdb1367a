// SPDX-License-Identifier: Apache-2.0
// What is known of a code address: its function, the calls inlined there, and their lines.

#include "symbols/function.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/symbols.h>

#include "base/guard.h"
#include "symbols/elf_symbols.h"
#include "symbols/function_table.h"
#include "symbols/line_table.h"
#include "symbols/qualify.h"
#include "symbols/skim.h"

/** The DIEs around a pc, outermost first. */
struct chain {
	uint64_t offsets[SCOPE_DEPTH_LIMIT]; // the function, then inlined calls within each other
	size_t count;
};

struct holder {
	uint64_t pc;
	bool found;
};

static bool check(void *context, uint64_t start, uint64_t end)
{
	struct holder *holder = context;
	holder->found = start <= holder->pc && holder->pc < end;
	return !holder->found;
}

static bool holds(const struct skim *skim, const struct skim_die *die, uint64_t pc)
{
	struct holder holder = {.pc = pc};
	skim_ranges(skim, die, check, &holder);
	return holder.found;
}

/** A DIE that is open while the function's tree is walked. */
struct level {
	uint64_t offset;
	bool inlined;
	bool holds;
};

static bool is_block(const struct skim_die *die)
{
	return die->tag == DW_TAG_inlined_subroutine || die->tag == DW_TAG_lexical_block ||
	       die->tag == DW_TAG_try_block || die->tag == DW_TAG_catch_block;
}

/**
 * Finds the calls inlined at `pc`: those around the first block, in the order of their ends, whose
 * ranges hold it. As gdb does, whether or not the outer ones' ranges hold it too: gcc's do not
 * always, and the tree knows best.
 */
static void walk(struct skim *skim, uint64_t pc, struct chain *chain)
{
	struct level levels[SCOPE_DEPTH_LIMIT];
	size_t depth = 0;
	struct skim_die die;
	while (skim_next(skim, &die)) {
		bool found = false;
		if (die.tag && is_block(&die) && depth < SCOPE_DEPTH_LIMIT) {
			levels[depth].offset = die.offset;
			levels[depth].inlined = die.tag == DW_TAG_inlined_subroutine;
			levels[depth].holds = holds(skim, &die, pc);
			found = levels[depth].holds && !die.children;
			depth += die.children || found;
		} else if (!die.tag) {
			if (!depth)
				return;
			found = levels[depth - 1].holds;
			depth -= !found;
		} else if (!skim_over(skim, &die)) {
			return;
		}
		if (!found)
			continue;
		for (size_t i = 0; i < depth && chain->count < SCOPE_DEPTH_LIMIT; i++) {
			if (levels[i].inlined)
				chain->offsets[chain->count++] = levels[i].offset;
		}
		return;
	}
}

static void descend(struct unit *unit, uint64_t function, uint64_t pc, struct chain *chain)
{
	struct skim skim;
	struct skim_die die;
	chain->offsets[0] = function;
	chain->count = 1;
	if (!skim_init(&skim, unit, function))
		return;
	if (skim_next(&skim, &die) && die.children)
		walk(&skim, pc, chain);
	skim_fini(&skim);
}

static void fill_scope(struct unit *unit, uint64_t offset, struct code_scope *scope)
{
	scope->unit = unit;
	if (!skim_libdw(unit, offset, &scope->die))
		return;
	scope->inlined = dwarf_tag(&scope->die) == DW_TAG_inlined_subroutine;
	scope->function = die_qualified_name(unit, &scope->die);
	scope->linkage_name = die_linkage_name(&scope->die);
	uint64_t start;
	if (die_entry_pc(unit, &scope->die, &start))
		scope->start = start + unit->module->module->bias;
}

/** The position of the innermost scope is the line table's, of each other one its inner call's. */
static void fill_lines(struct unit *unit, uint64_t pc, struct code_scope *scopes, size_t count)
{
	uint64_t end;
	const struct line_row *row = line_table_find(unit, pc, &end);
	if (row && row->line) {
		scopes[0].file = unit_file(unit, row->file);
		scopes[0].line = row->line;
		scopes[0].column = row->column;
	}
	for (size_t i = 1; i < count; i++) {
		uint64_t number;
		Dwarf_Die *call = &scopes[i - 1].die;
		if (die_unsigned(call, DW_AT_call_line, &number))
			scopes[i].line = (unsigned)number;
		if (!scopes[i].line)
			continue; // the compiler does not know where the call is
		if (die_unsigned(call, DW_AT_call_file, &number))
			scopes[i].file = unit_file(unit, number);
		if (die_unsigned(call, DW_AT_call_column, &number))
			scopes[i].column = (unsigned)number;
	}
}

/** The assembler describes each label as a function; gdb shows the ELF symbol there. */
static void name_by_symbol(struct symbols_module *module, uint64_t pc, struct code_scope *scope)
{
	uint64_t start;
	const char *name = elf_symbols_function_at(module, pc, &start);
	if (name && start + module->module->bias == scope->start)
		scope->function = name;
}

static void fill_from_dwarf(struct code_position *position, uint64_t pc)
{
	struct symbols_module *module = position->module;
	GUARD(module->debug_path);
	struct unit *unit = unit_at(module, pc);
	uint64_t function;
	if (!unit || !function_table_find(unit, pc, &function))
		return;
	struct chain *chain = malloc(sizeof(*chain));
	if (!chain)
		return;
	descend(unit, function, pc, chain);
	struct code_scope *scopes =
		arena_alloc(&module->symbols->arena, chain->count * sizeof(*scopes));
	if (scopes) {
		for (size_t i = 0; i < chain->count; i++)
			fill_scope(unit, chain->offsets[chain->count - 1 - i], &scopes[i]);
		fill_lines(unit, pc, scopes, chain->count);
		if (unit->language == DW_LANG_Mips_Assembler)
			name_by_symbol(module, pc, &scopes[chain->count - 1]);
		position->scopes = scopes;
		position->scope_count = chain->count;
	}
	free(chain);
}

const struct code_position *code_position_at(struct strobe_symbols *symbols, uint64_t pc)
{
	struct code_position *position = hash_get(&symbols->pc_cache, pc);
	if (position)
		return position;
	position = arena_alloc(&symbols->arena, sizeof(*position));
	if (!position)
		return NULL;
	position->pc = pc;
	position->module = symbols_module_at(symbols, pc);
	if (position->module) {
		uint64_t bias = position->module->module->bias;
		if (position->module->dwarf)
			fill_from_dwarf(position, pc - bias);
		if (!position->scope_count) {
			position->function = elf_symbols_function_at(position->module, pc - bias,
								     &position->start);
			position->start += bias;
		}
	}
	if (!hash_put(&symbols->pc_cache, pc, position))
		return NULL;
	return position;
}

static bool take_first(void *context, uint64_t start, uint64_t end)
{
	struct strobe_function *function = context;
	function->start = start;
	function->end = end;
	return false;
}

static void describe(struct unit *unit, Dwarf_Die *die, struct strobe_function *ret)
{
	struct symbols_module *module = unit->module;
	*ret = (struct strobe_function){.module_index = module->index};
	ret->name = die_qualified_name(unit, die);
	if (!ret->name)
		ret->name = "";
	// The declaration's file number counts in the table of the unit that it stands in.
	Dwarf_Attribute attribute;
	Dwarf_Word number;
	if (die_attribute(die, DW_AT_decl_file, &attribute) &&
	    dwarf_formudata(&attribute, &number) == 0) {
		struct unit *where = unit;
		if (attribute.cu != die->cu) {
			Dwarf_Die other = {.cu = attribute.cu};
			if (dwarf_cu_die(attribute.cu, &other, NULL, NULL, NULL, NULL, NULL, NULL))
				where = unit_of_die(module, &other);
		}
		ret->file = where ? unit_file(where, number) : NULL;
	}
	uint64_t line;
	if (die_unsigned(die, DW_AT_decl_line, &line))
		ret->line = (unsigned)line;
	die_ranges(unit, die, take_first, ret);
	ret->start += module->module->bias;
	ret->end += module->module->bias;
}

bool strobe_function_at(struct strobe_symbols *symbols, uint64_t address,
			struct strobe_function *ret)
{
	const struct code_position *position = code_position_at(symbols, address);
	if (!position || !position->module)
		return false;
	if (position->scope_count) {
		struct code_scope *scope = &position->scopes[position->scope_count - 1];
		GUARD(position->module->debug_path);
		Dwarf_Die die = scope->die;
		describe(scope->unit, &die, ret);
		return true;
	}
	struct strobe_symbol symbol;
	if (!strobe_symbol_at(symbols, address, &symbol))
		return false;
	*ret = (struct strobe_function){.name = symbol.name,
					.start = symbol.address,
					.end = symbol.address + symbol.size_bytes,
					.module_index = symbol.module_index};
	return true;
}

/** The range of an inlined call that holds an address, link-time. */
struct piece {
	uint64_t pc, start;
	bool found;
};

static bool find_piece(void *context, uint64_t start, uint64_t end)
{
	struct piece *piece = context;
	piece->found = start <= piece->pc && piece->pc < end;
	if (piece->found)
		piece->start = start;
	return !piece->found;
}

// Inlined code may be in several pieces.
static uint64_t piece_start(const struct code_scope *scope, uint64_t address)
{
	uint64_t bias = scope->unit->module->module->bias;
	struct piece piece = {.pc = address - bias};
	GUARD(scope->unit->module->debug_path);
	Dwarf_Die die = scope->die;
	die_ranges(scope->unit, &die, find_piece, &piece);
	return piece.found ? piece.start + bias : scope->start;
}

size_t strobe_scopes_at(struct strobe_symbols *symbols, uint64_t address, struct strobe_scope *ret,
			size_t limit)
{
	const struct code_position *position = code_position_at(symbols, address);
	if (!position)
		return 0;
	for (size_t i = 0; i < position->scope_count && i < limit; i++) {
		const struct code_scope *scope = &position->scopes[i];
		ret[i] = (struct strobe_scope){
			.name = scope->function,
			.start = scope->inlined ? piece_start(scope, address) : scope->start,
			.inlined = scope->inlined,
			.file = scope->file,
			.line = scope->line,
			.column = scope->column,
			.entity = (uint64_t)(uintptr_t)scope->die.addr,
		};
	}
	return position->scope_count;
}

void function_describe(struct unit *unit, Dwarf_Die *die, struct strobe_function *ret)
{
	GUARD(unit->module->debug_path);
	describe(unit, die, ret);
}
