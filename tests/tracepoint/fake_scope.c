// SPDX-License-Identifier: Apache-2.0
#include "fake_scope.h"

#include <stdio.h>
#include <string.h>

enum { ARGUMENTS_MAX = 20 };

static bool evaluate(const struct fake_scope *scope, const char *expression, double *ret,
		     const char **why)
{
	char *end;
	double value = strtod(expression, &end);
	if (end != expression && !*end) {
		*ret = value;
		return true;
	}
	if (strcmp(expression, "n") == 0) {
		*ret = (double)scope->n;
		return true;
	}
	if (strncmp(expression, "n>", 2) == 0) {
		*ret = scope->n > atol(expression + 2);
		return true;
	}
	*why = "no such variable";
	return false;
}

static bool truth(void *context, const char *expression, bool *ret, struct arena *arena,
		  const char **why)
{
	double value;
	(void)arena;
	if (!evaluate(context, expression, &value, why))
		return false;
	*ret = value != 0;
	return true;
}

static bool number(void *context, const char *expression, double *ret, struct arena *arena,
		   const char **why)
{
	(void)arena;
	return evaluate(context, expression, ret, why);
}

static bool text(void *context, const char *expression, const struct config_limits *limits,
		 struct arena *arena, const char **ret, const char **why)
{
	double value;
	(void)limits;
	if (!evaluate(context, expression, &value, why))
		return false;
	*ret = arena_printf(arena, "%.15g", value);
	*why = "out of memory";
	return *ret != NULL;
}

static uint32_t add_variable(struct result *result, double value)
{
	struct result_variable variable = {.type = "long",
					   .value = arena_printf(&result->arena, "%.15g", value)};
	return variable.value && array_push(&result->variables, variable)
		       ? (uint32_t)result->variables.count
		       : 0;
}

static bool watch(void *context, const char *expression, const struct config_limits *limits,
		  struct result *result, struct variable_name *ret, const char **why)
{
	double value;
	(void)limits;
	if (!evaluate(context, expression, &value, why))
		return false;
	ret->name = expression;
	*why = "out of memory";
	return (ret->id = add_variable(result, value)) != 0;
}

static bool frames(void *context, const struct tracepoint_config *config, struct result *result)
{
	struct fake_scope *scope = context;
	struct result_frame frame = {.function = "f", .file = "/src/a.c", .short_path = "a.c"};
	struct variable_name name = {.name = "n"};
	scope->frames_collected++;
	if (config->frame_type == FRAME_NO)
		return array_push(&result->frames, frame);
	name.id = add_variable(result, (double)scope->n);
	if (!name.id || !array_push(&frame.variables, name))
		return false;
	if (array_push(&result->frames, frame))
		return true;
	array_fini(&frame.variables);
	return false;
}

static bool outcome(void *context, const struct config_limits *limits, struct result *result,
		    struct variable_name *ret)
{
	const struct fake_scope *scope = context;
	(void)limits;
	ret->name = scope->thrown ? "exception" : "return";
	return (ret->id = add_variable(result, (double)scope->returned)) != 0;
}

static bool enter(void *context, uint64_t frame)
{
	struct fake_scope *scope = context;
	scope->entered = frame;
	return frame != scope->not_on_stack;
}

static bool thrown(void *context, struct arena *arena, const char **type, const char **what)
{
	const struct fake_scope *scope = context;
	*type = scope->thrown;
	*what = arena_strdup(arena, "what happened");
	return scope->thrown != NULL;
}

const struct scope_ops fake_scope_ops = {.truth = truth,
					 .number = number,
					 .text = text,
					 .watch = watch,
					 .frames = frames,
					 .outcome = outcome,
					 .enter = enter,
					 .thrown = thrown};

static void give(void *context, struct result *result)
{
	struct fake_world *world = context;
	if (world->count < sizeof(world->results) / sizeof(world->results[0]))
		world->results[world->count++] = result;
	else
		result_free(result);
}

static void enabled(void *context, const struct tracepoint_config *config, bool on)
{
	struct fake_world *world = context;
	size_t size = strlen(world->switched);
	snprintf(world->switched + size, sizeof(world->switched) - size, "%s%c ", config->id,
		 on ? '+' : '-');
}

static bool hold(void *context, const struct event *event, const char *name, const char **why)
{
	struct fake_world *world = context;
	(void)event;
	world->holds++;
	snprintf(world->held, sizeof(world->held), "%s", name);
	if (world->hold_fails)
		*why = world->hold_fails;
	return !world->hold_fails;
}

struct handler_actions fake_actions(struct fake_world *world)
{
	return (struct handler_actions){
		.context = world, .hold = hold, .enabled = enabled, .give = give};
}

void fake_begin(struct fake_world *world)
{
	struct handler_actions actions = fake_actions(world);
	struct strobe_error *error = handler_new(&actions, NULL, &world->handler);
	if (error)
		abort();
}

void fake_end(struct fake_world *world)
{
	for (size_t i = 0; i < world->count; i++)
		result_free(world->results[i]);
	world->count = 0;
	world->handler = handler_free(world->handler);
}

struct tracepoint_config *fake_add(struct fake_world *world, const char *id,
				   const char *const *arguments)
{
	struct strobe_pair pairs[ARGUMENTS_MAX];
	char names[ARGUMENTS_MAX][100];
	const char *watches[ARGUMENTS_MAX];
	struct strobe_tracepoint_metric metrics[ARGUMENTS_MAX] = {0};
	struct strobe_tracepoint written = {.size = sizeof(written),
					    .id = id,
					    .path = "a.c",
					    .line = 1,
					    .arguments = pairs,
					    .watches = watches,
					    .metrics = metrics};
	struct tracepoint_config *config = NULL;
	for (unsigned i = 0; arguments[i] && i < ARGUMENTS_MAX; i++) {
		const char *value = strchr(arguments[i], '=') + 1;
		snprintf(names[i], sizeof(names[i]), "%.*s", (int)(value - 1 - arguments[i]),
			 arguments[i]);
		if (strcmp(names[i], "w") == 0)
			watches[written.watch_count++] = value;
		else if (strcmp(names[i], "m") == 0)
			metrics[written.metric_count++] = (struct strobe_tracepoint_metric){
				.name = "metric", .expression = *value ? value : NULL};
		else
			pairs[written.argument_count++] = (struct strobe_pair){names[i], value};
	}
	struct strobe_error *error = config_new(&written, "test", &config);
	if (!error)
		error = handler_add(world->handler, config);
	if (error) {
		printf("# %s\n", strobe_error_message(error));
		abort();
	}
	return config;
}

struct event fake_event(struct fake_world *world, enum event_kind kind, int tid, int64_t time_ns,
			uint64_t frame)
{
	return (struct event){.kind = kind,
			      .pid = 100,
			      .tid = tid,
			      .thread_name = "worker",
			      .time_ns = time_ns,
			      .wall_ns = INT64_C(1700000000000000000) + time_ns,
			      .frame = frame,
			      .file = "a.c",
			      .function = "f",
			      .line = 1,
			      .ops = &fake_scope_ops,
			      .scope = &world->scope};
}

size_t fake_results(const struct fake_world *world, enum result_kind kind, const char *id)
{
	size_t count = 0;
	for (size_t i = 0; i < world->count; i++)
		count += world->results[i]->kind == kind &&
			 strcmp(world->results[i]->config->id, id) == 0;
	return count;
}

const char *fake_attribute(const struct result *result, const char *key)
{
	for (size_t i = 0; i < result->attributes.count; i++)
		if (strcmp(result->attributes.items[i].key, key) == 0)
			return result->attributes.items[i].value;
	return NULL;
}
