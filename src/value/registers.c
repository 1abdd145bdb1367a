// SPDX-License-Identifier: Apache-2.0
// $rip and its like, with the types that gdb gives them.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "symbols/module.h"
#include "value/evaluate.h"

/** Elements of vector registers: plain numbers, also where they are one byte wide. */
static struct type *element_type(struct evaluator *e, bool real, uint64_t size)
{
	// An enumeration without enumerators reads as a number where an int8_t reads as a character.
	bool byte = size == 1;
	struct type *type = type_make(e->symbols, real	 ? TYPE_FLOAT
						  : byte ? TYPE_ENUM
							 : TYPE_INTEGER);
	if (!type)
		return NULL;
	type->size = size;
	type->size_known = true;
	type->is_signed = size < 16;
	static const char *const integers[] = {"int8_t", "int16_t", "int32_t", "int64_t",
					       "uint128_t"};
	type->name = real ? (size == 4	 ? "float"
			     : size == 2 ? "_Float16"
					 : "double")
			  : integers[__builtin_ctzll(size)];
	return type;
}

static bool add_member(struct evaluator *e, struct type *type, bool real, uint64_t size)
{
	struct type *element = element_type(e, real, size);
	uint64_t count = type->size / size;
	struct type_member *member = &type->members[type->member_count];
	if (!element || count == 0)
		return true;
	char kind[16];
	snprintf(kind, sizeof(kind),
		 real ? (size == 2   ? "half"
			 : size == 4 ? "float"
				     : "double")
		      : "int%u",
		 (unsigned)size * 8);
	if (count == 1) {
		member->name = "uint128";
		member->type = element;
	} else {
		member->name = arena_printf(&e->symbols->arena, "v%u_%s", (unsigned)count, kind);
		member->type = type_array_of(e->symbols, element, count);
	}
	if (!member->name || !member->type)
		return false;
	type->member_count++;
	return true;
}

/** The union of all the ways to look at a vector register. */
static struct type *vector_type(struct evaluator *e, uint64_t size)
{
	struct type *type = type_make(e->symbols, TYPE_UNION);
	if (!type)
		return NULL;
	type->size = size;
	type->size_known = true;
	type->name = size == 16 ? "vec128" : size == 32 ? "vec256" : "vec512";
	type->members = arena_alloc(&e->symbols->arena, 8 * sizeof(*type->members));
	if (!type->members)
		return NULL;
	bool good = add_member(e, type, true, 2) && add_member(e, type, true, 4) &&
		    add_member(e, type, true, 8);
	for (uint64_t width = 1; width <= 16; width *= 2)
		good = good && add_member(e, type, false, width);
	return good ? type : NULL;
}

static bool is_one_of(const char *name, const char *a, const char *b, const char *c, const char *d)
{
	return strcmp(name, a) == 0 || strcmp(name, b) == 0 || strcmp(name, c) == 0 ||
	       strcmp(name, d) == 0;
}

static struct type *type_of(struct evaluator *e, const char *name, const struct strobe_register *r)
{
	bool code = is_one_of(name, "rip", "pc", "rip", "pc");
	bool stack = is_one_of(name, "rsp", "rbp", "sp", "fp");
	if (code || stack) {
		struct type *target = type_builtin(e->symbols, "void");
		if (code && target)
			target = type_make(e->symbols, TYPE_FUNCTION);
		return target ? type_pointer_to(e->symbols, target) : NULL;
	}
	switch (r->size_bytes) {
	case 1:
		return element_type(e, false, 1);
	case 2:
		return type_builtin(e->symbols, "short");
	case 4:
		return type_builtin(e->symbols, "int");
	case 8:
		return type_builtin(e->symbols, "long");
	case 10:
		return type_builtin(e->symbols, "long double");
	case 16:
	case 32:
	case 64:
		return vector_type(e, r->size_bytes);
	default:
		return type_array_of(e->symbols, type_builtin(e->symbols, "unsigned char"),
				     r->size_bytes);
	}
}

struct strobe_error *register_value(struct evaluator *e, const struct node *node,
				    struct strobe_value *ret)
{
	struct strobe_register r;
	if (!*node->name && e->object) { // $ alone
		*ret = value_copy(e->object);
		return NULL;
	}
	if (!e->stack)
		return error_column(STROBE_ERROR_NOT_FOUND, node->column,
				    "no frame whose registers could be meant by $%s", node->name);
	if (!strobe_stack_register(e->stack, e->frame_index, node->name, &r))
		return error_column(STROBE_ERROR_NOT_FOUND, node->column,
				    "register $%s is unknown, or not known in this frame",
				    node->name);
	struct type *type = type_of(e, node->name, &r);
	if (!type)
		return error_no_memory();
	uint64_t size = value_type_size(e->symbols, type);
	uint8_t bytes[128] = {0};
	memcpy(bytes, r.bytes, r.size_bytes < sizeof(bytes) ? r.size_bytes : sizeof(bytes));
	*ret = value_from_bytes(e->symbols, type, bytes,
				size < sizeof(bytes) ? size : sizeof(bytes));
	ret->in_register = true;
	ret->language = e->language;
	return NULL;
}
