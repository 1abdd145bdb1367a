// SPDX-License-Identifier: Apache-2.0
#include "value/place.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/type_die.h"
#include "symbols/module.h"
#include "value/entry_value.h"

enum {
	OBJECT_LIMIT = 1 << 20, // bytes of an object put together from pieces
	SYNTHETIC_LIMIT = 4,	// references to references
};

static bool get_register(void *data, unsigned number, void *buffer, size_t *size, uint64_t *address)
{
	const struct place_frame *frame = data;
	return frame->physical &&
	       stack_dwarf_register(frame->stack, frame->physical, number, buffer, size, address);
}

static bool get_cfa(void *data, uint64_t *ret)
{
	const struct place_frame *frame = data;
	if (!frame->physical || !frame->physical->has_cfa)
		return false;
	*ret = frame->physical->cfa;
	return true;
}

/** The function whose frame this is; inlined scopes share it. */
static const struct code_scope *real_scope(const struct place_frame *frame)
{
	const struct code_position *position = frame->physical ? frame->physical->position : NULL;
	if (!position || !position->scope_count)
		return NULL;
	return &position->scopes[position->scope_count - 1];
}

static bool get_frame_base(void *data, uint64_t *ret)
{
	struct place_frame *frame = data;
	const struct code_scope *scope = real_scope(frame);
	if (!scope)
		return false;
	struct expression_context context;
	place_context(frame, scope->unit, &context);
	context.get_frame_base = NULL; // it cannot be defined by itself
	return scope_frame_base(scope, &context, ret);
}

static bool get_tls(void *data, uint64_t offset, uint64_t *ret)
{
	const struct place_frame *frame = data;
	return frame->module && place_tls(frame, frame->module, offset, ret);
}

static bool get_object_address(void *data, uint64_t *ret)
{
	const struct place_frame *frame = data;
	*ret = frame->object_address;
	return frame->object_address != 0;
}

static size_t read_memory(void *data, uint64_t address, void *buffer, size_t size)
{
	const struct place_frame *frame = data;
	return strobe_memory_read(frame->symbols->view, address, buffer, size);
}

void place_frame_init(struct place_frame *frame, struct strobe_symbols *symbols,
		      const struct strobe_stack *stack, size_t index)
{
	*frame = (struct place_frame){.symbols = symbols, .stack = stack};
	if (!stack || index >= stack->entries.count)
		return;
	frame->physical = stack_physical(stack, index);
	frame->scope = stack_scope(stack, index);
}

void place_context(struct place_frame *frame, struct unit *unit, struct expression_context *ret)
{
	frame->module = unit ? unit->module : NULL;
	uint64_t bias = unit ? unit->module->module->bias : 0;
	*ret = (struct expression_context){
		.data = frame,
		.symbols = frame->symbols,
		.unit = unit,
		.bias = bias,
		.pc = frame->physical ? frame->physical->lookup_pc - bias : 0,
		.get_register = get_register,
		.get_cfa = get_cfa,
		.get_frame_base = get_frame_base,
		.get_tls = get_tls,
		.get_object_address = get_object_address,
		.read_memory = read_memory,
		.get_entry_value = entry_value,
	};
}

static void mark(struct value_store *store, uint64_t from, uint64_t count, enum byte_state state)
{
	if (!store->states)
		store->states = calloc(1, store->size ? store->size : 1);
	for (uint64_t i = from; store->states && i < from + count && i < store->size; i++)
		store->states[i] = (uint8_t)state;
}

static void copy_bits(uint8_t *to, uint64_t to_bit, const uint8_t *from, uint64_t from_bit,
		      uint64_t count)
{
	if (((to_bit | from_bit | count) & 7) == 0) {
		memcpy(to + to_bit / 8, from + from_bit / 8, count / 8);
		return;
	}
	for (uint64_t i = 0; i < count; i++) {
		unsigned bit = from[(from_bit + i) / 8] >> ((from_bit + i) % 8) & 1;
		uint8_t *byte = &to[(to_bit + i) / 8];
		unsigned at = (to_bit + i) % 8;
		*byte = (uint8_t)((*byte & ~(1u << at)) | bit << at);
	}
}

/** The bytes of a piece that are at hand: a register, a value. NULL if they are not. */
static const uint8_t *piece_bytes(struct place_frame *frame, const struct location_piece *piece,
				  uint8_t *buffer, size_t room, size_t *size)
{
	uint64_t saved_at = 0;
	if (piece->kind == LOCATION_VALUE) {
		*size = piece->data ? piece->data_size : sizeof(piece->bytes);
		return piece->data ? piece->data : piece->bytes;
	}
	*size = room;
	if (piece->kind == LOCATION_REGISTER &&
	    get_register(frame, piece->reg, buffer, size, &saved_at))
		return buffer;
	return NULL;
}

/** Puts `bits` bits of one piece at bit `at` of the store. */
static void put_piece(struct place_frame *frame, const struct location_piece *piece,
		      struct value_store *store, uint64_t at, uint64_t bits)
{
	uint64_t first = at / 8, count = (at % 8 + bits + 7) / 8;
	uint8_t buffer[64];
	size_t size = 0;
	const uint8_t *bytes;
	switch (piece->kind) {
	case LOCATION_MEMORY:
		size = strobe_memory_read(frame->symbols->view, piece->address,
					  store->bytes + first, (bits + 7) / 8);
		if (size < (bits + 7) / 8) {
			store->unreadable_address = piece->address + size;
			mark(store, first + size, count - size, BYTE_UNREADABLE);
		}
		break;
	case LOCATION_REGISTER:
	case LOCATION_VALUE:
		bytes = piece_bytes(frame, piece, buffer, sizeof(buffer), &size);
		if (!bytes || piece->offset_bits > size * 8) {
			mark(store, first, count, BYTE_OPTIMIZED_OUT);
			break;
		}
		if (bits > size * 8 - piece->offset_bits) {
			bits = size * 8 - piece->offset_bits;
			mark(store, first + bits / 8, count - bits / 8, BYTE_OPTIMIZED_OUT);
		}
		copy_bits(store->bytes, at, bytes, piece->offset_bits, bits);
		break;
	case LOCATION_IMPLICIT_POINTER:
		store->synthetic_die = piece->die_offset;
		store->synthetic_offset = piece->pointer_offset;
		mark(store, first, count, BYTE_SYNTHETIC);
		break;
	case LOCATION_UNREADABLE:
		store->unreadable_address = piece->address;
		mark(store, first, count, piece->address ? BYTE_UNREADABLE : BYTE_OPTIMIZED_OUT);
		break;
	default:
		mark(store, first, count, BYTE_OPTIMIZED_OUT);
	}
}

static struct strobe_value from_pieces(struct place_frame *frame, struct type *type,
				       const struct location *location)
{
	struct strobe_value value = {.symbols = frame->symbols,
				     .type = type,
				     .place = PLACE_PROBLEM,
				     .problem = "<object too large>"};
	uint64_t size = value_type_size(frame->symbols, type), at = 0;
	if (size == 0)
		value.place = PLACE_OPTIMIZED_OUT;
	if (size == 0 || size > OBJECT_LIMIT)
		return value;
	value.store = value_store_new(size);
	if (!value.store) {
		value.problem = "out of memory";
		return value;
	}
	value.place = PLACE_STORE;
	for (size_t i = 0; i < location->piece_count && at < size * 8; i++) {
		const struct location_piece *piece = &location->pieces[i];
		uint64_t bits = piece->size_bits ? piece->size_bits : size * 8 - at;
		if (bits > size * 8 - at)
			bits = size * 8 - at;
		put_piece(frame, piece, value.store, at, bits);
		at += bits;
	}
	if (at < size * 8)
		mark(value.store, (at + 7) / 8, size - (at + 7) / 8, BYTE_OPTIMIZED_OUT);
	value.in_register = location->pieces[0].kind == LOCATION_REGISTER;
	return value;
}

static struct strobe_value from_location(struct place_frame *frame, struct type *type,
					 const struct location *location)
{
	const struct location_piece *piece = &location->pieces[0];
	struct strobe_value value = {.symbols = frame->symbols, .type = type};
	bool whole = location->piece_count == 1 && piece->size_bits == 0;
	if (whole && piece->kind == LOCATION_MEMORY)
		return value_in_memory(frame->symbols, type, piece->address);
	if (whole && piece->kind == LOCATION_OPTIMIZED_OUT) {
		value.place = PLACE_OPTIMIZED_OUT;
		return value;
	}
	if (whole && piece->kind == LOCATION_ERROR) {
		value.place = PLACE_PROBLEM;
		const char *text = arena_printf(&frame->symbols->arena, "<error: %s>",
						piece->problem ? piece->problem : "bad location");
		value.problem = text ? text : "<error>";
		return value;
	}
	return from_pieces(frame, type, location);
}

/** A reference that exists only in the debug information still refers to something. */
static void follow_synthetic(struct place_frame *frame, struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	if ((type->kind != TYPE_REFERENCE && type->kind != TYPE_RVALUE_REFERENCE) ||
	    value->place != PLACE_STORE || !value->store->states || !type->target ||
	    value->store->states[0] != BYTE_SYNTHETIC || frame->depth > SYNTHETIC_LIMIT)
		return;
	frame->depth++;
	struct strobe_value target = place_synthetic_target(frame, type->target, value);
	frame->depth--;
	if (target.place == PLACE_PROBLEM)
		value_fini(&target);
	else
		value->store->target = value_box(&target);
}

struct strobe_value place_variable(struct place_frame *frame, const struct variable *variable)
{
	struct expression_context context;
	struct location location = {0};
	place_context(frame, variable->unit, &context);
	struct type *type = place_resolve_type(frame, variable->unit, variable->type);
	variable_locate(variable, &context, &location);
	struct strobe_value value = from_location(frame, type, &location);
	location_fini(&location);
	value.language = variable->unit->language;
	follow_synthetic(frame, &value);
	return value;
}

static bool dimension_count(struct place_frame *frame, struct unit *unit,
			    const struct type_dimension *dimension, uint64_t *count)
{
	Dwarf_Die die;
	uint64_t bound;
	struct expression_context context;
	if (!type_place_die(&dimension->place, &die))
		return false;
	struct unit *own = unit_of_die(unit->module, &die);
	place_context(frame, own ? own : unit, &context);
	if (attribute_evaluate(own ? own : unit, &die, DW_AT_count, &context, count))
		return true;
	if (!attribute_evaluate(own ? own : unit, &die, DW_AT_upper_bound, &context, &bound))
		return false;
	int64_t size = (int64_t)(bound - (uint64_t)dimension->lower + 1);
	*count = size < 0 ? 0 : (uint64_t)size;
	return true;
}

static struct type *resolve(struct place_frame *frame, struct unit *unit, struct type *type,
			    unsigned depth)
{
	enum { RESOLVE_LIMIT = 32 };
	if (!type->dynamic || depth > RESOLVE_LIMIT || !type->target || !unit)
		return type;
	if (type->kind == TYPE_FUNCTION)
		return type;
	struct type *copy = type_copy(frame->symbols, type);
	if (!copy)
		return type;
	copy->target = resolve(frame, unit, type->target, depth + 1);
	copy->dynamic = false;
	if (type->kind == TYPE_ARRAY && type->dimension.dynamic) {
		uint64_t count = 0;
		if (!dimension_count(frame, unit, &type->dimension, &count))
			return type;
		copy->dimension.count = count;
		copy->dimension.dynamic = copy->dimension.unknown = false;
	}
	uint64_t size = type->size;
	if (type->kind == TYPE_ARRAY &&
	    !__builtin_mul_overflow(value_type_size(frame->symbols, copy->target),
				    copy->dimension.count, &size)) {
		copy->size = size;
		copy->size_known = true;
	} else if (type->kind >= TYPE_TYPEDEF && type->kind <= TYPE_ATOMIC) {
		copy->size = value_type_size(frame->symbols, copy->target);
		copy->size_known = true;
	}
	return copy;
}

struct type *place_resolve_type(struct place_frame *frame, struct unit *unit, struct type *type)
{
	return resolve(frame, unit, type, 0);
}

bool place_virtual_base(const struct strobe_value *value, const struct type_member *member,
			uint64_t *offset_bits)
{
	Dwarf_Die die;
	const uint8_t *bytes;
	size_t size;
	struct type *type = value_stripped(value);
	if (value->place != PLACE_MEMORY || !type->module || !type_place_die(&member->place, &die))
		return false;
	struct unit *unit = unit_of_die(type->module, &die);
	if (!unit ||
	    !attribute_expression(unit, &die, DW_AT_data_member_location, 0, &bytes, &size))
		return false;
	struct place_frame frame;
	struct expression_context context;
	struct location location = {0};
	place_frame_init(&frame, value->symbols, NULL, 0);
	frame.object_address = value->address;
	place_context(&frame, unit, &context);
	expression_evaluate_with(&context, bytes, size, value->address, &location);
	bool good = location.piece_count == 1 && location.pieces[0].kind == LOCATION_MEMORY;
	if (good)
		*offset_bits = (location.pieces[0].address - value->address) * 8;
	location_fini(&location);
	return good;
}

struct strobe_value place_synthetic_target(struct place_frame *frame, struct type *target,
					   const struct strobe_value *pointer)
{
	struct strobe_value lost = {.symbols = frame->symbols,
				    .type = target,
				    .place = PLACE_PROBLEM,
				    .problem = "<synthetic pointer>"};
	struct unit *unit = frame->scope ? frame->scope->unit : NULL;
	struct variable variable;
	Dwarf_Die die;
	if (!unit || pointer->place != PLACE_STORE ||
	    !dwarf_offdie(unit->dwarf, pointer->store->synthetic_die, &die) ||
	    !variable_from_die(unit, &die, &variable))
		return lost;
	struct strobe_value whole = place_variable(frame, &variable);
	int64_t offset = pointer->store->synthetic_offset;
	uint64_t size = value_type_size(frame->symbols, target);
	if (offset < 0 || (uint64_t)offset + size > strobe_value_size(&whole)) {
		value_fini(&whole);
		return lost;
	}
	struct strobe_value part = value_part(&whole, target, (uint64_t)offset);
	part.in_register = false;
	return part; // takes over the reference of `whole`
}
