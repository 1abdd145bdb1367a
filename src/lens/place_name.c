// SPDX-License-Identifier: Apache-2.0
// Names of places in objects, as they continue a path.
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "lens/table.h"

/** Named limit: structures and arrays within each other. */
enum { PLACE_NESTING_LIMIT = 64 };

static bool is_structure(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION ||
	       type->kind == TYPE_VARIANT;
}

/** How many bytes of its structure a member takes; of an array without bounds all that follow. */
static uint64_t member_extent(struct strobe_symbols *symbols, const struct type_member *member)
{
	uint64_t size;
	struct type *type = type_strip(symbols, member->type);
	if (type->kind == TYPE_ARRAY && (type->dimension.unknown || type->dimension.count == 0))
		return UINT64_MAX;
	return type_size(symbols, type, &size) ? size : 0;
}

static bool covers(struct strobe_symbols *symbols, const struct type_member *member,
		   uint64_t offset)
{
	if (member->static_member || member->virtual_base || member->bit_size || !member->type)
		return false;
	uint64_t start = member->offset_bits / 8;
	return offset >= start && offset - start < member_extent(symbols, member);
}

/** Whether the value of `type` has a pointer at `offset`: of a union's members those are meant first. */
static bool has_pointer(struct strobe_symbols *symbols, struct type *type, uint64_t offset,
			unsigned depth)
{
	uint64_t size;
	type = type_strip(symbols, type);
	while (type->kind == TYPE_ARRAY && type->target) {
		type = type_strip(symbols, type->target);
		if (!type_size(symbols, type, &size) || size == 0)
			return false;
		offset %= size;
	}
	if (!is_structure(type))
		return offset == 0 && (type->kind == TYPE_POINTER || type->kind == TYPE_REFERENCE ||
				       type->kind == TYPE_RVALUE_REFERENCE);
	for (size_t i = 0; i < type->member_count && depth < 8; i++)
		if (covers(symbols, &type->members[i], offset) &&
		    has_pointer(symbols, type->members[i].type,
				offset - type->members[i].offset_bits / 8, depth + 1))
			return true;
	return false;
}

/** The member that `offset` is in, one with a pointer there before others; the last is behind all others. */
static const struct type_member *member_at(struct strobe_symbols *symbols, struct type *type,
					   uint64_t offset)
{
	const struct type_member *found = NULL, *last = NULL;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (!member->static_member && !member->virtual_base && !member->bit_size &&
		    member->type && (!last || member->offset_bits >= last->offset_bits))
			last = member;
		if (!covers(symbols, member, offset))
			continue;
		if (has_pointer(symbols, member->type, offset - member->offset_bits / 8, 0))
			return member;
		if (!found || member->offset_bits > found->offset_bits)
			found = member;
	}
	if (!found && last && offset >= type->size && type->kind != TYPE_UNION) // struct x items[1]
		return last;
	return found;
}

/** What is left of an offset where no type tells more. */
static void name_rest(uint64_t offset, struct text *ret)
{
	if (offset > 0)
		text_printf(ret, "+0x%" PRIx64, offset);
}

static void name_in(struct lens *lens, struct type *type, uint64_t offset, struct text *ret)
{
	struct strobe_symbols *symbols = lens->symbols;
	for (unsigned i = 0; i < PLACE_NESTING_LIMIT; i++) {
		uint64_t size;
		type = type_strip(symbols, type);
		if (is_structure(type)) {
			if (language_is_cplus(type->language) &&
			    cplus_place_name(lens, type, offset, ret))
				return;
			const struct type_member *member = member_at(symbols, type, offset);
			if (!member)
				break;
			if (member->name && *member->name && !member->base)
				text_printf(ret, ".%s", member->name);
			offset -= member->offset_bits / 8;
			type = member->type;
		} else if (type->kind == TYPE_ARRAY && type->target && !type->vector &&
			   type_size(symbols, type->target, &size) && size > 0) {
			text_printf(ret, "[%" PRIu64 "]", offset / size);
			offset %= size;
			type = type->target;
		} else {
			break;
		}
	}
	name_rest(offset, ret);
}

void lens_place_name(struct lens *lens, uint32_t type, uint64_t offset, struct text *ret)
{
	if (type == 0 || type > lens->count) {
		text_printf(ret, "+0x%" PRIx64, offset);
		return;
	}
	const struct lens_entry *entry = lens_entry(lens, type);
	uint64_t size = entry->type.size_bytes;
	if (size > 0 && offset >= size && !entry->flexible) {
		text_printf(ret, "[%" PRIu64 "]", offset / size);
		offset %= size;
	}
	if (entry->type.type && !entry->storage)
		name_in(lens, entry->type.type, offset, ret);
	else
		name_rest(offset, ret);
}
