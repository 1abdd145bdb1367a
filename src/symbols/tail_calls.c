// SPDX-License-Identifier: Apache-2.0
#include "symbols/tail_calls.h"

#include <dwarf.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/elf_symbols.h"

#ifndef DW_TAG_GNU_call_site
#define DW_TAG_GNU_call_site 0x4109
#endif
#ifndef DW_AT_GNU_tail_call
#define DW_AT_GNU_tail_call 0x2115
#endif

/** A search for chains from one call to one function. */
struct hunt {
	struct strobe_symbols *symbols;
	uint64_t callee;		 // run-time entry
	uint64_t path[TAIL_CHAIN_LIMIT]; // outermost first
	uint64_t path_functions[TAIL_CHAIN_LIMIT + 1];
	size_t depth;
	size_t functions, dies;
	bool failed; // a call leads who knows where: no chain is sure
	// What the chains found so far have in common: a start and an end of `result`.
	bool found;
	uint64_t result[TAIL_CHAIN_LIMIT];
	size_t length, outer, inner;
};

bool call_site_is(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);
	return tag == DW_TAG_call_site || tag == DW_TAG_GNU_call_site;
}

bool call_site_return_pc(struct unit *unit, Dwarf_Die *site, uint64_t *ret)
{
	if (dwarf_tag(site) == DW_TAG_call_site)
		return die_address(unit, site, DW_AT_call_return_pc, ret);
	return die_address(unit, site, DW_AT_low_pc, ret);
}

bool call_site_is_tail(Dwarf_Die *site)
{
	return die_flag(site, dwarf_tag(site) == DW_TAG_call_site ? DW_AT_call_tail_call
								  : DW_AT_GNU_tail_call);
}

static const char *linkage_name(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	if (die_attribute(die, DW_AT_linkage_name, &attribute) ||
	    die_attribute(die, DW_AT_MIPS_linkage_name, &attribute))
		return dwarf_formstring(&attribute);
	return die_name(die);
}

/** The run-time entry of the function that a declaration means, by its symbol. */
static bool find_symbol(struct symbols_module *module, const char *name, uint64_t *ret)
{
	struct strobe_symbol symbol;
	struct strobe_symbols *symbols = module->symbols;
	bool found = elf_symbols_find(module, name, 0, &symbol);
	for (size_t i = 0; i < symbols->module_count && !found; i++) {
		struct symbols_module *other = symbols_module(symbols, i);
		found = other && other != module && elf_symbols_find(other, name, 0, &symbol);
	}
	if (found)
		*ret = symbol.address;
	return found;
}

bool call_site_target(struct unit *unit, Dwarf_Die *site, uint64_t *ret)
{
	Dwarf_Die origin;
	if (!die_reference(site,
			   dwarf_tag(site) == DW_TAG_call_site ? DW_AT_call_origin
							       : DW_AT_abstract_origin,
			   &origin))
		return false;
	struct unit *home = unit_of_die(unit->module, &origin);
	if (home && die_entry_pc(home, &origin, ret)) {
		*ret += unit->module->module->bias;
		return true;
	}
	// An abstract function has any number of instances: which one was called is not said.
	const char *name = die_flag(&origin, DW_AT_declaration) ? linkage_name(&origin) : NULL;
	return name && find_symbol(unit->module, name, ret);
}

/** Return false to stop. */
typedef bool (*site_visit)(void *context, struct unit *unit, Dwarf_Die *site);

/** Visits the call sites of a function, those in its blocks and inlined calls included. */
static bool visit_sites(struct hunt *hunt, struct unit *unit, Dwarf_Die *parent, unsigned depth,
			site_visit visit, void *context)
{
	Dwarf_Die die;
	if (depth > SCOPE_DEPTH_LIMIT || dwarf_child(parent, &die) != 0)
		return true;
	do {
		if (++hunt->dies > TAIL_DIE_LIMIT) {
			hunt->failed = true;
			return false;
		}
		if (call_site_is(&die)) {
			if (!visit(context, unit, &die))
				return false;
			continue;
		}
		int tag = dwarf_tag(&die);
		if ((tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine) &&
		    !visit_sites(hunt, unit, &die, depth + 1, visit, context))
			return false;
	} while (dwarf_siblingof(&die, &die) == 0);
	return true;
}

/** A chain was found: keeps of the earlier ones what this one shares. */
static void take(struct hunt *hunt)
{
	if (!hunt->found) {
		memcpy(hunt->result, hunt->path, hunt->depth * sizeof(hunt->path[0]));
		hunt->length = hunt->outer = hunt->inner = hunt->depth;
		hunt->found = true;
		return;
	}
	size_t outer = 0, inner = 0;
	while (outer < hunt->outer && outer < hunt->depth &&
	       hunt->path[outer] == hunt->result[outer])
		outer++;
	while (inner < hunt->inner && inner < hunt->depth &&
	       hunt->path[hunt->depth - 1 - inner] == hunt->result[hunt->length - 1 - inner])
		inner++;
	hunt->outer = outer;
	hunt->inner = inner;
}

static void follow(struct hunt *hunt, uint64_t function);

static bool follow_site(void *context, struct unit *unit, Dwarf_Die *site)
{
	struct hunt *hunt = context;
	uint64_t pc, target;
	if (!call_site_is_tail(site))
		return true;
	if (hunt->depth == TAIL_CHAIN_LIMIT || !call_site_return_pc(unit, site, &pc) ||
	    !call_site_target(unit, site, &target)) {
		hunt->failed = true;
		return false;
	}
	hunt->path[hunt->depth++] = pc + unit->module->module->bias;
	follow(hunt, target);
	hunt->depth--;
	return !hunt->failed;
}

static const struct code_scope *function_at(struct strobe_symbols *symbols, uint64_t pc)
{
	const struct code_position *position = code_position_at(symbols, pc);
	return position && position->scope_count ? &position->scopes[position->scope_count - 1]
						 : NULL;
}

/** Follows the tail calls of the function at `function`. */
static void follow(struct hunt *hunt, uint64_t function)
{
	if (function == hunt->callee) {
		take(hunt);
		return;
	}
	for (size_t i = 0; i < hunt->depth; i++) {
		if (hunt->path_functions[i] == function)
			return; // recursion adds nothing
	}
	const struct code_scope *scope = function_at(hunt->symbols, function);
	if (!scope || scope->inlined || ++hunt->functions > TAIL_FUNCTION_LIMIT) {
		hunt->failed = hunt->failed || scope;
		return;
	}
	hunt->path_functions[hunt->depth] = function;
	Dwarf_Die die = scope->die;
	visit_sites(hunt, scope->unit, &die, 0, follow_site, hunt);
}

struct start {
	struct hunt *hunt;
	uint64_t pc; // run-time return address
};

static bool start_at_site(void *context, struct unit *unit, Dwarf_Die *site)
{
	struct start *start = context;
	uint64_t pc, target;
	if (!call_site_return_pc(unit, site, &pc) || pc + unit->module->module->bias != start->pc)
		return true;
	if (call_site_target(unit, site, &target))
		follow(start->hunt, target);
	else
		start->hunt->failed = true;
	return false;
}

static void search(struct hunt *hunt, uint64_t caller_pc)
{
	const struct code_scope *caller = function_at(hunt->symbols, caller_pc - 1);
	if (!caller)
		return;
	GUARD(caller->unit->module->debug_path);
	struct start start = {hunt, caller_pc};
	Dwarf_Die die = caller->die;
	visit_sites(hunt, caller->unit, &die, 0, start_at_site, &start);
}

/** Most calls are plain: the instruction before the return address calls the callee itself. */
static bool is_plain_call(const struct strobe_view *view, uint64_t caller_pc, uint64_t callee)
{
	uint8_t bytes[5];
	int32_t offset;
	if (strobe_memory_read(view, caller_pc - sizeof(bytes), bytes, sizeof(bytes)) !=
		    sizeof(bytes) ||
	    bytes[0] != 0xe8)
		return false;
	memcpy(&offset, bytes + 1, sizeof(offset));
	return caller_pc + (uint64_t)(int64_t)offset == callee;
}

static struct tail_chain *keep(struct hunt *hunt, uint64_t caller_pc)
{
	bool whole = hunt->outer == hunt->length;
	size_t count = !hunt->found || hunt->failed ? 0
		       : whole			    ? hunt->length
						    : hunt->outer + hunt->inner;
	struct tail_chain *chain =
		arena_alloc(&hunt->symbols->arena, sizeof(*chain) + count * sizeof(uint64_t));
	if (!chain)
		return NULL;
	chain->caller_pc = caller_pc;
	chain->callee = hunt->callee;
	chain->count = count;
	size_t inner = whole ? hunt->length : hunt->inner;
	for (size_t i = 0; i < count; i++)
		chain->pcs[i] = i < inner ? hunt->result[hunt->length - 1 - i]
					  : hunt->result[count - 1 - i];
	return chain;
}

const struct tail_chain *tail_calls_between(struct strobe_symbols *symbols, uint64_t caller_pc,
					    uint64_t callee_pc)
{
	static const struct tail_chain none;
	const struct code_scope *callee = function_at(symbols, callee_pc);
	const struct code_position *position = code_position_at(symbols, callee_pc);
	uint64_t entry = callee ? callee->start : (position ? position->start : 0);
	if (!entry)
		return &none;
	uint64_t key = caller_pc ^ entry * UINT64_C(0x9e3779b97f4a7c15);
	const struct tail_chain *cached = hash_get(&symbols->tail_cache, key);
	if (cached && cached->caller_pc == caller_pc && cached->callee == entry)
		return cached;
	struct hunt hunt = {.symbols = symbols, .callee = entry};
	if (!is_plain_call(symbols->view, caller_pc, entry))
		search(&hunt, caller_pc);
	struct tail_chain *chain = keep(&hunt, caller_pc);
	if (chain && !hash_put(&symbols->tail_cache, key, chain))
		return NULL;
	return chain;
}
