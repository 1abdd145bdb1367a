// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_COMPLEX_H
#define VALUE_COMPLEX_H

#include "value/evaluate.h"

// C's operators where an operand is a complex number.

bool complex_is(const struct strobe_value *value);
/** One operand at least is complex; both stay the caller's. */
struct strobe_error *complex_binary(struct evaluator *e, const struct node *node,
				    struct strobe_value *left, struct strobe_value *right,
				    struct strobe_value *ret);
/** - ~ (the conjugate) and !; `value` stays the caller's. */
struct strobe_error *complex_unary(struct evaluator *e, const struct node *node,
				   struct strobe_value *value, struct strobe_value *ret);

#endif
