// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_VARIABLE_H
#define SYMBOLS_VARIABLE_H

// Variables of scopes and of the whole program, and where they are.

#include "symbols/expression.h"
#include "symbols/function.h"
#include "symbols/names.h"
#include "symbols/type.h"

struct variable {
	struct unit *unit;
	Dwarf_Die die;
	const char *name;
	struct type *type;
	bool argument;
	bool is_static; // has a fixed address
	bool artificial;
	unsigned line;
	unsigned block; // lexical depth
	// Filled by variable_prepare(): the expression in force at one pc, NULL if there is none.
	bool prepared;
	uint64_t prepared_pc; // link-time
	const uint8_t *expression;
	size_t expression_size;
};

/** Return false to stop. */
typedef bool (*variable_visit)(void *context, const struct variable *variable);
/** Arguments in order, then locals of the blocks that hold `lookup_pc` (link-time), innermost
 *  first, declaration order within a block. Inlined callees' variables are not visited. */
bool scope_variables(const struct code_scope *scope, uint64_t lookup_pc, variable_visit visit,
		     void *context);
/** A variable from a DIE (DW_TAG_variable, formal_parameter, member). */
bool variable_from_die(struct unit *unit, Dwarf_Die *die, struct variable *ret);
/** Looks up what variable_locate() will need at link-time `pc`, for variables that are located many
 *  times: in every thread, in every call of a recursion. */
void variable_prepare(struct variable *variable, uint64_t pc);
/**
 * Where a variable is at context->pc: DW_AT_location (expression or list), DW_AT_const_value
 * (as LOCATION_VALUE), or optimized out.
 */
void variable_locate(const struct variable *variable, const struct expression_context *context,
		     struct location *ret);
/** DW_AT_frame_base of a function, as a context callback's work: evaluates at context->pc. */
bool scope_frame_base(const struct code_scope *scope, const struct expression_context *context,
		      uint64_t *ret);
/** An attribute that is a constant, an expression, a location list or a reference to a variable
 *  (array bounds, byte sizes, virtual base offsets). */
bool attribute_evaluate(struct unit *unit, Dwarf_Die *die, unsigned at,
			const struct expression_context *context, uint64_t *ret);
/** The bytes of the expression of attribute `at` in force at link-time `pc`. False if none. */
bool attribute_expression(struct unit *unit, Dwarf_Die *die, unsigned at, uint64_t pc,
			  const uint8_t **bytes, size_t *size);

#endif
