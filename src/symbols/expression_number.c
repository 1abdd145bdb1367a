// SPDX-License-Identifier: Apache-2.0
#include "symbols/expression_number.h"

#include <dwarf.h>
#include <string.h>

typedef unsigned __int128 wide;
typedef __int128 signed_wide;

static const char not_integral[] = "an integer operation is given a floating-point value";

static wide cut(wide bits, unsigned size)
{
	return size >= 16 ? bits : bits & (((wide)1 << (8 * size)) - 1);
}

/** The bits as a signed number. */
static signed_wide extend(const struct number *number)
{
	unsigned shift = 128 - 8 * number->size;
	return (signed_wide)(number->bits << shift) >> shift;
}

/** The value by the number's own signedness (the generic type counts as unsigned). */
static signed_wide value_of(const struct number *number)
{
	return number->kind == NUMBER_SIGNED ? extend(number) : (signed_wide)number->bits;
}

static long double to_float(const struct number *number)
{
	float single;
	double twice;
	long double extended = 0;
	if (number->kind == NUMBER_SIGNED)
		return (long double)extend(number);
	if (number->kind != NUMBER_FLOAT)
		return (long double)number->bits;
	switch (number->size) {
	case sizeof(float):
		memcpy(&single, &number->bits, sizeof(single));
		return (long double)single;
	case sizeof(double):
		memcpy(&twice, &number->bits, sizeof(twice));
		return (long double)twice;
	default:
		memcpy(&extended, &number->bits, 10);
		return extended;
	}
}

static void set_float(struct number *number, long double value)
{
	float single = (float)value;
	double twice = (double)value;
	number->bits = 0;
	if (number->size == sizeof(float))
		memcpy(&number->bits, &single, sizeof(single));
	else if (number->size == sizeof(double))
		memcpy(&number->bits, &twice, sizeof(twice));
	else
		memcpy(&number->bits, &value, 10);
}

struct number number_generic(uint64_t value)
{
	return (struct number){.kind = NUMBER_GENERIC, .size = 8, .bits = value};
}

bool number_type(uint64_t encoding, uint64_t size, struct number *ret)
{
	struct number number = {.size = (unsigned)size};
	if (size == 0 || size > 16)
		return false;
	switch (encoding) {
	case DW_ATE_signed:
	case DW_ATE_signed_char:
		number.kind = NUMBER_SIGNED;
		break;
	case DW_ATE_unsigned:
	case DW_ATE_unsigned_char:
	case DW_ATE_boolean:
	case DW_ATE_address:
	case DW_ATE_UTF:
		number.kind = NUMBER_UNSIGNED;
		break;
	case DW_ATE_float:
		number.kind = NUMBER_FLOAT;
		if (size != 4 && size != 8 && size != 10 && size != 12 && size != 16)
			return false;
		break;
	default:
		return false;
	}
	*ret = number;
	return true;
}

void number_set(struct number *number, uint64_t value)
{
	if (number->kind == NUMBER_FLOAT)
		set_float(number, (long double)value);
	else
		number->bits = cut(value, number->size);
}

uint64_t number_to_u64(const struct number *number)
{
	return (uint64_t)value_of(number);
}

void number_to_bytes(const struct number *number, uint8_t bytes[16])
{
	memcpy(bytes, &number->bits, 16);
}

bool number_is_zero(const struct number *number)
{
	return number->kind == NUMBER_FLOAT ? to_float(number) == 0 : number->bits == 0;
}

/** A float beyond the integer's range has no C value: take the nearest, NaN is 0. */
static wide float_to_bits(long double value, const struct number *type)
{
	unsigned bits = 8 * type->size - (type->kind == NUMBER_SIGNED);
	long double limit = 1;
	for (unsigned i = 0; i < bits; i++)
		limit *= 2;
	wide most = bits >= 128 ? ~(wide)0 : ((wide)1 << bits) - 1;
	if (value != value)
		return 0;
	if (value >= limit)
		return most;
	if (value >= 0)
		return (wide)value;
	if (type->kind != NUMBER_SIGNED)
		return value > -limit ? -(wide)-value : 0;
	return value <= -limit ? ~most : -(wide)-value;
}

void number_convert(const struct number *from, struct number *to)
{
	if (to->kind == NUMBER_FLOAT)
		set_float(to, to_float(from));
	else if (from->kind == NUMBER_FLOAT)
		to->bits = cut(float_to_bits(to_float(from), to), to->size);
	else
		to->bits = cut((wide)value_of(from), to->size);
}

const char *number_unary(uint8_t op, struct number *number)
{
	if (number->kind == NUMBER_FLOAT) {
		long double value = to_float(number);
		if (op == DW_OP_not)
			return not_integral;
		if (op == DW_OP_neg || value < 0)
			set_float(number, -value);
		return NULL;
	}
	switch (op) {
	case DW_OP_abs:
		// The generic type counts as signed here; an unsigned one is its own magnitude.
		if (number->kind != NUMBER_UNSIGNED && extend(number) < 0)
			number->bits = cut(-number->bits, number->size);
		return NULL;
	case DW_OP_neg:
		number->bits = cut(-number->bits, number->size);
		return NULL;
	default: // DW_OP_not
		number->bits = cut(~number->bits, number->size);
		return NULL;
	}
}

static bool compare(uint8_t op, int order)
{
	switch (op) {
	case DW_OP_eq:
		return order == 0;
	case DW_OP_ge:
		return order >= 0;
	case DW_OP_gt:
		return order > 0;
	case DW_OP_le:
		return order <= 0;
	case DW_OP_lt:
		return order < 0;
	default: // DW_OP_ne
		return order != 0;
	}
}

static const char *binary_float(uint8_t op, long double left, long double right, struct number *ret)
{
	switch (op) {
	case DW_OP_plus:
		set_float(ret, left + right);
		return NULL;
	case DW_OP_minus:
		set_float(ret, left - right);
		return NULL;
	case DW_OP_mul:
		set_float(ret, left * right);
		return NULL;
	case DW_OP_div:
		set_float(ret, left / right);
		return NULL;
	case DW_OP_eq ... DW_OP_ne: {
		bool unordered = left != left || right != right;
		int order = left < right ? -1 : left > right;
		*ret = number_generic(unordered ? op == DW_OP_ne : compare(op, order));
		return NULL;
	}
	default:
		return not_integral;
	}
}

/** Division: signed for the generic type, by the type's sign else. Wraps at the most negative. */
static const char *divide(const struct number *left, const struct number *right, struct number *ret)
{
	if (right->bits == 0)
		return "the expression divides by zero";
	if (left->kind == NUMBER_UNSIGNED) {
		ret->bits = cut(left->bits / right->bits, left->size);
		return NULL;
	}
	signed_wide a = extend(left), b = extend(right);
	// -1 apart: the quotient of the most negative 128-bit number would trap.
	ret->bits = cut(b == -1 ? -(wide)a : (wide)(a / b), left->size);
	return NULL;
}

/** Remainder: unsigned for the generic type, as gdb takes it. */
static const char *remainder_of(const struct number *left, const struct number *right,
				struct number *ret)
{
	if (right->bits == 0)
		return "the expression divides by zero";
	if (left->kind != NUMBER_SIGNED) {
		ret->bits = left->bits % right->bits;
		return NULL;
	}
	signed_wide a = extend(left), b = extend(right);
	ret->bits = cut(b == -1 ? 0 : (wide)(a % b), left->size);
	return NULL;
}

static wide shift(uint8_t op, const struct number *number, const struct number *by)
{
	unsigned width = 8 * number->size;
	unsigned count = by->bits >= width ? width : (unsigned)by->bits;
	if (op == DW_OP_shra) {
		if (count >= width)
			count = width - 1;
		return (wide)(extend(number) >> count);
	}
	if (count >= width)
		return 0;
	return op == DW_OP_shl ? number->bits << count : number->bits >> count;
}

static const char *binary_integer(uint8_t op, const struct number *left, const struct number *right,
				  struct number *ret)
{
	switch (op) {
	case DW_OP_and:
		ret->bits = left->bits & right->bits;
		return NULL;
	case DW_OP_or:
		ret->bits = left->bits | right->bits;
		return NULL;
	case DW_OP_xor:
		ret->bits = left->bits ^ right->bits;
		return NULL;
	case DW_OP_plus:
		ret->bits = cut(left->bits + right->bits, left->size);
		return NULL;
	case DW_OP_minus:
		ret->bits = cut(left->bits - right->bits, left->size);
		return NULL;
	case DW_OP_mul:
		ret->bits = cut(left->bits * right->bits, left->size);
		return NULL;
	case DW_OP_div:
		return divide(left, right, ret);
	case DW_OP_mod:
		return remainder_of(left, right, ret);
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_shra:
		ret->bits = cut(shift(op, left, right), left->size);
		return NULL;
	default: { // comparisons; the generic type counts as signed
		bool is_signed = left->kind != NUMBER_UNSIGNED;
		int order = left->bits < right->bits ? -1 : left->bits > right->bits;
		if (is_signed) {
			signed_wide a = extend(left), b = extend(right);
			order = a < b ? -1 : a > b;
		}
		*ret = number_generic(compare(op, order));
		return NULL;
	}
	}
}

const char *number_binary(uint8_t op, const struct number *left_in, const struct number *right_in,
			  struct number *ret)
{
	struct number left = *left_in, right = *right_in;
	bool is_shift = op == DW_OP_shl || op == DW_OP_shr || op == DW_OP_shra;
	*ret = left;
	if ((left.kind == NUMBER_FLOAT) != (right.kind == NUMBER_FLOAT))
		return "an operation is given values of different types";
	if (left.kind == NUMBER_FLOAT)
		return binary_float(op, to_float(&left), to_float(&right), ret);
	// A shift's count may be of another type; other operands must agree in size at least.
	if (left.size != right.size && !is_shift)
		return "an operation is given values of different types";
	return binary_integer(op, &left, &right, ret);
}
