// SPDX-License-Identifier: Apache-2.0
#include <dwarf.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/children.h"
#include "symbols/variable.h"

// Which variables a scope has at a pc. A concrete instance (inlined or out of line) lists what the
// compiler kept; what stands only in its abstract origin has been optimized out, and is shown so,
// as gdb shows it.

/** Units and DIEs of a scope's children; from the abstract instance they may be another unit's. */
struct walk {
	struct unit *unit;
	uint64_t pc;
	variable_visit visit;
	void *context;
	bool arguments; // visit arguments, else other variables
	unsigned block; // lexical depth
	unsigned depth; // of the recursion
	bool stopped;
};

typedef ARRAY(const void *) address_array;

static bool is_block(int tag)
{
	return tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
}

static bool has_code(Dwarf_Die *die)
{
	return dwarf_hasattr(die, DW_AT_low_pc) || dwarf_hasattr(die, DW_AT_ranges);
}

/** External variables without a place here are declarations of what stands elsewhere. */
static bool is_declared_only(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	if (die_attribute(die, DW_AT_location, &attribute) ||
	    die_attribute(die, DW_AT_const_value, &attribute))
		return false;
	return die_flag(die, DW_AT_external) ||
	       (dwarf_hasattr(die, DW_AT_declaration) && !dwarf_hasattr(die, DW_AT_specification));
}

static void visit_variable(struct walk *walk, struct unit *unit, Dwarf_Die *die)
{
	struct variable variable;
	bool argument = dwarf_tag(die) == DW_TAG_formal_parameter;
	if (argument != walk->arguments || (!argument && is_declared_only(die)) ||
	    !variable_from_die(unit, die, &variable))
		return;
	variable.block = walk->block;
	walk->stopped = !walk->visit(walk->context, &variable);
}

static void visit_children(struct walk *walk, struct unit *unit, Dwarf_Die *parent,
			   const address_array *known);

static void visit_child(struct walk *walk, struct unit *unit, Dwarf_Die *child)
{
	static const address_array none;
	int tag = dwarf_tag(child);
	if (tag == DW_TAG_variable || tag == DW_TAG_formal_parameter)
		visit_variable(walk, unit, child);
	else if (is_block(tag) && !has_code(child) && walk->depth < SCOPE_DEPTH_LIMIT) {
		// A block without code is no block of its own (gdb puts its contents here, too).
		walk->depth++;
		visit_children(walk, unit, child, &none);
		walk->depth--;
	}
}

static int compare_addresses(const void *a, const void *b)
{
	const void *const *left = a, *const *right = b;
	return *left < *right ? -1 : *left > *right;
}

static bool holds(const address_array *known, const void *address)
{
	return known->count > 0 && bsearch(&address, known->items, known->count,
					   sizeof(*known->items), compare_addresses) != NULL;
}

static void visit_children(struct walk *walk, struct unit *unit, Dwarf_Die *parent,
			   const address_array *known)
{
	Dwarf_Die child;
	for (bool more = children_first(parent, &child); more && !walk->stopped;
	     more = children_next(&child))
		if (!holds(known, child.addr))
			visit_child(walk, unit, &child);
}

/** The abstract DIE at the end of `die`'s chain of origins; false if it has none. */
static bool last_origin(const Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attribute;
	*ret = *die;
	for (unsigned i = 0; i < SCOPE_DEPTH_LIMIT; i++) {
		Dwarf_Die next;
		if (!dwarf_attr(ret, DW_AT_abstract_origin, &attribute) ||
		    !dwarf_formref_die(&attribute, &next))
			return i > 0;
		*ret = next;
	}
	return true;
}

/** Whether the DIEs have children of the same tags. */
static bool same_children(Dwarf_Die *a, Dwarf_Die *b)
{
	Dwarf_Die left, right;
	bool more_left = children_first(a, &left), more_right = children_first(b, &right);
	while (more_left && more_right && dwarf_tag(&left) == dwarf_tag(&right)) {
		more_left = children_next(&left);
		more_right = children_next(&right);
	}
	return !more_left && !more_right;
}

/**
 * The abstract DIEs that children of `concrete` stand for, sorted. clang's blocks name no origin:
 * like gdb, take the one in the same position where the instances are alike, and believe that the
 * abstract block is left out where they are not.
 */
static void collect_origins(Dwarf_Die *concrete, Dwarf_Die *abstract, address_array *ret)
{
	Dwarf_Die child, origin, twin;
	bool alike = same_children(concrete, abstract) && children_first(abstract, &twin);
	for (bool more = children_first(concrete, &child); more; more = children_next(&child)) {
		bool found = last_origin(&child, &origin);
		if (!found && alike && is_block(dwarf_tag(&child))) {
			origin = twin;
			found = true;
		}
		if (found && !array_push(ret, origin.addr))
			break;
		alike = alike && children_next(&twin);
	}
	if (ret->count > 1)
		qsort(ret->items, ret->count, sizeof(*ret->items), compare_addresses);
}

/** One block's own variables: those of the concrete DIE, then those only the abstract one has. */
static void visit_block(struct walk *walk, Dwarf_Die *concrete)
{
	static const address_array none;
	address_array known = {0};
	Dwarf_Attribute attribute;
	Dwarf_Die origin;
	visit_children(walk, walk->unit, concrete, &none);
	if (walk->stopped || !dwarf_attr(concrete, DW_AT_abstract_origin, &attribute) ||
	    !dwarf_formref_die(&attribute, &origin))
		return;
	struct unit *unit = unit_of_die(walk->unit->module, &origin);
	if (!unit)
		return;
	collect_origins(concrete, &origin, &known);
	visit_children(walk, unit, &origin, &known);
	array_fini(&known);
}

/** The blocks that hold the pc, outermost first, below `parent`. */
static unsigned find_blocks(struct walk *walk, Dwarf_Die *parent, Dwarf_Die *blocks, unsigned count,
			    unsigned limit)
{
	Dwarf_Die child;
	if (walk->depth >= SCOPE_DEPTH_LIMIT || count >= limit)
		return count;
	walk->depth++;
	for (bool more = children_first(parent, &child); more; more = children_next(&child)) {
		if (!is_block(dwarf_tag(&child)))
			continue;
		unsigned before = count;
		if (!has_code(&child)) {
			count = find_blocks(walk, &child, blocks, count, limit);
		} else if (die_holds_pc(walk->unit, &child, walk->pc)) {
			blocks[count++] = child;
			count = find_blocks(walk, &child, blocks, count, limit);
		}
		if (count > before)
			break; // blocks nest: no other one holds it
	}
	walk->depth--;
	return count;
}

bool scope_variables(const struct code_scope *scope, uint64_t lookup_pc, variable_visit visit,
		     void *context)
{
	Dwarf_Die function = scope->die, blocks[SCOPE_DEPTH_LIMIT];
	struct walk walk = {
		.unit = scope->unit, .pc = lookup_pc, .visit = visit, .context = context};
	GUARD(scope->unit->module->debug_path);
	unsigned count = find_blocks(&walk, &function, blocks, 0, SCOPE_DEPTH_LIMIT);
	walk.arguments = true;
	visit_block(&walk, &function);
	walk.arguments = false;
	for (unsigned i = count; i-- > 0 && !walk.stopped;) {
		walk.block = i + 1;
		visit_block(&walk, &blocks[i]);
	}
	walk.block = 0;
	if (!walk.stopped)
		visit_block(&walk, &function);
	return !walk.stopped;
}
