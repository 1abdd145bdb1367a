// SPDX-License-Identifier: Apache-2.0
#include "value/complex.h"

#include "base/error.h"
#include "symbols/module.h"

/** An operand: its parts, the size of one, and its own type if that is complex. */
struct operand {
	long double real, imaginary;
	uint64_t part_size; // 0 for integers
	struct type *type;  // NULL for real numbers
};

bool complex_is(const struct strobe_value *value)
{
	return value_stripped(value)->kind == TYPE_COMPLEX;
}

static struct type *part_type(struct evaluator *e, uint64_t size)
{
	return type_builtin(e->symbols, size == 4 ? "float" : size == 8 ? "double" : "long double");
}

static struct strobe_error *read_part(struct evaluator *e, const struct node *node,
				      const struct strobe_value *value, uint64_t size,
				      unsigned index, long double *ret)
{
	struct number number;
	struct strobe_value part = value_part(value, part_type(e, size), index * size);
	struct strobe_error *error = convert_to_number(e, node, &part, &number);
	if (!error)
		*ret = number.floating;
	return error;
}

static struct strobe_error *read_operand(struct evaluator *e, const struct node *node,
					 struct strobe_value *value, struct operand *ret)
{
	struct number number;
	*ret = (struct operand){0};
	if (complex_is(value)) {
		ret->type = value->type;
		ret->part_size = value_stripped(value)->size / 2;
		struct strobe_error *error =
			read_part(e, node, value, ret->part_size, 0, &ret->real);
		return error ? error
			     : read_part(e, node, value, ret->part_size, 1, &ret->imaginary);
	}
	struct strobe_error *error = convert_to_number(e, node, value, &number);
	if (error)
		return error;
	if (number.type->kind == TYPE_POINTER)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "operator does not apply to pointers");
	ret->real = number.real		     ? number.floating
		    : number.type->is_signed ? (long double)(__int128)number.integer
					     : (long double)number.integer;
	ret->part_size = number.real ? number.type->size : 0;
	return NULL;
}

// A type of two parts of `size` bytes: one of the operands', else a made one.
static struct type *result_type(struct evaluator *e, const struct operand *a,
				const struct operand *b, uint64_t size)
{
	if (a->type && a->part_size == size)
		return a->type;
	if (b && b->type && b->part_size == size)
		return b->type;
	struct type *type = type_make(e->symbols, TYPE_COMPLEX);
	if (!type)
		return NULL;
	type->name = size == 4	 ? "complex float"
		     : size == 8 ? "complex double"
				 : "complex long double";
	type->size = 2 * size;
	type->size_known = true;
	return type;
}

static struct strobe_error *make(struct evaluator *e, struct type *type, uint64_t size,
				 const struct operand *result, struct strobe_value *ret)
{
	uint8_t bytes[32] = {0};
	struct type *part = part_type(e, size);
	if (!type || !part || 2 * size > sizeof(bytes))
		return error_no_memory();
	for (unsigned i = 0; i < 2; i++) {
		struct number number = {.type = part,
					.real = true,
					.floating = i ? result->imaginary : result->real};
		struct strobe_value value = convert_from_number(e, part, &number);
		enum read_state state = value_read(&value, 0, bytes + i * size, size, NULL);
		value_fini(&value);
		if (state != READ_GOOD)
			return error_no_memory();
	}
	*ret = value_from_bytes(e->symbols, type, bytes, 2 * size);
	return NULL;
}

static bool calculate(uint32_t op, const struct operand *a, const struct operand *b,
		      struct operand *ret)
{
	long double square = b->real * b->real + b->imaginary * b->imaginary;
	switch (op) {
	case '+':
		ret->real = a->real + b->real;
		ret->imaginary = a->imaginary + b->imaginary;
		return true;
	case '-':
		ret->real = a->real - b->real;
		ret->imaginary = a->imaginary - b->imaginary;
		return true;
	case '*':
		ret->real = a->real * b->real - a->imaginary * b->imaginary;
		ret->imaginary = a->real * b->imaginary + a->imaginary * b->real;
		return true;
	case '/':
		ret->real = (a->real * b->real + a->imaginary * b->imaginary) / square;
		ret->imaginary = (a->imaginary * b->real - a->real * b->imaginary) / square;
		return true;
	default:
		return false;
	}
}

struct strobe_error *complex_binary(struct evaluator *e, const struct node *node,
				    struct strobe_value *left, struct strobe_value *right,
				    struct strobe_value *ret)
{
	struct operand a, b, result = {0};
	struct strobe_error *error = read_operand(e, node->left, left, &a);
	if (!error)
		error = read_operand(e, node->right, right, &b);
	if (error)
		return error;
	bool equal = node->op == PUNCTUATOR('=', '=', 0);
	if (equal || node->op == PUNCTUATOR('!', '=', 0)) {
		bool same = a.real == b.real && a.imaginary == b.imaginary;
		*ret = arithmetic_truth(e, same == equal);
		return NULL;
	}
	if (!calculate(node->op, &a, &b, &result))
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "operator does not apply to complex numbers");
	uint64_t size = a.part_size > b.part_size ? a.part_size : b.part_size;
	return make(e, result_type(e, &a, &b, size), size, &result, ret);
}

struct strobe_error *complex_unary(struct evaluator *e, const struct node *node,
				   struct strobe_value *value, struct strobe_value *ret)
{
	struct operand a;
	struct strobe_error *error = read_operand(e, node->left, value, &a);
	if (error)
		return error;
	if (node->op == '!') {
		*ret = arithmetic_truth(e, a.real == 0 && a.imaginary == 0);
		return NULL;
	}
	if (node->op != '-' && node->op != '~')
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "operator does not apply to complex numbers");
	a.imaginary = -a.imaginary;
	if (node->op == '-')
		a.real = -a.real;
	return make(e, a.type, a.part_size, &a, ret);
}
