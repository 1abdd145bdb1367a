// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_PREDICATE_H
#define VALUE_PREDICATE_H

// A condition on objects of one type: parsed once, asked of many. Names are members of the object first; $ is the object.

#include "value/value.h"

struct predicate;

/** `type` outlives it. Errors: those of strobe_evaluate() that the text alone shows. */
struct strobe_error *predicate_new(struct strobe_symbols *symbols, struct type *type,
				   const char *text, struct predicate **ret) STROBE_MUST_CHECK;
struct predicate *predicate_free(struct predicate *predicate);
/** Is it true, not zero, of the object at `address`? Errors: those of strobe_evaluate(). */
struct strobe_error *predicate_test(struct predicate *predicate, uint64_t address, bool *ret)
	STROBE_MUST_CHECK;

#endif
