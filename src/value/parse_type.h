// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_PARSE_TYPE_H
#define VALUE_PARSE_TYPE_H

// The parser's own state, and the half of it that reads type names; for parser.c and parse_type.c.

#include "value/parser.h"

struct parser {
	struct lexer lexer; // behind `token`
	struct token token;
	struct arena *arena;
	const struct parser_names *names;
	unsigned depth;
};

struct strobe_error *parser_advance(struct parser *p) STROBE_MUST_CHECK;
bool parser_at(const struct parser *p, uint32_t op);
bool parser_at_name(const struct parser *p, const char *word);
struct strobe_error *parser_expect(struct parser *p, uint32_t op) STROBE_MUST_CHECK;
struct strobe_error *parser_unexpected(const struct parser *p, const char *expected)
	STROBE_MUST_CHECK;
struct strobe_error *parser_node(struct parser *p, enum node_kind kind, unsigned column,
				 struct node *left, struct node *right, struct node **ret)
	STROBE_MUST_CHECK;
struct strobe_error *parser_comma(struct parser *p, struct node **ret) STROBE_MUST_CHECK;
/** Counts a level of nesting; the caller counts it down again. */
struct strobe_error *parser_enter(struct parser *p) STROBE_MUST_CHECK;

/** "a", "::a", "ns::C<int>::m", from the current token on. */
struct strobe_error *parser_qualified_name(struct parser *p, const char **ret) STROBE_MUST_CHECK;
/** True if the current token is "(" and a type name stands behind it. */
bool parser_type_follows(const struct parser *p);
struct strobe_error *parser_type_name(struct parser *p, struct type_spelling **ret)
	STROBE_MUST_CHECK;

#endif
