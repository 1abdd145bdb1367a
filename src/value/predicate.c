// SPDX-License-Identifier: Apache-2.0
#include "value/predicate.h"

#include <stdlib.h>

#include "base/error.h"
#include "value/evaluate.h"

/** Invariant: `evaluator.object` is `object`, of which nothing but the address changes. */
struct predicate {
	struct evaluator evaluator; // its arena is emptied behind each test
	struct arena arena;	    // of the tree
	struct strobe_value object;
	struct node *tree;
};

struct strobe_error *predicate_new(struct strobe_symbols *symbols, struct type *type,
				   const char *text, struct predicate **ret)
{
	struct predicate *predicate = calloc(1, sizeof(*predicate));
	if (!predicate)
		return error_no_memory();
	struct evaluator *e = &predicate->evaluator;
	predicate->object = value_in_memory(symbols, type, 0);
	predicate->object.language = type->language;
	*e = (struct evaluator){
		.symbols = symbols, .language = type->language, .object = &predicate->object};
	place_frame_init(&e->frame, symbols, NULL, 0);
	struct parser_names names = {.data = e,
				     .is_type = lookup_is_type,
				     .is_instance = lookup_is_instance,
				     .has_object = true};
	struct strobe_error *error =
		parse_expression(&predicate->arena, &names, text, &predicate->tree);
	if (error) {
		predicate_free(predicate);
		return error;
	}
	*ret = predicate;
	return NULL;
}

struct predicate *predicate_free(struct predicate *predicate)
{
	if (!predicate)
		return NULL;
	arena_fini(&predicate->evaluator.arena);
	arena_fini(&predicate->arena);
	free(predicate);
	return NULL;
}

struct strobe_error *predicate_test(struct predicate *predicate, uint64_t address, bool *ret)
{
	struct evaluator *e = &predicate->evaluator;
	struct strobe_value value;
	struct number number;
	predicate->object.address = address;
	struct strobe_error *error = evaluate_node(e, predicate->tree, &value);
	if (!error) {
		error = convert_to_number(e, predicate->tree, &value, &number);
		value_fini(&value);
	}
	if (!error)
		*ret = number.real ? number.floating != 0 : number.integer != 0;
	arena_fini(&e->arena);
	return error;
}
