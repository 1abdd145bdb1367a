// SPDX-License-Identifier: Apache-2.0
#include "diff/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "value/value.h"

/** The walk. Invariant: `name` is NUL-terminated, `used` long. */
struct walk {
	struct strobe_diff *diff;
	struct strobe_diff_global global; // of the whole object
	char name[WALK_NAME_SIZE];
	size_t used;
	unsigned depth;
	uint64_t fields;
};

static size_t append(struct walk *walk, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** Returns the length before, to come back to. */
static size_t append(struct walk *walk, const char *format, ...)
{
	va_list args;
	size_t before = walk->used, room = sizeof(walk->name) - before;
	va_start(args, format);
	int length = vsnprintf(walk->name + before, room, format, args);
	va_end(args);
	if (length > 0)
		walk->used += (size_t)length < room ? (size_t)length : room - 1;
	return before;
}

static void go_back(struct walk *walk, size_t length)
{
	walk->used = length;
	walk->name[length] = '\0';
}

/** The first differing byte of `size` at `offset` of the object, from `from` on; `size` if none. */
static uint64_t next_difference(struct walk *walk, uint64_t offset, uint64_t from, uint64_t size)
{
	return compare_first(&walk->diff->compare, walk->global.old_address + offset,
			     walk->global.new_address + offset, from, size);
}

static void report_values(struct walk *walk, struct strobe_value *a, struct strobe_value *b,
			  uint64_t offset, uint64_t size)
{
	struct strobe_diff_item item = {.section = STROBE_DIFF_GLOBALS,
					.change = STROBE_DIFF_CHANGED};
	item.of.global = walk->global;
	item.of.global.name = walk->name;
	item.of.global.offset_bytes = offset;
	item.of.global.size_bytes = size;
	item.of.global.old_address += offset;
	item.of.global.new_address += offset;
	item.of.global.old_value = a;
	item.of.global.new_value = b;
	walk->fields++;
	walk->diff->totals.fields++;
	diff_report(walk->diff, &item);
	value_fini(a);
	value_fini(b);
}

static void report_part(struct walk *walk, struct type *old_type, struct type *new_type,
			uint64_t offset, uint64_t size)
{
	struct strobe_value a = value_in_memory(walk->diff->old_symbols, old_type,
						walk->global.old_address + offset);
	struct strobe_value b = value_in_memory(walk->diff->new_symbols, new_type,
						walk->global.new_address + offset);
	report_values(walk, &a, &b, offset, size);
}

/** A bit-field: its neighbours in the same bytes may have changed alone. */
static void walk_bits(struct walk *walk, const struct type_member *old_member,
		      const struct type_member *new_member, uint64_t offset)
{
	struct strobe_value a = value_in_memory(walk->diff->old_symbols, old_member->type,
						walk->global.old_address + offset);
	struct strobe_value b = value_in_memory(walk->diff->new_symbols, new_member->type,
						walk->global.new_address + offset);
	unsigned __int128 left, right;
	a.bit_offset = b.bit_offset = new_member->offset_bits % 8;
	a.bit_size = b.bit_size = new_member->bit_size;
	if (value_scalar(&a, &left, NULL) == READ_GOOD &&
	    value_scalar(&b, &right, NULL) == READ_GOOD && left != right)
		report_values(walk, &a, &b, offset, (b.bit_offset + b.bit_size + 7) / 8);
}

static void walk_type(struct walk *walk, struct type *old_type, struct type *new_type,
		      uint64_t offset, uint64_t size);

static bool is_record(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS;
}

static void walk_members(struct walk *walk, struct type *a, struct type *b, uint64_t offset)
{
	for (size_t i = 0; i < b->member_count && !walk->diff->stopped; i++) {
		const struct type_member *old_member = &a->members[i], *member = &b->members[i];
		uint64_t at = offset + member->offset_bits / 8;
		if (member->static_member || member->virtual_base)
			continue;
		size_t before = walk->used;
		if (!member->base && member->name && *member->name)
			append(walk, ".%s", member->name);
		uint64_t size = value_type_size(walk->diff->new_symbols, member->type);
		if (member->bit_size)
			walk_bits(walk, old_member, member, at);
		else if (size && next_difference(walk, at, 0, size) < size)
			walk_type(walk, old_member->type, member->type, at, size);
		go_back(walk, before);
	}
}

/** Elements that have parts: only those that hold a difference are looked at. */
static void walk_records(struct walk *walk, struct type *a, struct type *b, uint64_t offset,
			 uint64_t element, uint64_t size)
{
	uint64_t at = 0;
	while (!walk->diff->stopped && (at = next_difference(walk, offset, at, size)) < size) {
		uint64_t index = at / element;
		size_t before =
			append(walk, "[%lld]", (long long)(b->dimension.lower + (int64_t)index));
		walk_type(walk, a->target, b->target, offset + index * element, element);
		go_back(walk, before);
		at = (index + 1) * element;
	}
}

static void report_run(struct walk *walk, struct type *a, struct type *b, uint64_t offset,
		       uint64_t first, uint64_t count, uint64_t element)
{
	long long index = (long long)(b->dimension.lower + (int64_t)first);
	struct type *old_type = a->target, *new_type = b->target;
	size_t before = append(walk, count > 1 ? "[%lld]@%llu" : "[%lld]", index,
			       (unsigned long long)count);
	if (count > 1) {
		old_type = type_array_of(walk->diff->old_symbols, old_type, count);
		new_type = type_array_of(walk->diff->new_symbols, new_type, count);
	}
	if (old_type && new_type)
		report_part(walk, old_type, new_type, offset + first * element, count * element);
	else
		walk->diff->failed = true;
	go_back(walk, before);
}

/** Elements without parts: those in a row are one part. */
static void walk_scalars(struct walk *walk, struct type *a, struct type *b, uint64_t offset,
			 uint64_t element, uint64_t size)
{
	const struct type *stripped = type_strip(walk->diff->new_symbols, b->target);
	uint64_t apart = stripped->kind == TYPE_CHARACTER ? COMPARE_MERGE_BYTES : 1;
	uint64_t at = next_difference(walk, offset, 0, size);
	while (at < size && !walk->diff->stopped && !walk->diff->failed) {
		uint64_t first = at / element, last = first;
		for (;;) {
			at = next_difference(walk, offset, (last + 1) * element, size);
			if (at >= size || at / element - last > apart)
				break;
			last = at / element;
		}
		report_run(walk, a, b, offset, first, last - first + 1, element);
	}
}

static void walk_array(struct walk *walk, struct type *a, struct type *b, uint64_t offset,
		       uint64_t size)
{
	struct type *target = type_strip(walk->diff->new_symbols, b->target);
	uint64_t element = value_type_size(walk->diff->new_symbols, target);
	if (!element || b->vector || (target->kind == TYPE_CHARACTER && size <= WALK_TEXT_SIZE)) {
		report_part(walk, a, b, offset, size);
		return;
	}
	size -= size % element;
	if (is_record(target) || target->kind == TYPE_ARRAY)
		walk_records(walk, a, b, offset, element, size);
	else
		walk_scalars(walk, a, b, offset, element, size);
}

/** Something in [offset, offset + size) differs. */
static void walk_type(struct walk *walk, struct type *old_type, struct type *new_type,
		      uint64_t offset, uint64_t size)
{
	struct type *a = type_strip(walk->diff->old_symbols, old_type);
	struct type *b = type_strip(walk->diff->new_symbols, new_type);
	bool alike = a->kind == b->kind && a->member_count == b->member_count &&
		     value_type_size(walk->diff->old_symbols, a) == size;
	walk->depth++;
	if (alike && walk->depth < WALK_DEPTH_LIMIT && is_record(b) && b->member_count)
		walk_members(walk, a, b, offset);
	else if (alike && walk->depth < WALK_DEPTH_LIMIT && b->kind == TYPE_ARRAY && b->target)
		walk_array(walk, a, b, offset, size);
	else
		report_part(walk, old_type, new_type, offset, size);
	walk->depth--;
}

bool walk_object(struct strobe_diff *diff, const struct walk_object *object)
{
	struct walk walk = {.diff = diff, .global = object->global};
	uint64_t size = value_type_size(diff->new_symbols, object->new_type);
	append(&walk, "%s", object->name);
	walk_type(&walk, object->old_type, object->new_type, 0, size);
	return walk.fields > 0;
}

/** The member that holds `offset`; NULL if none does. */
static const struct type_member *member_at(struct strobe_symbols *symbols, const struct type *type,
					   uint64_t offset)
{
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		uint64_t start = member->offset_bits / 8;
		uint64_t size = member->bit_size
					? (member->offset_bits % 8 + member->bit_size + 7) / 8
					: value_type_size(symbols, member->type);
		if (!member->static_member && !member->virtual_base && start <= offset &&
		    offset - start < size)
			return member;
	}
	return NULL;
}

void walk_part_name(struct strobe_symbols *symbols, struct type *type, uint64_t offset,
		    char *buffer, size_t size)
{
	size_t used = strlen(buffer);
	for (unsigned depth = 0; depth < WALK_DEPTH_LIMIT && used < size; depth++) {
		int length = 0;
		type = type_strip(symbols, type);
		if (is_record(type)) {
			const struct type_member *member = member_at(symbols, type, offset);
			if (!member)
				return;
			offset -= member->offset_bits / 8;
			type = member->type;
			if (!member->base && member->name && *member->name)
				length = snprintf(buffer + used, size - used, ".%s", member->name);
		} else if (type->kind == TYPE_ARRAY && type->target) {
			uint64_t element = value_type_size(symbols, type->target);
			if (!element)
				return;
			length = snprintf(
				buffer + used, size - used, "[%lld]",
				(long long)(type->dimension.lower + (int64_t)(offset / element)));
			offset %= element;
			type = type->target;
		} else {
			return;
		}
		used += length > 0 ? (size_t)length : 0;
	}
}
