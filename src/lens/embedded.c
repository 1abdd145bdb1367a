// SPDX-License-Identifier: Apache-2.0
#include "lens/embedded.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strobe/memory.h>
#include <strobe/symbols.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "lens/plan_builder.h"

/** Named limits: structures and arrays within each other; parts of one object that are looked at. */
enum { EMBEDDED_NESTING_LIMIT = 64, EMBEDDED_WORK_LIMIT = 1 << 28 };

/** What is known of a type, in `known`: 0 = nothing yet. */
enum { KNOWN = 1, WITHIN = 2 }; // WITHIN: a part of it may be wanted

struct embedded {
	struct lens *lens;
	struct strobe_symbols *symbols;
	struct type *const *wanted;
	size_t count;
	struct hash known; // stripped type -> KNOWN, WITHIN
	bool short_of_memory;
};

struct embedded *embedded_new(struct lens *lens, struct type *const *wanted, size_t count)
{
	struct embedded *embedded = calloc(1, sizeof(*embedded));
	if (embedded)
		*embedded = (struct embedded){.lens = lens,
					      .symbols = lens_symbols(lens),
					      .wanted = wanted,
					      .count = count};
	return embedded;
}

struct embedded *embedded_free(struct embedded *embedded)
{
	if (!embedded)
		return NULL;
	hash_fini(&embedded->known);
	free(embedded);
	return NULL;
}

static bool is_structure(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION;
}

/** The wanted type that `type`, stripped, is; SIZE_MAX if it is none. */
static size_t find_wanted(const struct embedded *embedded, struct type *type)
{
	for (size_t i = 0; i < embedded->count; i++) {
		struct type *wanted = embedded->wanted[i];
		if (wanted == type || (wanted->kind == type->kind && wanted->size == type->size &&
				       type_equal(embedded->symbols, wanted, type)))
			return i;
	}
	return SIZE_MAX;
}

/** Elements of an array whose element `*type` becomes; false if it has no bounds and no end either. */
static bool open_array(const struct embedded *embedded, struct type **type, uint64_t room,
		       uint64_t *count, uint64_t *stride)
{
	const struct type_dimension *dimension = &(*type)->dimension;
	bool open = dimension->unknown || dimension->dynamic || dimension->count == 0;
	*count = dimension->count;
	if (!(*type)->target || (*type)->vector)
		return false;
	*type = type_strip(embedded->symbols, (*type)->target);
	if (!type_size(embedded->symbols, *type, stride) || !*stride)
		return false;
	if (open || *count > room / *stride)
		*count = room / *stride;
	return true;
}

static bool may_be_in(struct embedded *embedded, struct type *type, unsigned depth);

static bool has_parts(struct embedded *embedded, struct type *type, unsigned depth)
{
	struct type *content;
	bool cplus = language_is_cplus(type->language) && type->kind != TYPE_UNION;
	for (size_t i = 0; cplus && cplus_possible_content(embedded->lens, type, i, &content); i++)
		if (!content || may_be_in(embedded, content, depth + 1))
			return true;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (!member->static_member && !member->bit_size && member->type &&
		    may_be_in(embedded, member->type, depth + 1))
			return true;
	}
	return false;
}

/** Whether parts of the structure may be wanted. */
static bool is_within(struct embedded *embedded, struct type *type, unsigned depth)
{
	uintptr_t known = (uintptr_t)hash_get(&embedded->known, (uintptr_t)type);
	if (known)
		return known & WITHIN;
	// Until it is known: what has itself as a part asks no further.
	embedded->short_of_memory |=
		!hash_put(&embedded->known, (uintptr_t)type, (void *)(uintptr_t)KNOWN);
	known = KNOWN | (has_parts(embedded, type, depth) ? WITHIN : 0);
	embedded->short_of_memory |= !hash_put(&embedded->known, (uintptr_t)type, (void *)known);
	return known & WITHIN;
}

static bool may_be_in(struct embedded *embedded, struct type *type, unsigned depth)
{
	type = type_strip(embedded->symbols, type);
	for (; type->kind == TYPE_ARRAY && type->target && depth < EMBEDDED_NESTING_LIMIT; depth++)
		type = type_strip(embedded->symbols, type->target);
	return is_structure(type) && depth < EMBEDDED_NESTING_LIMIT &&
	       (find_wanted(embedded, type) != SIZE_MAX || is_within(embedded, type, depth));
}

bool embedded_may(struct embedded *embedded, struct type *type)
{
	return may_be_in(embedded, type, 0);
}

/** Where a member of the structure at `address` is; false if that is nowhere. */
static bool locate(const struct embedded *embedded, const struct type_member *member,
		   uint64_t address, uint64_t *ret)
{
	const struct strobe_view *view = strobe_symbols_view(embedded->symbols);
	uint64_t slot, vtable, distance;
	if (member->static_member || member->bit_size || !member->type)
		return false;
	*ret = address + member->offset_bits / 8;
	if (!member->virtual_base)
		return true;
	if (!type_virtual_base_slot(member, &slot) ||
	    strobe_memory_read(view, address, &vtable, 8) != 8 ||
	    strobe_memory_read(view, vtable - slot, &distance, 8) != 8)
		return false;
	*ret = address + distance;
	return true;
}

/** One object on its way. */
struct search {
	struct embedded *embedded;
	uint64_t begin, end;
	embedded_runs *runs;
	unsigned work;
};

static bool is_full(const struct search *search)
{
	return search->work >= EMBEDDED_WORK_LIMIT || search->embedded->short_of_memory;
}

static void keep(struct search *search, size_t wanted, uint64_t address, uint64_t count,
		 uint64_t stride)
{
	struct embedded_run run = {address, count, stride, (uint32_t)wanted};
	search->embedded->short_of_memory |= count && !array_push(search->runs, run);
}

static void search_in(struct search *search, struct type *type, uint64_t address, unsigned depth);

static void search_array(struct search *search, struct type *type, uint64_t address, unsigned depth)
{
	struct embedded *embedded = search->embedded;
	uint64_t count, stride;
	if (!open_array(embedded, &type, search->end - address, &count, &stride) ||
	    !may_be_in(embedded, type, depth))
		return;
	size_t wanted = is_structure(type) ? find_wanted(embedded, type) : SIZE_MAX;
	if (wanted != SIZE_MAX && !is_within(embedded, type, depth)) {
		keep(search, wanted, address, count, stride);
		return;
	}
	for (uint64_t i = 0; i < count && !is_full(search); i++)
		search_in(search, type, address + i * stride, depth + 1);
}

static void search_structure(struct search *search, struct type *type, uint64_t address,
			     unsigned depth)
{
	struct embedded *embedded = search->embedded;
	struct cplus_content content;
	size_t wanted = find_wanted(embedded, type);
	if (wanted != SIZE_MAX)
		keep(search, wanted, address, 1, type->size);
	if (!is_within(embedded, type, depth))
		return;
	if (type->kind != TYPE_UNION && language_is_cplus(type->language) &&
	    cplus_content(embedded->lens, type, address, &content)) {
		if (content.type)
			search_in(search, content.type, address + content.offset, depth + 1);
		return;
	}
	for (size_t i = 0; i < type->member_count && !is_full(search); i++) {
		uint64_t at;
		search->work++;
		if (locate(embedded, &type->members[i], address, &at))
			search_in(search, type->members[i].type, at, depth + 1);
	}
}

/** What lies outside the object is not looked at. */
static void search_in(struct search *search, struct type *type, uint64_t address, unsigned depth)
{
	uint64_t size;
	type = type_strip(search->embedded->symbols, type);
	search->work++;
	if (depth >= EMBEDDED_NESTING_LIMIT || address < search->begin || address >= search->end)
		return;
	if (type->kind == TYPE_ARRAY)
		search_array(search, type, address, depth);
	else if (is_structure(type) && may_be_in(search->embedded, type, depth) &&
		 type_size(search->embedded->symbols, type, &size) && size <= search->end - address)
		search_structure(search, type, address, depth);
}

static int by_address(const void *a, const void *b)
{
	const struct embedded_run *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->wanted < y->wanted ? -1 : x->wanted > y->wanted;
}

static bool overlap(const struct embedded_run *runs, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (runs[i].address <=
		    runs[i - 1].address + (runs[i - 1].count - 1) * runs[i - 1].stride)
			return true;
	return false;
}

/** One run for each address. */
static bool expand(embedded_runs *runs, size_t first)
{
	size_t end = runs->count;
	for (size_t i = first; i < end; i++) {
		struct embedded_run run = runs->items[i];
		for (uint64_t j = 1; j < run.count; j++) {
			struct embedded_run one = {run.address + j * run.stride, 1, run.stride,
						   run.wanted};
			if (!array_push(runs, one))
				return false;
		}
		runs->items[i].count = 1;
	}
	return true;
}

/** Of unions and virtual bases there may be several readings of one place. */
static bool put_in_order(embedded_runs *runs, size_t first)
{
	size_t kept = first;
	if (runs->count - first < 2)
		return true;
	qsort(runs->items + first, runs->count - first, sizeof(*runs->items), by_address);
	if (!overlap(runs->items + first, runs->count - first))
		return true;
	if (!expand(runs, first))
		return false;
	qsort(runs->items + first, runs->count - first, sizeof(*runs->items), by_address);
	for (size_t i = first; i < runs->count; i++)
		if (kept == first || by_address(&runs->items[kept - 1], &runs->items[i]) != 0)
			runs->items[kept++] = runs->items[i];
	runs->count = kept;
	return true;
}

struct strobe_error *embedded_find(struct embedded *embedded, struct type *type, uint64_t address,
				   uint64_t end, embedded_runs *runs)
{
	struct search search = {.embedded = embedded, .begin = address, .end = end, .runs = runs};
	size_t first = runs->count;
	search_in(&search, type, address, 0);
	if (embedded->short_of_memory || !put_in_order(runs, first))
		return error_no_memory();
	if (search.work >= EMBEDDED_WORK_LIMIT)
		return error_new(STROBE_ERROR_LIMIT,
				 "the object at %#" PRIx64 " has more than %d parts", address,
				 EMBEDDED_WORK_LIMIT);
	return NULL;
}

/** What is being named. */
struct naming {
	struct embedded *embedded;
	uint64_t end, target;
	size_t wanted;
	unsigned work;
	struct text *text;
};

static bool name_in(struct naming *naming, struct type *type, uint64_t address, unsigned depth);

/** Goes on into a part that is called so; takes the name back if it is not there. */
static bool name_part(struct naming *naming, const char *mark, const char *name, struct type *type,
		      uint64_t address, unsigned depth)
{
	size_t size = naming->text->size;
	text_append(naming->text, mark);
	text_append(naming->text, name);
	if (name_in(naming, type, address, depth + 1))
		return true;
	text_truncate(naming->text, size);
	return false;
}

static bool name_element(struct naming *naming, struct type *type, uint64_t address, unsigned depth)
{
	uint64_t count, stride;
	char index[32];
	if (!open_array(naming->embedded, &type, naming->end - address, &count, &stride) ||
	    (naming->target - address) / stride >= count)
		return false;
	uint64_t i = (naming->target - address) / stride;
	snprintf(index, sizeof(index), "[%" PRIu64 "]", i);
	return name_part(naming, "", index, type, address + i * stride, depth);
}

static bool name_member(struct naming *naming, struct type *type, uint64_t address, unsigned depth)
{
	struct cplus_content content;
	if (type->kind != TYPE_UNION && language_is_cplus(type->language) &&
	    cplus_content(naming->embedded->lens, type, address, &content))
		return content.type && name_part(naming, "", content.called, content.type,
						 address + content.offset, depth);
	for (size_t i = 0; i < type->member_count && naming->work < EMBEDDED_WORK_LIMIT; i++) {
		const struct type_member *member = &type->members[i];
		uint64_t at;
		naming->work++;
		bool named = !member->base && member->name && *member->name;
		if (locate(naming->embedded, member, address, &at) &&
		    name_part(naming, named ? "." : "", named ? member->name : "", member->type, at,
			      depth))
			return true;
	}
	return false;
}

static bool name_in(struct naming *naming, struct type *type, uint64_t address, unsigned depth)
{
	uint64_t size;
	type = type_strip(naming->embedded->symbols, type);
	if (depth >= EMBEDDED_NESTING_LIMIT || naming->target < address || address >= naming->end)
		return false;
	if (type->kind == TYPE_ARRAY)
		return name_element(naming, type, address, depth);
	if (!is_structure(type))
		return false;
	if (address == naming->target && find_wanted(naming->embedded, type) == naming->wanted)
		return true;
	return type_size(naming->embedded->symbols, type, &size) &&
	       (naming->target - address < size || type->member_count) &&
	       is_within(naming->embedded, type, depth) &&
	       name_member(naming, type, address, depth);
}

void embedded_name(struct embedded *embedded, struct type *type, uint64_t address, uint64_t end,
		   uint64_t target, uint32_t wanted, struct text *ret)
{
	struct naming naming = {
		.embedded = embedded, .end = end, .target = target, .wanted = wanted, .text = ret};
	if (!name_in(&naming, type, address, 0))
		text_printf(ret, "+%#" PRIx64, target - address);
}
