// SPDX-License-Identifier: Apache-2.0
// Exceptions on their way: what they leave ends, and those that are about them are told.
#include <stdlib.h>
#include <string.h>
#include <strobe/stack.h>

#include "tracepoint/program.h"
#include "watch/watch.h"

/** DWARF's numbers of the registers in which a personality routine gets what it is to do, and the exception's header. */
enum { ACTIONS = 4, HEADER = 2 };

static struct probe_program *make(const struct program_step *steps, uint32_t count, uint32_t stack)
{
	struct probe_program *program = malloc(sizeof(*program) + count * sizeof(*steps));
	if (!program)
		return NULL;
	program->count = count;
	program->stack = stack;
	memcpy(program->steps, steps, count * sizeof(*steps));
	return program;
}

struct probe_program *watch_exception_condition(void)
{
	// The cleanup phase (2), not forced (8).
	static const struct program_step steps[] = {
		{.op = OP_REGISTER, .a = ACTIONS},
		{.op = OP_CONST, .value = 10},
		{.op = OP_AND},
		{.op = OP_CONST, .value = 2},
		{.op = OP_EQ},
		{.op = OP_END},
	};
	return make(steps, sizeof(steps) / sizeof(steps[0]), 2);
}

struct probe_program *watch_exception_copies(void)
{
	// The C++ header, which ends with the unwinder's, and the object behind that; what the object's second word points to:
	// the text of a std::runtime_error; and its std::type_info.
	static const struct program_step steps[] = {
		{.op = OP_REGISTER, .a = HEADER},
		{.op = OP_CONST, .value = (uint64_t)-112},
		{.op = OP_ADD},
		{.op = OP_CONST, .value = 256},
		{.op = OP_COPY, .value = 256},
		{.op = OP_REGISTER, .a = HEADER},
		{.op = OP_CONST, .value = 40},
		{.op = OP_ADD},
		{.op = OP_LOAD, .a = 8},
		{.op = OP_CONST, .value = 256},
		{.op = OP_COPY, .value = 256},
		{.op = OP_END},
	};
	return make(steps, sizeof(steps) / sizeof(steps[0]), 2);
}

static struct watch_raise *find_raise(struct strobe_watch *watch, int tid)
{
	for (size_t i = 0; i < watch->raises.count; i++)
		if (watch->raises.items[i].tid == tid)
			return &watch->raises.items[i];
	return NULL;
}

void watch_raise(struct strobe_watch *watch, const struct engine_hit *hit)
{
	enum { RAISE_LIMIT = 10000 };
	struct watch_raise raise = {hit->tid, hit->regs.rdi, false}, *known;
	if ((known = find_raise(watch, hit->tid)) != NULL)
		*known = raise;
	else if (watch->raises.count < RAISE_LIMIT)
		(void)array_push(&watch->raises, raise);
}

/** Is this the first that is seen of it? The unwinder asks frame by frame. */
static bool is_new(struct strobe_watch *watch, int tid, uint64_t header)
{
	struct watch_raise *raise = find_raise(watch, tid);
	if (!raise || raise->header != header || raise->told)
		return false;
	raise->told = true;
	return true;
}

void watch_exception(struct strobe_watch *watch, const struct watch_place *place,
		     struct native_scope *scope, struct event *event)
{
	struct native_unwinding unwinding;
	struct strobe_frame frame;
	if (!native_scope_unwinds(scope, &unwinding))
		return;
	event->kind = EVENT_EXCEPTION;
	event->frame = 0;
	bool first = is_new(watch, event->tid, unwinding.header);
	for (size_t i = 0; first && i < place->roles.count; i++) {
		struct tracepoint_config *config = place->roles.items[i].config;
		if (place->roles.items[i].leave != LEAVE_UNWIND ||
		    !config_is_of_exceptions(config) ||
		    !native_scope_comes_through(scope, &unwinding, config, &frame))
			continue;
		event->function = frame.function;
		event->file = frame.file;
		event->line = frame.line;
		handler_event(watch->handler, event, &config, 1, 0);
	}
	handler_unwind(watch->handler, event, unwinding.from, unwinding.to, unwinding.landing);
}
