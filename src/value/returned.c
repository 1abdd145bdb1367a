// SPDX-License-Identifier: Apache-2.0
#include "value/returned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/function.h"
#include "symbols/type_die.h"

/** Named limits: structures in structures, elements looked at; of values in registers. */
enum { NESTING_LIMIT = 64, IN_REGISTERS = 16, EIGHTBYTE = 8 };
/** DWARF 5: DW_AT_calling_convention of a class, and its value for one that is not trivial. */
enum { AT_CALLING_CONVENTION = 0x36, CC_PASS_BY_REFERENCE = 4 };

/** Classes of an eightbyte, by the ABI's names. */
enum part {
	NO_CLASS,
	INTEGER,
	SSE,
	SSE_UP,
	X87,
	X87_UP,
	MEMORY,
};
struct classes {
	enum part of[2];
};

struct type *returned_type(struct strobe_symbols *symbols, uint64_t pc)
{
	const struct code_position *position = code_position_at(symbols, pc);
	if (!position || !position->scope_count)
		return NULL;
	const struct code_scope *scope = &position->scopes[position->scope_count - 1];
	GUARD(scope->unit->module->debug_path);
	Dwarf_Die die = scope->die;
	struct type *type = type_of_die(scope->unit, &die);
	return type && type_strip(symbols, type)->kind != TYPE_VOID ? type : NULL;
}

static enum part merge(enum part a, enum part b)
{
	if (a == b || b == NO_CLASS)
		return a;
	if (a == NO_CLASS)
		return b;
	if (a == MEMORY || b == MEMORY)
		return MEMORY;
	if (a == INTEGER || b == INTEGER)
		return INTEGER;
	return a >= X87 || b >= X87 ? MEMORY : SSE;
}

static void put(struct classes *classes, uint64_t offset, enum part part)
{
	size_t index = offset / EIGHTBYTE < 2 ? offset / EIGHTBYTE : 1;
	classes->of[index] = merge(classes->of[index], part);
}

/** Does it declare a destructor? */
static bool has_destructor(struct strobe_symbols *symbols, struct type *type)
{
	struct type_method method;
	const char *name = type->name, *end;
	char wanted[256];
	if (!name || !language_is_cplus(type->language))
		return false;
	end = name + strcspn(name, "<");
	for (const char *at = name; at < end; at++)
		if (at[0] == ':' && at[1] == ':')
			name = at + 2;
	snprintf(wanted, sizeof(wanted), "~%.*s", (int)(end - name), name);
	return type_method(symbols, type, wanted, &method);
}

/** Is it returned in memory whatever its size: a class of C++ that is not trivial? Told by the compiler (DWARF 5, not GCC), by a virtual
 *  table, or by a destructor. (One that has a copy constructor only is not recognised.) */
static bool is_by_reference(struct strobe_symbols *symbols, struct type *type)
{
	struct unit *unit;
	Dwarf_Die die;
	uint64_t convention;
	if (type->vtable || has_destructor(symbols, type))
		return true;
	if (!type_die(type, &unit, &die))
		return false;
	GUARD(unit->module->debug_path);
	return die_unsigned(&die, AT_CALLING_CONVENTION, &convention) &&
	       convention == CC_PASS_BY_REFERENCE;
}

static void classify_float(const struct type *type, uint64_t offset, struct classes *classes)
{
	bool extended = type->kind == TYPE_FLOAT && type->size >= 10 && type->name &&
			strstr(type->name, "long double");
	put(classes, offset, extended ? X87 : SSE);
	if (type->size > EIGHTBYTE)
		put(classes, offset + EIGHTBYTE, extended ? X87_UP : SSE_UP);
}

static void classify(struct strobe_symbols *symbols, struct type *type, uint64_t offset,
		     unsigned depth, struct classes *ret);

static void classify_members(struct strobe_symbols *symbols, struct type *type, uint64_t offset,
			     unsigned depth, struct classes *ret)
{
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (member->static_member)
			continue;
		uint64_t bits = offset * 8 + member->offset_bits;
		if (member->virtual_base)
			put(ret, 0, MEMORY);
		else if (member->bit_size)
			put(ret, bits / 8, INTEGER);
		else
			classify(symbols, member->type, bits / 8, depth + 1, ret);
	}
}

static void classify(struct strobe_symbols *symbols, struct type *type, uint64_t offset,
		     unsigned depth, struct classes *ret)
{
	uint64_t size;
	type = type_strip(symbols, type);
	if (depth > NESTING_LIMIT || !type_size(symbols, type, &size) || offset > IN_REGISTERS) {
		put(ret, 0, MEMORY);
		return;
	}
	switch (type->kind) {
	case TYPE_STRUCT:
	case TYPE_CLASS:
	case TYPE_UNION:
		if (is_by_reference(symbols, type))
			put(ret, 0, MEMORY);
		classify_members(symbols, type, offset, depth, ret);
		return;
	case TYPE_ARRAY:
		if (type->vector) {
			put(ret, offset, SSE);
			if (size > EIGHTBYTE)
				put(ret, offset + EIGHTBYTE, SSE_UP);
			return;
		}
		for (uint64_t i = 0; i < type->dimension.count && i <= IN_REGISTERS; i++)
			classify(symbols, type->target,
				 offset + i * value_type_size(symbols, type->target), depth + 1,
				 ret);
		return;
	case TYPE_COMPLEX:
		put(ret, offset, size > IN_REGISTERS ? MEMORY : SSE);
		if (size > EIGHTBYTE)
			put(ret, offset + EIGHTBYTE, SSE);
		return;
	case TYPE_FLOAT:
	case TYPE_DECIMAL:
		classify_float(type, offset, ret);
		return;
	default:
		// What is not where its alignment wants it is in memory.
		put(ret, offset,
		    size && offset % (size < EIGHTBYTE ? size : EIGHTBYTE) ? MEMORY : INTEGER);
		if (size > EIGHTBYTE)
			put(ret, offset + EIGHTBYTE, INTEGER);
	}
}

/** Bytes of a register, or that they are not known. */
static void fill(struct value_store *store, size_t offset, const uint8_t *bytes, size_t size,
		 bool known)
{
	for (size_t i = 0; i < size && offset + i < store->size; i++) {
		store->bytes[offset + i] = known && bytes ? bytes[i] : 0;
		store->states[offset + i] = known ? BYTE_KNOWN : BYTE_UNREADABLE;
	}
}

static void fill_eightbytes(struct value_store *store, const struct classes *classes,
			    const struct returned_registers *registers)
{
	const uint64_t integers[2] = {registers->rax, registers->rdx};
	unsigned used = 0, vectors = 0;
	for (size_t i = 0; i < 2 && i * EIGHTBYTE < store->size; i++) {
		const uint8_t *from = NULL;
		bool known = registers->has_vectors;
		if (classes->of[i] == INTEGER) {
			from = (const uint8_t *)&integers[used++];
			known = true;
		} else if (classes->of[i] == SSE) {
			from = registers->xmm[vectors++];
		} else if (classes->of[i] == SSE_UP) {
			from = registers->xmm[vectors - (vectors > 0)] + EIGHTBYTE;
		} else if (classes->of[i] == X87) {
			fill(store, 0, registers->st[0], sizeof(registers->st[0]), known);
			return;
		}
		if (from)
			fill(store, i * EIGHTBYTE, from, EIGHTBYTE, known);
	}
}

struct strobe_value returned_value(struct strobe_symbols *symbols, struct type *type,
				   const struct returned_registers *registers)
{
	struct type *stripped = type_strip(symbols, type);
	struct classes classes = {{NO_CLASS, NO_CLASS}};
	uint64_t size = value_type_size(symbols, type);
	bool both = stripped->kind == TYPE_COMPLEX &&
		    size > IN_REGISTERS; // long double: st(0) and st(1)
	if (!both) {
		classify(symbols, type, 0, 0, &classes);
		if (size > IN_REGISTERS && !(stripped->kind == TYPE_ARRAY && stripped->vector))
			classes.of[0] = MEMORY;
	}
	if (classes.of[0] == MEMORY || classes.of[1] == MEMORY)
		return value_in_memory(symbols, type, registers->rax);
	struct strobe_value value = {.symbols = symbols,
				     .type = type,
				     .place = PLACE_STORE,
				     .store = value_store_new(size),
				     .language = type->language};
	if (value.store)
		value.store->states = calloc(size ? size : 1, 1);
	if (!value.store || !value.store->states) {
		value_fini(&value);
		return (struct strobe_value){.symbols = symbols,
					     .type = type,
					     .place = PLACE_PROBLEM,
					     .problem = "out of memory"};
	}
	fill(value.store, 0, NULL, size, classes.of[0] == NO_CLASS && !both);
	if (both)
		for (size_t i = 0; i < 2; i++)
			fill(value.store, i * 16, registers->st[i], sizeof(registers->st[i]),
			     registers->has_vectors);
	else
		fill_eightbytes(value.store, &classes, registers);
	return value;
}
