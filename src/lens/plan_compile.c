// SPDX-License-Identifier: Apache-2.0
// Plans of C and C++ types.
#include <string.h>

#include "lens/builder.h"
#include "lens/rust.h"
#include "symbols/type.h"

/** Named limits: structures within each other that an alignment or extent is asked of; elements of an array in a union
 *  that get steps of their own. */
enum { ALIGNMENT_NESTING_LIMIT = 16, UNION_ELEMENT_LIMIT = 64 };

static void structure_steps(struct plan_builder *builder, struct type *type, bool maybe,
			    bool whole);

bool lens_is_storage(const struct type *type)
{
	if (type->size != 1)
		return false;
	return type->kind == TYPE_CHARACTER ||
	       (type->kind == TYPE_ENUM && type->name && strcmp(type->name, "std::byte") == 0);
}

/** What a class takes as a base, without its virtual bases: their places are the whole object's. */
static uint64_t base_extent(struct lens *lens, struct type *type, unsigned depth)
{
	uint64_t end = 0, size;
	bool plain = true;
	uintptr_t known = (uintptr_t)hash_get(&lens->extents, (uintptr_t)type);
	if (known)
		return known - 1;
	// Until it is known: a class that has itself as a base asks no further.
	if (!hash_put(&lens->extents, (uintptr_t)type, (void *)(uintptr_t)1))
		lens->failed = true;
	for (size_t i = 0; i < type->member_count && depth < ALIGNMENT_NESTING_LIMIT; i++) {
		const struct type_member *member = &type->members[i];
		plain &= !member->virtual_base;
		if (member->static_member || member->virtual_base || !member->type)
			continue;
		struct type *inner = type_strip(lens->symbols, member->type);
		if (member->base)
			size = base_extent(lens, inner, depth + 1);
		else if (!type_size(lens->symbols, inner, &size))
			size = 0;
		size += member->offset_bits / 8;
		end = size > end ? size : end;
	}
	if (plain || end > type->size)
		end = type->size;
	if (!hash_put(&lens->extents, (uintptr_t)type, (void *)(uintptr_t)(end + 1)))
		lens->failed = true;
	return end;
}

uint64_t lens_member_extent(struct lens *lens, const struct type_member *member)
{
	uint64_t size;
	struct type *type = type_strip(lens->symbols, member->type);
	if (member->base && type->vtable)
		return base_extent(lens, type, 0);
	return type_size(lens->symbols, type, &size) ? size : 0;
}

/** A member that is in the object, whole bytes, and within the structure. */
static bool is_placed(struct lens *lens, const struct type *type, const struct type_member *member)
{
	if (member->static_member || member->bit_size || !member->type || member->virtual_base ||
	    member->offset_bits % 8)
		return false;
	uint64_t offset = member->offset_bits / 8, size = lens_member_extent(lens, member);
	return offset <= type->size && size <= type->size - offset;
}

static unsigned alignment_of(struct lens *lens, struct type *type, unsigned depth);

static unsigned structure_alignment(struct lens *lens, struct type *type, unsigned depth)
{
	unsigned alignment = 1;
	bool regular = true;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (member->static_member || !member->type || member->virtual_base)
			continue;
		unsigned own = alignment_of(lens, member->type, depth + 1);
		if (!member->bit_size && member->offset_bits / 8 % own != 0)
			regular = false;
		if (own > alignment)
			alignment = own;
	}
	return regular && type->size % alignment == 0 ? alignment : 1;
}

static unsigned alignment_of(struct lens *lens, struct type *type, unsigned depth)
{
	if (depth > ALIGNMENT_NESTING_LIMIT)
		return 1;
	type = type_strip(lens->symbols, type);
	for (unsigned i = 0; i < PLAN_NESTING_LIMIT && type->kind == TYPE_ARRAY && type->target;
	     i++)
		type = type_strip(lens->symbols, type->target);
	switch (type->kind) {
	case TYPE_STRUCT:
	case TYPE_CLASS:
	case TYPE_UNION:
	case TYPE_VARIANT:
		break;
	case TYPE_VOID:
	case TYPE_FUNCTION:
	case TYPE_UNKNOWN:
	case TYPE_ARRAY:
		return 1;
	case TYPE_COMPLEX:
		return type->size >= 16 ? 8 : 4;
	case TYPE_MEMBER_POINTER:
		return 8;
	default:
		return type->size == 16 || type->size == 8 || type->size == 4 || type->size == 2
			       ? (unsigned)type->size
			       : 1;
	}
	uintptr_t known = (uintptr_t)hash_get(&lens->alignments, (uintptr_t)type);
	if (known)
		return (unsigned)known;
	// Until it is known: a type that has itself as a part asks no further.
	if (!hash_put(&lens->alignments, (uintptr_t)type, (void *)(uintptr_t)1))
		lens->failed = true;
	unsigned alignment = structure_alignment(lens, type, depth);
	if (!hash_put(&lens->alignments, (uintptr_t)type, (void *)(uintptr_t)alignment))
		lens->failed = true;
	return alignment;
}

unsigned lens_alignment(struct lens *lens, struct type *type)
{
	return alignment_of(lens, type, 0);
}

/** Low bits of a pointer that its target's alignment leaves free, when they are enough to be meant as a tag. */
static uint64_t tag_mask(struct lens *lens, struct type *target)
{
	unsigned alignment = lens_alignment(lens, target);
	return alignment < 4 ? 0 : alignment > 16 ? 15 : alignment - 1;
}

static void pointer_step(struct plan_builder *builder, struct type *type, uint64_t offset,
			 bool maybe)
{
	struct plan_step step = {.kind = PLAN_POINTER, .offset = (uint32_t)offset, .maybe = maybe};
	struct type *target = type->target;
	if (type->size != 8)
		return;
	if (target) {
		struct type *stripped = type_strip(builder->lens->symbols, target);
		if (stripped->kind == TYPE_FUNCTION)
			step.kind = PLAN_CODE;
		else if (!cplus_is_link(stripped))
			step.type = plan_type(builder, target);
		if (step.type && type->kind == TYPE_POINTER)
			step.mask = tag_mask(builder->lens, target);
	}
	plan_add(builder, &step);
}

/** A pointer to a member function: its first word is code, or an odd number (an entry of a virtual table). */
static void member_pointer_step(struct plan_builder *builder, struct type *type, uint64_t offset,
				bool maybe)
{
	struct type *target =
		type->target ? type_strip(builder->lens->symbols, type->target) : NULL;
	if (target && target->kind == TYPE_FUNCTION)
		plan_add(builder, &(struct plan_step){.kind = PLAN_CODE,
						      .offset = (uint32_t)offset,
						      .maybe = maybe});
}

/** An array with its dimensions made one. */
struct array {
	struct type *element;
	uint64_t count, stride;
	bool open; // as long as the object
};

static bool flatten(struct plan_builder *builder, struct type *type, struct array *ret)
{
	struct strobe_symbols *symbols = builder->lens->symbols;
	*ret = (struct array){.element = type, .count = 1};
	for (unsigned i = 0; ret->element->kind == TYPE_ARRAY; i++) {
		const struct type_dimension *dimension = &ret->element->dimension;
		bool open = dimension->unknown || dimension->dynamic || dimension->count == 0;
		if (ret->element->vector || !ret->element->target || i == PLAN_NESTING_LIMIT ||
		    (open && i > 0))
			return false;
		ret->open |= open;
		if (!open && __builtin_mul_overflow(ret->count, dimension->count, &ret->count))
			return false;
		ret->element = type_strip(symbols, ret->element->target);
	}
	if (ret->count > PLAN_ELEMENT_LIMIT && !lens_is_storage(ret->element))
		ret->count = PLAN_ELEMENT_LIMIT;
	return type_size(symbols, ret->element, &ret->stride) && ret->stride > 0;
}

/** The elements, each by itself. */
static void unrolled_steps(struct plan_builder *builder, const struct array *array, uint64_t offset,
			   bool maybe)
{
	for (uint64_t i = 0; i < array->count && !builder->full; i++)
		plan_value(builder, array->element, offset + i * array->stride, maybe);
}

static void repeated_steps(struct plan_builder *builder, const struct array *array, uint64_t offset,
			   bool maybe)
{
	struct plan_step step = {.kind = array->open ? PLAN_FLEXIBLE : PLAN_REPEAT,
				 .offset = (uint32_t)offset,
				 .maybe = maybe,
				 .a = array->count,
				 .b = array->stride};
	size_t number = plan_add(builder, &step);
	plan_value(builder, array->element, 0, maybe);
	plan_end(builder, number);
}

/** Whether an array at the end of its object is of one element as old programs wrote it, and really longer. */
static bool is_old_flexible(const struct plan_builder *builder, const struct array *array)
{
	const struct type *type = builder->entry->type.type;
	return array->count == 1 && builder->inner && type && type->kind != TYPE_UNION &&
	       !(type->name && strncmp(type->name, "std::", 5) == 0);
}

static void array_steps(struct plan_builder *builder, struct type *type, uint64_t offset,
			bool maybe)
{
	struct array array;
	bool last = builder->tail && builder->open == 0;
	if (!flatten(builder, type, &array) || (array.open && !last))
		return;
	if (last && is_old_flexible(builder, &array))
		array.open = true;
	builder->flexible |= array.open;
	builder->tail = false;
	if (lens_is_storage(array.element)) {
		// Of less than a word there is nothing to be in it; what is in more is anybody's guess.
		if (array.open || array.count >= 8)
			plan_scan(builder, offset, array.open ? UINT64_MAX : array.count);
	} else if (!array.open && (array.count == 1 ||
				   (builder->unions > 0 && array.count <= UNION_ELEMENT_LIMIT))) {
		unrolled_steps(builder, &array, offset, maybe);
	} else {
		repeated_steps(builder, &array, offset, maybe);
	}
}

/** Number of the last member that is in the object, in the order of memory; SIZE_MAX if there is none. */
static size_t last_member(struct type *type)
{
	size_t last = SIZE_MAX;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (member->static_member || member->virtual_base)
			continue;
		if (last == SIZE_MAX || member->offset_bits >= type->members[last].offset_bits)
			last = i;
	}
	return last;
}

static void member_steps(struct plan_builder *builder, const struct type_member *member, bool maybe)
{
	uint64_t offset = member->offset_bits / 8;
	struct type *type = type_strip(builder->lens->symbols, member->type);
	if (member->artificial && member->name && strncmp(member->name, "_vptr", 5) == 0)
		return;
	if (member->name && strncmp(member->name, "_vptr", 5) == 0 && type->kind == TYPE_POINTER)
		return;
	if (!member->base) {
		plan_value(builder, member->type, offset, maybe);
		return;
	}
	if (language_is_cplus(type->language) && cplus_container(builder, type, offset, maybe))
		return;
	if (++builder->nesting > PLAN_NESTING_LIMIT)
		builder->full = true;
	uint64_t base = builder->base;
	builder->base += offset;
	structure_steps(builder, type, maybe, false);
	builder->base = base;
	builder->nesting--;
}

/** Whether two steps say the same. */
static bool same_step(const struct plan_step *a, const struct plan_step *b)
{
	return a->kind == b->kind && a->offset == b->offset && a->type == b->type && a->a == b->a &&
	       a->b == b->b && a->span == b->span && a->count_kind == b->count_kind &&
	       a->mask == b->mask && a->stride == b->stride && a->call == b->call &&
	       a->data == b->data && a->width == b->width;
}

static bool same_steps(const struct plan_step *steps, size_t a, size_t b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!same_step(&steps[a + i], &steps[b + i]))
			return false;
	return true;
}

static bool is_word(const struct plan_step *step)
{
	return step->kind == PLAN_POINTER || step->kind == PLAN_COUNTED;
}

/** Whether the span of steps at `at` says nothing that another of [begin, end) does not. */
static bool is_idle(const struct plan_step *steps, size_t begin, size_t end, size_t at)
{
	const struct plan_step *step = &steps[at];
	for (size_t i = begin; i < end; i += 1 + steps[i].span) {
		if (i == at)
			continue;
		if (i < at && same_steps(steps, i, at, 1 + step->span))
			return true;
		if (step->kind == PLAN_POINTER && is_word(&steps[i]) &&
		    steps[i].offset == step->offset &&
		    (step->type == 0 || (step->type == steps[i].type && i < at)) &&
		    (steps[i].type != 0 || i < at))
			return true;
		if (step->kind == PLAN_SCAN && (steps[i].kind != PLAN_SCAN || steps[i].a > step->a))
			return true;
	}
	return false;
}

/** Several readings of the same words: each reading once. */
static void merge_readings(struct plan_builder *builder, size_t begin)
{
	enum { MERGE_LIMIT = 2000 };
	struct plan_step *steps = builder->steps.items;
	size_t end = builder->steps.count, kept = begin;
	if (end - begin > MERGE_LIMIT || builder->full)
		return;
	bool idle[MERGE_LIMIT];
	for (size_t i = begin; i < end; i += 1 + steps[i].span)
		idle[i - begin] = is_idle(steps, begin, end, i);
	for (size_t i = begin, span; i < end; i += span) {
		span = 1 + steps[i].span;
		if (idle[i - begin])
			continue;
		memmove(&steps[kept], &steps[i], span * sizeof(*steps));
		kept += span;
	}
	builder->steps.count = kept;
}

static void union_steps(struct plan_builder *builder, struct type *type, bool maybe)
{
	size_t begin = builder->steps.count, first = 0, readings = 0;
	bool alike = true, tail = builder->tail;
	builder->unions++;
	for (size_t i = 0; i < type->member_count && !builder->full; i++) {
		size_t before = builder->steps.count;
		if (type->members[i].static_member)
			continue;
		builder->tail = tail;
		builder->inner = true;
		if (is_placed(builder->lens, type, &type->members[i]))
			member_steps(builder, &type->members[i], maybe);
		size_t count = builder->steps.count - before;
		if (readings++ == 0)
			first = count;
		else
			alike &= count == first &&
				 same_steps(builder->steps.items, begin, before, count);
	}
	builder->unions--;
	if (builder->full)
		return;
	if (alike && readings > 0) {
		builder->steps.count = begin + first;
		return;
	}
	for (size_t i = begin; i < builder->steps.count; i++)
		builder->steps.items[i].maybe = true;
	merge_readings(builder, begin);
}

static bool is_seen(struct plan_builder *builder, struct type *base)
{
	for (unsigned i = builder->seen_begin; i < builder->seen_count; i++)
		if (builder->seen[i] == base)
			return true;
	if (builder->seen_count == PLAN_BASE_LIMIT)
		return true;
	builder->seen[builder->seen_count++] = base;
	return false;
}

/** Virtual bases of `type` at builder->base and of its bases: each once, where the virtual table says. */
static void virtual_base_steps(struct plan_builder *builder, struct type *type, bool maybe,
			       unsigned depth)
{
	uint64_t slot, start = builder->base;
	for (size_t i = 0; i < type->member_count && depth < PLAN_NESTING_LIMIT; i++) {
		const struct type_member *member = &type->members[i];
		if (!member->base || !member->type || ++builder->work > PLAN_WORK_LIMIT)
			continue;
		struct type *base = type_strip(builder->lens->symbols, member->type);
		if (!member->virtual_base) {
			builder->base = start + member->offset_bits / 8;
			virtual_base_steps(builder, base, maybe, depth + 1);
			builder->base = start;
			continue;
		}
		if (!type_virtual_base_slot(member, &slot) || is_seen(builder, base))
			continue;
		size_t number =
			plan_add(builder, &(struct plan_step){.kind = PLAN_BASE, .a = slot});
		structure_steps(builder, base, maybe, false);
		virtual_base_steps(builder, base, maybe, depth + 1);
		plan_end(builder, number);
	}
}

/** `whole`: not a base of something. */
static void structure_steps(struct plan_builder *builder, struct type *type, bool maybe, bool whole)
{
	bool tail = builder->tail && whole, inner = builder->inner;
	bool top = !inner && builder->open == 0 && whole;
	unsigned seen_begin = builder->seen_begin;
	size_t last = last_member(type);
	builder->inner = true;
	if (whole)
		builder->seen_begin = builder->seen_count;
	for (size_t i = 0; i < type->member_count && !builder->full; i++) {
		const struct type_member *member = &type->members[i];
		size_t begin = builder->steps.count;
		builder->full = ++builder->work > PLAN_WORK_LIMIT;
		builder->tail = tail && i == last;
		if (!builder->full && is_placed(builder->lens, type, member))
			member_steps(builder, member, maybe);
		if (builder->full && top) {
			plan_give_up(builder, begin, member->offset_bits / 8);
			break;
		}
	}
	builder->tail = false;
	if (whole && type->vtable && !builder->full)
		virtual_base_steps(builder, type, maybe, 0);
	if (whole) {
		builder->seen_count = builder->seen_begin;
		builder->seen_begin = seen_begin;
	}
	builder->inner = inner;
}

/** Rust's enums: the variant that the discriminant says. */
static void variant_steps(struct plan_builder *builder, struct type *type, bool maybe)
{
	const struct type_member *tag = type->discriminant;
	uint64_t width = 0;
	bool known = tag && tag->type && !tag->bit_size &&
		     type_size(builder->lens->symbols, tag->type, &width) && width >= 1 &&
		     width <= 8;
	uint64_t mask = known && width < 8 ? (UINT64_C(1) << width * 8) - 1 : UINT64_MAX;
	for (size_t i = 0; i < type->member_count && !builder->full; i++) {
		const struct type_member *member = &type->members[i];
		bool conditional = known && member->has_discriminant;
		size_t number = SIZE_MAX;
		if (++builder->work > PLAN_WORK_LIMIT || !is_placed(builder->lens, type, member))
			continue;
		if (conditional)
			number = plan_add(
				builder,
				&(struct plan_step){.kind = PLAN_IF,
						    .offset = (uint32_t)(tag->offset_bits / 8),
						    .width = (uint8_t)width,
						    .mask = mask,
						    .a = member->discriminant & mask,
						    .b = member->discriminant & mask});
		member_steps(builder, member, maybe || (tag && !conditional));
		plan_end(builder, number);
	}
}

static void nested_steps(struct plan_builder *builder, struct type *type, uint64_t offset,
			 bool maybe)
{
	uint64_t base = builder->base;
	builder->base += offset;
	if (type->kind == TYPE_VARIANT)
		variant_steps(builder, type, maybe);
	else if (type->kind == TYPE_UNION)
		union_steps(builder, type, maybe);
	else
		structure_steps(builder, type, maybe, true);
	builder->base = base;
}

void plan_value(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	if (builder->full || builder->failed)
		return;
	if (++builder->work > PLAN_WORK_LIMIT || builder->nesting >= PLAN_NESTING_LIMIT ||
	    offset > UINT32_MAX) {
		builder->full = true;
		return;
	}
	type = type_strip(builder->lens->symbols, type);
	builder->nesting++;
	switch (type->kind) {
	case TYPE_POINTER:
	case TYPE_REFERENCE:
	case TYPE_RVALUE_REFERENCE:
		pointer_step(builder, type, offset, maybe);
		break;
	case TYPE_MEMBER_POINTER:
		member_pointer_step(builder, type, offset, maybe);
		break;
	case TYPE_ARRAY:
		array_steps(builder, type, offset, maybe);
		break;
	case TYPE_STRUCT:
	case TYPE_CLASS:
		if (language_is_cplus(type->language) &&
		    cplus_container(builder, type, offset, maybe))
			break;
		if (language_is_rust(type->language) && rust_class(builder, type, offset, maybe))
			break;
		nested_steps(builder, type, offset, maybe);
		break;
	case TYPE_UNION:
	case TYPE_VARIANT:
		nested_steps(builder, type, offset, maybe);
		break;
	default:
		break;
	}
	builder->nesting--;
}

void plan_object(struct plan_builder *builder, struct type *type)
{
	plan_value(builder, type, 0, false);
}
