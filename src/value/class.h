// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_CLASS_H
#define VALUE_CLASS_H

// What expressions know of C++ classes: names in their scopes, pointers to members, casts along bases.

#include "value/evaluate.h"

/** "Class::name": a static member or a method; also where the class is written in another way than
 *  in the debug information ("Box<int,2>"). */
bool class_scope_name(struct evaluator *e, const char *name, struct strobe_value *ret);
/** A method of the object's class or of one of its bases. */
bool class_method(struct evaluator *e, struct type *class, const char *name,
		  struct strobe_value *ret);
/** "&Class::name" of a member that each object has. False if there is none. */
bool class_member_pointer(struct evaluator *e, const char *name, struct strobe_value *ret);
/** object.*pointer; `object` becomes the result. */
struct strobe_error *class_apply_pointer(struct evaluator *e, const struct node *node,
					 struct strobe_value *object, struct strobe_value *pointer)
	STROBE_MUST_CHECK;
/** Casts between classes, pointers and references to them that are related. `*done` is false, and
 *  nothing has happened, where the cast is of another kind. */
struct strobe_error *class_cast(struct evaluator *e, const struct node *node, struct type *type,
				struct strobe_value *value, bool *done) STROBE_MUST_CHECK;

#endif
