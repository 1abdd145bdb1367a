// SPDX-License-Identifier: Apache-2.0
#include "value/class.h"

#include <string.h>

#include "base/error.h"
#include "symbols/module.h"
#include "symbols/names.h"
#include "value/dynamic.h"

/** Named limit: bases of bases. */
enum { CLASS_DEPTH_LIMIT = 32 };

static bool is_class(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS;
}

/** The class before the last "::" of `name`; NULL if there is none. */
static struct type *scope_class(struct evaluator *e, const char *name, const char **last)
{
	struct unit *near = e->frame.scope ? e->frame.scope->unit : NULL;
	*last = names_last_component(name);
	if (*last < name + 3)
		return NULL;
	char *scope = arena_copy_string(&e->arena, name, (size_t)(*last - name) - 2);
	struct type *class = scope ? type_find(e->symbols, near, scope) : NULL;
	class = class ? type_strip(e->symbols, class) : NULL;
	return class && (is_class(class) || class->kind == TYPE_UNION) ? class : NULL;
}

static bool static_member(struct evaluator *e, struct type *class, const char *name, unsigned depth,
			  struct strobe_value *ret)
{
	struct strobe_value none = {.symbols = e->symbols, .type = class};
	class = type_strip(e->symbols, class);
	for (size_t i = 0; i < class->member_count; i++) {
		const struct type_member *member = &class->members[i];
		if (member->static_member && member->name && strcmp(member->name, name) == 0) {
			*ret = value_static_member(&none, member);
			return true;
		}
		if (member->base && depth < CLASS_DEPTH_LIMIT &&
		    static_member(e, member->type, name, depth + 1, ret))
			return true;
	}
	return false;
}

static bool find_method(struct evaluator *e, struct type *class, const char *name, unsigned depth,
			struct type_method *ret)
{
	class = type_strip(e->symbols, class);
	if (type_method(e->symbols, class, name, ret))
		return true;
	for (size_t i = 0; i < class->member_count && depth < CLASS_DEPTH_LIMIT; i++)
		if (class->members[i].base &&
		    find_method(e, class->members[i].type, name, depth + 1, ret))
			return true;
	return false;
}

bool class_method(struct evaluator *e, struct type *class, const char *name,
		  struct strobe_value *ret)
{
	struct type_method method;
	if (!find_method(e, class, name, 0, &method))
		return false;
	*ret = value_in_memory(e->symbols, method.type, method.address);
	if (!method.has_code)
		ret->place = PLACE_OPTIMIZED_OUT;
	return true;
}

bool class_scope_name(struct evaluator *e, const char *name, struct strobe_value *ret)
{
	const char *last;
	struct type *class = scope_class(e, name, &last);
	return class &&
	       (static_member(e, class, last, 0, ret) || class_method(e, class, last, ret));
}

static const struct type_member *find_data(struct evaluator *e, struct type **class,
					   const char *name, unsigned depth)
{
	struct type *here = type_strip(e->symbols, *class);
	for (size_t i = 0; i < here->member_count; i++) {
		const struct type_member *member = &here->members[i];
		if (member->base || member->static_member || !member->name ||
		    strcmp(member->name, name) != 0)
			continue;
		*class = here;
		return member;
	}
	for (size_t i = 0; i < here->member_count && depth < CLASS_DEPTH_LIMIT; i++) {
		struct type *base = here->members[i].type;
		const struct type_member *found =
			here->members[i].base ? find_data(e, &base, name, depth + 1) : NULL;
		if (!found)
			continue;
		*class = base;
		return found;
	}
	return NULL;
}

bool class_member_pointer(struct evaluator *e, const char *name, struct strobe_value *ret)
{
	const char *last;
	struct type *class = scope_class(e, name, &last);
	const struct type_member *member = class ? find_data(e, &class, last, 0) : NULL;
	struct type *type =
		member && !member->bit_size ? type_make(e->symbols, TYPE_MEMBER_POINTER) : NULL;
	if (!type)
		return false;
	type->target = member->type;
	type->container = class;
	type->language = e->language;
	type->size = 8;
	type->size_known = true;
	*ret = value_from_integer(e->symbols, type, member->offset_bits / 8);
	return true;
}

/** The code that a pointer to a method means for the object at `address`. */
static struct strobe_error *method_code(struct evaluator *e, const struct node *node,
					const struct strobe_value *pointer, uint64_t address,
					uint64_t *ret)
{
	uint64_t parts[2] = {0}, table = 0;
	if (value_read(pointer, 0, parts, sizeof(parts), NULL) != READ_GOOD)
		return error_column(STROBE_ERROR_UNREADABLE, node->column,
				    "the pointer to a method cannot be read");
	*ret = parts[0];
	if (!(parts[0] & 1))
		return NULL;
	const struct strobe_view *view = e->symbols->view;
	address += parts[1];
	if (strobe_memory_read(view, address, &table, 8) != 8 ||
	    strobe_memory_read(view, table + parts[0] - 1, ret, 8) != 8)
		return error_address(STROBE_ERROR_UNREADABLE, address, "no virtual table at 0x%llx",
				     (unsigned long long)address);
	return NULL;
}

struct strobe_error *class_apply_pointer(struct evaluator *e, const struct node *node,
					 struct strobe_value *object, struct strobe_value *pointer)
{
	struct type *type = value_stripped(pointer), *target = NULL;
	struct strobe_error *error = NULL;
	unsigned __int128 offset = 0;
	uint64_t address = 0;
	if (type->kind == TYPE_MEMBER_POINTER && type->target && type->container)
		target = type_strip(e->symbols, type->target);
	if (!target || object->place != PLACE_MEMORY || !is_class(value_stripped(object)) ||
	    !dynamic_base(e->symbols, object->type, object->address, type->container, &address))
		error = error_column(STROBE_ERROR_TYPE, node->column,
				     "an object and a pointer to a member of it are needed here");
	else if (target->kind == TYPE_FUNCTION)
		error = method_code(e, node, pointer, address, &address);
	else if (value_scalar(pointer, &offset, NULL) != READ_GOOD)
		error = error_column(STROBE_ERROR_UNREADABLE, node->column,
				     "the pointer to a member cannot be read");
	else if ((uint64_t)offset == UINT64_MAX)
		error = error_column(STROBE_ERROR_UNREADABLE, node->column,
				     "the pointer to a member is NULL");
	value_fini(pointer);
	if (error)
		return error;
	value_fini(object);
	*object = value_in_memory(e->symbols, type->target, address + (uint64_t)offset);
	return NULL;
}

/** How far `base` is from the start of `class` where no object is needed to tell. */
static bool static_offset(struct evaluator *e, struct type *class, struct type *base,
			  unsigned depth, uint64_t *ret)
{
	class = type_strip(e->symbols, class);
	if (type_equal(e->symbols, class, base))
		return true;
	for (size_t i = 0; i < class->member_count && depth < CLASS_DEPTH_LIMIT; i++) {
		const struct type_member *member = &class->members[i];
		if (!member->base || member->virtual_base ||
		    !static_offset(e, member->type, base, depth + 1, ret))
			continue;
		*ret += member->offset_bits / 8;
		return true;
	}
	return false;
}

/** Where the `to` is that the `from` at `*address` is part of, or that is part of it. */
static bool convert(struct evaluator *e, struct type *from, struct type *to, bool only_dynamic,
		    uint64_t *address)
{
	uint64_t start, offset = 0;
	if (dynamic_base(e->symbols, from, *address, to, address))
		return true;
	struct type *real = dynamic_class(e->symbols, from, *address, &start);
	if (real && dynamic_base(e->symbols, real, start, to, address))
		return true;
	if (only_dynamic || !static_offset(e, to, from, 0, &offset))
		return false;
	*address -= offset;
	return true;
}

static struct type *class_below(struct evaluator *e, const struct type *type)
{
	struct type *class = type->target ? type_strip(e->symbols, type->target) : NULL;
	return class && is_class(class) ? class : NULL;
}

static struct strobe_error *cast_pointer(struct evaluator *e, const struct node *node,
					 struct type *type, struct strobe_value *value, bool *done)
{
	struct type *from = class_below(e, value_stripped(value));
	struct type *to = class_below(e, type_strip(e->symbols, type));
	uint64_t address;
	bool only_dynamic = node->op == 'd';
	if (!from || !to || !strobe_value_integer(value, &address) ||
	    type_equal(e->symbols, from, to))
		return NULL;
	if (address && !convert(e, from, to, only_dynamic, &address)) {
		if (!only_dynamic)
			return NULL; // unrelated: the same address
		address = 0;
	}
	value_fini(value);
	*value = value_from_integer(e->symbols, type, address);
	*done = true;
	return NULL;
}

static struct strobe_error *cast_reference(struct evaluator *e, const struct node *node,
					   struct type *type, struct strobe_value *value,
					   bool *done)
{
	struct type *from = value_stripped(value),
		    *to = class_below(e, type_strip(e->symbols, type));
	if (value->place != PLACE_MEMORY)
		return error_column(STROBE_ERROR_TYPE, node->column,
				    "value is not in memory, so no reference can mean it");
	uint64_t address = value->address;
	if (to && is_class(from) && !type_equal(e->symbols, from, to) &&
	    !convert(e, from, to, node->op == 'd', &address) && node->op == 'd')
		return error_column(STROBE_ERROR_TYPE, node->column, "the object is no \"%s\"",
				    type_name(e->symbols, to));
	*value = value_from_integer(e->symbols, type, address);
	*done = true;
	return NULL;
}

struct strobe_error *class_cast(struct evaluator *e, const struct node *node, struct type *type,
				struct strobe_value *value, bool *done)
{
	struct type *to = type_strip(e->symbols, type), *from = value_stripped(value);
	uint64_t address = value->address;
	*done = false;
	if (to->kind == TYPE_POINTER && from->kind == TYPE_POINTER)
		return cast_pointer(e, node, type, value, done);
	if (to->kind == TYPE_REFERENCE || to->kind == TYPE_RVALUE_REFERENCE)
		return cast_reference(e, node, type, value, done);
	if (!is_class(to) || !is_class(from) || value->place != PLACE_MEMORY ||
	    type_equal(e->symbols, from, to) || !convert(e, from, to, false, &address))
		return NULL;
	*value = value_in_memory(e->symbols, type, address);
	*done = true;
	return NULL;
}
