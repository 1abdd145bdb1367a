// SPDX-License-Identifier: Apache-2.0
// Rust: structures with their name, tuples, enumerations by variant, slices of text.
#include <stdlib.h>
#include <string.h>

#include "symbols/module.h"
#include "value/format.h"

/** Named limit: elements of a slice. */
#define SLICE_LIMIT (UINT64_C(1) << 40)

static bool is_number(const char *name)
{
	size_t size = strlen(name);
	return size && strspn(name, "0123456789") == size;
}

static bool is_tuple_member(const struct type_member *member)
{
	return member->name && strncmp(member->name, "__", 2) == 0 && is_number(member->name + 2);
}

static const struct type_member *find(const struct type *type, const char *name)
{
	for (size_t i = 0; i < type->member_count; i++)
		if (type->members[i].name && strcmp(type->members[i].name, name) == 0)
			return &type->members[i];
	return NULL;
}

static bool read_word(const struct strobe_value *value, const struct type_member *member,
		      uint64_t *ret)
{
	struct strobe_value part = value_member(value, member);
	unsigned __int128 raw;
	if (value_scalar(&part, &raw, NULL) != READ_GOOD)
		return false;
	*ret = (uint64_t)raw;
	return true;
}

/** &str: a pointer and a length. */
static bool put_str(struct printer *p, const struct strobe_value *value, const struct type *type)
{
	enum { STR_LIMIT = 1 << 20 };
	const struct type_member *data = find(type, "data_ptr"), *length = find(type, "length");
	uint64_t address, size;
	if (!data || !length || !type->name || strcmp(type->name, "&str") != 0)
		return false;
	if (!read_word(value, data, &address) || !read_word(value, length, &size))
		return false;
	size_t count = size < STR_LIMIT ? size : STR_LIMIT;
	if (count > p->options.max_elements * 4ul + 4)
		count = p->options.max_elements * 4ul + 4;
	uint8_t *bytes = malloc(count + 1);
	if (!bytes)
		return false;
	size_t got = strobe_memory_read(p->symbols->view, address, bytes, count);
	bytes[got] = 0;
	// A NUL of its own at the end, which is not shown, as text has no terminator in Rust.
	if (got == count)
		format_string(p, type_builtin(p->symbols, "char"), bytes,
			      count < size ? count : count + 1, count < size);
	else
		text_printf(p->out, "<unreadable at 0x%llx>", (unsigned long long)(address + got));
	free(bytes);
	return true;
}

static void put_members(struct printer *p, const struct strobe_value *value,
			const struct type *type, bool tuple)
{
	bool any = false;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (member->static_member)
			continue;
		if (any)
			text_append(p->out, ", ");
		if (!tuple)
			text_printf(p->out, "%s: ", member->name ? member->name : "");
		struct strobe_value part = value_member(value, member);
		p->depth++;
		format_value(p, &part);
		p->depth--;
		any = true;
	}
}

/** &[T]: a pointer and a length, shown as the elements. */
static bool put_slice(struct printer *p, const struct strobe_value *value, const struct type *type)
{
	const struct type_member *data = find(type, "data_ptr"), *length = find(type, "length");
	uint64_t address, count;
	if (!data || !length || !type->name || strncmp(type->name, "&", 1) != 0 ||
	    !strchr(type->name, '['))
		return false;
	struct type *pointer = type_strip(p->symbols, data->type);
	if (pointer->kind != TYPE_POINTER || !pointer->target ||
	    !read_word(value, data, &address) || !read_word(value, length, &count) ||
	    count > SLICE_LIMIT)
		return false;
	struct type *array = type_array_of(p->symbols, pointer->target, count);
	if (!array)
		return false;
	struct strobe_value elements = value_in_memory(p->symbols, array, address);
	text_printf(p->out, "%s ", type->name);
	if (count)
		format_value(p, &elements);
	else
		text_append(p->out, "[]");
	return true;
}

/** `variant`: the structure is a variant of an enumeration, whose name takes no space. */
static bool put_structure(struct printer *p, const struct strobe_value *value,
			  const struct type *type, bool variant)
{
	if (p->depth >= p->options.max_depth)
		return false;
	bool tuple = type->member_count > 0;
	for (size_t i = 0; i < type->member_count; i++)
		tuple &= is_tuple_member(&type->members[i]);
	bool plain_tuple = type->name && type->name[0] == '(';
	if (type->name && !plain_tuple)
		text_append(p->out, type->name);
	if (!type->member_count && !plain_tuple)
		return true;
	if (!variant && !plain_tuple && type->name)
		text_append_char(p->out, ' ');
	text_append_char(p->out, tuple || plain_tuple ? '(' : '{');
	put_members(p, value, type, tuple || plain_tuple);
	text_append_char(p->out, tuple || plain_tuple ? ')' : '}');
	return true;
}

bool rust_variant(const struct strobe_value *value, const struct type_member **ret)
{
	const struct type *type = value_stripped(value);
	uint64_t tag = 0;
	const struct type_member *chosen = NULL;
	if (type->discriminant && !read_word(value, type->discriminant, &tag))
		return false;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (type->discriminant && !member->has_discriminant && !member->default_variant)
			continue;
		bool hit = !type->discriminant ||
			   (member->has_discriminant && member->discriminant == tag);
		if (hit || (member->default_variant && !chosen))
			chosen = member;
		if (hit)
			break;
	}
	*ret = chosen;
	return true;
}

static bool put_variant(struct printer *p, const struct strobe_value *value)
{
	const struct type_member *chosen = NULL;
	if (!rust_variant(value, &chosen)) {
		text_append(p->out, "<unreadable>");
		return true;
	}
	if (!chosen)
		return false;
	struct strobe_value part = value_member(value, chosen);
	struct type *inner = value_stripped(&part);
	p->depth++;
	if (inner->kind != TYPE_STRUCT || !put_structure(p, &part, inner, true))
		format_value(p, &part);
	p->depth--;
	return true;
}

static bool put_character(struct printer *p, const struct strobe_value *value)
{
	unsigned __int128 raw;
	if (p->options.radix || value_scalar(value, &raw, NULL) != READ_GOOD)
		return false;
	uint32_t c = (uint32_t)raw;
	text_printf(p->out, "%u '", c);
	static const char letters[] = "nrt0", controls[] = "\n\r\t";
	const char *control = c < 0x80 ? memchr(controls, (int)c, sizeof(controls)) : NULL;
	if (c == '\\' || c == '\'')
		text_printf(p->out, "\\%c", (char)c);
	else if (control)
		text_printf(p->out, "\\%c", letters[control - controls]);
	else if (c >= 32 && c < 127)
		text_append_char(p->out, (char)c);
	else
		text_printf(p->out, c <= 255 ? "\\x%02x" : "\\u{%06x}", c);
	text_append_char(p->out, '\'');
	return true;
}

/** &[u8; N], what b"text" is. */
static bool put_byte_string(struct printer *p, struct type *target, uint64_t address)
{
	enum { BYTES_LIMIT = 1 << 20 };
	struct type *array = target ? type_strip(p->symbols, target) : NULL;
	if (!array || array->kind != TYPE_ARRAY || !array->target || array->dimension.dynamic)
		return false;
	const struct type *element = type_strip(p->symbols, array->target);
	size_t count = array->dimension.count;
	if (!element->name || strcmp(element->name, "u8") != 0 || !count || count > BYTES_LIMIT)
		return false;
	uint8_t *bytes = malloc(count + 1);
	bool good = bytes && strobe_memory_read(p->symbols->view, address, bytes, count) == count;
	if (good) {
		bytes[count] = 0; // the one NUL at the end that is not shown
		format_address(p, address);
		text_append(p->out, " b");
		format_string(p, type_builtin(p->symbols, "char"), bytes, count + 1, false);
	}
	free(bytes);
	return good;
}

static bool put_scalar(struct printer *p, const struct strobe_value *value, const struct type *type)
{
	unsigned __int128 raw;
	if (type->name && strcmp(type->name, "()") == 0) {
		text_append(p->out, "()");
		return true;
	}
	if (type->kind == TYPE_CHARACTER && type->size == 4)
		return put_character(p, value);
	if (type->kind != TYPE_POINTER || p->options.radix ||
	    value_scalar(value, &raw, NULL) != READ_GOOD)
		return false;
	if (put_byte_string(p, type->target, (uint64_t)raw))
		return true;
	format_pointer(p, NULL, (uint64_t)raw); // never a string: text has a length in Rust
	return true;
}

bool format_rust(struct printer *p, const struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	switch (type->kind) {
	case TYPE_VARIANT:
		return put_variant(p, value);
	case TYPE_STRUCT:
	case TYPE_UNION:
		return put_str(p, value, type) || put_slice(p, value, type) ||
		       put_structure(p, value, type, false);
	default:
		return put_scalar(p, value, type);
	}
}
