// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/error.h"
#include "symbols/module.h"
#include "value/class.h"
#include "value/format.h"

static struct strobe_error *lost(const struct node *node, const struct strobe_value *value,
				 enum read_state state, uint64_t bad)
{
	struct strobe_error *error;
	switch (state) {
	case READ_OPTIMIZED_OUT:
		return error_column(STROBE_ERROR_OPTIMIZED_OUT, node->column,
				    "value has been optimized out");
	case READ_SYNTHETIC:
		return error_column(STROBE_ERROR_OPTIMIZED_OUT, node->column,
				    "the pointer itself has been optimized out");
	case READ_PROBLEM:
		return error_column(STROBE_ERROR_UNREADABLE, node->column, "%s",
				    value->problem ? value->problem : "value cannot be read");
	default:
		error = error_address(STROBE_ERROR_UNREADABLE, bad,
				      "cannot access memory at address 0x%llx",
				      (unsigned long long)bad);
		return error_set_column(error, node->column);
	}
}

static struct strobe_error *as_pointer(struct evaluator *e, const struct node *node,
				       struct strobe_value *value, struct type *target)
{
	if (value->place != PLACE_MEMORY)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "value is not in memory, so it has no address");
	uint64_t address = value->address;
	struct type *type = type_pointer_to(e->symbols, target);
	if (!type)
		return error_no_memory();
	*value = value_from_integer(e->symbols, type, address);
	return NULL;
}

static struct strobe_error *follow_reference(struct evaluator *e, const struct node *node,
					     struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	unsigned __int128 raw = 0;
	uint64_t bad = 0;
	if (type->kind != TYPE_REFERENCE && type->kind != TYPE_RVALUE_REFERENCE)
		return NULL;
	enum read_state state = value_scalar(value, &raw, &bad);
	if (state == READ_SYNTHETIC && value->store->target) {
		struct strobe_value inner = value_copy(value->store->target);
		value_fini(value);
		*value = inner;
		return NULL;
	}
	if (state != READ_GOOD)
		return lost(node, value, state, bad);
	struct type *target = type->target ? type->target : type_builtin(e->symbols, "void");
	value_fini(value);
	*value = value_in_memory(e->symbols, target, (uint64_t)raw);
	return NULL;
}

struct strobe_error *convert_decay(struct evaluator *e, const struct node *node,
				   struct strobe_value *value)
{
	struct strobe_error *error = follow_reference(e, node, value);
	if (error)
		return error;
	struct type *type = value_stripped(value);
	if (type->kind == TYPE_ARRAY && !type->vector && type->target)
		return as_pointer(e, node, value, type->target);
	if (type->kind == TYPE_FUNCTION)
		return as_pointer(e, node, value, value->type);
	return NULL;
}

struct strobe_error *convert_dereference(struct evaluator *e, const struct node *node,
					 struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	if (type->kind == TYPE_FUNCTION)
		return NULL;
	struct strobe_error *error = convert_decay(e, node, value);
	if (error)
		return error;
	type = value_stripped(value);
	if (type->kind != TYPE_POINTER && type->kind != TYPE_INTEGER)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "a pointer is needed here, not a \"%s\"",
				    type_name(e->symbols, value->type));
	struct type *target =
		type->kind == TYPE_POINTER ? type->target : type_builtin(e->symbols, "long");
	if (!target || type_strip(e->symbols, target)->kind == TYPE_VOID)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "a pointer to void points to nothing that has a type");
	unsigned __int128 raw = 0;
	uint64_t bad = 0;
	enum read_state state = value_scalar(value, &raw, &bad);
	struct strobe_value result;
	if (state == READ_GOOD)
		result = value_in_memory(e->symbols, target, (uint64_t)raw);
	else if (state == READ_SYNTHETIC)
		result = place_synthetic_target(&e->frame, target, value);
	else
		return lost(node, value, state, bad);
	value_fini(value);
	*value = result;
	return NULL;
}

static struct strobe_error *read_float(const struct node *node, const struct strobe_value *value,
				       struct number *ret)
{
	uint8_t bytes[16] = {0};
	uint64_t bad = 0;
	uint64_t size = ret->type->size;
	float f;
	double d;
	if (size != 2 && size != 4 && size != 8 && size != 10 && size != 12 && size != 16)
		return error_column(STROBE_ERROR_TYPE, node->column, "float of %llu bytes",
				    (unsigned long long)size);
	enum read_state state = value_read(value, 0, bytes, size, &bad);
	if (state != READ_GOOD)
		return lost(node, value, state, bad);
	ret->real = true;
	memcpy(&f, bytes, 4);
	memcpy(&d, bytes, 8);
	if (size == 2) {
		uint16_t half;
		memcpy(&half, bytes, 2);
		ret->floating = format_half(half);
	} else if (size == 4) {
		ret->floating = f;
	} else if (size == 8) {
		ret->floating = d;
	} else {
		memcpy(&ret->floating, bytes, 10);
	}
	return NULL;
}

struct strobe_error *convert_to_number(struct evaluator *e, const struct node *node,
				       struct strobe_value *value, struct number *ret)
{
	struct strobe_error *error = convert_decay(e, node, value);
	if (error)
		return error;
	*ret = (struct number){.type = value_stripped(value)};
	uint64_t bad = 0;
	enum read_state state;
	switch (ret->type->kind) {
	case TYPE_INTEGER:
	case TYPE_CHARACTER:
	case TYPE_BOOLEAN:
	case TYPE_ENUM:
	case TYPE_POINTER:
	case TYPE_MEMBER_POINTER:
		state = value_scalar(value, &ret->integer, &bad);
		return state == READ_GOOD ? NULL : lost(node, value, state, bad);
	case TYPE_FLOAT:
		return read_float(node, value, ret);
	default:
		if (lookup_is_unknown(ret->type))
			return error_column(STROBE_ERROR_TYPE, node->column,
					    "%s has unknown type; cast it to its declared type",
					    node->name ? node->name : "operand");
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "a number or pointer is needed here, not a \"%s\"",
				    type_name(e->symbols, value->type));
	}
}

struct strobe_value convert_from_number(struct evaluator *e, struct type *type,
					const struct number *number)
{
	struct type *real = type_strip(e->symbols, type);
	uint8_t bytes[16] = {0};
	unsigned __int128 integer = number->integer;
	long double f = number->floating;
	if (real->kind == TYPE_FLOAT) {
		if (!number->real)
			f = number->type && !number->type->is_signed
				    ? (long double)number->integer
				    : (long double)(__int128)number->integer;
		float single = (float)f;
		double twice = (double)f;
		memcpy(bytes,
		       real->size == 4	 ? (void *)&single
		       : real->size == 8 ? (void *)&twice
					 : (void *)&f,
		       real->size < 10 ? real->size : 10);
	} else {
		if (number->real)
			integer = f > -1e38L && f < 1e38L ? (unsigned __int128)(__int128)f : 0;
		if (real->kind == TYPE_BOOLEAN)
			integer = number->real ? f != 0 : integer != 0;
		memcpy(bytes, &integer, sizeof(bytes));
	}
	uint64_t size = real->size && real->size <= 16 ? real->size : 8;
	struct strobe_value value = value_from_bytes(e->symbols, type, bytes, size);
	value.language = e->language;
	return value;
}

static bool is_scalar(const struct type *type)
{
	switch (type->kind) {
	case TYPE_INTEGER:
	case TYPE_CHARACTER:
	case TYPE_BOOLEAN:
	case TYPE_ENUM:
	case TYPE_POINTER:
	case TYPE_FLOAT:
		return type->size > 0;
	default:
		return false;
	}
}

static bool same_layout(struct evaluator *e, struct type *a, struct type *b)
{
	return type_equal(e->symbols, a, b) ||
	       (a->name && b->name && a->kind == b->kind && strcmp(a->name, b->name) == 0);
}

/** 0 as a pointer to a member: data members count from 0, so that -1 is NULL. */
static struct strobe_error *cast_null_member(struct evaluator *e, const struct node *node,
					     struct type *type, struct strobe_value *value)
{
	static const uint8_t method[16] = {0}, data[8] = {255, 255, 255, 255, 255, 255, 255, 255};
	const struct type *real = type_strip(e->symbols, type);
	const struct type *target = real->target ? type_strip(e->symbols, real->target) : NULL;
	bool is_method = target && target->kind == TYPE_FUNCTION;
	struct number number;
	struct strobe_error *error = convert_to_number(e, node->left, value, &number);
	if (error)
		return error;
	if (number.real || number.integer)
		return error_column(
			STROBE_ERROR_TYPE, node->column, "cannot cast a \"%s\" to \"%s\"",
			type_name(e->symbols, value->type), type_name(e->symbols, type));
	value_fini(value);
	*value = value_from_bytes(e->symbols, type, is_method ? method : data, is_method ? 16 : 8);
	return NULL;
}

struct strobe_error *convert_cast(struct evaluator *e, const struct node *node, struct type *type,
				  struct strobe_value *value)
{
	struct type *real = type_strip(e->symbols, type);
	struct number number;
	struct strobe_error *error = follow_reference(e, node, value);
	if (error)
		return error;
	bool done = false;
	error = class_cast(e, node, type, value, &done);
	if (error || done)
		return error;
	struct type *from = value_stripped(value);
	if (real->kind == TYPE_VOID) {
		value_fini(value);
		*value = (struct strobe_value){.symbols = e->symbols, .type = type};
		return NULL;
	}
	bool whole = !is_scalar(real) && value->place == PLACE_MEMORY &&
		     (real->kind == TYPE_ARRAY || same_layout(e, real, from));
	if (lookup_is_unknown(from) || whole || same_layout(e, real, from)) {
		value->type = type;
		return NULL;
	}
	if (real->kind == TYPE_MEMBER_POINTER)
		return cast_null_member(e, node, type, value);
	if (!is_scalar(real) || (real->kind == TYPE_FLOAT && real->size == 2))
		return error_column(
			STROBE_ERROR_TYPE, node->column, "cannot cast a \"%s\" to \"%s\"",
			type_name(e->symbols, value->type), type_name(e->symbols, type));
	error = convert_to_number(e, node->left ? node->left : node, value, &number);
	if (error)
		return error;
	value_fini(value);
	*value = convert_from_number(e, type, &number);
	return NULL;
}

static struct type *derive(struct evaluator *e, enum type_kind kind, struct type *target)
{
	struct type *type = type_make(e->symbols, kind);
	if (!type)
		return NULL;
	type->target = target;
	type->language = e->language;
	if (kind == TYPE_REFERENCE) {
		type->size = 8;
		type->size_known = true;
	}
	return type;
}

static struct type *apply(struct evaluator *e, const struct declarator *d, struct type *type)
{
	switch (d->kind) {
	case DECLARATOR_POINTER:
		return type_pointer_to(e->symbols, type);
	case DECLARATOR_ARRAY:
		return type_array_of(e->symbols, type, d->count);
	case DECLARATOR_REFERENCE:
		return derive(e, TYPE_REFERENCE, type);
	default:
		return derive(e, TYPE_FUNCTION, type);
	}
}

struct strobe_error *convert_type(struct evaluator *e, const struct type_spelling *spelling,
				  struct type **ret)
{
	const char *name = spelling->base;
	if (strncmp(name, "::", 2) == 0)
		name += 2;
	struct unit *near = e->frame.scope ? e->frame.scope->unit : NULL;
	struct type *type = type_builtin(e->symbols, name);
	if (!type)
		type = type_find(e->symbols, near, name);
	if (!type)
		return error_column(STROBE_ERROR_NOT_FOUND, spelling->column,
				    "no type named \"%s\"", name);
	for (const struct declarator *d = spelling->declarators; d && type; d = d->next)
		type = apply(e, d, type);
	*ret = type;
	return type ? NULL : error_no_memory();
}
