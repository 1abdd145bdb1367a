// SPDX-License-Identifier: Apache-2.0
// container_of: which types have a member of another type at an offset.
#include <stdlib.h>
#include <string.h>

#include "lens/table.h"

/** Named limit: structures within each other. */
enum { LINK_NESTING_LIMIT = 16 };

struct links {
	ARRAY(uint32_t) found; // what the last question was answered with
};

struct links *links_free(struct links *links)
{
	if (!links)
		return NULL;
	array_fini(&links->found);
	free(links);
	return NULL;
}

/** Whether `type` has a member of the type of `link` at `offset`. */
static bool has_member(struct lens *lens, struct type *type, struct lens_entry *link,
		       uint64_t offset, unsigned depth)
{
	uint64_t size;
	type = type_strip(lens->symbols, type);
	for (size_t i = 0; i < type->member_count && depth < LINK_NESTING_LIMIT; i++) {
		const struct type_member *member = &type->members[i];
		if (member->static_member || member->virtual_base || member->bit_size ||
		    !member->type)
			continue;
		uint64_t start = member->offset_bits / 8;
		struct type *inner = type_strip(lens->symbols, member->type);
		if (offset < start || !type_size(lens->symbols, inner, &size) ||
		    offset - start >= size)
			continue;
		if (offset == start && size == link->type.size_bytes &&
		    type_equal(lens->symbols, inner, link->type.type))
			return true;
		if (has_member(lens, inner, link, offset - start, depth + 1))
			return true;
	}
	return false;
}

size_t lens_containers(struct lens *lens, uint32_t link, uint64_t offset, const uint32_t **ret)
{
	*ret = NULL;
	if (!lens->links)
		lens->links = calloc(1, sizeof(*lens->links));
	if (!lens->links || link == 0 || link > lens->count || !lens_entry(lens, link)->type.type)
		return 0;
	lens->links->found.count = 0;
	for (uint32_t id = 1; id <= lens->count; id++) {
		struct lens_entry *entry = lens_entry(lens, id);
		if (entry->type.type && entry->type.size_bytes > offset &&
		    has_member(lens, entry->type.type, lens_entry(lens, link), offset, 0) &&
		    !array_push(&lens->links->found, id))
			break;
	}
	*ret = lens->links->found.items;
	return lens->links->found.count;
}
