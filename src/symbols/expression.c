// SPDX-License-Identifier: Apache-2.0
#include "symbols/expression.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/expression_number.h"
#include "symbols/unit.h"

// The stack machine of DWARF 5, sections 2.5 and 2.6. What a producer may leave open follows gdb.

/** Unread part of one expression. A read past the end sets `overrun` and gives 0. */
struct reader {
	const uint8_t *start, *at, *end;
	bool overrun;
};

/** What the operations so far say about where the object is. */
enum state {
	STATE_COMPUTING, // the top of the stack, if any, is an address
	STATE_PLACED,	 // `place` is complete; only a piece may follow
};

struct machine {
	const struct expression_context *context;
	struct number *stack;
	size_t count, capacity;
	unsigned steps, depth;
	enum state state;
	struct location_piece place;
	struct location_piece *pieces;
	size_t piece_count;
	bool failed; // `place` says why
};

static uint64_t read_fixed(struct reader *reader, unsigned size)
{
	uint64_t value = 0;
	if ((size_t)(reader->end - reader->at) < size) {
		reader->overrun = true;
		reader->at = reader->end;
		return 0;
	}
	memcpy(&value, reader->at, size);
	reader->at += size;
	return value;
}

static int64_t read_signed(struct reader *reader, unsigned size)
{
	unsigned shift = 64 - 8 * size;
	return (int64_t)(read_fixed(reader, size) << shift) >> shift;
}

static uint64_t read_leb(struct reader *reader, bool is_signed)
{
	uint64_t value = 0;
	unsigned shift = 0;
	while (reader->at < reader->end) {
		uint8_t byte = *reader->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += shift < 64 ? 7 : 0;
		if (byte & 0x80)
			continue;
		if (is_signed && (byte & 0x40) && shift < 64)
			value |= UINT64_MAX << shift;
		return value;
	}
	reader->overrun = true;
	return 0;
}

static uint64_t read_unsigned_leb(struct reader *reader)
{
	return read_leb(reader, false);
}

static int64_t read_signed_leb(struct reader *reader)
{
	return (int64_t)read_leb(reader, true);
}

static const uint8_t *read_block(struct reader *reader, uint64_t size)
{
	const uint8_t *block = reader->at;
	if ((uint64_t)(reader->end - reader->at) < size) {
		reader->overrun = true;
		reader->at = reader->end;
		return NULL;
	}
	reader->at += size;
	return block;
}

static bool fail(struct machine *machine, const char *problem)
{
	machine->failed = true;
	machine->place = (struct location_piece){.kind = LOCATION_ERROR, .problem = problem};
	return false;
}

static bool fail_unreadable(struct machine *machine, uint64_t address, unsigned reg)
{
	machine->failed = true;
	machine->place = (struct location_piece){
		.kind = LOCATION_UNREADABLE, .address = address, .reg = reg};
	return false;
}

static bool fail_optimized_out(struct machine *machine)
{
	machine->failed = true;
	machine->place = (struct location_piece){.kind = LOCATION_OPTIMIZED_OUT};
	return false;
}

static bool push(struct machine *machine, struct number number)
{
	if (machine->count >= EXPRESSION_STACK_LIMIT)
		return fail(machine, "the expression's stack grows too deep");
	if (machine->count == machine->capacity) {
		size_t capacity = machine->capacity ? machine->capacity * 2 : 16;
		struct number *stack = reallocarray(machine->stack, capacity, sizeof(*stack));
		if (!stack)
			return fail(machine, "out of memory");
		machine->stack = stack;
		machine->capacity = capacity;
	}
	machine->stack[machine->count++] = number;
	return true;
}

static bool push_generic(struct machine *machine, uint64_t value)
{
	return push(machine, number_generic(value));
}

static bool pop(struct machine *machine, struct number *ret)
{
	if (machine->count == 0)
		return fail(machine, "an operation needs more than the stack holds");
	*ret = machine->stack[--machine->count];
	return true;
}

static bool pop_address(struct machine *machine, uint64_t *ret)
{
	struct number number;
	if (!pop(machine, &number))
		return false;
	if (number.kind == NUMBER_FLOAT)
		return fail(machine, "a floating-point value is used as an address");
	*ret = number_to_u64(&number);
	return true;
}

static bool place(struct machine *machine, struct location_piece where)
{
	machine->place = where;
	machine->state = STATE_PLACED;
	return true;
}

static unsigned address_size(const struct machine *machine)
{
	const struct unit *unit = machine->context->unit;
	return unit && unit->address_size && unit->address_size <= 8 ? unit->address_size : 8;
}

static unsigned offset_size(const struct machine *machine)
{
	const struct unit *unit = machine->context->unit;
	// DWARF 2 gave references across units the size of an address.
	if (unit && unit->version == 2)
		return address_size(machine);
	return unit && unit->offset_size == 8 ? 8 : 4;
}

static bool unit_die(struct machine *machine, uint64_t offset, bool in_unit, Dwarf_Die *ret)
{
	struct unit *unit = machine->context->unit;
	if (!unit || !unit->dwarf)
		return fail(machine, "the expression refers to a DIE, but stands outside of units");
	GUARD(unit->module ? unit->module->debug_path : NULL);
	if (in_unit) {
		uint64_t header = dwarf_dieoffset(&unit->die) - dwarf_cuoffset(&unit->die);
		if (__builtin_add_overflow(header, offset, &offset))
			return fail(machine, "the expression refers to a DIE outside of its unit");
	}
	if (!dwarf_offdie(unit->dwarf, offset, ret) || dwarf_tag(ret) == DW_TAG_invalid)
		return fail(machine, "the expression refers to a DIE that does not exist");
	return true;
}

/** The base type at unit offset `offset`; 0 is the generic type. */
static bool base_type(struct machine *machine, uint64_t offset, struct number *ret)
{
	Dwarf_Die die;
	Dwarf_Attribute attribute;
	Dwarf_Word encoding, size;
	*ret = number_generic(0);
	if (offset == 0)
		return true;
	if (!unit_die(machine, offset, true, &die))
		return false;
	GUARD(machine->context->unit->module ? machine->context->unit->module->debug_path : NULL);
	if (dwarf_tag(&die) != DW_TAG_base_type || !dwarf_attr(&die, DW_AT_encoding, &attribute) ||
	    dwarf_formudata(&attribute, &encoding) != 0 ||
	    !dwarf_attr(&die, DW_AT_byte_size, &attribute) ||
	    dwarf_formudata(&attribute, &size) != 0 || !number_type(encoding, size, ret))
		return fail(machine, "the expression computes in a type that is not supported");
	return true;
}

static bool push_register(struct machine *machine, unsigned number, struct number type,
			  int64_t offset)
{
	const struct expression_context *context = machine->context;
	uint8_t buffer[64] = {0};
	size_t size = sizeof(buffer);
	uint64_t address = 0;
	if (!context->get_register ||
	    !context->get_register(context->data, number, buffer, &size, &address))
		return fail_unreadable(machine, 0, number);
	if (size < type.size)
		memset(buffer + size, 0, type.size - size);
	memcpy(&type.bits, buffer, type.size);
	if (offset != 0)
		type = number_generic((uint64_t)type.bits + (uint64_t)offset);
	return push(machine, type);
}

static bool push_memory(struct machine *machine, uint64_t address, unsigned size,
			struct number type)
{
	const struct expression_context *context = machine->context;
	if (size == 0 || size > sizeof(type.bits) || size > type.size)
		return fail(machine, "the expression reads memory of an impossible size");
	type.bits = 0;
	if (!context->read_memory ||
	    context->read_memory(context->data, address, &type.bits, size) != size)
		return fail_unreadable(machine, address, 0);
	return push(machine, type);
}

static bool push_addrx(struct machine *machine, uint64_t index, uint64_t bias)
{
	const struct unit *unit = machine->context->unit;
	unsigned size = address_size(machine);
	uint64_t value = 0;
	if (!unit || !unit->addr || index >= unit->addr_size / size)
		return fail(machine, "the expression's address index is outside of .debug_addr");
	memcpy(&value, unit->addr + index * size, size);
	return push_generic(machine, value + bias);
}

static bool run(struct machine *machine, const uint8_t *bytes, size_t size);

static bool call(struct machine *machine, uint64_t offset, bool in_unit)
{
	Dwarf_Die die;
	Dwarf_Attribute attribute;
	Dwarf_Block block;
	if (!unit_die(machine, offset, in_unit, &die))
		return false;
	const struct unit *unit = machine->context->unit;
	GUARD(unit->module ? unit->module->debug_path : NULL);
	// Without a location the call has no effect (DWARF 5, 2.5.1.5).
	if (!dwarf_attr_integrate(&die, DW_AT_location, &attribute))
		return true;
	if (dwarf_formblock(&attribute, &block) != 0)
		return fail(machine, "the expression calls something other than an expression");
	return run(machine, block.data, block.length);
}

static bool entry_value(struct machine *machine, const uint8_t *bytes, uint64_t size)
{
	const struct expression_context *context = machine->context;
	uint64_t value;
	// Callers that do not tell the value leave the object without one: gdb says so too.
	if (size == 0 || !context->get_entry_value ||
	    !context->get_entry_value(context->data, bytes, size, &value))
		return fail_optimized_out(machine);
	return push_generic(machine, value);
}

static bool add_piece(struct machine *machine, uint64_t size_bits, uint64_t offset_bits)
{
	struct location_piece piece = machine->place;
	if (machine->state == STATE_COMPUTING) {
		piece = (struct location_piece){.kind = LOCATION_OPTIMIZED_OUT};
		if (machine->count > 0) {
			piece.kind = LOCATION_MEMORY;
			if (!pop_address(machine, &piece.address))
				return false;
		}
	}
	machine->state = STATE_COMPUTING;
	if (size_bits == 0)
		return true;
	piece.size_bits = size_bits;
	piece.offset_bits = offset_bits;
	if (machine->piece_count >= EXPRESSION_PIECE_LIMIT)
		return fail(machine, "the location has too many pieces");
	if ((machine->piece_count & (machine->piece_count - 1)) == 0) {
		size_t capacity = machine->piece_count ? machine->piece_count * 2 : 1;
		struct location_piece *pieces =
			reallocarray(machine->pieces, capacity, sizeof(piece));
		if (!pieces)
			return fail(machine, "out of memory");
		machine->pieces = pieces;
	}
	machine->pieces[machine->piece_count++] = piece;
	return true;
}

static bool do_literal(struct machine *machine, uint8_t op, struct reader *reader)
{
	switch (op) {
	case DW_OP_addr:
		return push_generic(machine, read_fixed(reader, address_size(machine)) +
						     machine->context->bias);
	case DW_OP_addrx:
	case DW_OP_GNU_addr_index:
		return push_addrx(machine, read_unsigned_leb(reader), machine->context->bias);
	case DW_OP_constx:
	case DW_OP_GNU_const_index:
		return push_addrx(machine, read_unsigned_leb(reader), 0);
	case DW_OP_const1u:
		return push_generic(machine, read_fixed(reader, 1));
	case DW_OP_const1s:
		return push_generic(machine, (uint64_t)read_signed(reader, 1));
	case DW_OP_const2u:
		return push_generic(machine, read_fixed(reader, 2));
	case DW_OP_const2s:
		return push_generic(machine, (uint64_t)read_signed(reader, 2));
	case DW_OP_const4u:
		return push_generic(machine, read_fixed(reader, 4));
	case DW_OP_const4s:
		return push_generic(machine, (uint64_t)read_signed(reader, 4));
	case DW_OP_const8u:
	case DW_OP_const8s:
		return push_generic(machine, read_fixed(reader, 8));
	case DW_OP_constu:
		return push_generic(machine, read_unsigned_leb(reader));
	default: // DW_OP_consts
		return push_generic(machine, (uint64_t)read_signed_leb(reader));
	}
}

/** DW_OP_pick counts from the top; `index` is checked here. */
static bool pick(struct machine *machine, uint64_t index)
{
	if (index >= machine->count)
		return fail(machine, "an operation needs more than the stack holds");
	return push(machine, machine->stack[machine->count - 1 - index]);
}

static bool rotate(struct machine *machine, size_t size)
{
	if (machine->count < size)
		return fail(machine, "an operation needs more than the stack holds");
	struct number *bottom = &machine->stack[machine->count - size];
	struct number top = bottom[size - 1];
	memmove(bottom + 1, bottom, (size - 1) * sizeof(*bottom));
	bottom[0] = top;
	return true;
}

static bool do_stack(struct machine *machine, uint8_t op, struct reader *reader)
{
	struct number number;
	switch (op) {
	case DW_OP_dup:
		return pick(machine, 0);
	case DW_OP_drop:
		return pop(machine, &number);
	case DW_OP_over:
		return pick(machine, 1);
	case DW_OP_pick:
		return pick(machine, read_fixed(reader, 1));
	case DW_OP_swap:
		return rotate(machine, 2);
	default: // DW_OP_rot
		return rotate(machine, 3);
	}
}

static bool do_unary(struct machine *machine, uint8_t op, struct reader *reader)
{
	struct number number;
	if (!pop(machine, &number))
		return false;
	if (op == DW_OP_plus_uconst) {
		struct number addend = number;
		number_set(&addend, read_unsigned_leb(reader));
		const char *problem = number_binary(DW_OP_plus, &number, &addend, &number);
		return problem ? fail(machine, problem) : push(machine, number);
	}
	const char *problem = number_unary(op, &number);
	return problem ? fail(machine, problem) : push(machine, number);
}

static bool do_binary(struct machine *machine, uint8_t op)
{
	struct number left, right, result;
	if (!pop(machine, &right) || !pop(machine, &left))
		return false;
	const char *problem = number_binary(op, &left, &right, &result);
	return problem ? fail(machine, problem) : push(machine, result);
}

static bool do_branch(struct machine *machine, uint8_t op, struct reader *reader)
{
	int64_t distance = read_signed(reader, 2);
	if (op == DW_OP_bra) {
		struct number condition;
		if (!pop(machine, &condition))
			return false;
		if (number_is_zero(&condition))
			return true;
	}
	if (distance < reader->start - reader->at || distance > reader->end - reader->at)
		return fail(machine, "the expression branches outside of itself");
	reader->at += distance;
	return true;
}

static bool do_memory(struct machine *machine, uint8_t op, struct reader *reader)
{
	struct number type = number_generic(0);
	unsigned size = address_size(machine);
	uint64_t address;
	if (op == DW_OP_deref_size || op == DW_OP_deref_type || op == DW_OP_GNU_deref_type)
		size = read_fixed(reader, 1);
	if (op == DW_OP_deref_type || op == DW_OP_GNU_deref_type) {
		if (!base_type(machine, read_unsigned_leb(reader), &type))
			return false;
		if (type.size != size)
			return fail(machine, "a typed read's size is not its type's");
	}
	return pop_address(machine, &address) && push_memory(machine, address, size, type);
}

static bool do_typed(struct machine *machine, uint8_t op, struct reader *reader)
{
	struct number type, number;
	switch (op) {
	case DW_OP_regval_type:
	case DW_OP_GNU_regval_type: {
		uint64_t reg = read_unsigned_leb(reader);
		return base_type(machine, read_unsigned_leb(reader), &type) &&
		       push_register(machine, reg, type, 0);
	}
	case DW_OP_const_type:
	case DW_OP_GNU_const_type: {
		uint64_t offset = read_unsigned_leb(reader);
		unsigned size = read_fixed(reader, 1);
		const uint8_t *block = read_block(reader, size);
		if (!block || !base_type(machine, offset, &type))
			return block ? false : true; // run() reports the overrun
		if (size != type.size)
			return fail(machine, "a typed constant's size is not its type's");
		memcpy(&type.bits, block, size);
		return push(machine, type);
	}
	default: // convert, reinterpret
		if (!base_type(machine, read_unsigned_leb(reader), &type) || !pop(machine, &number))
			return false;
		if (op == DW_OP_convert || op == DW_OP_GNU_convert) {
			number_convert(&number, &type);
			return push(machine, type);
		}
		if (number.size != type.size)
			return fail(machine, "a value is reinterpreted in another size");
		type.bits = number.bits;
		return push(machine, type);
	}
}

static bool do_frame(struct machine *machine, uint8_t op, struct reader *reader)
{
	const struct expression_context *context = machine->context;
	uint64_t value, offset;
	switch (op) {
	case DW_OP_fbreg:
		offset = (uint64_t)read_signed_leb(reader);
		if (!context->get_frame_base || !context->get_frame_base(context->data, &value))
			return fail(machine, "the frame base is not known here");
		return push_generic(machine, value + offset);
	case DW_OP_call_frame_cfa:
		if (!context->get_cfa || !context->get_cfa(context->data, &value))
			return fail(machine, "the frame's CFA is not known here");
		return push_generic(machine, value);
	case DW_OP_push_object_address:
		if (!context->get_object_address ||
		    !context->get_object_address(context->data, &value))
			return fail(machine, "the object's address is not known here");
		return push_generic(machine, value);
	default: // DW_OP_form_tls_address, DW_OP_GNU_push_tls_address
		if (!pop_address(machine, &offset))
			return false;
		if (!context->get_tls || !context->get_tls(context->data, offset, &value))
			return fail(machine, "the thread-local storage is not known here");
		return push_generic(machine, value);
	}
}

static bool do_call(struct machine *machine, uint8_t op, struct reader *reader)
{
	const uint8_t *block;
	uint64_t size;
	switch (op) {
	case DW_OP_call2:
		return call(machine, read_fixed(reader, 2), true);
	case DW_OP_call4:
		return call(machine, read_fixed(reader, 4), true);
	case DW_OP_call_ref:
		return call(machine, read_fixed(reader, offset_size(machine)), false);
	case DW_OP_GNU_parameter_ref:
		// Handed on whole: what fills in entry values knows the call site's parameters.
		block = reader->at - 1;
		return read_block(reader, 4) ? entry_value(machine, block, 5) : true;
	default: // DW_OP_entry_value, DW_OP_GNU_entry_value
		size = read_unsigned_leb(reader);
		block = read_block(reader, size);
		return block ? entry_value(machine, block, size) : true;
	}
}

static bool do_place(struct machine *machine, uint8_t op, struct reader *reader)
{
	struct location_piece where = {.kind = LOCATION_VALUE};
	struct number number;
	switch (op) {
	case DW_OP_stack_value:
		if (!pop(machine, &number))
			return false;
		number_to_bytes(&number, where.bytes);
		return place(machine, where);
	case DW_OP_implicit_value:
		where.data_size = read_unsigned_leb(reader);
		where.data = read_block(reader, where.data_size);
		return where.data ? place(machine, where) : true;
	default: // DW_OP_implicit_pointer, DW_OP_GNU_implicit_pointer
		where.kind = LOCATION_IMPLICIT_POINTER;
		where.die_offset = read_fixed(reader, offset_size(machine));
		where.pointer_offset = read_signed_leb(reader);
		return place(machine, where);
	}
}

static bool do_piece(struct machine *machine, uint8_t op, struct reader *reader)
{
	uint64_t size = read_unsigned_leb(reader), offset = 0;
	if (reader->overrun)
		return true; // run() reports it
	if (op == DW_OP_bit_piece)
		offset = read_unsigned_leb(reader);
	else if (__builtin_mul_overflow(size, 8, &size))
		return fail(machine, "a piece has an impossible size");
	return add_piece(machine, size, offset);
}

/** Which operation belongs to which group; the order is DWARF 5's (table 7.9). */
static bool step(struct machine *machine, uint8_t op, struct reader *reader)
{
	switch (op) {
	case DW_OP_lit0 ... DW_OP_lit31:
		return push_generic(machine, op - DW_OP_lit0);
	case DW_OP_reg0 ... DW_OP_reg31:
		return place(machine, (struct location_piece){.kind = LOCATION_REGISTER,
							      .reg = op - DW_OP_reg0});
	case DW_OP_regx:
		return place(machine, (struct location_piece){.kind = LOCATION_REGISTER,
							      .reg = read_unsigned_leb(reader)});
	case DW_OP_breg0 ... DW_OP_breg31:
		return push_register(machine, op - DW_OP_breg0, number_generic(0),
				     read_signed_leb(reader));
	case DW_OP_bregx: {
		unsigned reg = read_unsigned_leb(reader);
		return push_register(machine, reg, number_generic(0), read_signed_leb(reader));
	}
	case DW_OP_addr:
	case DW_OP_const1u ... DW_OP_consts:
	case DW_OP_addrx:
	case DW_OP_constx:
	case DW_OP_GNU_addr_index:
	case DW_OP_GNU_const_index:
		return do_literal(machine, op, reader);
	case DW_OP_dup ... DW_OP_rot:
		return do_stack(machine, op, reader);
	case DW_OP_abs:
	case DW_OP_neg:
	case DW_OP_not:
	case DW_OP_plus_uconst:
		return do_unary(machine, op, reader);
	case DW_OP_and:
	case DW_OP_div ... DW_OP_mul:
	case DW_OP_or:
	case DW_OP_plus:
	case DW_OP_shl ... DW_OP_xor:
	case DW_OP_eq ... DW_OP_ne:
		return do_binary(machine, op);
	case DW_OP_bra:
	case DW_OP_skip:
		return do_branch(machine, op, reader);
	case DW_OP_deref:
	case DW_OP_deref_size:
	case DW_OP_deref_type:
	case DW_OP_GNU_deref_type:
		return do_memory(machine, op, reader);
	case DW_OP_regval_type:
	case DW_OP_GNU_regval_type:
	case DW_OP_const_type:
	case DW_OP_GNU_const_type:
	case DW_OP_convert:
	case DW_OP_GNU_convert:
	case DW_OP_reinterpret:
	case DW_OP_GNU_reinterpret:
		return do_typed(machine, op, reader);
	case DW_OP_fbreg:
	case DW_OP_call_frame_cfa:
	case DW_OP_push_object_address:
	case DW_OP_form_tls_address:
	case DW_OP_GNU_push_tls_address:
		return do_frame(machine, op, reader);
	case DW_OP_call2 ... DW_OP_call_ref:
	case DW_OP_entry_value:
	case DW_OP_GNU_entry_value:
	case DW_OP_GNU_parameter_ref:
		return do_call(machine, op, reader);
	case DW_OP_stack_value:
	case DW_OP_implicit_value:
	case DW_OP_implicit_pointer:
	case DW_OP_GNU_implicit_pointer:
		return do_place(machine, op, reader);
	case DW_OP_piece:
	case DW_OP_bit_piece:
		return do_piece(machine, op, reader);
	case DW_OP_nop:
	case DW_OP_GNU_uninit:
		return true;
	case DW_OP_xderef:
	case DW_OP_xderef_size:
	case DW_OP_xderef_type:
		return fail(machine, "the expression names another address space");
	default:
		return fail(machine, "the expression has an unknown operation");
	}
}

static bool run(struct machine *machine, const uint8_t *bytes, size_t size)
{
	struct reader reader = {.start = bytes, .at = bytes, .end = bytes + size};
	if (++machine->depth > EXPRESSION_CALL_LIMIT)
		return fail(machine, "the expression's calls nest too deep");
	while (reader.at < reader.end) {
		uint8_t op = *reader.at++;
		if (++machine->steps > EXPRESSION_STEP_LIMIT)
			return fail(machine, "the expression does not end");
		if (machine->state == STATE_PLACED && op != DW_OP_piece && op != DW_OP_bit_piece &&
		    op != DW_OP_nop && op != DW_OP_GNU_uninit)
			return fail(machine, "an operation follows a complete location");
		bool good = step(machine, op, &reader);
		if (reader.overrun)
			return fail(machine, "the expression ends within an operation");
		if (!good)
			return false;
	}
	machine->depth--;
	return true;
}

/** What the finished machine says; `ret->single` is used unless there are pieces. */
static void conclude(struct machine *machine, struct location *ret)
{
	*ret = (struct location){.piece_count = 1};
	if (!machine->failed && machine->piece_count > 0) {
		ret->piece_count = machine->piece_count;
		ret->pieces = machine->pieces;
		machine->pieces = NULL;
		return;
	}
	if (!machine->failed && machine->state == STATE_COMPUTING) {
		struct location_piece where = {.kind = LOCATION_OPTIMIZED_OUT};
		if (machine->count > 0 && pop_address(machine, &where.address))
			where.kind = LOCATION_MEMORY;
		if (!machine->failed)
			machine->place = where;
	}
	ret->single = machine->place;
	ret->pieces = &ret->single;
}

static void evaluate(struct machine *machine, const uint8_t *bytes, size_t size,
		     struct location *ret)
{
	if (!machine->failed)
		run(machine, bytes, size);
	conclude(machine, ret);
	free(machine->pieces);
	free(machine->stack);
}

void expression_evaluate(const struct expression_context *context, const uint8_t *bytes,
			 size_t size, struct location *ret)
{
	struct machine machine = {.context = context};
	evaluate(&machine, bytes, size, ret);
}

void expression_evaluate_with(const struct expression_context *context, const uint8_t *bytes,
			      size_t size, uint64_t initial, struct location *ret)
{
	struct machine machine = {.context = context};
	push_generic(&machine, initial);
	evaluate(&machine, bytes, size, ret);
}

void location_fini(struct location *location)
{
	if (location->pieces != &location->single)
		free(location->pieces);
	location->pieces = NULL;
	location->piece_count = 0;
}
