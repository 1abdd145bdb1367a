// SPDX-License-Identifier: Apache-2.0
// Vectors and slices of Rust: what says how long they are stands beside the pointer. Layouts of Rust 1.60 to 1.9x.
#include <string.h>

#include "lens/cplus.h"
#include "lens/rust.h"

/** Named limit: structures around a pointer. */
enum { WRAPPER_LIMIT = 8 };

/** The pointer that a Unique, NonNull, ... is around; false if there is none at its start. */
static bool find_pointer(struct strobe_symbols *symbols, struct type *type, uint64_t *offset)
{
	for (unsigned i = 0; i < WRAPPER_LIMIT; i++) {
		type = type_strip(symbols, type);
		if (type->kind == TYPE_POINTER || type->kind == TYPE_REFERENCE)
			return type->size == 8;
		struct type *inner = NULL;
		for (size_t n = 0; n < type->member_count && !inner; n++) {
			uint64_t size;
			const struct type_member *member = &type->members[n];
			if (member->type && type_size(symbols, member->type, &size) && size == 8) {
				*offset += member->offset_bits / 8;
				inner = member->type;
			}
		}
		if (!inner)
			return false;
		type = inner;
	}
	return false;
}

/** A pointer to `count` of `id`: where the word at `used` is 0, it is no address. */
static void elements(struct plan_builder *builder, uint64_t used, uint64_t pointer, uint64_t count,
		     uint32_t id, bool maybe)
{
	const struct plan_step any = {.kind = PLAN_IF,
				      .offset = (uint32_t)used,
				      .width = 8,
				      .mask = UINT64_MAX,
				      .a = 1,
				      .b = UINT64_MAX};
	size_t number = plan_add(builder, &any);
	cplus_counted(builder, pointer, count, id, maybe);
	plan_end(builder, number);
}

static bool vector(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct type *element = type_template_argument(symbols, type, 0);
	struct cplus_member length, pointer, capacity;
	if (!element || !cplus_find(symbols, type, "len", &length) ||
	    !(cplus_find(symbols, type, "buf.inner.ptr", &pointer) ||
	      cplus_find(symbols, type, "buf.ptr", &pointer)) ||
	    !(cplus_find(symbols, type, "buf.inner.cap", &capacity) ||
	      cplus_find(symbols, type, "buf.cap", &capacity)) ||
	    !find_pointer(symbols, pointer.type, &pointer.offset))
		return false;
	elements(builder, offset + capacity.offset, offset + pointer.offset, offset + length.offset,
		 plan_type(builder, element), maybe);
	return true;
}

/** "&[T]", "&str", "Box<[T]>". */
static bool slice(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct cplus_member pointer, length;
	if (type->member_count != 2 || type->size != 16 ||
	    !cplus_find(symbols, type, "data_ptr", &pointer) ||
	    !cplus_find(symbols, type, "length", &length) || pointer.type->kind != TYPE_POINTER ||
	    !pointer.type->target)
		return false;
	elements(builder, offset + length.offset, offset + pointer.offset, offset + length.offset,
		 plan_type(builder, pointer.type->target), maybe);
	return true;
}

bool rust_class(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	if (type->name && strncmp(type->name, "alloc::vec::Vec<", 16) == 0)
		return vector(builder, type, offset, maybe);
	return slice(builder, type, offset, maybe);
}
