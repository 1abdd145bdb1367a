// SPDX-License-Identifier: Apache-2.0
// Characters and strings: escapes, and runs of equal characters as <repeats N times>.
#include <stdlib.h>
#include <string.h>

#include "symbols/module.h"
#include "value/format.h"

/** One character as decoded, or one undecodable unit. */
struct glyph {
	uint32_t code;
	bool valid, incomplete;
	const uint8_t *raw;
	size_t raw_size;
};

static uint32_t unit_at(const uint8_t *at, unsigned width)
{
	uint32_t unit = 0;
	memcpy(&unit, at, width);
	return unit;
}

/** Bytes of the UTF-8 sequence that `lead` starts; 0 if it starts none. */
static size_t utf8_size(uint8_t lead)
{
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

static void decode_utf8(const uint8_t *at, size_t left, struct glyph *g)
{
	size_t size = utf8_size(at[0]);
	*g = (struct glyph){.code = at[0], .valid = at[0] < 0x80, .raw = at, .raw_size = 1};
	if (!size)
		return;
	uint32_t code = at[0] & (0x7fu >> size);
	size_t i = 1;
	for (; i < size && i < left && (at[i] & 0xc0) == 0x80; i++)
		code = code << 6 | (at[i] & 0x3f);
	if (i < size) {
		g->incomplete = i == left;
		if (g->incomplete)
			g->raw_size = left;
		return;
	}
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	if (code < lowest[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return;
	*g = (struct glyph){.code = code, .valid = true, .raw = at, .raw_size = size};
}

static void decode(const uint8_t *at, size_t left, unsigned width, struct glyph *g)
{
	if (width == 1) {
		decode_utf8(at, left, g);
		return;
	}
	uint32_t code = unit_at(at, width);
	*g = (struct glyph){.code = code, .raw = at, .raw_size = width};
	g->valid = code <= 0x10ffff && (code < 0xd800 || code >= 0xe000);
	if (width == 2 && code >= 0xd800 && code < 0xdc00 && left >= 4) {
		uint32_t low = unit_at(at + 2, 2);
		if (low >= 0xdc00 && low < 0xe000) {
			g->code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
			g->raw_size = 4;
			g->valid = true;
		}
	}
}

static void append_utf8(struct text *out, uint32_t c)
{
	if (c < 0x80) {
		text_append_char(out, (char)c);
	} else if (c < 0x800) {
		text_append_char(out, (char)(0xc0 | c >> 6));
		text_append_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		if (c < 0x10000) {
			text_append_char(out, (char)(0xe0 | c >> 12));
		} else {
			text_append_char(out, (char)(0xf0 | c >> 18));
			text_append_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		text_append_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		text_append_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

static bool is_printable(uint32_t c)
{
	if (c < 0xa0)
		return c >= 0x20 && c < 0x7f;
	return !(c >= 0xe000 && c < 0xf900) && !(c >= 0xfff0 && c < 0xfffc) &&
	       (c & 0xfffe) != 0xfffe && c != 0x2028 && c != 0x2029 && c < 0xe0000;
}

/** `after_hex`: a digit now would be read as part of the escape before it; octal ones are full. */
static void emit(struct printer *p, const struct glyph *g, char quote, unsigned width,
		 bool *after_hex)
{
	static const char letters[] = "abtnvfr"; // from 7 on
	bool escape = *after_hex;
	*after_hex = false;
	if (g->valid && g->code >= 7 && g->code <= 13) {
		text_printf(p->out, "\\%c", letters[g->code - 7]);
		return;
	}
	if (g->valid && is_printable(g->code) && !(escape && g->code >= '0' && g->code <= '9')) {
		if (g->code == (uint8_t)quote || g->code == '\\')
			text_append_char(p->out, '\\');
		append_utf8(p->out, g->code);
		return;
	}
	for (size_t i = 0; i + width <= g->raw_size; i += width) {
		uint32_t unit = unit_at(g->raw + i, width);
		text_printf(p->out, unit <= 0777 ? "\\%.3o" : "\\x%x", unit);
		*after_hex = unit > 0777;
	}
}

static const char *prefix_of(const struct type *type)
{
	for (int i = 0; type && i < 32; i++, type = type->target) {
		if (type->name && strcmp(type->name, "wchar_t") == 0)
			return "L";
		if (type->name && strcmp(type->name, "char16_t") == 0)
			return "u";
		if (type->name && strcmp(type->name, "char32_t") == 0)
			return "U";
		if (type->kind < TYPE_TYPEDEF || type->kind > TYPE_ATOMIC)
			break;
	}
	return "";
}

static unsigned width_of(const struct type *type)
{
	for (int i = 0; type && i < 64; i++, type = type->target)
		if (type->kind < TYPE_TYPEDEF || type->kind > TYPE_ATOMIC)
			return type->size == 2 || type->size == 4 ? (unsigned)type->size : 1;
	return 1;
}

void format_character(struct printer *p, const struct type *type, uint32_t c)
{
	unsigned width = width_of(type);
	uint8_t raw[4];
	memcpy(raw, &c, 4);
	struct glyph g;
	decode(raw, width, width, &g);
	bool after = false;
	text_printf(p->out, "%s'", prefix_of(type));
	emit(p, &g, '\'', width, &after);
	text_append_char(p->out, '\'');
}

struct run {
	struct glyph glyph;
	size_t count;
};

static bool same(const struct glyph *a, const struct glyph *b)
{
	return a->valid == b->valid && a->incomplete == b->incomplete &&
	       a->raw_size == b->raw_size && memcmp(a->raw, b->raw, a->raw_size) == 0;
}

static size_t next_run(const uint8_t *bytes, size_t size, size_t at, unsigned width,
		       struct run *run)
{
	decode(bytes + at, size - at, width, &run->glyph);
	at += run->glyph.raw_size;
	run->count = 1;
	while (at + width <= size) {
		struct glyph next;
		decode(bytes + at, size - at, width, &next);
		if (!same(&next, &run->glyph))
			break;
		run->count++;
		at += next.raw_size;
	}
	return at;
}

static void emit_run(struct printer *p, const struct run *run, unsigned width, const char *prefix,
		     bool *open, bool *any, bool *after)
{
	bool repeats = run->count > p->options.repeats;
	if (!repeats && !run->glyph.incomplete) {
		if (!*open)
			text_printf(p->out, "%s%s\"", *any ? ", " : "", prefix);
		if (!*open)
			*after = false;
		for (size_t i = 0; i < run->count; i++)
			emit(p, &run->glyph, '"', width, after);
		*open = true;
	} else {
		text_append(p->out, *open ? "\", " : *any ? ", " : "");
		*open = *after = false;
		text_printf(p->out, repeats ? "%s'" : "<incomplete sequence ", prefix);
		emit(p, &run->glyph, '\'', width, after);
		if (repeats)
			text_printf(p->out, "' <repeats %zu times>", run->count);
		else
			text_append_char(p->out, '>');
		*after = false;
	}
	*any = true;
}

void format_string(struct printer *p, const struct type *element, const uint8_t *bytes,
		   size_t count, bool ellipsis)
{
	unsigned width = width_of(element);
	const char *prefix = prefix_of(element);
	if (!ellipsis && count > 0 && unit_at(bytes + (count - 1) * width, width) == 0)
		count--;
	if (count == 0) {
		text_append(p->out, "\"\"");
		return;
	}
	bool open = false, any = false, after = false;
	size_t at = 0, size = count * width, shown = 0;
	while (at + width <= size && shown < p->options.max_elements) {
		struct run run;
		at = next_run(bytes, size, at, width, &run);
		emit_run(p, &run, width, prefix, &open, &any, &after);
		shown += run.count;
	}
	if (open)
		text_append_char(p->out, '"');
	if (ellipsis || at < size)
		text_append(p->out, "...");
}

/** Elements up to and with the first NUL, at most `limit`; `*found` if there was one. */
static size_t string_length(const uint8_t *bytes, size_t count, unsigned width, bool *found)
{
	for (size_t i = 0; i < count; i++) {
		if (unit_at(bytes + i * width, width) == 0) {
			*found = true;
			return i + 1;
		}
	}
	return count;
}

void format_string_at(struct printer *p, const struct type *element, uint64_t address)
{
	enum { CHUNK_LIMIT = 4 << 20 };
	unsigned width = width_of(element);
	size_t want = (size_t)p->options.max_elements * width;
	if (want > CHUNK_LIMIT)
		want = CHUNK_LIMIT;
	uint8_t small[1024], *bytes = want <= sizeof(small) ? small : malloc(want);
	if (!bytes)
		return;
	size_t got = strobe_memory_read(p->symbols->view, address, bytes, want);
	bool found = false;
	size_t count = string_length(bytes, got / width, width, &found);
	bool cut = !found && got < want;
	bool ellipsis = !found && count > 0 && unit_at(bytes, width) != 0;
	if (count > 0)
		format_string(p, element, bytes, count, ellipsis);
	if (cut)
		text_printf(p->out, "<unreadable at 0x%llx>", (unsigned long long)(address + got));
	if (bytes != small)
		free(bytes);
}
