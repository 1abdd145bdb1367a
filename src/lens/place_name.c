// SPDX-License-Identifier: Apache-2.0
// Names of places in objects, as they continue a path.
#include <inttypes.h>
#include <string.h>
#include <strobe/memory.h>
#include <strobe/symbols.h>

#include "base/text.h"
#include "lens/table.h"

/** Named limits: structures and arrays within each other; members looked at for one of a union. */
enum { PLACE_NESTING_LIMIT = 64, PLACE_WORK_LIMIT = 20000 };

static bool is_structure(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION ||
	       type->kind == TYPE_VARIANT;
}

/** How many bytes of its structure a member takes; an array without bounds all that follow. */
static uint64_t member_extent(struct lens *lens, const struct type_member *member)
{
	struct type *type = type_strip(lens->symbols, member->type);
	if (type->kind == TYPE_ARRAY && (type->dimension.unknown || type->dimension.count == 0))
		return UINT64_MAX;
	return lens_member_extent(lens, member);
}

static bool covers(struct lens *lens, const struct type_member *member, uint64_t offset)
{
	if (member->static_member || member->virtual_base || member->bit_size || !member->type)
		return false;
	uint64_t start = member->offset_bits / 8;
	return offset >= start && offset - start < member_extent(lens, member);
}

/** Whether the value of `type` has a pointer at `offset`: of a union's members those are meant first. */
static bool has_pointer(struct lens *lens, struct type *type, uint64_t offset, unsigned depth,
			unsigned *budget)
{
	uint64_t size;
	type = type_strip(lens->symbols, type);
	for (unsigned i = 0; i < PLACE_NESTING_LIMIT && type->kind == TYPE_ARRAY && type->target;
	     i++) {
		type = type_strip(lens->symbols, type->target);
		if (!type_size(lens->symbols, type, &size) || size == 0)
			return false;
		offset %= size;
	}
	if (!is_structure(type))
		return offset == 0 && (type->kind == TYPE_POINTER || type->kind == TYPE_REFERENCE ||
				       type->kind == TYPE_RVALUE_REFERENCE);
	for (size_t i = 0; i < type->member_count && depth < 8 && *budget > 0; i++) {
		const struct type_member *member = &type->members[i];
		--*budget;
		if (covers(lens, member, offset) &&
		    has_pointer(lens, member->type, offset - member->offset_bits / 8, depth + 1,
				budget))
			return true;
	}
	return false;
}

/** The member that `offset` is in, one with a pointer there before others; the last is behind all others. */
static const struct type_member *member_at(struct lens *lens, struct type *type, uint64_t offset)
{
	const struct type_member *found = NULL, *last = NULL;
	unsigned budget = PLACE_WORK_LIMIT;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (!member->static_member && !member->virtual_base && !member->bit_size &&
		    member->type && (!last || member->offset_bits >= last->offset_bits))
			last = member;
		if (!covers(lens, member, offset))
			continue;
		if (has_pointer(lens, member->type, offset - member->offset_bits / 8, 0, &budget))
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

/** The tables of a class's whole objects: one for the whole, then those of its bases (Itanium C++ ABI, 2.5.2). */
struct tables {
	const struct strobe_view *view;
	uint64_t first; // address point of the whole object's
};

static bool take_symbol(void *context, const struct strobe_symbol *symbol)
{
	*(uint64_t *)context = symbol->address;
	return false;
}

/** Offsets of virtual bases and functions come first, then the offset to the top, which is 0, and the type
 *  information, which may be 0; then addresses of functions. */
static bool find_first(struct lens *lens, struct tables *tables, uint64_t start)
{
	enum { WORD_LIMIT = 256, SMALLEST_ADDRESS = 4096 };
	uint64_t word;
	for (uint64_t at = start; at < start + WORD_LIMIT * 8; at += 8) {
		if (strobe_memory_read(tables->view, at, &word, 8) != 8)
			return false;
		if (word < SMALLEST_ADDRESS || word >= -UINT64_C(1) << 47)
			continue;
		tables->first = lens_may_be_vtable(lens, word) ? at + 8 : at;
		return tables->first >= start + 16;
	}
	return false;
}

static bool find_tables(struct lens *lens, struct type *class, struct tables *ret)
{
	struct text name cleanup_text = {0};
	uint64_t address = 0;
	text_printf(&name, "vtable for %s", class->name ? class->name : "");
	strobe_error_free(strobe_symbols_find(lens->symbols, STROBE_MATCH_EXACT, text_string(&name),
					      NULL, take_symbol, &address));
	*ret = (struct tables){.view = strobe_symbols_view(lens->symbols)};
	return address != 0 && find_first(lens, ret, address);
}

/** The table of the part that begins at `start`. */
static bool find_table(const struct tables *tables, uint64_t start, uint64_t *ret)
{
	enum { WORD_LIMIT = 4096 };
	uint64_t head[2], words[2];
	if (strobe_memory_read(tables->view, tables->first - 16, head, 16) != 16)
		return false;
	for (uint64_t i = 0; i < WORD_LIMIT; i++) {
		*ret = tables->first + i * 8;
		if (strobe_memory_read(tables->view, *ret - 16, words, 16) != 16)
			return false;
		if (words[0] == -start && words[1] == head[1])
			return true;
	}
	return false;
}

/** The virtual base that `offset` of a whole object is in: the last that begins before it. */
struct virtual_place {
	const struct tables *tables;
	uint64_t offset;
	struct type *base; // NULL: none yet
	uint64_t start;
	unsigned budget;
};

static void find_virtual(struct lens *lens, struct virtual_place *place, struct type *class,
			 uint64_t start, unsigned depth)
{
	for (size_t i = 0; i < class->member_count && depth < 16 && place->budget > 0; i++) {
		place->budget--;
		const struct type_member *member = &class->members[i];
		uint64_t slot, table, at = start + member->offset_bits / 8;
		if (!member->base || !member->type)
			continue;
		struct type *base = type_strip(lens->symbols, member->type);
		if (member->virtual_base) {
			if (!type_virtual_base_slot(member, &slot) ||
			    !find_table(place->tables, start, &table) ||
			    strobe_memory_read(place->tables->view, table - slot, &at, 8) != 8)
				continue;
			at += start;
			if (at <= place->offset && (!place->base || at > place->start)) {
				place->base = base;
				place->start = at;
			}
		}
		find_virtual(lens, place, base, at, depth + 1);
	}
}

/** A structure on the way, and where the whole object that it is a base of begins. */
struct position {
	struct type *type, *whole;
	uint64_t offset, whole_offset; // from the start of each
	bool in_virtual;	       // what is not found there is nowhere
};

/** Goes on into a virtual base of the whole object. */
static bool enter_virtual_base(struct lens *lens, struct position *position)
{
	struct tables tables;
	if (!position->whole->vtable || !find_tables(lens, position->whole, &tables))
		return false;
	struct virtual_place place = {
		.tables = &tables, .offset = position->whole_offset, .budget = 1000};
	find_virtual(lens, &place, position->whole, 0, 0);
	if (!place.base)
		return false;
	position->type = place.base;
	position->offset = position->whole_offset - place.start;
	position->in_virtual = true;
	return true;
}

/** What a member is called; GCC puts "__" before what a lambda captures. */
static const char *member_name(struct lens *lens, struct type *type,
			       const struct type_member *member)
{
	bool mangled = strncmp(member->name, "__", 2) == 0 && member->name[2] &&
		       type_closure_name(lens->symbols, type);
	return member->name + (mangled ? 2 : 0);
}

/** Goes on into a member, or a virtual base; false where there is none. */
static bool enter_structure(struct lens *lens, struct position *position, struct text *ret)
{
	const struct type_member *member = member_at(lens, position->type, position->offset);
	if (!member)
		return !position->in_virtual && enter_virtual_base(lens, position);
	position->offset -= member->offset_bits / 8;
	struct type *type = position->type;
	position->type = member->type;
	if (member->base)
		return true;
	if (member->name && *member->name)
		text_printf(ret, ".%s", member_name(lens, type, member));
	position->whole = NULL;
	position->in_virtual = false;
	return true;
}

static void name_in(struct lens *lens, struct type *type, uint64_t address, uint64_t offset,
		    struct text *ret)
{
	struct strobe_symbols *symbols = lens->symbols;
	struct position at = {.type = type, .offset = offset};
	for (unsigned i = 0; i < PLACE_NESTING_LIMIT; i++) {
		uint64_t size;
		type = at.type = type_strip(symbols, at.type);
		if (is_structure(type)) {
			if (!at.whole) {
				at.whole = type;
				at.whole_offset = at.offset;
			}
			if (language_is_cplus(type->language) &&
			    cplus_place_name(lens, type, address ? address + offset - at.offset : 0,
					     at.offset, ret))
				return;
			if (!enter_structure(lens, &at, ret))
				break;
		} else if (type->kind == TYPE_ARRAY && type->target && !type->vector &&
			   type_size(symbols, type->target, &size) && size > 0) {
			text_printf(ret, "[%" PRIu64 "]", at.offset / size);
			at.offset %= size;
			at.type = type->target;
			at.whole = NULL;
		} else {
			break;
		}
	}
	name_rest(at.offset, ret);
}

void lens_place_name(struct lens *lens, uint32_t type, uint64_t address, uint64_t offset,
		     struct text *ret)
{
	if (type == 0 || type > lens->count) {
		text_printf(ret, "+0x%" PRIx64, offset);
		return;
	}
	const struct lens_entry *entry = lens_entry(lens, type);
	uint64_t size = entry->type.size_bytes;
	if (size > 0 && offset >= size && !entry->flexible) {
		text_printf(ret, "[%" PRIu64 "]", offset / size);
		address += address ? offset - offset % size : 0;
		offset %= size;
	}
	if (entry->place_name)
		entry->place_name(lens, entry->data, offset, ret);
	else if (entry->type.type && !entry->storage)
		name_in(lens, entry->type.type, address, offset, ret);
	else
		name_rest(offset, ret);
}
