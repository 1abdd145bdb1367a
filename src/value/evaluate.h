// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_EVALUATE_H
#define VALUE_EVALUATE_H

// Evaluation of expression trees: evaluate.c walks them, arithmetic.c calculates, lookup.c finds
// names, convert.c types and casts, registers.c the machine's registers.

#include "value/parser.h"
#include "value/place.h"

struct evaluator {
	struct strobe_symbols *symbols;
	const struct strobe_stack *stack; // may be NULL
	size_t frame_index;
	struct place_frame frame;
	struct arena arena;
	int language;
	const struct strobe_value *object; // whose members are names, and which $ is; may be NULL
};

/** A scalar taken out of its value, ready to calculate with. */
struct number {
	bool real;
	unsigned __int128 integer; // sign-extended if its type is signed
	long double floating;
	struct type *type; // stripped
};

bool evaluator_is_cpp(const struct evaluator *e);
struct strobe_error *evaluate_node(struct evaluator *e, const struct node *node,
				   struct strobe_value *ret) STROBE_MUST_CHECK;

/** References become what they refer to, arrays and functions pointers. */
struct strobe_error *convert_decay(struct evaluator *e, const struct node *node,
				   struct strobe_value *value) STROBE_MUST_CHECK;
struct strobe_error *convert_dereference(struct evaluator *e, const struct node *node,
					 struct strobe_value *value) STROBE_MUST_CHECK;
struct strobe_error *convert_to_number(struct evaluator *e, const struct node *node,
				       struct strobe_value *value, struct number *ret)
	STROBE_MUST_CHECK;
struct strobe_value convert_from_number(struct evaluator *e, struct type *type,
					const struct number *number);
struct strobe_error *convert_cast(struct evaluator *e, const struct node *node, struct type *type,
				  struct strobe_value *value) STROBE_MUST_CHECK;
struct strobe_error *convert_type(struct evaluator *e, const struct type_spelling *spelling,
				  struct type **ret) STROBE_MUST_CHECK;

struct strobe_error *arithmetic_unary(struct evaluator *e, const struct node *node,
				      struct strobe_value *value) STROBE_MUST_CHECK;
/** `left` becomes the result; `right` is released. */
struct strobe_error *arithmetic_binary(struct evaluator *e, const struct node *node,
				       struct strobe_value *left, struct strobe_value *right)
	STROBE_MUST_CHECK;
/** int in C, bool in C++ */
struct strobe_value arithmetic_truth(struct evaluator *e, bool truth);

struct strobe_error *lookup_name(struct evaluator *e, const struct node *node,
				 struct strobe_value *ret) STROBE_MUST_CHECK;
/** For the parser. `data` is the evaluator. */
bool lookup_is_type(void *data, const char *name);
bool lookup_is_instance(void *data, const char *name);
/** A member of a structure, those of its bases and anonymous members included. */
bool lookup_member(struct evaluator *e, const struct strobe_value *object, const char *name,
		   struct strobe_value *ret);
struct strobe_error *register_value(struct evaluator *e, const struct node *node,
				    struct strobe_value *ret) STROBE_MUST_CHECK;
/** The type of a symbol without debug information. */
bool lookup_is_unknown(const struct type *type);

#endif
