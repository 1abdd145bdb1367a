// SPDX-License-Identifier: Apache-2.0
#include <dwarf.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "symbols/type_die.h"

// Types spelled as gdb's `whatis` spells them: base, prefixes, suffixes (C's declarator inside out).

struct writer {
	struct strobe_symbols *symbols;
	struct text *text;
	int language;
	unsigned depth;
};

enum { HAS_CONST = 1, HAS_VOLATILE = 2, HAS_RESTRICT = 4, HAS_ATOMIC = 8 };

static bool write_type(struct writer *writer, struct type *type);

/** The type below its qualifiers, which are gathered in `*qualifiers`. NULL is void. */
static struct type *unqualify(struct type *type, unsigned *qualifiers)
{
	for (unsigned i = 0; type && i < TYPE_NESTING_LIMIT; i++) {
		switch (type->kind) {
		case TYPE_CONST:
			*qualifiers |= HAS_CONST;
			break;
		case TYPE_VOLATILE:
			*qualifiers |= HAS_VOLATILE;
			break;
		case TYPE_RESTRICT:
			*qualifiers |= HAS_RESTRICT;
			break;
		case TYPE_ATOMIC:
			*qualifiers |= HAS_ATOMIC;
			break;
		default:
			return type;
		}
		type = type->target;
	}
	return type;
}

/** Whether the type is written around its target, not by a name of its own. */
static bool is_declarator(const struct type *type)
{
	switch (type ? type->kind : TYPE_VOID) {
	case TYPE_POINTER:
	case TYPE_REFERENCE:
	case TYPE_RVALUE_REFERENCE:
	case TYPE_MEMBER_POINTER:
	case TYPE_ARRAY:
	case TYPE_FUNCTION:
		return !type->name;
	default:
		return false;
	}
}

static void write_qualifiers(struct writer *writer, unsigned qualifiers, bool space_before,
			     bool space_after)
{
	bool cplus = language_is_cplus(writer->language);
	const char *words[] = {"const", "volatile", cplus ? "__restrict__" : "restrict",
			       cplus ? "std::atomic" : "_Atomic"};
	for (unsigned i = 0; i < 4; i++) {
		if (!(qualifiers & (1u << i)))
			continue;
		if (space_before)
			text_append_char(writer->text, ' ');
		text_append(writer->text, words[i]);
		space_before = true;
	}
	if (qualifiers && space_after)
		text_append_char(writer->text, ' ');
}

static void write_name(struct writer *writer, const struct type *type)
{
	const char *tag = "";
	bool c = language_is_c(type->language);
	switch (type->kind) {
	case TYPE_STRUCT:
	case TYPE_VARIANT:
		tag = "struct ";
		break;
	case TYPE_CLASS:
		tag = "class ";
		break;
	case TYPE_UNION:
		tag = "union ";
		break;
	case TYPE_ENUM:
		tag = "enum ";
		break;
	default:
		break;
	}
	if (type->name) {
		text_append(writer->text, c ? tag : "");
		text_append(writer->text, type->name);
	} else if (*tag) {
		text_append(writer->text, tag);
		text_append(writer->text, "{...}");
	} else {
		text_append(writer->text,
			    type->kind == TYPE_UNKNOWN ? "<unknown type>" : "<unnamed type>");
	}
}

/** The target with the qualifiers of an array, which C gives to its elements. */
static struct type *element_of(struct type *type, unsigned *qualifiers)
{
	if (type->kind != TYPE_ARRAY)
		*qualifiers = 0;
	return unqualify(type->target, qualifiers);
}

static void write_prefix(struct writer *writer, struct type *type, unsigned qualifiers,
			 bool in_pointer, bool space_after)
{
	unsigned inner = qualifiers;
	if (!is_declarator(type) || ++writer->depth > TYPE_NESTING_LIMIT)
		return;
	struct type *target = element_of(type, &inner);
	struct text *text = writer->text;
	switch (type->kind) {
	case TYPE_POINTER:
	case TYPE_REFERENCE:
	case TYPE_RVALUE_REFERENCE:
		write_prefix(writer, target, inner, true, true);
		text_append(text, type->kind == TYPE_POINTER	 ? "*"
				  : type->kind == TYPE_REFERENCE ? "&"
								 : "&&");
		write_qualifiers(writer, qualifiers, true, space_after);
		break;
	case TYPE_MEMBER_POINTER:
		write_prefix(writer, target, inner, true, false);
		if (type->container)
			write_name(writer, type->container);
		text_append(text, "::*");
		break;
	default: // array, function
		write_prefix(writer, target, inner, false, false);
		if (in_pointer)
			text_append_char(text, '(');
		break;
	}
	writer->depth--;
}

static void write_parameters(struct writer *writer, struct type *function)
{
	struct text *text = writer->text;
	function = type_complete(writer->symbols, function);
	text_append_char(text, '(');
	for (size_t i = 0; i < function->parameter_count; i++) {
		if (i > 0)
			text_append(text, ", ");
		if (!write_type(writer, function->parameters[i].type))
			text_append(text, "...");
	}
	if (function->variadic && function->parameter_count > 0)
		text_append(text, ", ...");
	else if (function->parameter_count == 0 && function->prototyped)
		text_append(text, "void");
	text_append_char(text, ')');
}

static void write_bound(struct writer *writer, const struct type *array)
{
	struct text *text = writer->text;
	text_append(text, array->vector ? " __attribute__ ((vector_size(" : "[");
	if (array->dimension.dynamic)
		text_append(text, "variable length");
	else if (!array->dimension.unknown)
		text_printf(text, "%" PRIu64, array->dimension.count);
	text_append(text, array->vector ? ")))" : "]");
}

static void write_suffix(struct writer *writer, struct type *type, bool in_pointer)
{
	unsigned ignored = 0;
	if (!is_declarator(type) || ++writer->depth > TYPE_NESTING_LIMIT)
		return;
	struct type *target = unqualify(type->target, &ignored);
	switch (type->kind) {
	case TYPE_ARRAY:
		if (in_pointer)
			text_append_char(writer->text, ')');
		write_bound(writer, type);
		write_suffix(writer, target, false);
		break;
	case TYPE_FUNCTION:
		if (in_pointer)
			text_append_char(writer->text, ')');
		write_parameters(writer, type);
		write_suffix(writer, target, false);
		break;
	default:
		write_suffix(writer, target, true);
		break;
	}
	writer->depth--;
}

static void write_c_type(struct writer *writer, struct type *type)
{
	unsigned outer = 0, qualifiers;
	struct type *top = unqualify(type, &outer), *base = top;
	qualifiers = outer;
	for (unsigned i = 0; is_declarator(base) && i < TYPE_NESTING_LIMIT; i++)
		base = element_of(base, &qualifiers);
	write_qualifiers(writer, qualifiers, false, true);
	if (base)
		write_name(writer, base);
	else
		text_append(writer->text, "void");
	if (!is_declarator(top))
		return;
	if (top->kind != TYPE_ARRAY || !top->vector)
		text_append_char(writer->text, ' ');
	write_prefix(writer, top, outer, false, false);
	write_suffix(writer, top, false);
}

static void write_rust_list(struct writer *writer, struct type *function)
{
	function = type_complete(writer->symbols, function);
	text_append(writer->text, "fn (");
	for (size_t i = 0; i < function->parameter_count; i++) {
		if (i > 0)
			text_append(writer->text, ", ");
		write_type(writer, function->parameters[i].type);
	}
	text_append_char(writer->text, ')');
	if (!function->target)
		return;
	text_append(writer->text, " -> ");
	write_type(writer, function->target);
}

static void write_rust_type(struct writer *writer, struct type *type)
{
	unsigned ignored = 0;
	type = unqualify(type, &ignored);
	if (!type) {
		text_append(writer->text, "()");
		return;
	}
	if (type->name) {
		text_append(writer->text, type->name);
		return;
	}
	switch (type->kind) {
	case TYPE_POINTER:
	case TYPE_REFERENCE:
		text_append(writer->text, "*mut ");
		write_type(writer, type->target);
		break;
	case TYPE_ARRAY:
		text_append_char(writer->text, '[');
		write_type(writer, type->target);
		if (type->dimension.dynamic)
			text_append(writer->text, "; variable length");
		else if (!type->dimension.unknown)
			text_printf(writer->text, "; %" PRIu64, type->dimension.count);
		text_append_char(writer->text, ']');
		break;
	case TYPE_FUNCTION:
		write_rust_list(writer, type);
		break;
	default:
		write_name(writer, type);
		break;
	}
}

/** False, with nothing written, where types nest too deep. */
static bool write_type(struct writer *writer, struct type *type)
{
	if (writer->depth >= TYPE_NESTING_LIMIT || writer->text->size > 64 * 1024)
		return false;
	writer->depth++;
	if (type && language_is_rust(type->language))
		write_rust_type(writer, type);
	else
		write_c_type(writer, type);
	writer->depth--;
	return true;
}

const char *type_name(struct strobe_symbols *symbols, struct type *type)
{
	if (!type)
		return "void";
	if (type->spelled)
		return type->spelled;
	struct text text cleanup_text = {0};
	struct writer writer = {.symbols = symbols, .text = &text, .language = type->language};
	write_type(&writer, type);
	const char *spelled =
		text.failed ? NULL
			    : arena_copy_string(&symbols->arena, text_string(&text), text.size);
	type->spelled = spelled;
	return spelled ? spelled : "<out of memory>";
}
