// SPDX-License-Identifier: Apache-2.0
#include "value/evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbols/module.h"
#include "value/class.h"

/** Named limits: elements of a slice, and references that a member is looked up through. */
#define SLICE_LIMIT (UINT64_C(1) << 40)
enum { REFERENCE_LIMIT = 16 };

bool evaluator_is_cpp(const struct evaluator *e)
{
	return language_is_cplus(e->language);
}

static struct strobe_error *integer(struct evaluator *e, const struct node *node,
				    struct strobe_value *ret)
{
	const struct token *t = &node->token;
	bool is_long = t->longs || (t->is_unsigned || t->is_octal_or_hex ? t->integer > UINT32_MAX
									 : t->integer > INT32_MAX);
	bool is_unsigned = t->is_unsigned || t->integer > INT64_MAX ||
			   (!is_long && t->is_octal_or_hex && t->integer > INT32_MAX);
	const char *name = is_long ? (is_unsigned ? "unsigned long" : "long")
				   : (is_unsigned ? "unsigned int" : "int");
	if (t->rust_type)
		name = t->rust_type;
	else if (t->longs == 2)
		name = is_unsigned ? "unsigned long long" : "long long";
	*ret = value_from_integer(e->symbols, type_builtin(e->symbols, name), t->integer);
	return NULL;
}

static struct strobe_error *floating(struct evaluator *e, const struct node *node,
				     struct strobe_value *ret)
{
	char suffix = node->token.float_suffix;
	struct number number = {.real = true, .floating = node->token.real};
	const char *name = suffix == 'f' ? "float" : suffix == 'l' ? "long double" : "double";
	*ret = convert_from_number(e, type_builtin(e->symbols, name), &number);
	return NULL;
}

static struct type *character_type(struct evaluator *e, char prefix)
{
	struct type *type = prefix == 'L'   ? type_builtin(e->symbols, "wchar_t")
			    : prefix == 'u' ? type_builtin(e->symbols, "char16_t")
			    : prefix == 'U' ? type_builtin(e->symbols, "char32_t")
					    : NULL;
	return type ? type : type_builtin(e->symbols, prefix && prefix != '8' ? "int" : "char");
}

static struct strobe_error *character(struct evaluator *e, const struct node *node,
				      struct strobe_value *ret)
{
	struct type *type = character_type(e, node->token.prefix);
	uint64_t integer = node->token.integer;
	*ret = value_from_integer(e->symbols, type,
				  type->size == 1 ? (uint64_t)(int8_t)integer : integer);
	return NULL;
}

static struct strobe_error *string(struct evaluator *e, const struct node *node,
				   struct strobe_value *ret)
{
	struct type *element = character_type(e, node->token.prefix);
	const char *at = node->token.start, *end = at + node->token.size;
	uint64_t width = element->size ? element->size : 1, count = 0;
	uint8_t *bytes = calloc(node->token.size + 1, width);
	uint32_t c;
	if (!bytes)
		return error_no_memory();
	while (at < end && lexer_character(&at, end, &c))
		memcpy(bytes + count++ * width, &c, width < 4 ? width : 4);
	struct type *type = type_array_of(e->symbols, element, count + 1);
	if (at >= end && type)
		*ret = value_from_bytes(e->symbols, type, bytes, (count + 1) * width);
	free(bytes);
	if (!type)
		return error_no_memory();
	return at >= end ? NULL
			 : error_column(STROBE_ERROR_SYNTAX, node->column,
					"invalid escape sequence in a string");
}

static struct strobe_error *address_of(struct evaluator *e, const struct node *node,
				       struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	if (type->kind == TYPE_REFERENCE || type->kind == TYPE_RVALUE_REFERENCE) {
		struct strobe_error *error = convert_decay(e, node->left, value);
		if (error)
			return error;
	}
	if (value->bit_size)
		return error_column(STROBE_ERROR_TYPE, node->column, "a bit-field has no address");
	if (value->place != PLACE_MEMORY)
		return error_column(value->place == PLACE_OPTIMIZED_OUT ? STROBE_ERROR_OPTIMIZED_OUT
									: STROBE_ERROR_TYPE,
				    node->column,
				    value->in_register
					    ? "value is in a register, so it has no address"
					    : "value is not in memory, so it has no address");
	struct type *pointer = type_pointer_to(e->symbols, value->type);
	if (!pointer)
		return error_no_memory();
	*value = value_from_integer(e->symbols, pointer, value->address);
	return NULL;
}

static struct strobe_error *unary(struct evaluator *e, const struct node *node,
				  struct strobe_value *ret)
{
	const struct node *left = node->left;
	if (node->op == '&' && left->kind == NODE_NAME && !left->file && strstr(left->name, "::") &&
	    class_member_pointer(e, left->name, ret))
		return NULL;
	struct strobe_error *error = evaluate_node(e, left, ret);
	if (error)
		return error;
	if (node->op == '&')
		return address_of(e, node, ret);
	if (node->op == '*')
		return convert_dereference(e, node, ret);
	return arithmetic_unary(e, node, ret);
}

static struct strobe_error *truth(struct evaluator *e, const struct node *node, bool *ret)
{
	struct strobe_value value = {.place = PLACE_OPTIMIZED_OUT};
	struct number number;
	struct strobe_error *error = evaluate_node(e, node, &value);
	if (!error)
		error = convert_to_number(e, node, &value, &number);
	if (!error)
		*ret = number.real ? number.floating != 0 : number.integer != 0;
	value_fini(&value);
	return error;
}

static struct strobe_error *logical(struct evaluator *e, const struct node *node,
				    struct strobe_value *ret)
{
	bool and_ = node->op == PUNCTUATOR('&', '&', 0), result = false;
	struct strobe_error *error = truth(e, node->left, &result);
	if (!error && result == and_)
		error = truth(e, node->right, &result);
	if (!error)
		*ret = arithmetic_truth(e, result);
	return error;
}

/** first@count */
static struct strobe_error *slice(struct evaluator *e, const struct node *node,
				  struct strobe_value *value, struct strobe_value *right)
{
	struct number count;
	struct strobe_error *error = convert_to_number(e, node->right, right, &count);
	value_fini(right);
	if (error)
		return error;
	if (value->place != PLACE_MEMORY || value->bit_size)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "only values in memory can be extended with \"@\"");
	if (count.real || (__int128)count.integer < 1 || count.integer > SLICE_LIMIT)
		return error_column(STROBE_ERROR_TYPE, node->right->column,
				    "the count behind \"@\" must be positive and reasonable");
	struct type *type = type_array_of(e->symbols, value->type, (uint64_t)count.integer);
	if (!type)
		return error_no_memory();
	value->type = type;
	return NULL;
}

/** object.*pointer and address->*pointer */
static struct strobe_error *member_by_pointer(struct evaluator *e, const struct node *node,
					      struct strobe_value *value,
					      struct strobe_value *pointer)
{
	struct strobe_error *error = convert_decay(e, node->left, value);
	if (!error && value_stripped(value)->kind == TYPE_POINTER)
		error = convert_dereference(e, node->left, value);
	if (!error)
		return class_apply_pointer(e, node, value, pointer);
	value_fini(pointer);
	return error;
}

static struct strobe_error *binary(struct evaluator *e, const struct node *node,
				   struct strobe_value *ret)
{
	struct strobe_value right = {.place = PLACE_OPTIMIZED_OUT};
	if (node->op == PUNCTUATOR('&', '&', 0) || node->op == PUNCTUATOR('|', '|', 0))
		return logical(e, node, ret);
	struct strobe_error *error = evaluate_node(e, node->left, ret);
	if (!error)
		error = evaluate_node(e, node->right, &right);
	if (error)
		return error;
	if (node->op == '@')
		return slice(e, node, ret, &right);
	if (node->op == PUNCTUATOR('-', '>', '*') || node->op == PUNCTUATOR('.', '*', 0))
		return member_by_pointer(e, node, ret, &right);
	if (node->op != ',')
		return arithmetic_binary(e, node, ret, &right);
	value_fini(ret);
	*ret = right;
	return NULL;
}

static bool is_structure(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION ||
	       type->kind == TYPE_VARIANT;
}

static struct strobe_error *member(struct evaluator *e, const struct node *node,
				   struct strobe_value *ret)
{
	struct strobe_error *error = evaluate_node(e, node->left, ret);
	if (error)
		return error;
	struct type *type = value_stripped(ret);
	if (type->kind == TYPE_REFERENCE || type->kind == TYPE_RVALUE_REFERENCE)
		error = convert_decay(e, node->left, ret);
	// Rust goes through any number of references.
	for (int i = 0; !error && value_stripped(ret)->kind == TYPE_POINTER &&
			(i == 0 || (language_is_rust(e->language) && i < REFERENCE_LIMIT));
	     i++)
		error = convert_dereference(e, node->left, ret);
	if (error)
		return error;
	type = value_stripped(ret);
	if (!is_structure(type))
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "a structure is needed here, not a \"%s\"",
				    type_name(e->symbols, ret->type));
	struct strobe_value part;
	if (!lookup_member(e, ret, node->name, &part) && !class_method(e, type, node->name, &part))
		return error_column(STROBE_ERROR_NOT_FOUND, node->column,
				    "\"%s\" has no member \"%s\"", type_name(e->symbols, ret->type),
				    node->name);
	value_fini(ret);
	*ret = part;
	return NULL;
}

static struct strobe_error *index_array(struct evaluator *e, const struct node *node,
					struct strobe_value *value, const struct number *index)
{
	struct type *type = value_stripped(value);
	int64_t at = (int64_t)index->integer - type->dimension.lower;
	bool inside = at >= 0 && (uint64_t)at < type->dimension.count;
	if (value->place != PLACE_MEMORY && !inside)
		return error_column(STROBE_ERROR_TYPE, node->column, "no such element");
	struct strobe_value element = value_element(value, (uint64_t)at);
	value->type = element.type; // keeps the reference to the store
	value->address = element.address;
	value->offset = element.offset;
	return NULL;
}

/** A slice of Rust, &[T], becomes the pointer to its first element. */
static void rust_slice(struct evaluator *e, struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	struct strobe_value data, length;
	if (type->kind != TYPE_STRUCT || !type->name || strncmp(type->name, "&", 1) != 0 ||
	    !lookup_member(e, value, "length", &length))
		return;
	value_fini(&length);
	if (!lookup_member(e, value, "data_ptr", &data))
		return;
	value_fini(value);
	*value = data;
}

static struct strobe_error *subscript(struct evaluator *e, const struct node *node,
				      struct strobe_value *ret)
{
	struct strobe_value right = {.place = PLACE_OPTIMIZED_OUT};
	struct number index;
	struct strobe_error *error = evaluate_node(e, node->left, ret);
	if (!error)
		error = evaluate_node(e, node->right, &right);
	if (!error && value_stripped(ret)->kind == TYPE_ARRAY) {
		error = convert_to_number(e, node->right, &right, &index);
		value_fini(&right);
		if (!error && index.real)
			error = error_column(STROBE_ERROR_TYPE, node->column,
					     "an index is an integer");
		return error ? error : index_array(e, node, ret, &index);
	}
	if (!error && language_is_rust(e->language))
		rust_slice(e, ret);
	if (error)
		return error;
	struct node sum = *node;
	sum.op = '+';
	error = arithmetic_binary(e, &sum, ret, &right);
	if (!error && value_stripped(ret)->kind != TYPE_POINTER)
		error = error_column(STROBE_ERROR_TYPE, node->column,
				     "only arrays and pointers have elements");
	return error ? error : convert_dereference(e, node, ret);
}

static struct strobe_error *cast(struct evaluator *e, const struct node *node,
				 struct strobe_value *ret)
{
	struct type *type = NULL;
	struct strobe_error *error = convert_type(e, node->type, &type);
	if (!error)
		error = evaluate_node(e, node->left, ret);
	if (error)
		return error;
	if (node->kind == NODE_CAST)
		return convert_cast(e, node, type, ret);
	struct number number;
	error = convert_to_number(e, node->left, ret, &number);
	if (error)
		return error;
	value_fini(ret);
	*ret = value_in_memory(e->symbols, type, (uint64_t)number.integer);
	return NULL;
}

static uint64_t alignment(struct evaluator *e, struct type *type, unsigned depth)
{
	uint64_t most = 1;
	type = type_strip(e->symbols, type);
	if (type->kind == TYPE_ARRAY && type->target && depth < 32)
		return alignment(e, type->target, depth + 1);
	if (!is_structure(type))
		return type->size ? (type->size > 16 ? 16 : type->size) : 1;
	for (size_t i = 0; i < type->member_count && depth < 32; i++) {
		if (type->members[i].static_member)
			continue;
		uint64_t one = alignment(e, type->members[i].type, depth + 1);
		most = one > most ? one : most;
	}
	return most;
}

static struct strobe_error *size_of(struct evaluator *e, const struct node *node,
				    struct strobe_value *ret)
{
	struct type *type = NULL;
	struct strobe_value operand = {.place = PLACE_OPTIMIZED_OUT};
	struct strobe_error *error = node->type ? convert_type(e, node->type, &type)
						: evaluate_node(e, node->left, &operand);
	if (!error && !type)
		type = operand.type;
	value_fini(&operand);
	if (error)
		return error;
	struct type *real = type_strip(e->symbols, type);
	if ((real->kind == TYPE_REFERENCE || real->kind == TYPE_RVALUE_REFERENCE) && real->target)
		type = real->target;
	uint64_t size = value_type_size(e->symbols, type);
	if (real->kind == TYPE_VOID || real->kind == TYPE_FUNCTION)
		size = 1;
	else if (lookup_is_unknown(real))
		return error_column(STROBE_ERROR_TYPE, node->column, "the type is not known");
	if (node->kind == NODE_ALIGNOF)
		size = alignment(e, type, 0);
	*ret = value_from_integer(e->symbols, type_builtin(e->symbols, "unsigned long"), size);
	return NULL;
}

static struct strobe_error *conditional(struct evaluator *e, const struct node *node,
					struct strobe_value *ret)
{
	bool yes = false;
	struct strobe_error *error = truth(e, node->third, &yes);
	return error ? error : evaluate_node(e, yes ? node->left : node->right, ret);
}

/** On error `*ret` is released. */
struct strobe_error *evaluate_node(struct evaluator *e, const struct node *node,
				   struct strobe_value *ret)
{
	static struct strobe_error *(*const kinds[])(struct evaluator *, const struct node *,
						     struct strobe_value *) = {
		[NODE_INTEGER] = integer,
		[NODE_FLOAT] = floating,
		[NODE_CHARACTER] = character,
		[NODE_STRING] = string,
		[NODE_NAME] = lookup_name,
		[NODE_REGISTER] = register_value,
		[NODE_UNARY] = unary,
		[NODE_BINARY] = binary,
		[NODE_CONDITIONAL] = conditional,
		[NODE_MEMBER] = member,
		[NODE_ARROW] = member,
		[NODE_INDEX] = subscript,
		[NODE_CAST] = cast,
		[NODE_AT_ADDRESS] = cast,
		[NODE_SIZEOF] = size_of,
		[NODE_ALIGNOF] = size_of,
	};
	*ret = (struct strobe_value){.symbols = e->symbols, .place = PLACE_OPTIMIZED_OUT};
	if (node->kind == NODE_TYPE)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "this is a type; an expression is needed");
	struct strobe_error *error = kinds[node->kind](e, node, ret);
	if (error)
		value_fini(ret);
	return error;
}

static struct strobe_error *evaluate(struct evaluator *e, const char *expression,
				     struct strobe_value *ret)
{
	struct parser_names names = {
		.data = e, .is_type = lookup_is_type, .is_instance = lookup_is_instance};
	struct node *tree = NULL;
	struct strobe_error *error = parse_expression(&e->arena, &names, expression, &tree);
	if (!error)
		error = evaluate_node(e, tree, ret);
	if (!error && lookup_is_unknown(ret->type)) {
		error = error_column(STROBE_ERROR_TYPE, tree->column,
				     "'%s' has unknown type; cast it to its declared type",
				     tree->name ? tree->name : expression);
		value_fini(ret);
	}
	return error;
}

struct strobe_error *strobe_evaluate(struct strobe_symbols *symbols,
				     const struct strobe_stack *stack, size_t frame_index,
				     const char *expression, struct strobe_value **ret)
{
	struct evaluator e = {.symbols = symbols, .stack = stack, .frame_index = frame_index};
	struct strobe_value value = {.place = PLACE_OPTIMIZED_OUT};
	if (stack && frame_index >= stack->entries.count)
		e.stack = NULL;
	place_frame_init(&e.frame, symbols, e.stack, frame_index);
	if (e.frame.scope)
		e.language = e.frame.scope->unit->language;
	struct strobe_error *error = evaluate(&e, expression, &value);
	if (!error) {
		if (e.language)
			value.language = e.language;
		struct strobe_value *box = value_box(&value);
		if (box)
			*ret = box;
		else
			error = error_no_memory();
	}
	arena_fini(&e.arena);
	return error;
}
