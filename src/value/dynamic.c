// SPDX-License-Identifier: Apache-2.0
// What an object really is: the class that its virtual table belongs to.
#include "value/dynamic.h"

#include "base/error.h"
#include "symbols/module.h"

/** Named limits: distance of a base from its object's start, and classes within each other. */
enum { OBJECT_SIZE_LIMIT = 1 << 30, BASE_DEPTH_LIMIT = 32 };

static bool read_word(struct strobe_symbols *symbols, uint64_t address, uint64_t *ret)
{
	return strobe_memory_read(symbols->view, address, ret, sizeof(*ret)) == sizeof(*ret);
}

static bool is_class(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS;
}

struct type *dynamic_class(struct strobe_symbols *symbols, struct type *class, uint64_t address,
			   uint64_t *start)
{
	uint64_t vtable, to_top;
	class = type_strip(symbols, class);
	// The first word of every such class is the pointer to its virtual table (Itanium C++ ABI).
	if (!is_class(class) || !class->vtable || !read_word(symbols, address, &vtable))
		return NULL;
	struct type *real = type_of_vtable(symbols, vtable);
	if (!real || !real->vtable || !read_word(symbols, vtable - 16, &to_top))
		return NULL;
	if ((int64_t)to_top > 0 || (int64_t)to_top < -OBJECT_SIZE_LIMIT)
		return NULL;
	*start = address + to_top;
	return real;
}

static bool find_base(const struct strobe_value *object, struct type *base, unsigned depth,
		      struct strobe_value *ret)
{
	struct type *type = value_stripped(object);
	if (type_equal(object->symbols, type, base)) {
		*ret = *object;
		return true;
	}
	for (size_t i = 0; i < type->member_count && depth < BASE_DEPTH_LIMIT; i++) {
		if (!type->members[i].base)
			continue;
		struct strobe_value part = value_member(object, &type->members[i]);
		if (part.place == PLACE_MEMORY && find_base(&part, base, depth + 1, ret))
			return true;
	}
	return false;
}

bool dynamic_base(struct strobe_symbols *symbols, struct type *class, uint64_t address,
		  struct type *base, uint64_t *ret)
{
	struct strobe_value part, object = value_in_memory(symbols, class, address);
	if (!find_base(&object, type_strip(symbols, base), 0, &part))
		return false;
	*ret = part.address;
	return true;
}

/** Whether the `real` at `start` has the `class` at `address` as a base: false for what memory holds
 *  by chance, and while an object of `class` is still being made, or no longer is. */
static bool is_derived(struct strobe_symbols *symbols, struct type *real, uint64_t start,
		       struct type *class, uint64_t address)
{
	uint64_t base;
	return !type_equal(symbols, real, class) &&
	       dynamic_base(symbols, real, start, class, &base) && base == address;
}

/** `class` with the qualifiers that stand around `like`. */
static struct type *qualified(struct strobe_symbols *symbols, struct type *class,
			      const struct type *like)
{
	for (int i = 0; like && like->kind >= TYPE_TYPEDEF && like->kind <= TYPE_ATOMIC && i < 64;
	     i++, like = like->target)
		if (like->kind == TYPE_CONST)
			return type_const_of(symbols, class);
	return class;
}

/** The object that a pointer or reference leads to, or that the value itself is. */
static bool object_of(const struct strobe_value *value, struct type **class, uint64_t *address)
{
	struct type *type = value_stripped(value);
	unsigned __int128 raw = 0;
	switch (type->kind) {
	case TYPE_POINTER:
	case TYPE_REFERENCE:
	case TYPE_RVALUE_REFERENCE:
		*class = type->target;
		if (!type->target || value_scalar(value, &raw, NULL) != READ_GOOD)
			return false;
		*address = (uint64_t)raw;
		return true;
	default:
		*class = value->type;
		*address = value->address;
		return is_class(type) && value->place == PLACE_MEMORY;
	}
}

static struct strobe_value as_dynamic(const struct strobe_value *value, struct type *class,
				      uint64_t start)
{
	struct strobe_symbols *symbols = value->symbols;
	struct type *type = value_stripped(value);
	if (is_class(type))
		return value_in_memory(symbols, class, start);
	struct type *full = qualified(symbols, class, type->target);
	struct type *made =
		type->kind == TYPE_POINTER
			? type_pointer_to(symbols, full)
			: type_reference_to(symbols, full, type->kind == TYPE_RVALUE_REFERENCE);
	return value_from_integer(symbols, made ? made : value->type, start);
}

struct strobe_error *strobe_value_dynamic(const struct strobe_value *value,
					  struct strobe_value **ret)
{
	struct strobe_symbols *symbols = value->symbols;
	struct type *class = NULL;
	uint64_t address = 0, start = 0;
	*ret = NULL;
	if (!object_of(value, &class, &address))
		return NULL;
	struct type *real = dynamic_class(symbols, class, address, &start);
	if (!real || !is_derived(symbols, real, start, type_strip(symbols, class), address))
		return NULL;
	struct strobe_value made = as_dynamic(value, real, start);
	made.language = value->language;
	struct strobe_value *box = value_box(&made);
	if (!box)
		return error_no_memory();
	*ret = box;
	return NULL;
}
