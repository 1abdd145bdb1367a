// SPDX-License-Identifier: Apache-2.0
// The declaration of a type as text.
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "symbols/module.h"
#include "value/evaluate.h"

/** Named limit: anonymous structures within each other that are written out. */
enum { DESCRIBE_DEPTH_LIMIT = 16 };

static const char *keyword(const struct type *type)
{
	switch (type->kind) {
	case TYPE_STRUCT:
		return "struct";
	case TYPE_CLASS:
		return "class";
	case TYPE_UNION:
		return "union";
	case TYPE_ENUM:
		return "enum";
	default:
		return NULL;
	}
}

static void indent(struct text *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		text_append(out, "    ");
}

/** "int (*)[4]" and "name" make "int (*name)[4]". */
static void declare(struct text *out, const char *type, const char *name)
{
	const char *star = strstr(type, "(*"), *bracket = strstr(type, " [");
	const char *at = type + strlen(type);
	if (star)
		for (at = star + 1; *at == '*';)
			at++;
	else if (bracket)
		at = bracket;
	text_append_bytes(out, type, (size_t)(at - type));
	bool touches = star || (at > type && (at[-1] == '*' || at[-1] == '&'));
	text_printf(out, "%s%s", touches || !*name ? "" : " ", name);
	text_append(out, bracket && at == bracket ? at + 1 : at);
}

static void body(struct text *out, struct strobe_symbols *symbols, struct type *type,
		 unsigned depth);

static void member(struct text *out, struct strobe_symbols *symbols, const struct type_member *m,
		   unsigned depth)
{
	struct type *real = m->type;
	const char *name = m->name ? m->name : "";
	indent(out, depth);
	if (m->static_member)
		text_append(out, "static ");
	if (keyword(real) && !real->name && depth < DESCRIBE_DEPTH_LIMIT) {
		body(out, symbols, type_complete(symbols, real), depth);
		text_printf(out, "%s%s", *name ? " " : "", name);
	} else {
		declare(out, type_name(symbols, m->type), name);
	}
	if (m->bit_size)
		text_printf(out, " : %u", m->bit_size);
	text_append(out, ";\n");
}

static void bases(struct text *out, struct strobe_symbols *symbols, const struct type *type)
{
	bool any = false;
	for (size_t i = 0; i < type->member_count; i++) {
		if (!type->members[i].base)
			continue;
		text_printf(out, "%s%s%s", any ? ", " : ": ",
			    type->members[i].virtual_base ? "virtual " : "",
			    type_name(symbols, type->members[i].type));
		any = true;
	}
	if (any)
		text_append_char(out, ' ');
}

static void enumerators(struct text *out, const struct type *type)
{
	int64_t next = 0;
	for (size_t i = 0; i < type->enumerator_count; i++) {
		const struct type_enumerator *e = &type->enumerators[i];
		text_printf(out, "%s%s", i ? ", " : "", e->name ? e->name : "");
		if (e->value != next)
			text_printf(out, " = %lld", (long long)e->value);
		next = (int64_t)((uint64_t)e->value + 1);
	}
	text_append_char(out, '}');
}

static void body(struct text *out, struct strobe_symbols *symbols, struct type *type,
		 unsigned depth)
{
	text_printf(out, "%s %s%s", keyword(type), type->name ? type->name : "",
		    type->name ? " " : "");
	bases(out, symbols, type);
	text_append_char(out, '{');
	if (type->kind == TYPE_ENUM) {
		enumerators(out, type);
		return;
	}
	text_append_char(out, '\n');
	if (!type->size_known && !type->member_count) {
		indent(out, depth + 1);
		text_append(out, "<incomplete type>\n");
	}
	for (size_t i = 0; i < type->member_count; i++)
		if (!type->members[i].base)
			member(out, symbols, &type->members[i], depth + 1);
	indent(out, depth);
	text_append_char(out, '}');
}

static bool any_name_is_type(void *data, const char *name)
{
	return type_find(data, NULL, name) != NULL;
}

struct strobe_error *strobe_type_describe(struct strobe_symbols *symbols, const char *name,
					  char **ret)
{
	struct evaluator e = {.symbols = symbols};
	struct parser_names names = {.data = symbols, .is_type = any_name_is_type};
	struct type_spelling *spelling = NULL;
	struct type *type = NULL;
	struct text out cleanup_text = {0};
	place_frame_init(&e.frame, symbols, NULL, 0);
	struct strobe_error *error = parse_type(&e.arena, &names, name, &spelling);
	if (!error)
		error = convert_type(&e, spelling, &type);
	arena_fini(&e.arena);
	if (error)
		return error;
	struct type *real = type;
	for (int i = 0; real->kind == TYPE_TYPEDEF && real->target && i < 64; i++)
		real = real->target;
	real = type_complete(symbols, real);
	if (keyword(real))
		body(&out, symbols, real, 0);
	else
		text_append(&out, type_name(symbols, real));
	*ret = text_steal(&out);
	return *ret ? NULL : error_no_memory();
}
