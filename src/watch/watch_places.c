// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <unistd.h>

#include "base/error.h"
#include "tracepoint/compile.h"
#include "watch/watch.h"

enum { STACK_BYTES = 8192, STACK_BYTES_ALL = 32768 };

static void free_place(struct watch_place *place)
{
	array_fini(&place->roles);
	free(place->file);
	free(place->function);
	free(place);
}

static size_t find_place(struct strobe_watch *watch, uint64_t address)
{
	for (size_t i = 0; i < watch->places.count; i++)
		if (watch->places.items[i] && watch->places.items[i]->address == address)
			return i;
	return SIZE_MAX;
}

/** The place, made if it is new; SIZE_MAX when memory is short. */
static size_t get_place(struct strobe_watch *watch, const struct native_place *from)
{
	size_t index = find_place(watch, from->address);
	if (index != SIZE_MAX)
		return index;
	struct watch_place *place = calloc(1, sizeof(*place));
	if (!place)
		return SIZE_MAX;
	*place = (struct watch_place){.address = from->address,
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

/** A word of the process's memory; 0 if it cannot be read. */
static uint64_t read_word(const struct strobe_watch *watch, uint64_t address)
{
	uint64_t word = 0;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", watch->pid);
	int memory = open(path, O_RDONLY | O_CLOEXEC); // of the program that it executes now
	ssize_t size = memory < 0 ? -1 : pread(memory, &word, sizeof(word), (off_t)address);
	if (memory >= 0)
		close(memory);
	return size > 0 ? word : 0;
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

/** Beginnings are matched with ends by the order of hits, which holds within one engine: that which takes every place. */
static bool needs_order(const struct watch_place *place)
{
	for (size_t i = 0; i < place->roles.count; i++)
		if (place->roles.items[i].kind == EVENT_EXCEPTION ||
		    config_waits_for_end(place->roles.items[i].config))
			return true;
	return false;
}

/** What is done to the whole process at a hit is done sooner by uprobes: they wake us, while jumps are looked after every few ms. */
static bool needs_haste(const struct watch_place *place)
{
	for (size_t i = 0; i < place->roles.count; i++) {
		const struct tracepoint_config *config = place->roles.items[i].config;
		if (config->hold || config->snap || config->record)
			return true;
	}
	return false;
}

static bool is_end(const struct watch_role *role)
{
	return role->kind == EVENT_RETURN || role->kind == EVENT_LINE_END;
}

/** Does a function give its frame up there, which somebody looks at still? */
static bool leaves(const struct watch_place *place)
{
	for (size_t i = 0; i < place->roles.count; i++)
		if (is_end(&place->roles.items[i]) &&
		    place->roles.items[i].leave != LEAVE_STATEMENT)
			return true;
	return false;
}

/** A tracepoint that fires once in a period needs few of its hits: those that come sooner after one than a hundredth of it are only counted,
 *  where nothing else looks at them. */
static int64_t pause_of(const struct watch_place *place, const struct tracepoint_config *config,
			bool evaluated)
{
	bool alone = place->roles.count == 1 && !config_waits_for_end(config) &&
		     (place->roles.items[0].kind == EVENT_LINE ||
		      place->roles.items[0].kind == EVENT_CALL);
	bool plain = config->sample >= 1 && config->thread_fire_count < 0 &&
		     config->value_fire_count < 0 && !config->keep_last && !config->keep_until;
	return alone && plain && (evaluated || !config->condition) ? config->fire_period_ns / 100
								   : 0;
}

static bool is_about_exceptions(const struct watch_place *place, enum native_leave leave)
{
	for (size_t i = 0; i < place->roles.count; i++)
		if (place->roles.items[i].kind == EVENT_EXCEPTION &&
		    place->roles.items[i].leave == leave)
			return true;
	return false;
}

/** Is it over its budget? */
static bool is_counted(const struct strobe_watch *watch, const struct tracepoint_config *config)
{
	for (size_t i = 0; i < watch->entries.count; i++)
		if (watch->entries.items[i]->config == config)
			return watch->entries.items[i]->budget.level != BUDGET_FREE;
	return false;
}

/** As much of the stack as the one wants that wants most; one that is only counted wants none. */
static uint32_t wanted_stack(const struct strobe_watch *watch, const struct watch_place *place)
{
	uint32_t most = 0;
	for (size_t i = 0; i < place->roles.count; i++) {
		const struct watch_role *role = &place->roles.items[i];
		uint32_t bytes = role->kind == EVENT_EXCEPTION
					 ? role->leave == LEAVE_UNWIND ? STACK_BYTES_ALL : 0
				 : is_counted(watch, role->config)	 ? 0
				 : role->config->stack_type == STACK_NO	 ? 1024
				 : role->config->frame_type == FRAME_ALL ? STACK_BYTES_ALL
									 : STACK_BYTES;
		most = bytes > most ? bytes : most;
	}
	return most;
}

/** Somebody else's jump: when a uprobe there is taken away, the kernel writes back the first byte of the file's instruction, and leaves the rest of the
 *  jump. */
static bool is_others_jump(const struct strobe_watch *watch, uint64_t address)
{
	enum { JUMP = 0xe9, JUMP_SIZE = 5 };
	uint8_t in_file[JUMP_SIZE], now[8];
	uint64_t word = read_word(watch, address);
	memcpy(now, &word, sizeof(now));
	if (now[0] != JUMP)
		return false;
	// Code is read from files in this view.
	const struct strobe_view *view =
		strobe_symbols_view(native_program_symbols(watch->program));
	return strobe_memory_read(view, address, in_file, JUMP_SIZE) == JUMP_SIZE &&
	       memcmp(now, in_file, JUMP_SIZE) != 0;
}

/** The first engine that takes it; the agent only if it may. One that fails as a whole is left. */
static struct strobe_error *try_engines(struct strobe_watch *watch, struct watch_place *place,
					bool agent, const struct probe_request *request,
					struct probe_answer *answer)
{
	enum { TRIES = 2 };
	struct strobe_error *error = agent ? watch_have_agent(watch, &agent) : NULL;
	for (unsigned i = 0; i < TRIES && !error && agent; i++) {
		place->engine = 0;
		error = agent_engine.arm(watch->engines[0].engine, request, 1, answer);
		if (!error)
			break;
		error = watch_lose_agent(watch, error);
		if (!error)
			error = watch_have_agent(watch, &agent);
	}
	unsigned uprobes = watch_uprobes(watch);
	if (error || answer->probe)
		return error;
	if (uprobes == watch->engine_count) {
		if (!answer->why[0])
			snprintf(answer->why, sizeof(answer->why),
				 "ends of calls and lines take uprobes, which are not to be had");
		return NULL;
	}
	if (is_others_jump(watch, place->address)) {
		snprintf(answer->why, sizeof(answer->why),
			 "another session's jump is there: use --add on that one, or begin it with "
			 "--engine uprobe (strobe watch --list)");
		return NULL;
	}
	place->engine = uprobes;
	return uprobe_engine.arm(watch->engines[uprobes].engine, request, 1, answer);
}

/** Arms the place at `index` if it is not: by the first engine that takes it. A condition is the engine's to evaluate where no other
 *  tracepoint is there. */
static struct strobe_error *arm_place(struct strobe_watch *watch, struct watch_entry *entry,
				      size_t index)
{
	struct watch_place *place = watch->places.items[index];
	const struct tracepoint_config *config = entry->config;
	bool uprobes = watch_uprobes(watch) < watch->engine_count;
	bool agent = !needs_order(place) && !(uprobes && needs_haste(place));
	const char *why;
	// It is not alone any more, or order matters now: then a jump gives way to a uprobe.
	if (place->probe &&
	    ((place->checked && place->roles.count > 1) ||
	     (!agent && place->engine < watch_uprobes(watch)) || (leaves(place) && !place->below) ||
	     wanted_stack(watch, place) > place->stack_bytes))
		disarm_place(watch, place);
	if (place->probe)
		return NULL;
	struct probe_program *condition = NULL;
	const struct watch_role *only = place->roles.count == 1 ? &place->roles.items[0] : NULL;
	// Ends are matched with all beginnings, also those where the condition is false.
	if (config->condition && only && !config->keep_until && !config_waits_for_end(config) &&
	    only->kind != EVENT_EXCEPTION)
		condition = compile_condition(native_program_symbols(watch->program),
					      config->condition, place->address,
					      config_is_method(config) ? 0 : place->line, &why);
	struct probe_program *copies = NULL;
	if (is_about_exceptions(place, LEAVE_UNWIND)) {
		condition = watch_exception_condition();
		copies = watch_exception_copies();
	}
	struct probe_request request = {
		.kind = PROBE_AT,
		.address = place->address,
		.cookie = (uint32_t)index + 1,
		.below = leaves(place),
		.condition = condition,
		.pause_ns = pause_of(place, config, condition != NULL),
		.copies = copies,
		.stack_bytes = wanted_stack(watch, place),
	};
	struct probe_answer answer = {0};
	struct strobe_error *error = try_engines(watch, place, agent, &request, &answer);
	place->checked = (condition || request.pause_ns) && !copies ? config : NULL;
	free(condition);
	free(copies);
	if (error)
		return error;
	place->probe = answer.probe;
	place->method = answer.method;
	place->below = request.below;
	place->stack_bytes = request.stack_bytes;
	place->stands = answer.probe ? read_word(watch, place->address) : 0;
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
	(void)array_push(&entry->armed, armed);
}

/** Adds what the place is to the tracepoint, ends before beginnings: one that is both ends the line before it begins the next. */
static bool add_role(struct watch_place *place, const struct native_place *from,
		     struct tracepoint_config *config)
{
	bool method = config_is_method(config), unwind = from->leave >= LEAVE_UNWIND;
	struct watch_role role = {.config = config,
				  .kind = unwind	 ? EVENT_EXCEPTION
					  : from->is_end ? method ? EVENT_RETURN : EVENT_LINE_END
					  : method	 ? EVENT_CALL
							 : EVENT_LINE,
				  .leave = from->leave,
				  .repeats = from->repeats};
	size_t at = place->roles.count;
	for (size_t i = 0; i < place->roles.count; i++)
		if (place->roles.items[i].config == config &&
		    place->roles.items[i].kind == role.kind &&
		    (!unwind || place->roles.items[i].leave == role.leave)) {
			// Two copies of the line end in one place, or it is where it was before.
			place->roles.items[i].stale = false;
			return true;
		}
	if (!array_push(&place->roles, role))
		return false;
	while (is_end(&role) && at > 0 && !is_end(&place->roles.items[at - 1])) {
		place->roles.items[at] = place->roles.items[at - 1];
		place->roles.items[--at] = role;
	}
	return true;
}

static struct strobe_error *arm_entry(struct strobe_watch *watch, struct watch_entry *entry)
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
		    !add_role(watch->places.items[index], &places[i], entry->config))
			return error_no_memory();
		error = arm_place(watch, entry, index);
		if (!error && watch->places.items[index]->probe && !places[i].is_end)
			tell_armed(entry, watch->places.items[index], places[i].inlined_in);
	}
	return error;
}

/** Arms those that are on; again, if the agent was lost meanwhile. */
static struct strobe_error *arm_all(struct strobe_watch *watch)
{
	enum { TRIES = 3 };
	struct strobe_error *error = NULL;
	for (unsigned tries = 0; tries < TRIES && !error; tries++) {
		watch->lost = false;
		for (size_t i = 0; i < watch->entries.count && !error; i++)
			if (watch_is_on(watch->entries.items[i]))
				error = arm_entry(watch, watch->entries.items[i]);
		if (!watch->lost)
			break;
	}
	return error;
}

struct strobe_error *watch_arm(struct strobe_watch *watch, struct watch_entry *entry)
{
	struct strobe_error *error = arm_entry(watch, entry);
	return error || !watch->lost ? error : arm_all(watch);
}

/** Takes roles away: those of `config`, or those that are stale. */
static void drop_roles(struct watch_place *place, const struct tracepoint_config *config)
{
	for (size_t i = place->roles.count; i-- > 0;)
		if (config ? place->roles.items[i].config == config : place->roles.items[i].stale)
			memmove(&place->roles.items[i], &place->roles.items[i + 1],
				(--place->roles.count - i) * sizeof(*place->roles.items));
}

static void drop_everywhere(struct strobe_watch *watch, const struct tracepoint_config *config)
{
	for (size_t i = 0; i < watch->places.count; i++) {
		struct watch_place *place = watch->places.items[i];
		if (!place)
			continue;
		drop_roles(place, config);
		if (place->roles.count)
			continue;
		disarm_place(watch, place);
		free_place(place);
		watch->places.items[i] = NULL;
	}
}

void watch_disarm(struct strobe_watch *watch, struct watch_entry *entry)
{
	drop_everywhere(watch, entry->config);
	entry->armed.count = 0;
}

/** Whether it still is there is to be seen. A jump may have gone with its module, though another one is there now. Of a process that has just
 *  ended nothing can be read, and its last hits are on their way. */
static void doubt(struct strobe_watch *watch, struct watch_place *place)
{
	for (size_t i = 0; i < place->roles.count; i++)
		place->roles.items[i].stale = true;
	uint64_t word = place->probe ? read_word(watch, place->address) : 0;
	if (word && word != place->stands && watch->engines[place->engine].ops == &agent_engine)
		disarm_place(watch, place);
}

/** A place that is found again stays as it is, with the hits that are on their way. */
struct strobe_error *watch_look_again(struct strobe_watch *watch)
{
	bool changed = false;
	struct strobe_error *error = native_program_refresh(watch->program, &changed);
	if (error || !changed)
		return error;
	for (unsigned i = 0; i < watch->engine_count; i++)
		if (watch->engines[i].engine)
			watch->engines[i].ops->moved(watch->engines[i].engine,
						     native_program_symbols(watch->program));
	for (size_t i = 0; i < watch->places.count; i++)
		if (watch->places.items[i])
			doubt(watch, watch->places.items[i]);
	error = arm_all(watch);
	if (!error)
		drop_everywhere(watch, NULL);
	return error;
}
