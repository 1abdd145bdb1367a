// SPDX-License-Identifier: Apache-2.0
#include "value/value.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbols/module.h"
#include "symbols/variable.h"
#include "value/place.h"

const struct strobe_view *value_view(const struct strobe_value *value)
{
	return value->symbols->view;
}

struct value_store *value_store_new(size_t size)
{
	if (size > ((size_t)1 << 30))
		return NULL;
	struct value_store *store = calloc(1, sizeof(*store) + size);
	if (store) {
		store->refs = 1;
		store->size = size;
	}
	return store;
}

static void store_unref(struct value_store *store)
{
	if (!store || --store->refs)
		return;
	strobe_value_close(store->target);
	free(store->states);
	free(store);
}

void value_fini(struct strobe_value *value)
{
	if (value->place == PLACE_STORE)
		store_unref(value->store);
	free(value->name_cache);
	*value = (struct strobe_value){.place = PLACE_OPTIMIZED_OUT};
}

struct strobe_value value_copy(const struct strobe_value *value)
{
	struct strobe_value copy = *value;
	copy.name_cache = NULL;
	if (copy.place == PLACE_STORE)
		copy.store->refs++;
	return copy;
}

struct strobe_value *value_box(struct strobe_value *value)
{
	struct strobe_value *box = malloc(sizeof(*box));
	if (box)
		*box = *value;
	else
		value_fini(value);
	return box;
}

struct strobe_value *strobe_value_close(struct strobe_value *value)
{
	if (value)
		value_fini(value);
	free(value);
	return NULL;
}

struct strobe_value value_in_memory(struct strobe_symbols *symbols, struct type *type,
				    uint64_t address)
{
	return (struct strobe_value){.symbols = symbols,
				     .type = type,
				     .place = PLACE_MEMORY,
				     .address = address,
				     .language = type->language};
}

struct strobe_value value_from_bytes(struct strobe_symbols *symbols, struct type *type,
				     const void *bytes, size_t size)
{
	struct strobe_value value = {.symbols = symbols,
				     .type = type,
				     .place = PLACE_STORE,
				     .store = value_store_new(size),
				     .language = type->language};
	if (value.store) {
		memcpy(value.store->bytes, bytes, size);
	} else {
		value.place = PLACE_PROBLEM;
		value.problem = "out of memory";
	}
	return value;
}

struct strobe_value value_from_integer(struct strobe_symbols *symbols, struct type *type,
				       uint64_t integer)
{
	uint8_t bytes[16] = {0};
	uint64_t size = value_type_size(symbols, type);
	memcpy(bytes, &integer, sizeof(integer));
	if (type->is_signed && (int64_t)integer < 0)
		memset(bytes + 8, 0xff, 8);
	return value_from_bytes(symbols, type, bytes, size > 16 || !size ? 8 : size);
}

static enum read_state read_store(const struct strobe_value *value, uint64_t offset, void *buffer,
				  size_t size, uint64_t *bad)
{
	static const enum read_state map[] = {[BYTE_KNOWN] = READ_GOOD,
					      [BYTE_OPTIMIZED_OUT] = READ_OPTIMIZED_OUT,
					      [BYTE_UNREADABLE] = READ_UNREADABLE,
					      [BYTE_SYNTHETIC] = READ_SYNTHETIC};
	const struct value_store *store = value->store;
	uint64_t from = value->offset + offset;
	if (from > store->size || size > store->size - from)
		return READ_OPTIMIZED_OUT;
	memcpy(buffer, store->bytes + from, size);
	for (size_t i = 0; store->states && i < size; i++) {
		if (store->states[from + i] == BYTE_KNOWN)
			continue;
		if (bad)
			*bad = store->unreadable_address;
		return map[store->states[from + i]];
	}
	return READ_GOOD;
}

enum read_state value_read(const struct strobe_value *value, uint64_t offset, void *buffer,
			   size_t size, uint64_t *bad)
{
	if (value->place == PLACE_OPTIMIZED_OUT)
		return READ_OPTIMIZED_OUT;
	if (value->place == PLACE_PROBLEM)
		return READ_PROBLEM;
	if (value->place == PLACE_STORE)
		return read_store(value, offset, buffer, size, bad);
	size_t got = strobe_memory_read(value_view(value), value->address + offset, buffer, size);
	if (got == size)
		return READ_GOOD;
	if (bad)
		*bad = value->address + offset; // as gdb: where the object starts
	return READ_UNREADABLE;
}

struct type *value_stripped(const struct strobe_value *value)
{
	return type_strip(value->symbols, value->type);
}

uint64_t value_type_size(struct strobe_symbols *symbols, struct type *type)
{
	uint64_t size = 0;
	return type_size(symbols, type, &size) ? size : 0;
}

static unsigned __int128 extend(unsigned __int128 raw, unsigned bits, bool is_signed)
{
	if (bits >= 128)
		return raw;
	raw &= ((unsigned __int128)1 << bits) - 1;
	if (is_signed && bits && raw >> (bits - 1) & 1)
		raw |= ~(unsigned __int128)0 << bits;
	return raw;
}

enum read_state value_scalar(const struct strobe_value *value, unsigned __int128 *ret,
			     uint64_t *bad)
{
	const struct type *type = value_stripped(value);
	uint8_t bytes[24] = {0};
	uint64_t size = type->size;
	unsigned bits = (unsigned)size * 8;
	if (value->bit_size) {
		size = (value->bit_offset + value->bit_size + 7) / 8;
		bits = value->bit_size;
	}
	if (size == 0 || size > 17 || bits > 128)
		return READ_PROBLEM;
	enum read_state state = value_read(value, 0, bytes, size, bad);
	unsigned __int128 low = 0;
	memcpy(&low, bytes, 16);
	if (value->bit_offset) {
		low >>= value->bit_offset;
		low |= (unsigned __int128)bytes[16] << (128 - value->bit_offset);
	}
	*ret = extend(low, bits, type->is_signed);
	return state;
}

struct strobe_value value_part(const struct strobe_value *value, struct type *type, uint64_t offset)
{
	struct strobe_value part = *value;
	part.name_cache = NULL;
	part.type = type;
	part.bit_offset = part.bit_size = 0;
	if (part.place == PLACE_MEMORY)
		part.address += offset;
	else
		part.offset += offset;
	return part;
}

struct strobe_value value_member(const struct strobe_value *value, const struct type_member *member)
{
	if (member->static_member)
		return value_static_member(value, member);
	uint64_t bits = member->offset_bits;
	if (member->virtual_base && !place_virtual_base(value, member, &bits)) {
		struct strobe_value lost = value_part(value, member->type, 0);
		lost.place = PLACE_PROBLEM;
		lost.store = NULL;
		lost.problem = "<invalid address>";
		return lost;
	}
	struct strobe_value part = value_part(value, member->type, bits / 8);
	if (member->bit_size) {
		part.bit_offset = bits % 8;
		part.bit_size = member->bit_size;
	}
	return part;
}

struct strobe_value value_element(const struct strobe_value *value, uint64_t index)
{
	struct type *array = value_stripped(value);
	struct type *element = array->target ? array->target : array;
	return value_part(value, element, index * value_type_size(value->symbols, element));
}

static enum strobe_value_state store_state(const struct strobe_value *value, uint64_t size,
					   uint64_t *bad)
{
	const struct value_store *store = value->store;
	if (!store->states)
		return STROBE_VALUE_GOOD;
	size_t good = 0, out = 0, count = 0;
	for (uint64_t i = value->offset; i < store->size && count < size; i++, count++) {
		good += store->states[i] == BYTE_KNOWN || store->states[i] == BYTE_SYNTHETIC;
		out += store->states[i] == BYTE_OPTIMIZED_OUT;
	}
	if (bad)
		*bad = store->unreadable_address;
	if (good == count)
		return STROBE_VALUE_GOOD;
	if (out == count)
		return STROBE_VALUE_OPTIMIZED_OUT;
	return good || out ? STROBE_VALUE_PARTIAL : STROBE_VALUE_UNREADABLE;
}

/** Steps over memory extents: huge objects are not read to learn whether they could be. */
static enum strobe_value_state memory_state(const struct strobe_value *value, uint64_t size,
					    uint64_t *bad)
{
	enum { EXTENT_LIMIT = 64 };
	uint64_t at = value->address, end = at + size;
	bool good = false, lost = false;
	if (size && end < at)
		return STROBE_VALUE_UNREADABLE;
	for (int i = 0; at < end && i < EXTENT_LIMIT; i++) {
		struct strobe_memory_extent extent;
		strobe_memory_extent(value_view(value), at, &extent);
		bool has =
			extent.state == STROBE_MEMORY_PRESENT || extent.state == STROBE_MEMORY_FILE;
		good |= has;
		if (!has && !lost && bad)
			*bad = at;
		lost |= !has;
		if (extent.end <= at)
			break;
		at = extent.end;
	}
	if (!lost)
		return STROBE_VALUE_GOOD;
	return good ? STROBE_VALUE_PARTIAL : STROBE_VALUE_UNREADABLE;
}

enum strobe_value_state value_state(const struct strobe_value *value, uint64_t *bad)
{
	uint64_t size = strobe_value_size(value);
	switch (value->place) {
	case PLACE_OPTIMIZED_OUT:
		return STROBE_VALUE_OPTIMIZED_OUT;
	case PLACE_PROBLEM:
		return STROBE_VALUE_UNREADABLE;
	case PLACE_STORE:
		return store_state(value, size, bad);
	default:
		return memory_state(value, size, bad);
	}
}

enum strobe_value_state strobe_value_state(const struct strobe_value *value)
{
	return value_state(value, NULL);
}

const char *strobe_value_type(const struct strobe_value *value)
{
	return type_name(value->symbols, value->type);
}

bool strobe_value_address(const struct strobe_value *value, uint64_t *address)
{
	if (value->place != PLACE_MEMORY || value->bit_size)
		return false;
	*address = value->address;
	return true;
}

uint64_t strobe_value_size(const struct strobe_value *value)
{
	return value_type_size(value->symbols, value->type);
}

bool strobe_value_integer(const struct strobe_value *value, uint64_t *ret)
{
	const struct type *type = value_stripped(value);
	unsigned __int128 raw;
	switch (type->kind) {
	case TYPE_INTEGER:
	case TYPE_CHARACTER:
	case TYPE_BOOLEAN:
	case TYPE_ENUM:
	case TYPE_POINTER:
		break;
	default:
		return false;
	}
	if (type->size > 8 || value_scalar(value, &raw, NULL) != READ_GOOD)
		return false;
	*ret = (uint64_t)raw;
	return true;
}
