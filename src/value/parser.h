// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_PARSER_H
#define VALUE_PARSER_H

// Parses an expression of C (without what would change the program) into a tree in an arena.

#include "base/arena.h"
#include "value/lexer.h"

/** Named limits of hostile or absurd expressions. */
enum {
	EXPRESSION_LENGTH_LIMIT = 65536,
	PARSE_DEPTH_LIMIT = 200, // parentheses, casts, operators within each other
	NODE_DEPTH_LIMIT = 2000, // height of the tree: a + b + c + ...
};

enum node_kind {
	NODE_INTEGER,
	NODE_FLOAT,
	NODE_CHARACTER,
	NODE_STRING,
	NODE_NAME, // `name`, in `scope` if not NULL
	NODE_REGISTER,
	NODE_UNARY,  // `op`: + - ! ~ * &
	NODE_BINARY, // `op`; ',' and '@' too
	NODE_CONDITIONAL,
	NODE_MEMBER, // left.name
	NODE_ARROW,  // left->name
	NODE_INDEX,
	NODE_CAST,	 // (type)left; `op` is 'd' of a dynamic_cast
	NODE_AT_ADDRESS, // {type} left
	NODE_SIZEOF,	 // of `left`, or of `type`
	NODE_ALIGNOF,
	NODE_TYPE, // a type alone: only whole expressions and sizeof
};

enum declarator_kind {
	DECLARATOR_POINTER,
	DECLARATOR_REFERENCE,
	DECLARATOR_ARRAY,
	DECLARATOR_FUNCTION,
};

/** One step from the base type outwards: "int (*)[4]" is int, array of 4, pointer. */
struct declarator {
	enum declarator_kind kind;
	uint64_t count; // array
	struct declarator *next;
};

/** A type as written. */
struct type_spelling {
	const char *base; // normalised: "unsigned long", "struct conn", "ns::T"
	unsigned column;
	struct declarator *declarators; // applied in this order
};

struct node {
	enum node_kind kind;
	unsigned column;    // of the operator, or where the operand starts
	unsigned depth;	    // height of the tree below, this node included
	struct token token; // literals
	uint32_t op;
	const char *name; // NODE_NAME (may hold "::"), members, registers
	const char *file; // 'file.c'::name, or NULL
	struct type_spelling *type;
	struct node *left, *right, *third;
};

/** What the parser must know to tell a cast from a parenthesised expression. */
struct parser_names {
	void *data;
	/** Whether `name` (qualified or not) means a type where the expression stands. */
	bool (*is_type)(void *data, const char *name);
	/** Whether `name`, which ends with template arguments, means a function or variable. */
	bool (*is_instance)(void *data, const char *name);
	bool has_object; // "$" alone is an operand: a register without a name
};

/** Parses all of `text`. `*ret` lives in `arena`. Errors: SYNTAX, TYPE (assignment, call), LIMIT. */
struct strobe_error *parse_expression(struct arena *arena, const struct parser_names *names,
				      const char *text, struct node **ret) STROBE_MUST_CHECK;
/** Parses all of `text` as a type name. */
struct strobe_error *parse_type(struct arena *arena, const struct parser_names *names,
				const char *text, struct type_spelling **ret) STROBE_MUST_CHECK;

#endif
