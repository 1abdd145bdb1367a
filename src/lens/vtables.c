// SPDX-License-Identifier: Apache-2.0
// Virtual tables: what an object of C++ is by the pointer it begins with.
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <strobe/symbols.h>

#include "base/error.h"
#include "lens/table.h"

/** Named limit: how far an object may begin before its part. */
#define TO_TOP_LIMIT (UINT64_C(1) << 30)

/** A virtual table that was looked up. */
struct known_vtable {
	uint32_t type; // 0: it is none, or of a class that is not described
	uint64_t to_top;
};

typedef ARRAY(struct lens_range) range_array;

static bool take_range(void *context, uint64_t start, uint64_t end)
{
	range_array *ranges = context;
	// What is in use begins behind two words: the offset to the top and the type information.
	return end - start < 16 || array_push(ranges, (struct lens_range){start + 16, end});
}

static int compare_ranges(const void *a, const void *b)
{
	uint64_t x = ((const struct lens_range *)a)->start;
	uint64_t y = ((const struct lens_range *)b)->start;
	return x < y ? -1 : x > y;
}

struct strobe_error *lens_find_ranges(struct lens *lens)
{
	range_array ranges = {0};
	size_t modules = strobe_view_module_count(strobe_symbols_view(lens->symbols));
	for (size_t i = 0; i < modules; i++)
		if (!type_vtable_ranges(lens->symbols, i, take_range, &ranges)) {
			array_fini(&ranges);
			return error_no_memory();
		}
	if (ranges.count > 1)
		qsort(ranges.items, ranges.count, sizeof(*ranges.items), compare_ranges);
	lens->ranges = ranges.items;
	lens->range_count = ranges.count;
	return NULL;
}

bool lens_may_be_vtable(const struct lens *lens, uint64_t address)
{
	size_t low = 0, high = lens->range_count;
	if (address % 8 != 0 || high == 0 || address < lens->ranges[0].start ||
	    address >= lens->ranges[high - 1].end)
		return false;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (lens->ranges[middle].start <= address)
			low = middle;
		else
			high = middle;
	}
	return address < lens->ranges[low].end;
}

bool lens_vtable_type(const struct lens *lens, uint64_t vtable, uint32_t *ret,
		      uint64_t *offset_to_top)
{
	const struct known_vtable *known = hash_get(&lens->vtables, vtable);
	if (!known)
		return false;
	*ret = known->type;
	*offset_to_top = known->to_top;
	return true;
}

/** Whether the words before `vtable` are what stands before an address point: how far it is to the top, never forward, and
 *  the type information, or 0. Cheap, where looking for the class is not. */
static bool has_head(const struct lens *lens, uint64_t vtable, uint64_t *to_top)
{
	uint64_t words[2];
	const struct strobe_view *view = strobe_symbols_view(lens->symbols);
	if (!lens_may_be_vtable(lens, vtable) ||
	    strobe_memory_read(view, vtable - 16, words, sizeof(words)) != sizeof(words))
		return false;
	*to_top = -words[0];
	// The ranges begin two words behind where they are, for tables; type information may be at their very start.
	return *to_top <= TO_TOP_LIMIT && *to_top % 8 == 0 &&
	       (words[1] == 0 || lens_may_be_vtable(lens, words[1]) ||
		lens_may_be_vtable(lens, words[1] + 16));
}

/** The class of `vtable`, if it is the address point of a table whose object has room for it. */
static uint32_t look_up(struct lens *lens, uint64_t vtable, uint64_t *to_top)
{
	if (!has_head(lens, vtable, to_top))
		return LENS_TYPE_NONE;
	struct type *class = type_of_vtable(lens->symbols, vtable);
	if (!class || !class->vtable || *to_top >= class->size)
		return LENS_TYPE_NONE;
	return lens_type_id(lens, class);
}

struct strobe_error *lens_learn_vtables(struct lens *lens, const uint64_t *vtables, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (hash_get(&lens->vtables, vtables[i]))
			continue;
		struct known_vtable *known = arena_alloc(&lens->arena, sizeof(*known));
		if (!known)
			return error_no_memory();
		known->type = look_up(lens, vtables[i], &known->to_top);
		if (!hash_put(&lens->vtables, vtables[i], known))
			return error_no_memory();
	}
	return lens_compile(lens);
}
