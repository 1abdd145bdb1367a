// SPDX-License-Identifier: Apache-2.0
// Calls and lines: where they began, how they end.
#include <stdio.h>
#include <string.h>

#include "tracepoint/handler_state.h"

/** Named limits: calls and lines that are open at once; variables that are compared. */
enum { OPEN_LIMIT = 10000, COMPARE_LIMIT = 10000, COMPARE_DEPTH = 16 };

/** How one ended. */
struct ending {
	const char *how; // attribute "end"; NULL = by a return, or by coming to another line
	bool has_frame;	 // it can be looked at
	bool thrown;	 // by what the event brings
};

static const char *intern(struct handler *handler, const char *name)
{
	uint64_t key = name ? hash_bytes(name, strlen(name)) : 0;
	char *known = name ? hash_get(&handler->functions, key) : NULL;
	if (!known && name && (known = arena_strdup(&handler->arena, name)))
		(void)hash_put(&handler->functions, key, known);
	return known;
}

void handler_open_call(struct handler *handler, struct entry *entry, const struct event *event,
		       const char *context, struct result *snapshot)
{
	struct open_call call = {.entry = entry,
				 .pid = event->pid,
				 .tid = event->tid,
				 .function = intern(handler, event->function),
				 .frame = event->frame,
				 .start_ns = event->time_ns,
				 .start_wall_ns = event->wall_ns,
				 .snapshot = snapshot};
	memcpy(call.context, context, sizeof(call.context));
	snprintf(call.thread_name, sizeof(call.thread_name), "%s",
		 event->thread_name ? event->thread_name : "");
	if (handler->open.count >= OPEN_LIMIT || !array_push(&handler->open, call)) {
		entry->dropped++;
		result_free(snapshot);
	}
}

static void add_ending(struct result *result, const struct event *event,
		       const struct ending *ending)
{
	const char *type = NULL, *what = NULL;
	if (ending->how)
		handler_add_attribute(result, "end", ending->how);
	if (!ending->thrown || !event->ops ||
	    !event->ops->thrown(event->scope, &result->arena, &type, &what))
		return;
	handler_add_attribute(result, "exception.type", type);
	if (what)
		handler_add_attribute(result, "exception.message", what);
}

/** A call's is its function's, a line's FILE#LINE. */
static const char *span_name(struct result *result, const struct open_call *call)
{
	const struct tracepoint_config *config = call->entry->config;
	if (config->span == SPAN_LINE)
		return arena_printf(&result->arena, "%s#%u", config->path, config->line);
	return arena_strdup(&result->arena, call->function ? call->function : config->id);
}

static void give_span(struct handler *handler, const struct open_call *call,
		      const struct event *event, const struct ending *ending)
{
	struct result *result =
		handler_begin_result(handler, call->entry, event, call->context, RESULT_SPAN);
	if (!result) {
		call->entry->dropped++;
		return;
	}
	result->time_ns = call->start_wall_ns;
	result->duration_ns = event->time_ns - call->start_ns;
	result->span_name = span_name(result, call);
	handler_make_id(result->span_id, 8);
	memcpy(result->trace_id, call->context, sizeof(result->trace_id));
	handler_add_attribute(result, "dynamic", "strobe");
	add_ending(result, event, ending);
	handler_give(handler, call->entry, result);
}

// What a line changed.

/** Two states of a frame, being compared. */
struct comparison {
	struct result *before;
	const struct result *after;
	unsigned steps;
	struct hash copies; // of ids of `after`, in `before`
};

static const struct result_variable *variable(const struct result *result, uint32_t id)
{
	return id && id <= result->variables.count ? &result->variables.items[id - 1] : NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same(struct comparison *comparison, uint32_t before, uint32_t after, unsigned depth)
{
	const struct result_variable *a = variable(comparison->before, before),
				     *b = variable(comparison->after, after);
	if (!a || !b || depth == COMPARE_DEPTH || ++comparison->steps > COMPARE_LIMIT)
		return true;
	if (a->state != b->state || !same_text(a->type, b->type) || !same_text(a->value, b->value))
		return false;
	size_t count =
		a->children.count < b->children.count ? a->children.count : b->children.count;
	// Where one was cut short by a limit, the others are not compared.
	if (a->children.count != b->children.count && !a->truncated && !b->truncated)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!same_text(a->children.items[i].name, b->children.items[i].name) ||
		    !same(comparison, a->children.items[i].id, b->children.items[i].id, depth + 1))
			return false;
	return true;
}

static struct variable_name copy_name(struct result *to, const struct variable_name *from,
				      uint32_t id)
{
	struct variable_name ret = *from;
	ret.id = id;
	ret.name = arena_strdup(&to->arena, from->name);
	return ret;
}

/** A variable of `after` with what it holds, in `before`; its id there, 0 past the limits. */
static uint32_t copy_variable(struct comparison *comparison, uint32_t id, unsigned depth)
{
	struct result *to = comparison->before;
	const struct result_variable *from = variable(comparison->after, id);
	uintptr_t known = (uintptr_t)hash_get(&comparison->copies, id);
	if (known || !from)
		return (uint32_t)known;
	if (depth == COMPARE_DEPTH || to->variables.count >= to->config->limits.max_variables)
		return 0;
	struct result_variable copy = {.type = arena_strdup(&to->arena, from->type),
				       .value = arena_strdup(&to->arena, from->value),
				       .identity = from->identity,
				       .truncated = from->truncated,
				       .state = from->state};
	uint32_t ret = (uint32_t)to->variables.count + 1;
	if (!copy.type || !copy.value || !array_push(&to->variables, copy) ||
	    !hash_put(&comparison->copies, id, (void *)(uintptr_t)ret))
		return 0;
	for (size_t i = 0; i < from->children.count; i++) {
		const struct variable_name *child = &from->children.items[i];
		uint32_t copied = copy_variable(comparison, child->id, depth + 1);
		struct variable_name name = copy_name(to, child, copied);
		// The array may have moved.
		struct result_variable *parent = &to->variables.items[ret - 1];
		if (!copied || !name.name || !array_push(&parent->children, name)) {
			to->variables.items[ret - 1].truncated = true;
			break;
		}
	}
	return ret;
}

static uint32_t find_name(const struct result_frame *frame, const char *name, size_t *from)
{
	for (size_t i = 0; i < frame->variables.count; i++)
		if (i >= *from && same_text(frame->variables.items[i].name, name)) {
			*from = i + 1;
			return frame->variables.items[i].id;
		}
	return 0;
}

/** Adds, for each variable of the frame that is another now, what it is now. */
static void add_changes(struct handler *handler, const struct open_call *call,
			const struct event *event, struct result *result)
{
	struct tracepoint_config here = *call->entry->config;
	struct comparison comparison = {.before = result};
	here.stack_type = STACK_NO;
	here.frame_type = FRAME_SINGLE;
	if (call->entry->config->frame_type == FRAME_NO || !result->frames.count)
		return;
	struct result *now =
		handler_begin_result(handler, call->entry, event, call->context, RESULT_SNAPSHOT);
	if (now && event->ops->frames(event->scope, &here, now) && now->frames.count) {
		const struct result_frame *after = &now->frames.items[0];
		comparison.after = now;
		for (size_t i = 0; i < after->variables.count; i++) {
			const struct variable_name *name = &after->variables.items[i];
			// Of variables of one name, inner and outer blocks', the first is compared with the first.
			size_t from = 0, other = 0;
			while (find_name(after, name->name, &from) && from <= i)
				find_name(&result->frames.items[0], name->name, &other);
			uint32_t was = find_name(&result->frames.items[0], name->name, &other);
			if (was && same(&comparison, was, name->id, 0))
				continue;
			uint32_t id = copy_variable(&comparison, name->id, 0);
			struct result_watch watch = {.source = WATCH_CAPTURE,
						     .value = copy_name(result, name, id)};
			watch.expression = watch.value.name;
			if (id && watch.expression)
				(void)array_push(&result->watches, watch);
		}
	}
	hash_fini(&comparison.copies);
	result_free(now);
}

/** The snapshot of one that has ended, which is collected now if that can be and was not done when it began. */
static struct result *finish_snapshot(struct handler *handler, struct open_call *call,
				      const struct event *event, const struct ending *ending)
{
	struct result *result = call->snapshot;
	call->snapshot = NULL;
	if (!result && !ending->has_frame)
		result = handler_begin_result(handler, call->entry, event, call->context,
					      RESULT_SNAPSHOT);
	if (!result)
		result = handler_collect(handler, call->entry, event, call->context);
	if (!result)
		return NULL;
	result->duration_ns = event->time_ns - call->start_ns;
	add_ending(result, event, ending);
	return result;
}

/** What one that has ended gives. */
static void end_call(struct handler *handler, struct open_call *call, const struct event *event,
		     const struct ending *ending)
{
	const struct tracepoint_config *config = call->entry->config;
	if (config->span != SPAN_NONE)
		give_span(handler, call, event, ending);
	if (ending->has_frame && config_is_of_end(config))
		handler_give_small(handler, call->entry, event, call->context);
	if (!config->collect || (!config_is_of_end(config) && !config_captures(config))) {
		result_free(call->snapshot);
		return;
	}
	struct result *result = finish_snapshot(handler, call, event, ending);
	if (!result) {
		call->entry->dropped++;
		return;
	}
	if (config->stage == STAGE_LINE_CAPTURE && ending->has_frame)
		add_changes(handler, call, event, result);
	if (ending->thrown || (!ending->how && config->stage == STAGE_METHOD_CAPTURE))
		handler_add_outcome(call->entry, event, result);
	handler_give(handler, call->entry, result);
}

static struct open_call take_call(struct handler *handler, size_t index)
{
	struct open_call ret = handler->open.items[index];
	memmove(&handler->open.items[index], &handler->open.items[index + 1],
		(--handler->open.count - index) * sizeof(ret));
	return ret;
}

/** One that nobody saw end: it ends at this time, for this reason. */
static void give_up_call(struct handler *handler, size_t index, int64_t time_ns, const char *how)
{
	struct open_call call = take_call(handler, index);
	struct ending ending = {.how = how};
	struct event event = {.kind = EVENT_RETURN,
			      .pid = call.pid,
			      .tid = call.tid,
			      .thread_name = call.thread_name,
			      .time_ns = time_ns,
			      .wall_ns = call.start_wall_ns + (time_ns - call.start_ns),
			      .frame = call.frame,
			      .function = call.function};
	end_call(handler, &call, &event, &ending);
}

static const char *left(const struct open_call *call)
{
	return config_is_method(call->entry->config) ? "left without a return"
						     : "left without reaching its end";
}

/** The last that this tracepoint has open in the event's frame; SIZE_MAX: none. */
static size_t find_call(const struct handler *handler, const struct event *event,
			const struct entry *entry)
{
	size_t index = handler->open.count;
	while (index-- > 0) {
		const struct open_call *call = &handler->open.items[index];
		if (call->tid == event->tid && call->frame == event->frame && call->entry == entry)
			break;
	}
	return index;
}

void handler_end_calls(struct handler *handler, const struct event *event,
		       const struct entry *entry)
{
	struct ending ending = {.how = event->how, .has_frame = !event->how};
	size_t index = find_call(handler, event, entry);
	if (index == SIZE_MAX)
		return;
	// Those that began within it never will: they are further down the stack. Not what began before: that is on another
	// stack, of a signal handler say.
	for (size_t i = handler->open.count; i-- > index + 1;)
		if (handler->open.items[i].tid == event->tid &&
		    handler->open.items[i].frame < event->frame)
			give_up_call(handler, i, event->time_ns, left(&handler->open.items[i]));
	struct open_call ended = take_call(handler, index);
	end_call(handler, &ended, event, &ending);
}

void handler_leave_calls(struct handler *handler, const struct event *event,
			 const struct entry *entry)
{
	// A line of which all of a loop is comes to its beginning again and again: each round is one.
	if (event->kind == EVENT_LINE && event->repeats) {
		handler_end_calls(handler, event, entry);
		return;
	}
	for (size_t i = handler->open.count; i-- > 0;)
		if (handler->open.items[i].tid == event->tid &&
		    handler->open.items[i].frame == event->frame &&
		    handler->open.items[i].entry == entry)
			give_up_call(handler, i, event->time_ns, left(&handler->open.items[i]));
}

void handler_unwind(struct handler *handler, const struct event *event, uint64_t from, uint64_t to,
		    uint64_t landing)
{
	struct ending ending = {.how = "exception", .thrown = true};
	for (size_t i = handler->open.count; i-- > 0;) {
		const struct open_call *call = &handler->open.items[i];
		bool passed = call->frame > from && call->frame <= to;
		bool caught = call->frame == landing && !config_is_method(call->entry->config);
		if (call->tid != event->tid || (!passed && !caught))
			continue;
		struct open_call ended = take_call(handler, i);
		ending.has_frame = event->ops->enter(event->scope, ended.frame);
		end_call(handler, &ended, event, &ending);
	}
}

bool handler_awaits(const struct handler *handler, int tid, uint64_t frame)
{
	for (size_t i = handler->open.count; i-- > 0;)
		if (handler->open.items[i].tid == tid &&
		    (!frame || handler->open.items[i].frame == frame))
			return true;
	return false;
}

void handler_give_up(struct handler *handler, const struct entry *entry, int64_t time_ns)
{
	for (size_t i = handler->open.count; i-- > 0;)
		if (handler->open.items[i].entry == entry)
			give_up_call(handler, i, time_ns, "the tracepoint was removed");
}

void handler_thread_end(struct handler *handler, int tid, int64_t time_ns)
{
	for (size_t i = handler->open.count; i-- > 0;)
		if (tid == 0 || handler->open.items[i].tid == tid)
			give_up_call(handler, i, time_ns,
				     tid ? "its thread ended" : "the session ended");
}

void handler_miss_threads(struct handler *handler, bool (*lives)(void *context, int tid),
			  void *context, int64_t time_ns)
{
	for (size_t i = handler->open.count; i-- > 0;) {
		struct open_call *call = &handler->open.items[i];
		if (lives(context, call->tid))
			continue;
		if (call->was_missed)
			give_up_call(handler, i, time_ns, "its thread ended");
		else
			call->was_missed = true;
	}
}
