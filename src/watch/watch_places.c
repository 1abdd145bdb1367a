// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tracepoint/compile.h"
#include "watch/watch.h"

enum { STACK_BYTES = 8192, STACK_BYTES_ALL = 32768 };

static void free_place(struct watch_place *place)
{
	array_fini(&place->configs);
	free(place->file);
	free(place->function);
	free(place);
}

static size_t find_place(struct strobe_watch *watch, uint64_t address, bool is_return)
{
	for (size_t i = 0; i < watch->places.count; i++)
		if (watch->places.items[i] && watch->places.items[i]->address == address &&
		    watch->places.items[i]->is_return == is_return)
			return i;
	return SIZE_MAX;
}

/** The place, made if it is new; SIZE_MAX when memory is short. */
static size_t get_place(struct strobe_watch *watch, const struct native_place *from)
{
	size_t index = find_place(watch, from->address, from->is_return);
	if (index != SIZE_MAX)
		return index;
	struct watch_place *place = calloc(1, sizeof(*place));
	if (!place)
		return SIZE_MAX;
	*place = (struct watch_place){.address = from->address,
				      .is_return = from->is_return,
				      .file = from->file ? strdup(from->file) : NULL,
				      .function = from->function ? strdup(from->function) : NULL,
				      .line = from->line};
	for (index = 0; index < watch->places.count; index++)
		if (!watch->places.items[index]) {
			watch->places.items[index] = place;
			return index;
		}
	if (array_push(&watch->places, place))
		return index;
	free_place(place);
	return SIZE_MAX;
}

static void say_why(struct watch_entry *entry, const char *why)
{
	if (!entry->why && why && *why)
		entry->why = strdup(why);
}

static void disarm_place(struct strobe_watch *watch, struct watch_place *place)
{
	struct watch_engine *engine = &watch->engines[place->engine];
	if (place->probe)
		engine->ops->disarm(engine->engine, &place->probe, 1);
	place->probe = 0;
	place->checked = NULL;
}

/** Calls are matched with returns by the order of hits, which holds within one engine: that which sees returns. */
static bool needs_order(const struct tracepoint_config *config)
{
	return config->stage >= STAGE_METHOD_END || config->span == SPAN_METHOD;
}

/** A uprobe, also one that waits for a return, may not be where a jump is: the kernel would put back a byte that is not there any
 *  more. What is there goes over to uprobes. */
static struct strobe_error *give_way(struct strobe_watch *watch, const struct watch_place *place,
				     bool uprobe)
{
	for (size_t i = 0; uprobe && watch->engine_count > 1 && i < watch->places.count; i++) {
		struct watch_place *other = watch->places.items[i];
		if (!other || other == place || other->address != place->address || !other->probe ||
		    other->engine != 0)
			continue;
		disarm_place(watch, other);
		struct probe_request request = {.address = other->address,
						.cookie = (uint32_t)i + 1,
						.stack_bytes = STACK_BYTES_ALL};
		struct probe_answer answer;
		struct watch_engine *engine = &watch->engines[watch->engine_count - 1];
		struct strobe_error *error = engine->ops->arm(engine->engine, &request, 1, &answer);
		if (error)
			return error;
		other->engine = watch->engine_count - 1;
		other->probe = answer.probe;
		other->method = answer.method;
	}
	return NULL;
}

/** Arms the place at `index` if it is not: by the first engine that takes it. A condition is the engine's to evaluate where no other
 *  tracepoint is there. */
static struct strobe_error *arm_place(struct strobe_watch *watch, struct watch_entry *entry,
				      size_t index)
{
	struct watch_place *place = watch->places.items[index];
	const struct tracepoint_config *config = entry->config;
	const char *why;
	if (place->probe && place->checked)
		disarm_place(watch, place); // it is not alone any more
	if (place->probe)
		return NULL;
	struct probe_program *condition = NULL;
	if (config->condition && place->configs.count == 1 && !place->is_return &&
	    !config->keep_until)
		condition = compile_condition(
			native_program_symbols(watch->program), config->condition, place->address,
			config->stage >= STAGE_METHOD_START ? 0 : place->line, &why);
	struct probe_request request = {
		.kind = place->is_return ? PROBE_RETURN : PROBE_AT,
		.address = place->address,
		.cookie = (uint32_t)index + 1,
		.condition = condition,
		.stack_bytes = config->stack_type == STACK_NO	 ? 1024
			       : config->frame_type == FRAME_ALL ? STACK_BYTES_ALL
								 : STACK_BYTES,
	};
	struct probe_answer answer = {0};
	struct strobe_error *error = give_way(watch, place, needs_order(config));
	for (unsigned i = needs_order(config) ? watch->engine_count - 1 : 0;
	     i < watch->engine_count && !answer.probe && !error; i++) {
		error = watch->engines[i].ops->arm(watch->engines[i].engine, &request, 1, &answer);
		place->engine = i;
	}
	free(condition);
	if (error)
		return error;
	place->probe = answer.probe;
	place->method = answer.method;
	place->checked = condition ? config : NULL;
	if (!answer.probe)
		say_why(entry, answer.why);
	return NULL;
}

static void tell_armed(struct watch_entry *entry, const struct watch_place *place,
		       const char *inlined_in)
{
	struct strobe_armed armed = {.address = place->address, .method = place->method};
	if (inlined_in && (armed.inlined_in = strdup(inlined_in)) &&
	    !array_push(&entry->strings, (char *)(uintptr_t)armed.inlined_in))
		armed.inlined_in = NULL;
	if (!place->is_return)
		(void)array_push(&entry->armed, armed);
}

struct strobe_error *watch_arm(struct strobe_watch *watch, struct watch_entry *entry)
{
	const struct native_place *places;
	size_t count;
	const char *why;
	free(entry->why);
	entry->why = NULL;
	entry->armed.count = 0;
	struct strobe_error *error = native_places(watch->program, entry->config, &places, &count,
						   &entry->moved_to, &why);
	if (error)
		return error;
	say_why(entry, why);
	for (size_t i = 0; i < count && !error; i++) {
		size_t index = get_place(watch, &places[i]);
		if (index == SIZE_MAX ||
		    !array_push(&watch->places.items[index]->configs, entry->config))
			return error_no_memory();
		error = arm_place(watch, entry, index);
		if (!error && watch->places.items[index]->probe)
			tell_armed(entry, watch->places.items[index], places[i].inlined_in);
	}
	return error;
}

void watch_disarm(struct strobe_watch *watch, struct watch_entry *entry)
{
	for (size_t i = 0; i < watch->places.count; i++) {
		struct watch_place *place = watch->places.items[i];
		if (!place)
			continue;
		for (size_t j = place->configs.count; j-- > 0;)
			if (place->configs.items[j] == entry->config)
				memmove(&place->configs.items[j], &place->configs.items[j + 1],
					(--place->configs.count - j) *
						sizeof(*place->configs.items));
		if (place->configs.count)
			continue;
		disarm_place(watch, place);
		free_place(place);
		watch->places.items[i] = NULL;
	}
	entry->armed.count = 0;
}

struct strobe_error *watch_look_again(struct strobe_watch *watch)
{
	bool changed = false;
	struct strobe_error *error = native_program_refresh(watch->program, &changed);
	if (error || !changed)
		return error;
	for (unsigned i = 0; i < watch->engine_count; i++)
		watch->engines[i].ops->moved(watch->engines[i].engine,
					     native_program_symbols(watch->program));
	for (size_t i = 0; i < watch->entries.count; i++)
		watch_disarm(watch, watch->entries.items[i]);
	for (size_t i = 0; i < watch->entries.count && !error; i++)
		if (watch->entries.items[i]->enabled)
			error = watch_arm(watch, watch->entries.items[i]);
	return error;
}
