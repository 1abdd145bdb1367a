// SPDX-License-Identifier: Apache-2.0
// C's operators on numbers and pointers, with its conversions.
#include <math.h>

#include "base/error.h"
#include "symbols/module.h"
#include "value/complex.h"
#include "value/evaluate.h"

typedef unsigned __int128 wide;

#define OP2(a, b) PUNCTUATOR(a, b, 0)

struct strobe_value arithmetic_truth(struct evaluator *e, bool truth)
{
	bool has_bool = evaluator_is_cpp(e) || language_is_rust(e->language);
	const char *name = has_bool ? "bool" : "int";
	struct type *type = type_builtin(e->symbols, name);
	return value_from_integer(e->symbols, type ? type : type_builtin(e->symbols, "int"), truth);
}

static struct type *integer_type(struct evaluator *e, uint64_t size, bool is_signed)
{
	const char *name = size > 8   ? (is_signed ? "__int128" : "unsigned __int128")
			   : size > 4 ? (is_signed ? "long" : "unsigned long")
				      : (is_signed ? "int" : "unsigned int");
	return type_builtin(e->symbols, name);
}

static struct type *promoted(struct evaluator *e, struct type *type)
{
	if (type->kind == TYPE_FLOAT)
		return type->size == 2 ? type_builtin(e->symbols, "float") : type;
	bool small = type->size < 4;
	return integer_type(e, small ? 4 : type->size, small || type->is_signed);
}

static struct type *common_type(struct evaluator *e, struct type *a, struct type *b)
{
	if (a->kind == TYPE_FLOAT || b->kind == TYPE_FLOAT) {
		if (a->kind != TYPE_FLOAT)
			return promoted(e, b);
		return promoted(e, b->kind != TYPE_FLOAT || a->size >= b->size ? a : b);
	}
	a = promoted(e, a);
	b = promoted(e, b);
	if (a->size != b->size)
		return a->size > b->size ? a : b;
	return a->is_signed ? b : a;
}

/** A number as it is after conversion to `type`. */
static struct number as(const struct number *n, struct type *type)
{
	struct number r = *n;
	r.type = type;
	if (type->kind == TYPE_FLOAT) {
		if (!n->real)
			r.floating = n->type->is_signed ? (long double)(__int128)n->integer
							: (long double)n->integer;
		r.real = true;
		if (type->size == 4)
			r.floating = (float)r.floating;
		else if (type->size == 8)
			r.floating = (double)r.floating;
		return r;
	}
	unsigned bits = (unsigned)type->size * 8;
	if (bits && bits < 128) {
		r.integer &= ((wide)1 << bits) - 1;
		if (type->is_signed && r.integer >> (bits - 1) & 1)
			r.integer |= ~(wide)0 << bits;
	}
	return r;
}

static struct strobe_error *calculate_float(struct evaluator *e, const struct node *node,
					    const struct number *a, const struct number *b,
					    struct number *ret)
{
	long double x = a->floating, y = b->floating;
	*ret = *a;
	switch (node->op) {
	case '+':
		ret->floating = x + y;
		return NULL;
	case '-':
		ret->floating = x - y;
		return NULL;
	case '*':
		ret->floating = x * y;
		return NULL;
	case '/':
		ret->floating = x / y;
		return NULL;
	default:
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "operator is for integers, not for floating-point numbers");
	}
}

static struct strobe_error *divide(const struct node *node, const struct number *a,
				   const struct number *b, struct number *ret)
{
	if (b->integer == 0)
		return error_column(STROBE_ERROR_TYPE, node->column, "division by zero");
	bool remainder = node->op == '%';
	if (!a->type->is_signed) {
		ret->integer = remainder ? a->integer % b->integer : a->integer / b->integer;
		return NULL;
	}
	__int128 x = (__int128)a->integer, y = (__int128)b->integer;
	if (y == -1) // the one quotient that overflows
		ret->integer = remainder ? 0 : -a->integer;
	else
		ret->integer = (wide)(remainder ? x % y : x / y);
	return NULL;
}

static struct strobe_error *calculate(const struct node *node, const struct number *a,
				      const struct number *b, struct number *ret)
{
	*ret = *a;
	switch (node->op) {
	case '+':
		ret->integer = a->integer + b->integer;
		break;
	case '-':
		ret->integer = a->integer - b->integer;
		break;
	case '*':
		ret->integer = a->integer * b->integer;
		break;
	case '&':
		ret->integer = a->integer & b->integer;
		break;
	case '|':
		ret->integer = a->integer | b->integer;
		break;
	case '^':
		ret->integer = a->integer ^ b->integer;
		break;
	default:
		return divide(node, a, b, ret);
	}
	return NULL;
}

static struct strobe_error *shift(struct evaluator *e, const struct node *node, struct number a,
				  const struct number *b, struct strobe_value *ret)
{
	struct type *type = promoted(e, a.type);
	if (a.real || b->real)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "shift is for integers, not for floating-point numbers");
	a = as(&a, type);
	unsigned bits = (unsigned)type->size * 8;
	if (b->integer >= bits)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "shift count is negative or not below %u", bits);
	unsigned count = (unsigned)b->integer;
	if (node->op == OP2('<', '<'))
		a.integer <<= count;
	else if (type->is_signed)
		a.integer = (wide)((__int128)a.integer >> count);
	else
		a.integer >>= count;
	*ret = convert_from_number(e, type, &a);
	return NULL;
}

static bool compare(uint32_t op, const struct number *a, const struct number *b)
{
	int order;
	if (a->real) {
		if (isnan(a->floating) || isnan(b->floating))
			return op == OP2('!', '=');
		order = (a->floating > b->floating) - (a->floating < b->floating);
	} else if (a->type->is_signed) {
		order = ((__int128)a->integer > (__int128)b->integer) -
			((__int128)a->integer < (__int128)b->integer);
	} else {
		order = (a->integer > b->integer) - (a->integer < b->integer);
	}
	switch (op) {
	case '<':
		return order < 0;
	case '>':
		return order > 0;
	case OP2('<', '='):
		return order <= 0;
	case OP2('>', '='):
		return order >= 0;
	case OP2('=', '='):
		return order == 0;
	default:
		return order != 0;
	}
}

static bool is_comparison(uint32_t op)
{
	return op == '<' || op == '>' || op == OP2('<', '=') || op == OP2('>', '=') ||
	       op == OP2('=', '=') || op == OP2('!', '=');
}

static uint64_t step_of(struct evaluator *e, struct type *pointer)
{
	uint64_t size = pointer->target ? value_type_size(e->symbols, pointer->target) : 1;
	return size ? size : 1;
}

static struct strobe_error *pointers(struct evaluator *e, const struct node *node, struct number *a,
				     struct number *b, struct type *a_type, struct type *b_type,
				     struct strobe_value *ret)
{
	bool left = a->type->kind == TYPE_POINTER, right = b->type->kind == TYPE_POINTER;
	if (is_comparison(node->op)) {
		struct type *word = integer_type(e, 8, false);
		struct number x = as(a, word), y = as(b, word);
		*ret = arithmetic_truth(e, compare(node->op, &x, &y));
		return NULL;
	}
	if (node->op == '-' && left && right) {
		uint64_t step = step_of(e, a->type);
		if (step != step_of(e, b->type))
			return error_column(STROBE_ERROR_TYPE, node->column,
					    "the pointers point to things of different size");
		int64_t distance = (int64_t)((uint64_t)a->integer - (uint64_t)b->integer);
		*ret = value_from_integer(e->symbols, integer_type(e, 8, true),
					  (uint64_t)(distance / (int64_t)step));
		return NULL;
	}
	bool add = node->op == '+' && left != right;
	if (a->real || b->real || (!add && !(node->op == '-' && left && !right))) {
		struct type *word = integer_type(e, 8, true);
		struct number x = as(a, word), y = as(b, word), r;
		if (a->real || b->real || node->op == '+')
			return error_column(STROBE_ERROR_TYPE, node->column,
					    "operator does not apply to pointers");
		struct strobe_error *error = calculate(node, &x, &y, &r);
		if (!error)
			*ret = convert_from_number(e, word, &r);
		return error;
	}
	struct number *base = left ? a : b, *index = left ? b : a;
	uint64_t offset = (uint64_t)index->integer * step_of(e, base->type);
	uint64_t address = (uint64_t)base->integer;
	*ret = value_from_integer(e->symbols, left ? a_type : b_type,
				  node->op == '-' ? address - offset : address + offset);
	return NULL;
}

static struct strobe_error *binary(struct evaluator *e, const struct node *node,
				   struct strobe_value *left, struct strobe_value *right,
				   struct strobe_value *ret)
{
	struct number a, b, r;
	if (complex_is(left) || complex_is(right))
		return complex_binary(e, node, left, right, ret);
	struct strobe_error *error = convert_to_number(e, node->left, left, &a);
	if (!error)
		error = convert_to_number(e, node->right, right, &b);
	if (error)
		return error;
	if (a.type->kind == TYPE_POINTER || b.type->kind == TYPE_POINTER)
		return pointers(e, node, &a, &b, left->type, right->type, ret);
	if (node->op == OP2('<', '<') || node->op == OP2('>', '>'))
		return shift(e, node, a, &b, ret);
	struct type *type = common_type(e, a.type, b.type);
	a = as(&a, type);
	b = as(&b, type);
	if (is_comparison(node->op)) {
		*ret = arithmetic_truth(e, compare(node->op, &a, &b));
		return NULL;
	}
	error = a.real ? calculate_float(e, node, &a, &b, &r) : calculate(node, &a, &b, &r);
	if (!error)
		*ret = convert_from_number(e, type, &r);
	return error;
}

struct strobe_error *arithmetic_binary(struct evaluator *e, const struct node *node,
				       struct strobe_value *left, struct strobe_value *right)
{
	struct strobe_value result = {.place = PLACE_OPTIMIZED_OUT};
	struct strobe_error *error = binary(e, node, left, right, &result);
	value_fini(right);
	if (error)
		return error;
	value_fini(left);
	*left = result;
	return NULL;
}

struct strobe_error *arithmetic_unary(struct evaluator *e, const struct node *node,
				      struct strobe_value *value)
{
	struct number n;
	struct strobe_value result;
	struct strobe_error *error = complex_is(value)
					     ? complex_unary(e, node, value, &result)
					     : convert_to_number(e, node->left, value, &n);
	if (error)
		return error;
	if (complex_is(value)) {
		value_fini(value);
		*value = result;
		return NULL;
	}
	bool pointer = n.type->kind == TYPE_POINTER;
	bool bits = language_is_rust(e->language) && n.type->kind == TYPE_INTEGER;
	if (node->op == '!' && !bits) {
		result = arithmetic_truth(e, n.real ? n.floating == 0 : n.integer == 0);
	} else {
		if (pointer || (n.real && node->op == '~'))
			return error_column(STROBE_ERROR_TYPE, node->column,
					    "operator does not apply to a \"%s\"",
					    type_name(e->symbols, value->type));
		n = as(&n, promoted(e, n.type));
		if (node->op == '-') {
			n.floating = -n.floating;
			n.integer = -n.integer;
		} else if (node->op == '~' || node->op == '!') {
			n.integer = ~n.integer;
		}
		result = convert_from_number(e, n.type, &n);
	}
	value_fini(value);
	*value = result;
	return NULL;
}
