// SPDX-License-Identifier: Apache-2.0
#include "value/parse_type.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define SCOPE PUNCTUATOR(':', ':', 0)

static bool is_one_of(const struct token *token, const char *const *words)
{
	if (token->kind != TOKEN_NAME)
		return false;
	for (; *words; words++)
		if (token->size == strlen(*words) && memcmp(token->start, *words, token->size) == 0)
			return true;
	return false;
}

static bool is_qualifier(const struct token *token)
{
	static const char *const words[] = {"const",   "volatile",   "restrict",
					    "_Atomic", "__restrict", NULL};
	return is_one_of(token, words);
}

static bool is_basic(const struct token *token)
{
	static const char *const words[] = {"int",	"char",	    "short",  "long", "signed",
					    "unsigned", "float",    "double", "void", "_Bool",
					    "__int128", "_Complex", NULL};
	return is_one_of(token, words);
}

static bool is_tag(const struct token *token)
{
	static const char *const words[] = {"struct", "union", "enum", "class", NULL};
	return is_one_of(token, words);
}

/** If a template argument list starts at `text`, its size up to the matching '>'; else 0. */
static size_t template_size(const char *text, size_t size)
{
	unsigned depth = 0;
	for (size_t i = 0; i < size; i++) {
		char c = text[i];
		if (c == '<' || c == '(' || c == '[') {
			depth++;
		} else if (c == '>' || c == ')' || c == ']') {
			if (--depth == 0)
				return i + 1;
		} else if (strchr("\"'?;|{}=", c)) {
			return 0;
		}
	}
	return 0;
}

/** Template arguments as compilers write them: a blank behind each comma and between two '>'. */
static void append_arguments(struct text *name, const char *at, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char before = i > 0 ? at[i - 1] : '\0';
		if (at[i] == ' ' && (before == ',' || before == ' ' || before == '<'))
			continue;
		if (at[i] == '>' && before == '>')
			text_append_char(name, ' ');
		text_append_char(name, at[i]);
		if (at[i] == ',')
			text_append_char(name, ' ');
	}
}

static bool is_instance(const struct parser *p, const char *name)
{
	const struct parser_names *names = p->names;
	return names->is_type(names->data, name) ||
	       (names->is_instance && names->is_instance(names->data, name));
}

/** Appends the template arguments behind `name` if that makes a name of something. */
static bool take_template(struct parser *p, struct text *name)
{
	const char *at = p->token.start;
	size_t left = p->lexer.size - (size_t)(at - p->lexer.text);
	size_t size = template_size(at, left);
	if (!size || !p->names->is_type)
		return false;
	size_t before = name->size;
	append_arguments(name, at, size);
	bool scope = left > size + 1 && at[size] == ':' && at[size + 1] == ':';
	if (!scope && !is_instance(p, text_string(name))) {
		text_truncate(name, before);
		return false;
	}
	p->lexer.position = (size_t)(at - p->lexer.text) + size;
	return true;
}

/** What stands behind "operator": a sign, new, delete, or the type of a conversion. */
static struct strobe_error *operator_sign(struct parser *p, struct text *name)
{
	struct strobe_error *error = NULL;
	uint32_t close = parser_at(p, '(') ? ')' : parser_at(p, '[') ? ']' : 0;
	if (p->token.kind == TOKEN_PUNCTUATOR) {
		text_append_bytes(name, p->token.start, p->token.size);
		error = parser_advance(p);
		if (error || !close)
			return error;
		text_append_char(name, (char)close);
		return parser_expect(p, close);
	}
	if (p->token.kind != TOKEN_NAME)
		return parser_unexpected(p, "an operator's sign");
	text_append_char(name, ' ');
	while (!error && (p->token.kind == TOKEN_NAME || parser_at(p, '*') || parser_at(p, '&') ||
			  parser_at(p, SCOPE))) {
		bool word = p->token.kind == TOKEN_NAME;
		char before = name->data[name->size - 1];
		if (before != ' ' && before != ':' && !(parser_at(p, SCOPE)) &&
		    (word || before != '*'))
			text_append_char(name, ' ');
		text_append_bytes(name, p->token.start, p->token.size);
		error = parser_advance(p);
	}
	return error;
}

struct strobe_error *parser_qualified_name(struct parser *p, const char **ret)
{
	struct text name cleanup_text = {0};
	struct strobe_error *error = NULL;
	if (parser_at(p, SCOPE)) {
		text_append(&name, "::");
		error = parser_advance(p);
	}
	while (!error) {
		if (parser_at(p, '~')) {
			text_append(&name, "~");
			error = parser_advance(p);
		}
		if (!error && p->token.kind != TOKEN_NAME)
			error = parser_unexpected(p, "a name");
		if (error)
			break;
		bool is_operator = parser_at_name(p, "operator");
		text_append_bytes(&name, p->token.start, p->token.size);
		error = parser_advance(p);
		if (!error && is_operator && !name.failed && p->token.kind != TOKEN_END)
			error = operator_sign(p, &name);
		if (!error && parser_at(p, '<') && take_template(p, &name))
			error = parser_advance(p);
		if (error || !parser_at(p, SCOPE))
			break;
		text_append(&name, "::");
		error = parser_advance(p);
	}
	if (error)
		return error;
	*ret = arena_copy_string(p->arena, text_string(&name), name.size);
	return *ret && !name.failed ? NULL : error_no_memory();
}

/** Drops an error that only meant "no". */
static bool none(struct strobe_error *error)
{
	strobe_error_free(error);
	return !error;
}

static bool type_starts(const struct parser *p)
{
	if (is_basic(&p->token) || is_tag(&p->token) || is_qualifier(&p->token))
		return true;
	if (p->token.kind != TOKEN_NAME && !parser_at(p, SCOPE))
		return false;
	struct parser look = *p;
	const char *name;
	return none(parser_qualified_name(&look, &name)) && p->names->is_type &&
	       p->names->is_type(p->names->data, name);
}

bool parser_type_follows(const struct parser *p)
{
	struct parser look = *p;
	return parser_at(p, '(') && none(parser_advance(&look)) && type_starts(&look);
}

/** The words of a basic type, counted. */
struct basic {
	unsigned longs, shorts, chars, is_signed, is_unsigned, ints, floats, doubles, voids, bools,
		wides, complex;
};

static void count_word(struct basic *b, const struct token *token)
{
	const struct {
		const char *word;
		unsigned *count;
	} words[] = {{"long", &b->longs},	    {"short", &b->shorts},
		     {"char", &b->chars},	    {"signed", &b->is_signed},
		     {"unsigned", &b->is_unsigned}, {"int", &b->ints},
		     {"float", &b->floats},	    {"double", &b->doubles},
		     {"void", &b->voids},	    {"_Bool", &b->bools},
		     {"__int128", &b->wides},	    {"_Complex", &b->complex}};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (token->size == strlen(words[i].word) &&
		    memcmp(token->start, words[i].word, token->size) == 0)
			++*words[i].count;
}

/** The one spelling of a basic type that type_builtin() knows; NULL if the words do not fit. */
static const char *basic_name(const struct basic *b)
{
	bool u = b->is_unsigned;
	unsigned others = b->chars + b->floats + b->doubles + b->voids + b->bools + b->wides;
	if (others > 1 || b->longs > 2 || b->shorts > 1 || (b->shorts && b->longs) ||
	    (u && b->is_signed))
		return NULL;
	if (b->complex)
		return b->floats  ? "complex float"
		       : b->longs ? "complex long double"
				  : "complex double";
	if (b->doubles)
		return b->longs ? "long double" : "double";
	if (b->chars)
		return u ? "unsigned char" : b->is_signed ? "signed char" : "char";
	if (b->floats || b->voids || b->bools)
		return b->floats ? "float" : b->voids ? "void" : "_Bool";
	if (b->wides)
		return u ? "unsigned __int128" : "__int128";
	if (b->longs == 2)
		return u ? "unsigned long long" : "long long";
	if (b->longs)
		return u ? "unsigned long" : "long";
	if (b->shorts)
		return u ? "unsigned short" : "short";
	return u ? "unsigned int" : "int";
}

static struct strobe_error *skip_qualifiers(struct parser *p)
{
	struct strobe_error *error = NULL;
	while (!error && is_qualifier(&p->token))
		error = parser_advance(p);
	return error;
}

static struct strobe_error *basic_type(struct parser *p, const char **ret)
{
	struct basic basic = {0};
	unsigned column = p->token.column;
	struct strobe_error *error = NULL;
	while (!error && (is_basic(&p->token) || is_qualifier(&p->token))) {
		count_word(&basic, &p->token);
		error = parser_advance(p);
	}
	if (error)
		return error;
	*ret = basic_name(&basic);
	return *ret ? NULL
		    : error_column(STROBE_ERROR_SYNTAX, column, "no such combination of types");
}

static struct strobe_error *base_type(struct parser *p, const char **ret)
{
	struct strobe_error *error = skip_qualifiers(p);
	if (error)
		return error;
	if (is_basic(&p->token))
		return basic_type(p, ret);
	const char *tag = NULL, *name = NULL;
	if (is_tag(&p->token)) {
		tag = arena_copy_string(p->arena, p->token.start, p->token.size);
		error = tag ? parser_advance(p) : error_no_memory();
	}
	if (!error)
		error = parser_qualified_name(p, &name);
	if (!error)
		error = skip_qualifiers(p);
	if (error)
		return error;
	*ret = tag ? arena_printf(p->arena, "%s %s", tag, name) : name;
	return *ret ? NULL : error_no_memory();
}

static struct strobe_error *add(struct parser *p, enum declarator_kind kind, uint64_t count,
				struct declarator *next, struct declarator **ret)
{
	struct declarator *d = arena_alloc(p->arena, sizeof(*d));
	if (!d)
		return error_no_memory();
	*d = (struct declarator){.kind = kind, .count = count, .next = next};
	*ret = d;
	return NULL;
}

/** Appends `tail` behind the last of `list`. */
static struct declarator *join(struct declarator *list, struct declarator *tail)
{
	if (!list)
		return tail;
	struct declarator *last = list;
	while (last->next)
		last = last->next;
	last->next = tail;
	return list;
}

static struct strobe_error *parameters(struct parser *p)
{
	struct strobe_error *error = parser_expect(p, '(');
	while (!error && !parser_at(p, ')')) {
		struct type_spelling *ignored;
		if (parser_at(p, PUNCTUATOR('.', '.', '.')))
			error = parser_advance(p);
		else
			error = parser_type_name(p, &ignored);
		if (!error && parser_at(p, ','))
			error = parser_advance(p);
		else if (!error && !parser_at(p, ')'))
			error = parser_unexpected(p, "\")\"");
	}
	return error ? error : parser_advance(p);
}

/** [N] and (parameters) behind a declarator: the last applies to the base first. */
static struct strobe_error *suffixes(struct parser *p, struct declarator **ret)
{
	struct strobe_error *error = NULL;
	while (!error && (parser_at(p, '[') || parser_at(p, '('))) {
		uint64_t count = 0;
		if (parser_at(p, '(')) {
			error = parameters(p);
			if (!error)
				error = add(p, DECLARATOR_FUNCTION, 0, *ret, ret);
			continue;
		}
		error = parser_advance(p);
		if (!error && p->token.kind == TOKEN_INTEGER) {
			count = p->token.integer;
			error = parser_advance(p);
		}
		if (!error)
			error = parser_expect(p, ']');
		if (!error)
			error = add(p, DECLARATOR_ARRAY, count, *ret, ret);
	}
	return error;
}

static struct strobe_error *declarator(struct parser *p, struct declarator **ret)
{
	struct declarator *pointers = NULL, *inner = NULL, *behind = NULL;
	struct strobe_error *error = parser_enter(p);
	while (!error && (parser_at(p, '*') || parser_at(p, '&') ||
			  parser_at(p, PUNCTUATOR('&', '&', 0)) || is_qualifier(&p->token))) {
		struct declarator *one = NULL;
		if (p->token.kind == TOKEN_PUNCTUATOR) {
			error = add(p,
				    parser_at(p, '*') ? DECLARATOR_POINTER : DECLARATOR_REFERENCE,
				    0, NULL, &one);
			pointers = join(pointers, one);
		}
		if (!error)
			error = parser_advance(p);
	}
	struct parser look = *p;
	if (!error && parser_at(p, '(') && none(parser_advance(&look)) &&
	    (parser_at(&look, '*') || parser_at(&look, '('))) {
		error = parser_advance(p);
		if (!error)
			error = declarator(p, &inner);
		if (!error)
			error = parser_expect(p, ')');
	}
	if (!error)
		error = suffixes(p, &behind);
	p->depth--;
	*ret = join(join(pointers, behind), inner);
	return error;
}

struct strobe_error *parser_type_name(struct parser *p, struct type_spelling **ret)
{
	struct type_spelling *type = arena_alloc(p->arena, sizeof(*type));
	if (!type)
		return error_no_memory();
	type->column = p->token.column;
	struct strobe_error *error = base_type(p, &type->base);
	if (!error)
		error = declarator(p, &type->declarators);
	if (!error)
		*ret = type;
	return error;
}
