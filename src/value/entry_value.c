// SPDX-License-Identifier: Apache-2.0
#include "value/entry_value.h"

#include <dwarf.h>
#include <string.h>

#include "symbols/module.h"
#include "symbols/tail_calls.h"
#include "value/place.h"

/** Named limits of the search for call sites in a function's tree, and for chains of tail calls. */
enum {
	CALL_SITE_DIE_LIMIT = 100000,
	CALL_SITE_DEPTH_LIMIT = 64,
	ENTRY_DEPTH_LIMIT = 8,
	VALUE_EXPRESSION_LIMIT = 1024, // bytes
	TAIL_CALL_LIMIT = 256,	       // functions that one may jump on to
};

struct search {
	struct unit *unit;
	uint64_t return_pc; // link-time
	size_t visited;
};

static bool find_call_site(struct search *s, Dwarf_Die *parent, unsigned depth, Dwarf_Die *ret)
{
	Dwarf_Die die;
	if (depth > CALL_SITE_DEPTH_LIMIT || dwarf_child(parent, &die) != 0)
		return false;
	do {
		if (++s->visited > CALL_SITE_DIE_LIMIT)
			return false;
		uint64_t pc;
		if (call_site_is(&die) && call_site_return_pc(s->unit, &die, &pc) &&
		    pc == s->return_pc) {
			*ret = die;
			return true;
		}
		int tag = dwarf_tag(&die);
		if ((tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine) &&
		    find_call_site(s, &die, depth + 1, ret))
			return true;
	} while (dwarf_siblingof(&die, &die) == 0);
	return false;
}

static bool value_of(struct place_frame *frame, struct unit *unit, const uint8_t *bytes,
		     size_t size, uint64_t *ret)
{
	struct expression_context context;
	struct location location = {0};
	uint8_t copy[VALUE_EXPRESSION_LIMIT + 1];
	place_context(frame, unit, &context);
	if (size > VALUE_EXPRESSION_LIMIT)
		return false;
	// What it computes is the value itself, which may be of a type that no address has.
	memcpy(copy, bytes, size);
	copy[size] = DW_OP_stack_value;
	bool place = size > 0 && bytes[0] >= DW_OP_reg0 && bytes[0] <= DW_OP_regx &&
		     (bytes[0] <= DW_OP_reg31 || bytes[0] == DW_OP_regx);
	expression_evaluate(&context, copy, place ? size : size + 1, &location);
	const struct location_piece *piece = &location.pieces[0];
	bool good = location.piece_count == 1;
	size_t room = 8;
	uint64_t at;
	if (good && piece->kind == LOCATION_MEMORY)
		*ret = piece->address;
	else if (good && piece->kind == LOCATION_VALUE)
		memcpy(ret, piece->data && piece->data_size >= 8 ? piece->data : piece->bytes, 8);
	else if (good && piece->kind == LOCATION_REGISTER)
		good = context.get_register(frame, piece->reg, ret, &room, &at);
	else
		good = false;
	location_fini(&location);
	return good;
}

/** The call site that a return address belongs to; kept in the symbols, for searching a large
 *  function takes time. */
struct call_site {
	Dwarf_Die die;
	bool found;
	bool target_known; // by its DIE alone
	uint64_t target;
};

/** NULL if there is none, or memory is short. */
static struct call_site *call_site_at(struct strobe_symbols *symbols,
				      const struct code_scope *scope, uint64_t return_pc)
{
	struct call_site *site = hash_get(&symbols->site_cache, return_pc);
	if (!site) {
		site = arena_alloc(&symbols->arena, sizeof(*site));
		if (!site)
			return NULL;
		*site = (struct call_site){0};
		struct search search = {.unit = scope->unit,
					.return_pc = return_pc - scope->unit->module->module->bias};
		Dwarf_Die function = scope->die;
		site->found = find_call_site(&search, &function, 0, &site->die);
		site->target_known =
			site->found && call_site_target(scope->unit, &site->die, &site->target);
		// Out of memory only costs time here.
		(void)!hash_put(&symbols->site_cache, return_pc, site);
	}
	return site->found ? site : NULL;
}

/** That the call site calls this very function, and not one that jumped on to it. */
static bool calls_us(struct place_frame *caller, struct unit *unit, struct call_site *site,
		     const struct code_scope *callee)
{
	uint64_t target;
	if (site->target_known)
		return site->target == callee->start;
	const uint8_t *bytes;
	size_t size;
	unsigned at = dwarf_tag(&site->die) == DW_TAG_call_site ? DW_AT_call_target
								: DW_AT_GNU_call_site_target;
	return attribute_expression(unit, &site->die, at, 0, &bytes, &size) &&
	       value_of(caller, unit, bytes, size, &target) && target == callee->start;
}

/** Functions that a function may have jumped on to, by entry address (run-time). */
struct tail_calls {
	struct strobe_symbols *symbols;
	uint64_t start; // the function in question
	ARRAY(uint64_t) reached;
	size_t visited;
	bool uncertain; // it may jump to itself, or to who knows where
};

static void reach(struct tail_calls *calls, uint64_t address)
{
	if (address == calls->start)
		calls->uncertain = true;
	for (size_t i = 0; i < calls->reached.count; i++) {
		if (calls->reached.items[i] == address)
			return;
	}
	if (calls->reached.count >= TAIL_CALL_LIMIT || !array_push(&calls->reached, address))
		calls->uncertain = true;
}

/** Where a tail call goes: only what its DIE names can be known without the frame. */
static void reach_origin(struct tail_calls *calls, struct unit *unit, Dwarf_Die *site)
{
	uint64_t target;
	if (call_site_target(unit, site, &target))
		reach(calls, target);
	else
		calls->uncertain = true;
}

static void collect_tail_calls(struct tail_calls *calls, struct unit *unit, Dwarf_Die *parent,
			       unsigned depth)
{
	Dwarf_Die die;
	if (depth > CALL_SITE_DEPTH_LIMIT || dwarf_child(parent, &die) != 0)
		return;
	do {
		if (calls->uncertain || ++calls->visited > CALL_SITE_DIE_LIMIT) {
			calls->uncertain = true;
			return;
		}
		int tag = dwarf_tag(&die);
		if (call_site_is(&die) && call_site_is_tail(&die))
			reach_origin(calls, unit, &die);
		if (tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine)
			collect_tail_calls(calls, unit, &die, depth + 1);
	} while (dwarf_siblingof(&die, &die) == 0);
}

/**
 * Whether the function may have been entered again by a chain of tail calls from itself: then what
 * its caller's call site says is not what this activation got. The rule is gdb's.
 */
static bool may_reenter(struct strobe_symbols *symbols, const struct code_scope *function)
{
	static const char yes, no;
	const void *known = hash_get(&symbols->reentry_cache, function->start);
	if (known)
		return known == &yes;
	struct tail_calls calls = {.symbols = symbols, .start = function->start};
	Dwarf_Die die = function->die;
	collect_tail_calls(&calls, function->unit, &die, 0);
	for (size_t i = 0; i < calls.reached.count && !calls.uncertain; i++) {
		const struct code_position *position =
			code_position_at(symbols, calls.reached.items[i]);
		if (!position || !position->scope_count) {
			calls.uncertain = true;
			break;
		}
		const struct code_scope *scope = &position->scopes[position->scope_count - 1];
		die = scope->die;
		collect_tail_calls(&calls, scope->unit, &die, 0);
	}
	array_fini(&calls.reached);
	// Out of memory only costs time here.
	(void)!hash_put(&symbols->reentry_cache, function->start,
			(void *)(calls.uncertain ? &yes : &no));
	return calls.uncertain;
}

/** Whether a parameter's place is the one asked for; a register may be asked for with a type. */
static bool same_place(const uint8_t *place, size_t place_size, const uint8_t *asked, size_t size)
{
	if (place_size == size && memcmp(place, asked, size) == 0)
		return true;
	bool typed =
		size > 2 && (asked[0] == DW_OP_regval_type || asked[0] == DW_OP_GNU_regval_type);
	return typed && place_size == 1 && asked[1] < 32 && place[0] == DW_OP_reg0 + asked[1];
}

/** That a call site's parameter is the one asked for: by register, or by its DIE. */
static bool is_parameter(struct unit *callee, Dwarf_Die *die, const uint8_t *expression,
			 size_t size, const uint8_t *bytes, size_t length)
{
	if (expression[0] != DW_OP_GNU_parameter_ref)
		return bytes && same_place(bytes, length, expression, size);
	uint32_t offset;
	Dwarf_Die wanted;
	if (size != 5)
		return false;
	memcpy(&offset, expression + 1, 4);
	return (die_reference(die, DW_AT_call_parameter, &wanted) ||
		die_reference(die, DW_AT_abstract_origin, &wanted)) &&
	       dwarf_cuoffset(&wanted) == offset && unit_of_die(callee->module, &wanted) == callee;
}

static bool parameter(struct place_frame *caller, struct unit *unit, Dwarf_Die *site,
		      struct unit *callee, const uint8_t *expression, size_t size, uint64_t *ret)
{
	Dwarf_Die die;
	if (dwarf_child(site, &die) != 0)
		return false;
	do {
		int tag = dwarf_tag(&die);
		const uint8_t *bytes;
		size_t length;
		if (tag != DW_TAG_call_site_parameter && tag != DW_TAG_GNU_call_site_parameter)
			continue;
		if (!attribute_expression(unit, &die, DW_AT_location, 0, &bytes, &length))
			bytes = NULL;
		if (!is_parameter(callee, &die, expression, size, bytes, length))
			continue;
		unsigned at = tag == DW_TAG_call_site_parameter ? DW_AT_call_value
								: DW_AT_GNU_call_site_value;
		return attribute_expression(unit, &die, at, 0, &bytes, &length) &&
		       value_of(caller, unit, bytes, length, ret);
	} while (dwarf_siblingof(&die, &die) == 0);
	return false;
}

bool entry_value(void *data, const uint8_t *expression, size_t size, uint64_t *ret)
{
	const struct place_frame *frame = data;
	const struct physical_frame *physical = frame->physical;
	if (!physical || !physical->position || !physical->position->scope_count ||
	    physical->signal_frame || frame->depth >= ENTRY_DEPTH_LIMIT)
		return false;
	const struct physical_frame *up = stack_caller_of(frame->stack, physical);
	if (!up || !up->position || !up->position->scope_count || up->signal_frame)
		return false;
	const struct code_scope *scope = &up->position->scopes[up->position->scope_count - 1];
	struct place_frame caller = *frame;
	caller.physical = up;
	caller.scope = scope;
	caller.depth++;
	const struct code_scope *callee =
		&physical->position->scopes[physical->position->scope_count - 1];
	struct call_site *site = call_site_at(frame->symbols, scope, up->pc);
	return site && calls_us(&caller, scope->unit, site, callee) &&
	       !may_reenter(frame->symbols, callee) &&
	       parameter(&caller, scope->unit, &site->die, callee->unit, expression, size, ret);
}
