// SPDX-License-Identifier: Apache-2.0
// What an object of C++ is by a word in it: a pointer to a virtual table, or to what handles a value.
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
	lens->code_begin = modules ? UINT64_MAX : 0;
	for (size_t i = 0; i < modules; i++) {
		const struct strobe_module *module =
			strobe_view_module(strobe_symbols_view(lens->symbols), i);
		if (module->start < lens->code_begin)
			lens->code_begin = module->start;
		if (module->end > lens->code_end)
			lens->code_end = module->end;
	}
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

static struct strobe_error *learn_vtable(struct lens *lens, uint64_t vtable)
{
	if (hash_get(&lens->vtables, vtable))
		return NULL;
	struct known_vtable *known = arena_alloc(&lens->arena, sizeof(*known));
	if (!known)
		return error_no_memory();
	known->type = look_up(lens, vtable, &known->to_top);
	return hash_put(&lens->vtables, vtable, known) ? NULL : error_no_memory();
}

static struct strobe_error *learn_handler(struct lens *lens, uint64_t handler)
{
	if (hash_get(&lens->held, handler))
		return NULL;
	struct known_held *known = arena_alloc(&lens->arena, sizeof(*known));
	if (!known)
		return error_no_memory();
	cplus_held_look_up(lens, handler, known);
	return hash_put(&lens->held, handler, known) ? NULL : error_no_memory();
}

struct strobe_error *lens_learn(struct lens *lens, const uint64_t *words, size_t count)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < count && !error; i++)
		error = lens_may_be_vtable(lens, words[i]) ? learn_vtable(lens, words[i])
							   : learn_handler(lens, words[i]);
	return error ? error : lens_compile(lens);
}

typedef ARRAY(uint64_t) word_array;

static bool take_unknown(void *context, const struct lens_reference *reference)
{
	word_array *words = context;
	return !reference->unknown || array_push(words, reference->target);
}

struct strobe_error *lens_learn_object(struct lens *lens, const struct lens_memory *memory,
				       uint32_t type, uint64_t address, uint64_t size_bytes,
				       uint64_t count)
{
	enum { ROUND_LIMIT = 8 }; // what is held may hold in turn
	struct strobe_error *error = NULL;
	bool more = type && type <= lens->compiled && lens_entry(lens, type)->holds;
	for (unsigned i = 0; i < ROUND_LIMIT && more && !error; i++) {
		word_array words = {0};
		lens_walk(lens, memory, type, address, size_bytes, count, true, take_unknown,
			  &words, NULL);
		more = words.count > 0;
		if (more)
			error = lens_learn(lens, words.items, words.count);
		array_fini(&words);
	}
	return error;
}
