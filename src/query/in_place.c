// SPDX-License-Identifier: Apache-2.0
#include "query/in_place.h"

#include <string.h>

#include "symbols/type.h"

/** Structures within each other that the storage is looked for in. */
enum { DEPTH_LIMIT = 4 };

// libstdc++'s and libc++'s.
static const struct {
	const char *prefix, *member;
} makers[] = {{"std::_Sp_counted_ptr_inplace<", "_M_storage"},
	      {"std::__1::__shared_ptr_emplace<", "__storage_"}};

static bool find_member(struct strobe_symbols *symbols, struct type *type, const char *name,
			unsigned depth, uint64_t *offset)
{
	type = type_strip(symbols, type);
	if (type->kind != TYPE_CLASS && type->kind != TYPE_STRUCT)
		return false;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		uint64_t inside = 0;
		if (member->static_member || member->virtual_base || !member->type)
			continue;
		bool found = member->name && strcmp(member->name, name) == 0;
		if (!found && (depth == DEPTH_LIMIT ||
			       !find_member(symbols, member->type, name, depth + 1, &inside)))
			continue;
		*offset = member->offset_bits / 8 + inside;
		return true;
	}
	return false;
}

// The member that the object stands in; NULL if `name` is of no such type.
static const char *storage_of(const char *name, const char *wanted)
{
	size_t size = strlen(wanted);
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		size_t prefix = strlen(makers[i].prefix);
		if (strncmp(name, makers[i].prefix, prefix) == 0 &&
		    strncmp(name + prefix, wanted, size) == 0 && name[prefix + size] == ',')
			return makers[i].member;
	}
	return NULL;
}

bool in_place_is(const char *name, const char *wanted)
{
	return storage_of(name, wanted) != NULL;
}

bool in_place_find(struct strobe_symbols *symbols, struct type *type, const char *name,
		   const char *wanted, uint64_t *offset)
{
	const char *storage = storage_of(name, wanted);
	return storage && find_member(symbols, type, storage, 0, offset);
}
