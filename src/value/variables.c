// SPDX-License-Identifier: Apache-2.0
// The variables of a frame.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbols/module.h"
#include "value/place.h"

/** Named limit: variables of one frame. */
enum { FRAME_VARIABLE_LIMIT = 100000 };

struct collection {
	ARRAY(struct variable) list;
	bool failed;
};

static bool collect(void *context, const struct variable *variable)
{
	struct collection *c = context;
	if (!variable->name || !*variable->name)
		return true;
	if (c->list.count >= FRAME_VARIABLE_LIMIT)
		return false;
	c->failed = !array_push(&c->list, *variable);
	return !c->failed;
}

/** Names are looked up innermost first, arguments (which come first) last. */
static bool is_shadowed(struct hash *names, const struct variable *variable)
{
	uint64_t key = hash_bytes(variable->name, strlen(variable->name));
	const struct variable *inner = hash_get(names, key);
	if (!inner) {
		hash_put(names, key, (void *)variable);
		return false;
	}
	return strcmp(inner->name, variable->name) == 0 && inner->block != variable->block;
}

static bool visit_one(struct place_frame *frame, const struct variable *variable, bool shadowed,
		      strobe_variable_visit visit, void *context)
{
	struct strobe_variable told = {
		.name = variable->name,
		.kind = variable->argument ? STROBE_VARIABLE_ARGUMENT : STROBE_VARIABLE_LOCAL,
		.line = variable->line,
		.block = variable->block,
		.shadowed = shadowed,
		.is_static = variable->is_static,
	};
	struct strobe_value value = place_variable(frame, variable);
	bool more = visit(context, &told, &value);
	value_fini(&value);
	return more;
}

static void visit_all(struct place_frame *frame, struct collection *c, bool *shadowed,
		      strobe_variable_visit visit, void *context)
{
	struct hash names = {0};
	for (int arguments = 0; arguments < 2; arguments++)
		for (size_t i = 0; i < c->list.count; i++)
			if (c->list.items[i].argument == (bool)arguments)
				shadowed[i] = is_shadowed(&names, &c->list.items[i]);
	hash_fini(&names);
	for (size_t i = 0; i < c->list.count; i++)
		if (!visit_one(frame, &c->list.items[i], shadowed[i], visit, context))
			break;
}

struct strobe_error *strobe_frame_variables(const struct strobe_stack *stack, size_t frame_index,
					    strobe_variable_visit visit, void *context)
{
	if (frame_index >= stack->entries.count)
		return error_new(STROBE_ERROR_INVALID, "no frame %zu; the stack has %zu", frame_index,
				 stack->entries.count);
	struct place_frame frame;
	struct collection c = {0};
	place_frame_init(&frame, stack->symbols, stack, frame_index);
	if (!frame.scope)
		return NULL;
	uint64_t bias = frame.scope->unit->module->module->bias;
	scope_variables(frame.scope, frame.physical->lookup_pc - bias, collect, &c);
	bool *shadowed = calloc(c.list.count + 1, sizeof(*shadowed));
	c.failed |= !shadowed;
	if (!c.failed)
		visit_all(&frame, &c, shadowed, visit, context);
	free(shadowed);
	array_fini(&c.list);
	return c.failed ? error_no_memory() : NULL;
}
