// SPDX-License-Identifier: Apache-2.0
#include "value/format.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbols/module.h"
#include "view/recorded.h"

void format_indent(struct printer *p, unsigned level)
{
	text_append_char(p->out, '\n');
	for (unsigned i = 0; i < level; i++)
		text_append(p->out, "  ");
}

void format_missing(struct printer *p, const struct strobe_value *value, enum read_state state,
		    uint64_t bad)
{
	// At a position of a trace no data is known, whatever the reason seems to be.
	bool is_trace = value->symbols &&
			view_recorded_stack(strobe_symbols_view(value->symbols), 0) != NULL;
	if (is_trace && state != READ_SYNTHETIC) {
		text_append(p->out, "<not recorded>");
		return;
	}
	switch (state) {
	case READ_OPTIMIZED_OUT:
		text_append(p->out, "<optimized out>");
		break;
	case READ_SYNTHETIC:
		text_append(p->out, "<synthetic pointer>");
		break;
	case READ_PROBLEM:
		text_append(p->out, value->problem ? value->problem : "<unreadable>");
		break;
	default:
		text_printf(p->out, "<unreadable at 0x%llx>", (unsigned long long)bad);
	}
}

/** Remembers `item`; true if it was there before. */
static bool seen_before(const void **list, size_t *count, const void *item)
{
	for (size_t i = 0; i < *count; i++)
		if (list[i] == item)
			return true;
	if (*count < FORMAT_SEEN_LIMIT)
		list[(*count)++] = item;
	return false;
}

static bool is_aggregate(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION ||
	       type->kind == TYPE_VARIANT;
}

static void put_fields(struct printer *p, const struct strobe_value *value, struct type *type);

static void put_bases(struct printer *p, const struct strobe_value *value, struct type *type)
{
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (!member->base)
			continue;
		struct type *base = type_strip(p->symbols, member->type);
		if (member->virtual_base && seen_before(p->seen, &p->seen_count, base))
			continue;
		if (p->options.pretty)
			format_indent(p, p->depth + 1);
		text_printf(p->out, "<%s> = ", base->name ? base->name : "");
		struct strobe_value part = value_member(value, member);
		p->depth++;
		if (part.place == PLACE_PROBLEM)
			format_missing(p, &part, READ_PROBLEM, 0);
		else if (p->depth < FORMAT_NESTING_LIMIT)
			put_fields(p, &part, base);
		p->depth--;
		text_append(p->out, ", ");
	}
}

static void put_static(struct printer *p, const struct strobe_value *value,
		       const struct type_member *member)
{
	struct strobe_value part = value_member(value, member);
	struct type *type = value_stripped(&part);
	if (is_aggregate(type) &&
	    seen_before(p->statics, &p->static_count, (const void *)(uintptr_t)part.address))
		text_append(p->out, "<same as static member of an already seen type>");
	else
		format_value(p, &part);
	value_fini(&part);
}

static void put_member(struct printer *p, const struct strobe_value *value,
		       const struct type_member *member)
{
	bool anonymous = !member->name || !*member->name;
	if (member->static_member)
		text_append(p->out, "static ");
	if (!anonymous)
		text_printf(p->out, "%s = ", member->name);
	p->depth++;
	if (member->static_member) {
		put_static(p, value, member);
	} else {
		struct strobe_value part = value_member(value, member);
		format_value(p, &part);
	}
	p->depth--;
}

static void put_members(struct printer *p, const struct strobe_value *value, struct type *type,
			size_t bases)
{
	bool any = false;
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (member->base || (member->static_member && p->options.no_static_members))
			continue;
		if (p->out->size > FORMAT_OUTPUT_LIMIT || p->out->failed)
			break;
		if (any)
			text_append(p->out, p->options.pretty ? "," : ", ");
		if (!any && bases && p->options.pretty) {
			format_indent(p, p->depth + 1);
			text_printf(p->out, "members of %s:", type->name ? type->name : "");
		}
		if (p->options.pretty)
			format_indent(p, p->depth + 1);
		put_member(p, value, member);
		any = true;
	}
}

static void put_fields(struct printer *p, const struct strobe_value *value, struct type *type)
{
	size_t bases = 0;
	for (size_t i = 0; i < type->member_count; i++)
		bases += type->members[i].base;
	text_append_char(p->out, '{');
	put_bases(p, value, type);
	if (bases == type->member_count)
		text_append(p->out, "<No data fields>");
	else
		put_members(p, value, type, bases);
	if (p->options.pretty && type->member_count)
		format_indent(p, p->depth);
	text_append_char(p->out, '}');
}

static void put_structure(struct printer *p, const struct strobe_value *value, struct type *type)
{
	if (p->depth >= p->options.max_depth) {
		text_append(p->out, "{...}");
		return;
	}
	if (!type->size_known && !type->member_count) {
		text_append(p->out, "<incomplete type>");
		return;
	}
	size_t before = p->seen_count;
	put_fields(p, value, type);
	p->seen_count = before;
}

/** Reads an array's bytes as far as they are shown. */
struct elements {
	const struct strobe_value *value;
	uint64_t count, element_size;
	uint8_t *window; // bytes of elements [from, from + held)
	uint64_t from, held;
	size_t capacity;
};

static const uint8_t *element_bytes(struct elements *e, uint64_t index)
{
	if (index >= e->from && index < e->from + e->held)
		return e->window + (index - e->from) * e->element_size;
	uint64_t want = e->capacity / e->element_size;
	if (want > e->count - index)
		want = e->count - index;
	e->from = index;
	e->held = 0;
	while (want > 0) { // as many as can be read in one piece
		if (value_read(e->value, index * e->element_size, e->window, want * e->element_size,
			       NULL) == READ_GOOD) {
			e->held = want;
			return e->window;
		}
		want /= 2;
	}
	return NULL;
}

/** Elements equal to element `index` that follow in a row, itself included. */
static uint64_t equal_run(struct elements *e, uint64_t index, uint8_t *first)
{
	const uint8_t *bytes = element_bytes(e, index);
	if (!bytes)
		return 1;
	memcpy(first, bytes, e->element_size);
	uint64_t at = index + 1;
	while (at < e->count && (bytes = element_bytes(e, at)) &&
	       memcmp(bytes, first, e->element_size) == 0)
		at++;
	return at - index;
}

static void put_elements(struct printer *p, struct elements *e, uint8_t *first)
{
	uint64_t shown = 0, i = 0;
	for (; i < e->count && shown < p->options.max_elements; i++) {
		if (p->out->size > FORMAT_OUTPUT_LIMIT || p->out->failed)
			break;
		if (i)
			text_append(p->out, ", ");
		uint64_t run = e->element_size ? equal_run(e, i, first) : 1;
		struct strobe_value element = value_element(e->value, i);
		p->depth++;
		format_value(p, &element);
		p->depth--;
		if (run > p->options.repeats) {
			text_printf(p->out, " <repeats %llu times>", (unsigned long long)run);
			i += run - 1;
			shown += p->options.repeats;
		} else {
			shown++;
		}
	}
	if (i < e->count)
		text_append(p->out, "...");
}

static void put_array_elements(struct printer *p, const struct strobe_value *value, uint64_t count,
			       uint64_t element_size)
{
	enum { WINDOW = 64 << 10, ELEMENT_LIMIT = 1 << 20 };
	struct elements e = {.value = value, .count = count, .element_size = element_size};
	uint8_t *first = NULL;
	if (element_size > ELEMENT_LIMIT)
		e.element_size = 0; // too large to look for equal ones
	uint64_t total = e.element_size * count;
	e.capacity = total && total < WINDOW   ? total
		     : e.element_size > WINDOW ? e.element_size
					       : WINDOW;
	e.window = malloc(e.capacity);
	first = malloc(e.element_size ? e.element_size : 1);
	text_append_char(p->out, p->rust ? '[' : '{');
	if (e.window && first)
		put_elements(p, &e, first);
	else
		p->out->failed = true;
	text_append_char(p->out, p->rust ? ']' : '}');
	free(e.window);
	free(first);
}

/** Character arrays as strings; false if not all of what is shown can be read. */
static bool put_text(struct printer *p, const struct strobe_value *value, struct type *element,
		     uint64_t count, uint64_t width)
{
	enum { TEXT_LIMIT = 1 << 20 };
	bool cut = count > TEXT_LIMIT;
	if (width != 1 && width != 2 && width != 4)
		return false;
	if (cut)
		count = TEXT_LIMIT;
	uint8_t *bytes = malloc(count * width);
	bool good = bytes && value_read(value, 0, bytes, count * width, NULL) == READ_GOOD;
	if (good)
		format_string(p, element, bytes, count, cut);
	free(bytes);
	return good;
}

static void put_array(struct printer *p, const struct strobe_value *value, struct type *type)
{
	struct type *element = type->target;
	uint64_t width = element ? value_type_size(p->symbols, element) : 0;
	uint64_t count = type->dimension.count;
	if (p->rust && count == 0 && !type->dimension.unknown) {
		text_append(p->out, "[]");
		return;
	}
	if (type->dimension.unknown || type->dimension.dynamic || count == 0 || width == 0) {
		if (value->place == PLACE_MEMORY)
			format_pointer(p, element, value->address);
		else
			text_append(p->out, "{}");
		return;
	}
	bool text = !p->rust && format_is_text(p, element) && !type->vector;
	if (text && put_text(p, value, element, count, width))
		return;
	bool outer = p->in_vector;
	p->in_vector = type->vector;
	if (p->depth >= p->options.max_depth)
		text_append(p->out, "{...}");
	else
		put_array_elements(p, value, count, width);
	p->in_vector = outer;
}

/** What can be said of the whole before its parts; true if nothing more is to be said. */
static bool put_lost(struct printer *p, const struct strobe_value *value, const struct type *type)
{
	uint8_t byte;
	uint64_t bad = 0;
	enum read_state state = READ_GOOD;
	if (value->place == PLACE_OPTIMIZED_OUT)
		state = READ_OPTIMIZED_OUT;
	else if (value->place == PLACE_PROBLEM)
		state = READ_PROBLEM;
	else if (type->size)
		state = value_read(value, 0, &byte, 1, &bad);
	if (state == READ_GOOD || state == READ_SYNTHETIC || type->kind == TYPE_FUNCTION)
		return false;
	if (state == READ_PROBLEM || value->place != PLACE_STORE) {
		if (state == READ_UNREADABLE && value_state(value, NULL) == STROBE_VALUE_PARTIAL)
			return false;
		format_missing(p, value, state, bad);
		return true;
	}
	enum strobe_value_state whole = value_state(value, &bad);
	if (whole != STROBE_VALUE_OPTIMIZED_OUT && whole != STROBE_VALUE_UNREADABLE)
		return false;
	format_missing(p, value,
		       whole == STROBE_VALUE_OPTIMIZED_OUT ? READ_OPTIMIZED_OUT : READ_UNREADABLE,
		       bad);
	return true;
}

void format_value(struct printer *p, const struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	if (p->depth >= FORMAT_NESTING_LIMIT || p->out->size > FORMAT_OUTPUT_LIMIT) {
		text_append(p->out, "{...}");
		return;
	}
	if (is_aggregate(type) || type->kind == TYPE_ARRAY) {
		if (put_lost(p, value, type))
			return;
		if (p->rust && format_rust(p, value))
			return;
		if (type->kind == TYPE_ARRAY)
			put_array(p, value, type);
		else
			put_structure(p, value, type);
		return;
	}
	if (value->place == PLACE_PROBLEM)
		format_missing(p, value, READ_PROBLEM, 0);
	else if (!p->rust || !format_rust(p, value))
		format_scalar(p, value);
}

struct strobe_error *strobe_value_format(const struct strobe_value *value,
					 const struct strobe_format *format, char **ret)
{
	struct text out cleanup_text = {0};
	struct printer p = {.out = &out, .symbols = value->symbols};
	if (format && format->size)
		memcpy(&p.options, format,
		       format->size < sizeof(p.options) ? format->size : sizeof(p.options));
	if (!p.options.max_elements)
		p.options.max_elements = 200;
	if (!p.options.repeats)
		p.options.repeats = 10;
	if (!p.options.max_depth)
		p.options.max_depth = 20;
	p.rust = language_is_rust(value->language);
	format_value(&p, value);
	char *string = text_steal(&out);
	if (!string)
		return error_no_memory();
	*ret = string;
	return NULL;
}
