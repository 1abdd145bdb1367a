// SPDX-License-Identifier: Apache-2.0
// Classes with a value that is there at times: optional, and variant, whose value is of one of several types. A member tells
// which: both libraries do the same, by other names.
#include <string.h>
#include <strobe/memory.h>
#include <strobe/symbols.h>

#include "base/text.h"
#include "lens/cplus.h"

/** Named limit: of one variant. */
enum { ALTERNATIVE_LIMIT = 256 };

struct choice {
	const char *name;
	const char *tag;     // the member that tells
	const char *storage; // of the value
	bool variant;	     // the tag is the index of the type argument; else it is a bool
	const char *called;  // the value's place
};

static const struct choice choices[] = {
	{"_Optional_payload_base", "_M_engaged", "_M_payload", false, ""},
	{"__optional_destruct_base", "__engaged_", "__val_", false, ""},
	{"_Variant_storage", "_M_index", "_M_u", true, ".value"},
	{"__base", "__index", "__data", true, ".value"},
};
/** Classes that have one as a base or member: for names. */
static const struct choice wrappers[] = {
	{"optional", "_M_payload._M_engaged", "_M_payload._M_payload", false, ""},
	{"optional", "__engaged_", "__val_", false, ""},
	{"variant", "_M_index", "_M_u", true, ".value"},
	{"variant", "__impl.__index", "__impl.__data", true, ".value"},
	{"variant", "__impl_.__index", "__impl_.__data", true, ".value"},
};

/** Offsets in the class. */
struct places {
	const struct choice *choice;
	uint64_t tag, width, storage;
};

static bool find_in(struct strobe_symbols *symbols, struct type *type, const struct choice *list,
		    size_t count, struct places *ret)
{
	const char *name;
	struct cplus_member member;
	size_t size = cplus_template_name(type, &name);
	for (size_t i = 0; size && i < count; i++) {
		if (strncmp(list[i].name, name, size) != 0 || list[i].name[size] ||
		    !cplus_find(symbols, type, list[i].tag, &member))
			continue;
		*ret = (struct places){.choice = &list[i],
				       .tag = member.offset,
				       .width = cplus_size(symbols, member.type)};
		if (ret->width < 1 || ret->width > 8 ||
		    !cplus_find(symbols, type, list[i].storage, &member))
			continue;
		ret->storage = member.offset;
		return true;
	}
	return false;
}

static bool find_choice(struct strobe_symbols *symbols, struct type *type, struct places *ret)
{
	return find_in(symbols, type, choices, sizeof(choices) / sizeof(choices[0]), ret);
}

/** The alternative of that index, if it fits; an optional has the first. */
static struct type *alternative(struct strobe_symbols *symbols, struct type *type,
				const struct places *places, uint64_t index)
{
	if (index >= (places->choice->variant ? ALTERNATIVE_LIMIT : 1))
		return NULL;
	struct type *value = cplus_argument(symbols, type, index);
	return value && cplus_size(symbols, value) <= type->size - places->storage ? value : NULL;
}

bool cplus_choice_plan(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct places places;
	if (!find_choice(symbols, type, &places))
		return false;
	unsigned count = places.choice->variant ? ALTERNATIVE_LIMIT : 1;
	for (unsigned i = 0; i < count && cplus_argument(symbols, type, i); i++) {
		struct type *value = alternative(symbols, type, &places, i);
		uint64_t tag = places.choice->variant ? i : 1;
		size_t number = plan_add(
			builder, &(struct plan_step){.kind = PLAN_IF,
						     .offset = (uint32_t)(offset + places.tag),
						     .width = (uint8_t)places.width,
						     .mask = UINT64_MAX,
						     .a = tag,
						     .b = tag});
		if (value)
			plan_value(builder, value, offset + places.storage, maybe);
		plan_end(builder, number);
	}
	return true;
}

/** The type of the value that is there now; NULL: there is none, or it cannot be told. */
static struct type *chosen(struct strobe_symbols *symbols, struct type *type,
			   const struct places *places, uint64_t address)
{
	uint64_t tag = 0;
	if (strobe_memory_read(strobe_symbols_view(symbols), address + places->tag, &tag,
			       places->width) != places->width)
		return NULL;
	if (!places->choice->variant)
		return tag == 1 ? alternative(symbols, type, places, 0) : NULL;
	return alternative(symbols, type, places, tag);
}

bool cplus_choice_content(struct lens *lens, struct type *type, uint64_t address,
			  struct cplus_content *ret)
{
	struct strobe_symbols *symbols = lens_symbols(lens);
	struct places places;
	if (!find_choice(symbols, type, &places))
		return false;
	ret->type = chosen(symbols, type, &places, address);
	ret->offset = places.storage;
	ret->called = places.choice->called;
	return true;
}

bool cplus_choice_possible(struct lens *lens, struct type *type, size_t index, struct type **ret)
{
	struct strobe_symbols *symbols = lens_symbols(lens);
	struct places places;
	if (!find_choice(symbols, type, &places) ||
	    index >= (places.choice->variant ? ALTERNATIVE_LIMIT : 1))
		return false;
	*ret = cplus_argument(symbols, type, index);
	return *ret != NULL;
}

bool cplus_choice_place_name(struct lens *lens, struct type *type, uint64_t address,
			     uint64_t offset, struct text *ret)
{
	struct strobe_symbols *symbols = lens_symbols(lens);
	struct places places;
	if (!find_choice(symbols, type, &places) &&
	    !find_in(symbols, type, wrappers, sizeof(wrappers) / sizeof(wrappers[0]), &places))
		return false;
	struct type *value = places.choice->variant ? NULL : alternative(symbols, type, &places, 0);
	if (address)
		value = chosen(symbols, type, &places, address);
	if (offset < places.storage || (!value && offset != places.storage) ||
	    (value && offset - places.storage >= cplus_size(symbols, value)))
		return false;
	text_append(ret, places.choice->called);
	if (value)
		lens_place_name(lens, lens_type_id(lens, value),
				address ? address + places.storage : 0, offset - places.storage,
				ret);
	return true;
}
