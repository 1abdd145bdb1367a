// SPDX-License-Identifier: Apache-2.0
#include "value/parser.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "value/parse_type.h"

struct strobe_error *parser_advance(struct parser *p)
{
	return lexer_next(&p->lexer, &p->token);
}

bool parser_at(const struct parser *p, uint32_t op)
{
	return p->token.kind == TOKEN_PUNCTUATOR && p->token.punctuator == op;
}

bool parser_at_name(const struct parser *p, const char *word)
{
	return p->token.kind == TOKEN_NAME && p->token.size == strlen(word) &&
	       memcmp(p->token.start, word, p->token.size) == 0;
}

struct strobe_error *parser_unexpected(const struct parser *p, const char *expected)
{
	const struct token *t = &p->token;
	if (t->kind == TOKEN_END)
		return error_column(STROBE_ERROR_SYNTAX, t->column, "%s expected at the end",
				    expected);
	return error_column(STROBE_ERROR_SYNTAX, t->column, "%s expected at \"%.*s\"", expected,
			    (int)(t->size > 40 ? 40 : t->size), t->start);
}

struct strobe_error *parser_expect(struct parser *p, uint32_t op)
{
	char expected[8] = {'"', (char)op, (char)(op >> 8), '\0'};
	strcat(expected, "\"");
	if (!parser_at(p, op))
		return parser_unexpected(p, expected);
	return parser_advance(p);
}

struct strobe_error *parser_node(struct parser *p, enum node_kind kind, unsigned column,
				 struct node *left, struct node *right, struct node **ret)
{
	struct node *node = arena_alloc(p->arena, sizeof(*node));
	if (!node)
		return error_no_memory();
	unsigned depth = left ? left->depth : 0;
	if (right && right->depth > depth)
		depth = right->depth;
	if (depth >= NODE_DEPTH_LIMIT)
		return error_column(STROBE_ERROR_LIMIT, column,
				    "expression has more than %d operators within each other",
				    NODE_DEPTH_LIMIT);
	node->kind = kind;
	node->column = column;
	node->left = left;
	node->right = right;
	node->depth = depth + 1;
	*ret = node;
	return NULL;
}

static struct strobe_error *conditional(struct parser *p, struct node **ret);
static struct strobe_error *unary(struct parser *p, struct node **ret);

struct strobe_error *parser_enter(struct parser *p)
{
	if (++p->depth > PARSE_DEPTH_LIMIT)
		return error_column(STROBE_ERROR_LIMIT, p->token.column,
				    "expression is nested deeper than %d levels",
				    PARSE_DEPTH_LIMIT);
	return NULL;
}

static struct strobe_error *would_change(const struct parser *p)
{
	return error_column(STROBE_ERROR_TYPE, p->token.column, "\"%.*s\" would change the program",
			    (int)p->token.size, p->token.start);
}

struct strobe_error *parser_comma(struct parser *p, struct node **ret)
{
	struct strobe_error *error = conditional(p, ret);
	while (!error && parser_at(p, ',')) {
		unsigned column = p->token.column;
		struct node *right = NULL;
		error = parser_advance(p);
		if (!error)
			error = conditional(p, &right);
		if (!error)
			error = parser_node(p, NODE_BINARY, column, *ret, right, ret);
		if (!error)
			(*ret)->op = ',';
	}
	return error;
}

static struct strobe_error *literal(struct parser *p, struct node **ret)
{
	static const enum node_kind kinds[] = {[TOKEN_INTEGER] = NODE_INTEGER,
					       [TOKEN_FLOAT] = NODE_FLOAT,
					       [TOKEN_CHARACTER] = NODE_CHARACTER,
					       [TOKEN_STRING] = NODE_STRING};
	struct strobe_error *error =
		parser_node(p, kinds[p->token.kind], p->token.column, NULL, NULL, ret);
	if (error)
		return error;
	(*ret)->token = p->token;
	return parser_advance(p);
}

static struct strobe_error *register_name(struct parser *p, struct node **ret)
{
	if (p->token.size == 0 && !p->names->has_object)
		return error_column(STROBE_ERROR_SYNTAX, p->token.column,
				    "a register's name expected behind \"$\"");
	struct strobe_error *error =
		parser_node(p, NODE_REGISTER, p->token.column, NULL, NULL, ret);
	if (error)
		return error;
	(*ret)->name = arena_copy_string(p->arena, p->token.start, p->token.size);
	return (*ret)->name ? parser_advance(p) : error_no_memory();
}

/** A name, with what may stand before it: 'file.c'::, ::, ns:: */
static struct strobe_error *name_operand(struct parser *p, struct node **ret)
{
	unsigned column = p->token.column;
	const char *file = NULL, *name = NULL;
	struct strobe_error *error = NULL;
	if (p->token.kind == TOKEN_QUOTED) {
		file = arena_copy_string(p->arena, p->token.start, p->token.size);
		error = file ? parser_advance(p) : error_no_memory();
		if (error)
			return error;
		if (!parser_at(p, PUNCTUATOR(':', ':', 0))) {
			name = file; // 'name with odd characters'
			file = NULL;
		} else if ((error = parser_advance(p))) {
			return error;
		}
	}
	if (!name && (error = parser_qualified_name(p, &name)))
		return error;
	error = parser_node(p, NODE_NAME, column, NULL, NULL, ret);
	if (error)
		return error;
	(*ret)->name = name;
	(*ret)->file = file;
	return NULL;
}

static struct strobe_error *parenthesised(struct parser *p, struct node **ret)
{
	struct strobe_error *error = parser_advance(p);
	if (!error)
		error = parser_comma(p, ret);
	return error ? error : parser_expect(p, ')');
}

/** sizeof and _Alignof: of a parenthesised type or of an expression. */
static struct strobe_error *size_of(struct parser *p, enum node_kind kind, struct node **ret)
{
	unsigned column = p->token.column;
	struct node *operand = NULL;
	struct type_spelling *type = NULL;
	struct strobe_error *error = parser_advance(p);
	if (error)
		return error;
	if (parser_at(p, '(') && parser_type_follows(p)) {
		error = parser_advance(p);
		if (!error)
			error = parser_type_name(p, &type);
		if (!error)
			error = parser_expect(p, ')');
	} else {
		error = unary(p, &operand);
	}
	if (!error)
		error = parser_node(p, kind, column, operand, NULL, ret);
	if (!error)
		(*ret)->type = type;
	return error;
}

/** static_cast<T>(x) and its like read as (T)(x). */
static struct strobe_error *cpp_cast(struct parser *p, struct node **ret)
{
	unsigned column = p->token.column;
	bool dynamic = parser_at_name(p, "dynamic_cast");
	struct type_spelling *type = NULL;
	struct node *operand = NULL;
	struct strobe_error *error = parser_advance(p);
	if (!error)
		error = parser_expect(p, '<');
	if (!error)
		error = parser_type_name(p, &type);
	if (!error)
		error = parser_expect(p, '>');
	if (!error && !parser_at(p, '('))
		return parser_unexpected(p, "\"(\"");
	if (!error)
		error = parenthesised(p, &operand);
	if (!error)
		error = parser_node(p, NODE_CAST, column, operand, NULL, ret);
	if (error)
		return error;
	(*ret)->type = type;
	(*ret)->op = dynamic ? 'd' : 0;
	return NULL;
}

static struct strobe_error *primary(struct parser *p, struct node **ret)
{
	switch (p->token.kind) {
	case TOKEN_INTEGER:
	case TOKEN_FLOAT:
	case TOKEN_CHARACTER:
	case TOKEN_STRING:
		return literal(p, ret);
	case TOKEN_REGISTER:
		return register_name(p, ret);
	case TOKEN_NAME:
		if (parser_at_name(p, "sizeof"))
			return size_of(p, NODE_SIZEOF, ret);
		if (parser_at_name(p, "_Alignof") || parser_at_name(p, "alignof"))
			return size_of(p, NODE_ALIGNOF, ret);
		if (parser_at_name(p, "static_cast") || parser_at_name(p, "reinterpret_cast") ||
		    parser_at_name(p, "const_cast") || parser_at_name(p, "dynamic_cast"))
			return cpp_cast(p, ret);
		return name_operand(p, ret);
	case TOKEN_QUOTED:
		return name_operand(p, ret);
	default:
		if (parser_at(p, '('))
			return parenthesised(p, ret);
		if (parser_at(p, PUNCTUATOR(':', ':', 0)))
			return name_operand(p, ret);
		return parser_unexpected(p, "an expression");
	}
}

static struct strobe_error *member(struct parser *p, enum node_kind kind, struct node **ret)
{
	unsigned column = p->token.column;
	const char *name = NULL;
	struct strobe_error *error = parser_advance(p);
	if (!error && p->token.kind != TOKEN_NAME && p->token.kind != TOKEN_INTEGER)
		error = parser_unexpected(p, "a member's name");
	if (!error && p->token.kind == TOKEN_INTEGER) { // tuple.0 of Rust
		name = arena_printf(p->arena, "__%.*s", (int)p->token.size, p->token.start);
		error = name ? parser_advance(p) : error_no_memory();
	} else if (!error) {
		error = parser_qualified_name(p, &name);
	}
	if (!error)
		error = parser_node(p, kind, column, *ret, NULL, ret);
	if (!error)
		(*ret)->name = name;
	return error;
}

static struct strobe_error *index_operand(struct parser *p, struct node **ret)
{
	unsigned column = p->token.column;
	struct node *inner = NULL;
	struct strobe_error *error = parser_advance(p);
	if (!error)
		error = parser_comma(p, &inner);
	if (!error)
		error = parser_expect(p, ']');
	return error ? error : parser_node(p, NODE_INDEX, column, *ret, inner, ret);
}

static struct strobe_error *postfix(struct parser *p, struct node **ret)
{
	struct strobe_error *error = primary(p, ret);
	while (!error && p->token.kind == TOKEN_PUNCTUATOR) {
		if (parser_at(p, '['))
			error = index_operand(p, ret);
		else if (parser_at(p, '.'))
			error = member(p, NODE_MEMBER, ret);
		else if (parser_at(p, PUNCTUATOR('-', '>', 0)))
			error = member(p, NODE_ARROW, ret);
		else if (parser_at(p, '('))
			return error_column(STROBE_ERROR_TYPE, p->token.column,
					    "a function call would run code of the program");
		else if (parser_at(p, PUNCTUATOR('+', '+', 0)) ||
			 parser_at(p, PUNCTUATOR('-', '-', 0)))
			return would_change(p);
		else
			break;
	}
	return error;
}

static struct strobe_error *cast(struct parser *p, enum node_kind kind, uint32_t close,
				 struct node **ret)
{
	unsigned column = p->token.column;
	struct type_spelling *type = NULL;
	struct node *operand = NULL;
	struct strobe_error *error = parser_advance(p);
	if (!error)
		error = parser_type_name(p, &type);
	if (!error)
		error = parser_expect(p, close);
	if (!error && kind == NODE_CAST && p->token.kind == TOKEN_END)
		kind = NODE_TYPE; // "(T)" alone
	else if (!error)
		error = unary(p, &operand);
	if (!error)
		error = parser_node(p, kind, column, operand, NULL, ret);
	if (!error)
		(*ret)->type = type;
	return error;
}

static struct strobe_error *unary_inside(struct parser *p, struct node **ret)
{
	unsigned column = p->token.column;
	if (p->token.kind != TOKEN_PUNCTUATOR)
		return postfix(p, ret);
	uint32_t op = p->token.punctuator;
	if (op == '(' && parser_type_follows(p))
		return cast(p, NODE_CAST, ')', ret);
	if (op == '{')
		return cast(p, NODE_AT_ADDRESS, '}', ret);
	if (op == PUNCTUATOR('+', '+', 0) || op == PUNCTUATOR('-', '-', 0))
		return would_change(p);
	if (op == PUNCTUATOR('&', '&', 0))
		return parser_unexpected(p, "an expression");
	if (op > 0xff || !strchr("+-!~*&", (int)op))
		return postfix(p, ret);
	struct node *operand = NULL;
	struct strobe_error *error = parser_advance(p);
	if (!error)
		error = unary(p, &operand);
	if (!error)
		error = parser_node(p, NODE_UNARY, column, operand, NULL, ret);
	if (!error)
		(*ret)->op = op;
	return error;
}

static struct strobe_error *unary(struct parser *p, struct node **ret)
{
	struct strobe_error *error = parser_enter(p);
	if (!error)
		error = unary_inside(p, ret);
	p->depth--;
	return error;
}

/** How tightly a binary operator binds; 0 = none. '@' is gdb's: between shift and addition. */
static int precedence(const struct token *token)
{
	static const struct {
		uint32_t op;
		int level;
	} table[] = {
		{PUNCTUATOR('|', '|', 0), 1},
		{PUNCTUATOR('&', '&', 0), 2},
		{'|', 3},
		{'^', 4},
		{'&', 5},
		{PUNCTUATOR('=', '=', 0), 6},
		{PUNCTUATOR('!', '=', 0), 6},
		{'<', 7},
		{'>', 7},
		{PUNCTUATOR('<', '=', 0), 7},
		{PUNCTUATOR('>', '=', 0), 7},
		{PUNCTUATOR('<', '<', 0), 8},
		{PUNCTUATOR('>', '>', 0), 8},
		{'@', 9},
		{'+', 10},
		{'-', 10},
		{'*', 11},
		{'/', 11},
		{'%', 11},
		{PUNCTUATOR('-', '>', '*'), 12},
		{PUNCTUATOR('.', '*', 0), 12},
	};
	if (token->kind != TOKEN_PUNCTUATOR)
		return 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].op == token->punctuator)
			return table[i].level;
	return 0;
}

/** Casts as Rust writes them: x as u64 */
static struct strobe_error *casts_behind(struct parser *p, struct node **ret)
{
	struct strobe_error *error = NULL;
	while (!error && parser_at_name(p, "as")) {
		unsigned column = p->token.column;
		struct type_spelling *type = NULL;
		error = parser_advance(p);
		if (!error)
			error = parser_type_name(p, &type);
		if (!error)
			error = parser_node(p, NODE_CAST, column, *ret, NULL, ret);
		if (!error)
			(*ret)->type = type;
	}
	return error;
}

static struct strobe_error *binary(struct parser *p, int lowest, struct node **ret)
{
	struct strobe_error *error = unary(p, ret);
	if (!error)
		error = casts_behind(p, ret);
	int level;
	while (!error && (level = precedence(&p->token)) >= lowest && level > 0) {
		uint32_t op = p->token.punctuator;
		unsigned column = p->token.column;
		struct node *right = NULL;
		error = parser_advance(p);
		if (!error)
			error = binary(p, level + 1, &right);
		if (!error)
			error = parser_node(p, NODE_BINARY, column, *ret, right, ret);
		if (!error)
			(*ret)->op = op;
	}
	return error;
}

static bool is_assignment(const struct token *token)
{
	if (token->kind != TOKEN_PUNCTUATOR || precedence(token))
		return false;
	return token->size > 0 && token->start[token->size - 1] == '=';
}

static struct strobe_error *conditional_inside(struct parser *p, struct node **ret)
{
	struct strobe_error *error = binary(p, 1, ret);
	if (error)
		return error;
	if (is_assignment(&p->token))
		return would_change(p);
	if (!parser_at(p, '?'))
		return NULL;
	unsigned column = p->token.column;
	struct node *yes = NULL, *no = NULL, *node = NULL;
	error = parser_advance(p);
	if (!error)
		error = parser_comma(p, &yes);
	if (!error)
		error = parser_expect(p, ':');
	if (!error)
		error = conditional(p, &no);
	if (!error)
		error = parser_node(p, NODE_CONDITIONAL, column, yes, no, &node);
	if (!error) {
		node->third = *ret; // the condition
		if ((*ret)->depth >= node->depth)
			node->depth = (*ret)->depth + 1;
		*ret = node;
	}
	return error;
}

static struct strobe_error *conditional(struct parser *p, struct node **ret)
{
	struct strobe_error *error = parser_enter(p);
	if (!error)
		error = conditional_inside(p, ret);
	p->depth--;
	return error;
}

static struct strobe_error *start(struct parser *p, struct arena *arena,
				  const struct parser_names *names, const char *text)
{
	size_t size = strlen(text);
	*p = (struct parser){.arena = arena, .names = names, .lexer = {.text = text, .size = size}};
	if (size > EXPRESSION_LENGTH_LIMIT)
		return error_column(STROBE_ERROR_LIMIT, EXPRESSION_LENGTH_LIMIT + 1,
				    "expression is longer than %d bytes", EXPRESSION_LENGTH_LIMIT);
	return parser_advance(p);
}

struct strobe_error *parse_expression(struct arena *arena, const struct parser_names *names,
				      const char *text, struct node **ret)
{
	struct parser p;
	struct node *tree = NULL;
	struct strobe_error *error = start(&p, arena, names, text);
	if (!error)
		error = parser_comma(&p, &tree);
	if (!error && p.token.kind != TOKEN_END)
		error = parser_unexpected(&p, "an operator");
	if (!error)
		*ret = tree;
	return error;
}

struct strobe_error *parse_type(struct arena *arena, const struct parser_names *names,
				const char *text, struct type_spelling **ret)
{
	struct parser p;
	struct type_spelling *type = NULL;
	struct strobe_error *error = start(&p, arena, names, text);
	if (!error)
		error = parser_type_name(&p, &type);
	if (!error && p.token.kind != TOKEN_END)
		error = parser_unexpected(&p, "the end of the type");
	if (!error)
		*ret = type;
	return error;
}
