// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "lens/cplus.h"

/** Named limit: base classes of base classes. */
enum { BASE_LIMIT = 12 };

// Each longer name comes before those that it begins with.
static const char *const namespaces[] = {
	"std::__cxx11::", "std::__detail::", "std::__1::", "std::__8::",
	"std::__debug::", "std::__ndk1::",   "std::",	   "__gnu_cxx::",
};

size_t cplus_template_name(const struct type *type, const char **ret)
{
	const char *name = type->name;
	if (!name)
		return 0;
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		size_t size = strlen(namespaces[i]);
		if (strncmp(name, namespaces[i], size) == 0) {
			// In one of them more: std::__detail::__variant::_Variant_storage, std::__1::__variant_detail::__base
			name += size;
			for (const char *more; (more = strstr(name, "::")) &&
					       (size_t)(more - name) < strcspn(name, "<");)
				name = more + 2;
			*ret = name;
			return strcspn(name, "<");
		}
	}
	return 0;
}

uint64_t cplus_size(struct strobe_symbols *symbols, struct type *type)
{
	uint64_t size;
	return type_size(symbols, type, &size) ? size : 0;
}

struct type *cplus_argument(struct strobe_symbols *symbols, struct type *type, size_t index)
{
	struct type *argument = type_template_argument(symbols, type, index);
	return argument ? type_strip(symbols, argument) : NULL;
}

static bool find_member(struct strobe_symbols *symbols, struct type *type, const char *name,
			size_t size, struct cplus_member *ret, unsigned depth)
{
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (member->static_member || member->bit_size || member->virtual_base ||
		    !member->type)
			continue;
		struct type *inner = type_strip(symbols, member->type);
		uint64_t offset = ret->offset + member->offset_bits / 8;
		if (member->name && strncmp(member->name, name, size) == 0 && !member->name[size] &&
		    !member->base) {
			*ret = (struct cplus_member){inner, offset};
			return true;
		}
		// Bases, and structures and unions without a name.
		struct cplus_member found = {.offset = offset};
		if ((member->base || !member->name || !*member->name) && depth < BASE_LIMIT &&
		    find_member(symbols, inner, name, size, &found, depth + 1)) {
			*ret = found;
			return true;
		}
	}
	return false;
}

bool cplus_find(struct strobe_symbols *symbols, struct type *type, const char *path,
		struct cplus_member *ret)
{
	struct cplus_member found = {.type = type_strip(symbols, type)};
	for (size_t size; *path; path += size + (path[size] == '.')) {
		size = strcspn(path, ".");
		if (!find_member(symbols, found.type, path, size, &found, 0))
			return false;
	}
	*ret = found;
	return true;
}

void cplus_link(struct plan_builder *builder, uint64_t offset, uint32_t type, bool maybe)
{
	plan_add(builder, &(struct plan_step){.kind = PLAN_POINTER,
					      .offset = (uint32_t)offset,
					      .type = type,
					      .self = true,
					      .link = true,
					      .maybe = maybe});
}

void cplus_elements(struct plan_builder *builder, uint64_t offset, uint64_t end, struct type *type,
		    bool maybe)
{
	plan_add(builder,
		 &(struct plan_step){.kind = PLAN_COUNTED,
				     .count_kind = PLAN_COUNT_END,
				     .offset = (uint32_t)offset,
				     .type = plan_type(builder, type),
				     .b = plan_base(builder) + end,
				     .stride = (uint32_t)cplus_size(plan_symbols(builder), type),
				     .maybe = maybe});
}

void cplus_counted(struct plan_builder *builder, uint64_t offset, uint64_t count, uint32_t id,
		   bool maybe)
{
	plan_add(builder, &(struct plan_step){.kind = PLAN_COUNTED,
					      .count_kind = PLAN_COUNT_INTEGER,
					      .width = 8,
					      .offset = (uint32_t)offset,
					      .type = id,
					      .b = plan_base(builder) + count,
					      .self = true,
					      .maybe = maybe});
}

bool cplus_read(const struct lens_memory *memory, uint64_t address, void *buffer, size_t size)
{
	for (size_t got = 0, available; got < size; got += available) {
		const uint8_t *bytes = memory->at(memory->reader, address + got, &available);
		if (!bytes || !available)
			return false;
		available = available < size - got ? available : size - got;
		memcpy((uint8_t *)buffer + got, bytes, available);
	}
	return true;
}

/** The library that a class is of. */
static const struct cplus_class *classes_of(const struct type *type)
{
	bool libcxx = strncmp(type->name, "std::__1::", 10) == 0 ||
		      strncmp(type->name, "std::__ndk1::", 13) == 0;
	return libcxx ? cplus_libcxx : cplus_libstdcxx;
}

static const struct cplus_class *find_class(const struct type *type)
{
	const char *name;
	size_t size = cplus_template_name(type, &name);
	if (size == 0)
		return NULL;
	for (const struct cplus_class *class = classes_of(type); class->name; class ++)
		if (strncmp(class->name, name, size) == 0 && !class->name[size])
			return class;
	return NULL;
}

bool cplus_container(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	const struct cplus_class *class = find_class(type);
	if (class && class->plan && class->plan(builder, type, offset, maybe))
		return true;
	return cplus_choice_plan(builder, type, offset, maybe) ||
	       cplus_held_plan(builder, type, offset, maybe);
}

bool cplus_content(struct lens *lens, struct type *type, uint64_t address,
		   struct cplus_content *ret)
{
	const struct cplus_class *class = find_class(type);
	*ret = (struct cplus_content){.called = ""};
	if (class && class->value)
		ret->type = class->value(lens_symbols(lens), type, &ret->offset);
	return ret->type || cplus_choice_content(lens, type, address, ret) ||
	       cplus_held_content(lens, type, address, ret);
}

bool cplus_possible_content(struct lens *lens, struct type *type, size_t index, struct type **ret)
{
	const struct cplus_class *class = find_class(type);
	uint64_t offset;
	*ret = NULL;
	if (class && class->value)
		*ret = class->value(lens_symbols(lens), type, &offset);
	if (*ret)
		return index == 0;
	return cplus_choice_possible(lens, type, index, ret) ||
	       (index == 0 && cplus_held_possible(lens, type));
}

bool cplus_is_link(const struct type *type)
{
	static const char *const names[] = {
		"_List_node_base",     "_Rb_tree_node_base", "_Hash_node_base",
		"_Fwd_list_node_base", "__list_node_base",   "__tree_end_node",
		"__tree_node_base",    "__hash_node_base",   "__forward_begin_node",
	};
	const char *name;
	size_t size = type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS
			      ? cplus_template_name(type, &name)
			      : 0;
	for (size_t i = 0; size && i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(names[i], name, size) == 0 && !names[i][size])
			return true;
	return false;
}

bool cplus_place_name(struct lens *lens, struct type *type, uint64_t address, uint64_t offset,
		      struct text *ret)
{
	const struct cplus_class *class = find_class(type);
	struct strobe_symbols *symbols = lens_symbols(lens);
	struct cplus_member member;
	for (const struct cplus_place *place = class ? class->places : NULL; place && place->path;
	     place++) {
		if (!cplus_find(symbols, type, place->path, &member) || offset != member.offset)
			continue;
		text_printf(ret, "%s", place->name);
		return true;
	}
	uint64_t start = 0;
	struct type *value = class && class->value ? class->value(symbols, type, &start) : NULL;
	uint64_t size = value ? cplus_size(symbols, value) : 0;
	if (!value || offset < start || offset - start >= size || size > type->size - start ||
	    (value == type))
		return cplus_choice_place_name(lens, type, address, offset, ret) ||
		       cplus_held_place_name(lens, type, address, offset, ret);
	lens_place_name(lens, lens_type_id(lens, value), address + start, offset - start, ret);
	return true;
}
