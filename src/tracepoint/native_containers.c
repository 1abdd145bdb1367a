// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/native_containers.h"

#include <string.h>

enum {
	BASE_DEPTH = 6,
	SIZE_LIMIT_BITS = 47, // of user memory: what says to be larger is not one
};

/** Member `name` of a structure or of its bases, borrowed. */
static bool find_member(const struct strobe_value *value, const char *name, unsigned depth,
			struct strobe_value *ret)
{
	struct type *type = value_stripped(value);
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (!member->base && !member->static_member && member->name &&
		    strcmp(member->name, name) == 0) {
			*ret = value_member(value, member);
			return true;
		}
	}
	for (size_t i = 0; depth && i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		struct strobe_value base;
		if (!member->base)
			continue;
		base = value_member(value, member);
		if (find_member(&base, name, depth - 1, ret))
			return true;
	}
	return false;
}

/** The number or address in member `inner` of member `outer`, and the type that it leads to. */
static bool read_word(const struct strobe_value *value, const char *outer, const char *inner,
		      uint64_t *ret, struct type **target)
{
	struct strobe_value part, word;
	if (!find_member(value, outer, BASE_DEPTH, &part))
		return false;
	if (!inner)
		word = part;
	else if (!find_member(&part, inner, BASE_DEPTH, &word))
		return false;
	struct type *type = value_stripped(&word);
	if (target)
		*target = type->kind == TYPE_POINTER && type->target ? type->target : NULL;
	return (!target || *target) && strobe_value_integer(&word, ret);
}

static bool see_string(const struct strobe_value *value, struct container *ret)
{
	*ret = (struct container){.kind = CONTAINER_TEXT};
	return read_word(value, "_M_dataplus", "_M_p", &ret->address, &ret->element) &&
	       read_word(value, "_M_string_length", NULL, &ret->count, NULL) &&
	       value_type_size(value->symbols, ret->element) == 1 &&
	       ret->count >> SIZE_LIMIT_BITS == 0;
}

static bool see_vector(const struct strobe_value *value, struct container *ret)
{
	uint64_t end, size;
	*ret = (struct container){.kind = CONTAINER_SEQUENCE};
	if (!read_word(value, "_M_impl", "_M_start", &ret->address, &ret->element) ||
	    !read_word(value, "_M_impl", "_M_finish", &end, NULL))
		return false; // vector<bool>, for one, has iterators there
	size = value_type_size(value->symbols, ret->element);
	if (!size || end < ret->address || (end - ret->address) % size != 0 ||
	    (end - ret->address) >> SIZE_LIMIT_BITS != 0)
		return false; // not built yet, or built no more
	ret->count = (end - ret->address) / size;
	return true;
}

/** What a reference refers to, borrowed; else `value` itself. */
static struct strobe_value referred(const struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	unsigned __int128 address;
	if ((type->kind != TYPE_REFERENCE && type->kind != TYPE_RVALUE_REFERENCE) ||
	    !type->target || value_scalar(value, &address, NULL) != READ_GOOD)
		return *value;
	struct strobe_value target =
		value_in_memory(value->symbols, type->target, (uint64_t)address);
	target.language = value->language;
	return target;
}

bool container_see(const struct strobe_value *value, struct container *ret)
{
	static const char vector[] = "std::vector<", string[] = "std::__cxx11::basic_string<";
	struct strobe_value object = referred(value);
	struct type *type = value_stripped(&object);
	if ((type->kind != TYPE_STRUCT && type->kind != TYPE_CLASS) || !type->name ||
	    strobe_value_state(&object) != STROBE_VALUE_GOOD)
		return false;
	if (strncmp(type->name, string, strlen(string)) == 0)
		return see_string(&object, ret);
	return strncmp(type->name, vector, strlen(vector)) == 0 && see_vector(&object, ret);
}

struct strobe_value *container_element(const struct strobe_value *value,
				       const struct container *container, uint64_t index)
{
	uint64_t size = value_type_size(value->symbols, container->element);
	struct strobe_value element = value_in_memory(value->symbols, container->element,
						      container->address + index * size);
	element.language = value->language;
	return value_box(&element);
}
