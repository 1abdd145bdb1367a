// SPDX-License-Identifier: Apache-2.0
// The variables of a frame.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbols/module.h"
#include "value/place.h"

/** Named limit: variables of one frame. */
enum { FRAME_VARIABLE_LIMIT = 100000 };

/** The variables of a scope at its pc: what is the same in all frames that stand there. Lives as
 *  long as the symbols. */
struct frame_variables {
	size_t count;
	struct frame_variable {
		struct variable variable;
		bool shadowed;
	} items[];
};

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

static void find_shadowed(struct frame_variables *variables)
{
	struct hash names = {0};
	for (int arguments = 0; arguments < 2; arguments++) {
		for (size_t i = 0; i < variables->count; i++) {
			struct frame_variable *item = &variables->items[i];
			if (item->variable.argument == (bool)arguments)
				item->shadowed = is_shadowed(&names, &item->variable);
		}
	}
	hash_fini(&names);
}

static struct frame_variables *make_variables(struct strobe_symbols *symbols,
					      const struct code_scope *scope, uint64_t pc)
{
	struct collection c = {0};
	struct frame_variables *made = NULL;
	scope_variables(scope, pc, collect, &c);
	if (!c.failed)
		made = arena_alloc(&symbols->arena,
				   sizeof(*made) + c.list.count * sizeof(made->items[0]));
	if (made) {
		made->count = c.list.count;
		for (size_t i = 0; i < c.list.count; i++) {
			made->items[i] = (struct frame_variable){.variable = c.list.items[i]};
			variable_prepare(&made->items[i].variable, pc);
		}
		find_shadowed(made);
	}
	array_fini(&c.list);
	return made;
}

/** NULL when memory is short. A scope belongs to one pc, and lives as long as the symbols, too. */
static const struct frame_variables *variables_of(struct strobe_symbols *symbols,
						  const struct code_scope *scope, uint64_t pc)
{
	struct frame_variables *known = hash_get(&symbols->variables_cache, (uintptr_t)scope);
	if (known)
		return known;
	known = make_variables(symbols, scope, pc);
	if (known && !hash_put(&symbols->variables_cache, (uintptr_t)scope, known))
		return NULL;
	return known;
}

static bool visit_one(struct place_frame *frame, const struct frame_variable *item,
		      strobe_variable_visit visit, void *context)
{
	const struct variable *variable = &item->variable;
	struct strobe_variable told = {
		.name = variable->name,
		.kind = variable->argument ? STROBE_VARIABLE_ARGUMENT : STROBE_VARIABLE_LOCAL,
		.line = variable->line,
		.block = variable->block,
		.shadowed = item->shadowed,
		.is_static = variable->is_static,
	};
	struct strobe_value value = place_variable(frame, variable);
	bool more = visit(context, &told, &value);
	value_fini(&value);
	return more;
}

struct strobe_error *strobe_frame_variables(const struct strobe_stack *stack, size_t frame_index,
					    strobe_variable_visit visit, void *context)
{
	if (frame_index >= stack->entries.count)
		return error_new(STROBE_ERROR_INVALID, "no frame %zu; the stack has %zu",
				 frame_index, stack->entries.count);
	struct place_frame frame;
	place_frame_init(&frame, stack->symbols, stack, frame_index);
	if (!frame.scope)
		return NULL;
	uint64_t bias = frame.scope->unit->module->module->bias;
	const struct frame_variables *variables =
		variables_of(stack->symbols, frame.scope, frame.physical->lookup_pc - bias);
	if (!variables)
		return error_no_memory();
	for (size_t i = 0; i < variables->count; i++)
		if (!visit_one(&frame, &variables->items[i], visit, context))
			break;
	return NULL;
}
