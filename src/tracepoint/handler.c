// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/handler.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"

/** Named limits: calls that are open at once; values that are counted apart. */
enum { OPEN_LIMIT = 10000, VALUE_LIMIT = 100000, NS_PER_SECOND = 1000000000 };

/** A call that is waited for to return. */
struct open_call {
	struct entry *entry;
	int pid, tid;
	uint64_t frame;
	int64_t start_ns, start_wall_ns;
	bool was_missed;      // its thread was not there, when it was looked for
	const char *function; // interned
	char thread_name[32];
	char context[33];
	struct result *snapshot; // collected at the call, completed at its end; NULL
};

/** A tracepoint, and how far it is. */
struct entry {
	struct tracepoint_config *config;
	bool enabled, used_up, off;
	int64_t fired, last_fire_ns;
	uint64_t hits, dropped, errors;
	struct hash by_thread, by_value; // counts, as pointers
	ARRAY(struct result *) kept;	 // keep_last; oldest first
	// Of the budget's present second.
	int64_t second;
	uint64_t hits_in_second, bytes_in_second;
	bool counting; // over its budget: nothing is collected
	char why[120];
};

struct handler {
	struct handler_actions actions;
	struct strobe_pair *resource;
	size_t resource_count;
	ARRAY(struct entry *) entries;
	ARRAY(struct open_call) open; // in the order in which they began
	struct hash functions;	      // names of functions that had calls open
	struct arena arena;
	uint64_t sampling; // state of the generator
};

static void make_id(char *ret, size_t bytes)
{
	uint8_t random[16];
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		memset(random, 0, sizeof(random));
	for (size_t i = 0; i < bytes; i++)
		snprintf(ret + 2 * i, 3, "%02x", random[i]);
}

struct strobe_error *handler_new(const struct handler_actions *actions,
				 const struct strobe_watch_options *options, struct handler **ret)
{
	struct handler *handler = calloc(1, sizeof(*handler));
	size_t count = options ? options->resource_count : 0;
	if (!handler)
		return error_no_memory();
	handler->actions = *actions;
	handler->sampling = UINT64_C(0x9e3779b97f4a7c15);
	handler->resource = arena_alloc(&handler->arena, (count + 1) * sizeof(*handler->resource));
	if (!handler->resource) {
		handler_free(handler);
		return error_no_memory();
	}
	for (; handler->resource_count < count; handler->resource_count++)
		handler->resource[handler->resource_count] = (struct strobe_pair){
			arena_strdup(&handler->arena,
				     options->resource[handler->resource_count].name),
			arena_strdup(&handler->arena,
				     options->resource[handler->resource_count].value)};
	*ret = handler;
	return NULL;
}

static void free_entry(struct entry *entry)
{
	for (size_t i = 0; i < entry->kept.count; i++)
		result_free(entry->kept.items[i]);
	array_fini(&entry->kept);
	hash_fini(&entry->by_thread);
	hash_fini(&entry->by_value);
	config_free(entry->config);
	free(entry);
}

struct handler *handler_free(struct handler *handler)
{
	if (!handler)
		return NULL;
	for (size_t i = 0; i < handler->open.count; i++)
		result_free(handler->open.items[i].snapshot);
	array_fini(&handler->open);
	for (size_t i = 0; i < handler->entries.count; i++)
		free_entry(handler->entries.items[i]);
	array_fini(&handler->entries);
	hash_fini(&handler->functions);
	arena_fini(&handler->arena);
	free(handler);
	return NULL;
}

struct strobe_error *handler_add(struct handler *handler, struct tracepoint_config *config)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	if (!entry || !array_push(&handler->entries, entry)) {
		free(entry);
		return error_no_memory();
	}
	*entry = (struct entry){
		.config = config, .enabled = !config->disabled, .last_fire_ns = INT64_MIN};
	return NULL;
}

static struct entry *find_entry(const struct handler *handler,
				const struct tracepoint_config *config)
{
	for (size_t i = 0; i < handler->entries.count; i++)
		if (handler->entries.items[i]->config == config)
			return handler->entries.items[i];
	return NULL;
}

// Results.

/** A result of `entry`, with what all kinds have. NULL when memory is short. */
static struct result *begin_result(struct handler *handler, struct entry *entry,
				   const struct event *event, const char *context,
				   enum result_kind kind)
{
	struct result *result = calloc(1, sizeof(*result));
	if (!result)
		return NULL;
	*result = (struct result){
		.kind = kind,
		.config = entry->config,
		.time_ns = event->wall_ns,
		.pid = event->pid,
		.tid = event->tid,
	};
	make_id(result->id, 16);
	memcpy(result->context, context, sizeof(result->context));
	result->thread_name = arena_strdup(&result->arena, event->thread_name);
	for (size_t i = 0; i < handler->resource_count; i++)
		if (!array_push(&result->resource,
				(struct result_label){handler->resource[i].name,
						      handler->resource[i].value}))
			break;
	return result;
}

static void add_attribute(struct result *result, const char *key, const char *value)
{
	struct result_label label = {key, arena_strdup(&result->arena, value)};
	if (label.value)
		(void)array_push(&result->attributes, label);
}

static void give_now(struct handler *handler, struct result *result)
{
	if (handler->actions.give)
		handler->actions.give(handler->actions.context, result);
	else
		result_free(result);
}

static size_t text_size(const char *text)
{
	return text ? strlen(text) : 0;
}

/** What a result weighs, about as much as it will as JSON. */
static size_t weigh(const struct result *result)
{
	enum { HEAD = 200, ITEM = 60 };
	size_t size = HEAD + text_size(result->log_message) + text_size(result->span_name) +
		      ITEM * (result->watches.count + result->attributes.count +
			      result->metric.labels.count);
	for (size_t i = 0; i < result->variables.count; i++)
		size += ITEM * (1 + result->variables.items[i].children.count) +
			text_size(result->variables.items[i].type) +
			text_size(result->variables.items[i].value);
	for (size_t i = 0; i < result->frames.count; i++)
		size += ITEM * (1 + result->frames.items[i].variables.count) +
			text_size(result->frames.items[i].file) +
			text_size(result->frames.items[i].function);
	return size;
}

/** Gives it, or keeps it until its condition comes true. */
static void give(struct handler *handler, struct entry *entry, struct result *result)
{
	entry->bytes_in_second += weigh(result);
	if (!entry->config->keep_last) {
		give_now(handler, result);
		return;
	}
	if (entry->kept.count == entry->config->keep_last) {
		result_free(entry->kept.items[0]);
		memmove(entry->kept.items, entry->kept.items + 1,
			--entry->kept.count * sizeof(*entry->kept.items));
	}
	if (!array_push(&entry->kept, result)) {
		entry->dropped++;
		result_free(result);
	}
}

static void give_kept(struct handler *handler, struct entry *entry)
{
	for (size_t i = 0; i < entry->kept.count; i++)
		give_now(handler, entry->kept.items[i]);
	entry->kept.count = 0;
}

static void add_watch(const struct event *event, struct entry *entry, struct result *result,
		      const char *expression, enum watch_source source)
{
	struct result_watch watch = {.expression = expression, .source = source};
	const char *why = "out of memory";
	if (!event->ops->watch(event->scope, expression, &entry->config->limits, result,
			       &watch.value, &why)) {
		watch.error = why;
		entry->errors++;
	}
	(void)array_push(&result->watches, watch);
}

/** The log message, each expression replaced by its value or by why it has none. */
static void add_log(const struct event *event, struct entry *entry, struct result *result)
{
	const struct tracepoint_config *config = entry->config;
	struct text text cleanup_text = {0};
	for (size_t i = 0; i < config->log_count; i++) {
		const char *value = NULL, *why = "out of memory";
		text_append(&text, config->log[i].text);
		if (!config->log[i].expression)
			continue;
		if (!event->ops->text(event->scope, config->log[i].expression, &config->limits,
				      &result->arena, &value, &why)) {
			entry->errors++;
			value = arena_printf(&result->arena, "<%s>", why);
		}
		text_append(&text, value ? value : "");
		add_watch(event, entry, result, config->log[i].expression, WATCH_LOG);
	}
	result->log_message = arena_copy_string(&result->arena, text_string(&text), text.size);
}

static struct result *collect(struct handler *handler, struct entry *entry,
			      const struct event *event, const char *context)
{
	const struct tracepoint_config *config = entry->config;
	struct result *result = begin_result(handler, entry, event, context, RESULT_SNAPSHOT);
	if (!result)
		return NULL;
	if (config->log_count)
		add_log(event, entry, result);
	for (size_t i = 0; i < config->watch_count; i++)
		add_watch(event, entry, result, config->watches[i], WATCH_WATCH);
	if (!event->ops->frames(event->scope, config, result))
		entry->errors++;
	return result;
}

static void give_log(struct handler *handler, struct entry *entry, const struct event *event,
		     const char *context)
{
	struct result *result = begin_result(handler, entry, event, context, RESULT_LOG);
	if (!result) {
		entry->dropped++;
		return;
	}
	add_log(event, entry, result);
	give(handler, entry, result);
}

static void give_metric(struct handler *handler, struct entry *entry, const struct event *event,
			const char *context, const struct config_metric *metric)
{
	struct result *result = begin_result(handler, entry, event, context, RESULT_METRIC);
	const char *why = NULL;
	if (!result) {
		entry->dropped++;
		return;
	}
	result->metric.config = metric;
	result->metric.value = 1;
	if (metric->expression &&
	    !event->ops->number(event->scope, metric->expression, &result->metric.value,
				&result->arena, &why)) {
		result->metric.value = 1;
		entry->errors++;
		add_attribute(result, "error", why);
	}
	for (size_t i = 0; i < metric->label_count; i++) {
		struct result_label label = {metric->labels[i].key, metric->labels[i].text};
		if (metric->labels[i].expression &&
		    !event->ops->text(event->scope, metric->labels[i].expression,
				      &entry->config->limits, &result->arena, &label.value, &why)) {
			label.value = "expression failed";
			entry->errors++;
		}
		(void)array_push(&result->metric.labels, label);
	}
	give(handler, entry, result);
}

// Actions that others do.

static void
act(struct entry *entry, const struct event *event, struct result *result, const char *what,
    bool (*action)(void *context, const struct event *event, const char *name, const char **why),
    void *context, const char *name)
{
	const char *why = "not possible here";
	if (!name)
		return;
	struct text text cleanup_text = {0};
	for (const char *at = name; *at; at++) {
		if (at[0] == '%' && (at[1] == 'n' || at[1] == 't' || at[1] == 'p'))
			text_printf(&text, "%" PRId64,
				    at[1] == 'n'   ? entry->fired
				    : at[1] == 't' ? (int64_t)event->tid
						   : event->pid);
		else
			text_append_char(&text, *at);
		at += at[0] == '%' && (at[1] == 'n' || at[1] == 't' || at[1] == 'p');
	}
	if (action && action(context, event, text_string(&text), &why)) {
		if (result)
			add_attribute(result, what, text_string(&text));
		return;
	}
	entry->errors++;
	snprintf(entry->why, sizeof(entry->why), "%s %s: %s", what, text_string(&text), why);
	if (result)
		add_attribute(result, "error", entry->why);
}

static void switch_entry(struct handler *handler, struct entry *entry, bool enabled)
{
	if (entry->enabled == enabled)
		return;
	entry->enabled = enabled;
	if (handler->actions.enabled)
		handler->actions.enabled(handler->actions.context, entry->config, enabled);
}

static void switch_others(struct handler *handler, const char *const *ids, bool enabled)
{
	for (; ids && *ids; ids++)
		for (size_t i = 0; i < handler->entries.count; i++)
			if (strcmp(handler->entries.items[i]->config->id, *ids) == 0)
				switch_entry(handler, handler->entries.items[i], enabled);
}

// Limits.

static bool within_window(const struct tracepoint_config *config, int64_t wall_ns)
{
	return (!config->window_start_ns || wall_ns >= config->window_start_ns) &&
	       (!config->window_end_ns || wall_ns <= config->window_end_ns);
}

/** A number from 0 to 1 (xorshift64*). */
static double draw(struct handler *handler)
{
	uint64_t x = handler->sampling;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	handler->sampling = x;
	return (double)(x * UINT64_C(0x2545f4914f6cdd1d) >> 11) / 9007199254740992.0;
}

static bool may_fire(struct handler *handler, struct entry *entry, const struct event *event)
{
	const struct tracepoint_config *config = entry->config;
	if (!entry->enabled || entry->off || !within_window(config, event->wall_ns))
		return false;
	if (config->fire_count >= 0 && entry->fired >= config->fire_count)
		return false;
	if (config->fire_period_ns && entry->last_fire_ns != INT64_MIN &&
	    event->time_ns - entry->last_fire_ns < config->fire_period_ns)
		return false;
	if (config->thread_fire_count >= 0 &&
	    (int64_t)(intptr_t)hash_get(&entry->by_thread, (uint64_t)event->tid + 1) >=
		    config->thread_fire_count)
		return false;
	return config->sample >= 1 || draw(handler) < config->sample;
}

static bool holds(struct entry *entry, const struct event *event, const char *condition,
		  struct arena *arena)
{
	bool truth = false;
	const char *why = NULL;
	if (event->ops->truth(event->scope, condition, &truth, arena, &why))
		return truth;
	entry->errors++;
	snprintf(entry->why, sizeof(entry->why), "%s: %s", condition, why ? why : "");
	return false;
}

static void count_up(struct hash *counts, uint64_t key)
{
	uintptr_t count = (uintptr_t)hash_get(counts, key);
	if (count || counts->count < VALUE_LIMIT)
		(void)hash_put(counts, key, (void *)(count + 1));
}

/** Per value of an expression: false if that value has had its share. */
static bool value_may_fire(struct entry *entry, const struct event *event, struct arena *arena,
			   uint64_t *key)
{
	const char *value = NULL, *why = NULL;
	*key = 0;
	if (entry->config->value_fire_count < 0)
		return true;
	if (!event->ops->text(event->scope, entry->config->value_key, &entry->config->limits, arena,
			      &value, &why)) {
		entry->errors++;
		return false;
	}
	*key = hash_bytes(value, strlen(value)) | 1;
	return (int64_t)(intptr_t)hash_get(&entry->by_value, *key) <
	       entry->config->value_fire_count;
}

/** Is it over what it may take in a second? Then hits are counted, and no more. */
static bool over_budget(struct entry *entry, const struct event *event)
{
	const struct tracepoint_config *config = entry->config;
	int64_t second = event->time_ns / NS_PER_SECOND;
	if (second != entry->second) {
		entry->second = second;
		entry->hits_in_second = entry->bytes_in_second = 0;
		entry->counting = false;
	}
	entry->hits_in_second++;
	bool over = (config->hits_per_second > 0 &&
		     (double)entry->hits_in_second > config->hits_per_second) ||
		    (config->bytes_per_second > 0 &&
		     (double)entry->bytes_in_second > config->bytes_per_second);
	if (over && !entry->counting) {
		entry->counting = true;
		snprintf(entry->why, sizeof(entry->why),
			 "over its budget: only counted for the rest of a second");
	}
	return over;
}

/** Log and metrics. */
static void give_small(struct handler *handler, struct entry *entry, const struct event *event,
		       const char *context)
{
	const struct tracepoint_config *config = entry->config;
	if (!config->collect && config->log_count)
		give_log(handler, entry, event, context);
	for (size_t i = 0; i < config->metric_count; i++)
		give_metric(handler, entry, event, context, &config->metrics[i]);
}

// Calls and returns.

static const char *intern(struct handler *handler, const char *name)
{
	uint64_t key = name ? hash_bytes(name, strlen(name)) : 0;
	char *known = name ? hash_get(&handler->functions, key) : NULL;
	if (!known && name && (known = arena_strdup(&handler->arena, name)))
		(void)hash_put(&handler->functions, key, known);
	return known;
}

/** Waits for the end of this call. */
static void open_call(struct handler *handler, struct entry *entry, const struct event *event,
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

static void give_span(struct handler *handler, const struct open_call *call,
		      const struct event *event, const char *how)
{
	struct result *result =
		begin_result(handler, call->entry, event, call->context, RESULT_SPAN);
	if (!result) {
		call->entry->dropped++;
		return;
	}
	result->time_ns = call->start_wall_ns;
	result->duration_ns = event->time_ns - call->start_ns;
	result->span_name = arena_strdup(&result->arena,
					 call->function ? call->function : call->entry->config->id);
	make_id(result->span_id, 8);
	memcpy(result->trace_id, call->context, sizeof(result->trace_id));
	add_attribute(result, "dynamic", "strobe");
	if (how)
		add_attribute(result, "end", how);
	give(handler, call->entry, result);
}

/** The snapshot of a call that has ended, which is collected now if it returned and was not collected when it began. */
static struct result *finish_snapshot(struct handler *handler, struct open_call *call,
				      const struct event *event, const char *how)
{
	struct result *result = call->snapshot;
	call->snapshot = NULL;
	if (!result && how) // its frame is no more
		result = begin_result(handler, call->entry, event, call->context, RESULT_SNAPSHOT);
	if (!result)
		result = collect(handler, call->entry, event, call->context);
	if (!result)
		return NULL;
	result->duration_ns = event->time_ns - call->start_ns;
	if (how)
		add_attribute(result, "end", how);
	return result;
}

/** What a call that has ended gives. `how`: NULL = it returned. */
static void end_call(struct handler *handler, struct open_call *call, const struct event *event,
		     const char *how)
{
	const struct tracepoint_config *config = call->entry->config;
	struct result_watch watch = {.expression = "return", .source = WATCH_CAPTURE};
	if (config->span == SPAN_METHOD)
		give_span(handler, call, event, how);
	if (!how && config->stage == STAGE_METHOD_END)
		give_small(handler, call->entry, event, call->context);
	if (!config->collect || config->stage < STAGE_METHOD_END) {
		result_free(call->snapshot);
		return;
	}
	struct result *result = finish_snapshot(handler, call, event, how);
	if (!result) {
		call->entry->dropped++;
		return;
	}
	if (!how && config->stage == STAGE_METHOD_CAPTURE &&
	    event->ops->outcome(event->scope, &config->limits, result, &watch.value))
		(void)array_push(&result->watches, watch);
	give(handler, call->entry, result);
}

static struct open_call take_call(struct handler *handler, size_t index)
{
	struct open_call ret = handler->open.items[index];
	memmove(&handler->open.items[index], &handler->open.items[index + 1],
		(--handler->open.count - index) * sizeof(ret));
	return ret;
}

/** A call that nobody saw return: it ends at this time, for this reason. */
static void give_up_call(struct handler *handler, size_t index, int64_t time_ns, const char *how)
{
	struct open_call call = take_call(handler, index);
	struct event event = {.kind = EVENT_RETURN,
			      .pid = call.pid,
			      .tid = call.tid,
			      .thread_name = call.thread_name,
			      .time_ns = time_ns,
			      .wall_ns = call.start_wall_ns + (time_ns - call.start_ns),
			      .frame = call.frame,
			      .function = call.function};
	end_call(handler, &call, &event, how);
}

/** This call returned, and those that began within it never will: they are further down the stack. */
static void end_calls(struct handler *handler, const struct event *event, const struct entry *entry)
{
	size_t index = handler->open.count;
	while (index-- > 0) {
		const struct open_call *call = &handler->open.items[index];
		if (call->tid == event->tid && call->frame == event->frame && call->entry == entry)
			break;
	}
	if (index == SIZE_MAX)
		return;
	// Not what began before: that is on another stack, of a signal handler say.
	for (size_t i = handler->open.count; i-- > index + 1;)
		if (handler->open.items[i].tid == event->tid &&
		    handler->open.items[i].frame < event->frame)
			give_up_call(handler, i, event->time_ns, "left without a return");
	struct open_call ended = take_call(handler, index);
	end_call(handler, &ended, event, NULL);
}

/** A call of the same function with the same frame: the one before was left, by longjmp() say. */
static void leave_calls(struct handler *handler, const struct event *event,
			const struct entry *entry)
{
	for (size_t i = handler->open.count; i-- > 0;)
		if (handler->open.items[i].tid == event->tid &&
		    handler->open.items[i].frame == event->frame &&
		    handler->open.items[i].entry == entry)
			give_up_call(handler, i, event->time_ns, "left without a return");
}

static bool waits_for_end(const struct tracepoint_config *config)
{
	return config->stage == STAGE_METHOD_END || config->stage == STAGE_METHOD_CAPTURE ||
	       config->span == SPAN_METHOD;
}

// Events.

static void fire(struct handler *handler, struct entry *entry, const struct event *event,
		 const char *context)
{
	const struct tracepoint_config *config = entry->config;
	struct result *result = NULL;
	bool now = config->collect && config->stage != STAGE_METHOD_END;
	if (now && !(result = collect(handler, entry, event, context)))
		entry->dropped++;
	if (config->stage != STAGE_METHOD_END)
		give_small(handler, entry, event, context);
	act(entry, event, result, "hold", handler->actions.hold, handler->actions.context,
	    config->hold);
	act(entry, event, result, "snap", handler->actions.snap, handler->actions.context,
	    config->snap);
	act(entry, event, result, "record", handler->actions.record, handler->actions.context,
	    config->record);
	switch_others(handler, config->arms, true);
	switch_others(handler, config->disarms, false);
	if (waits_for_end(config) && event->kind == EVENT_CALL) {
		bool capture = config->stage == STAGE_METHOD_CAPTURE;
		open_call(handler, entry, event, context, capture ? result : NULL);
		result = capture ? NULL : result;
	}
	if (result)
		give(handler, entry, result);
}

/** One tracepoint, one event. */
static void meet(struct handler *handler, struct entry *entry, const struct event *event,
		 bool checked, char *context)
{
	const struct tracepoint_config *config = entry->config;
	struct arena arena = {0};
	uint64_t key;
	if (may_fire(handler, entry, event) &&
	    (!config->condition || checked || holds(entry, event, config->condition, &arena)) &&
	    value_may_fire(entry, event, &arena, &key)) {
		entry->hits++;
		if (!over_budget(entry, event)) {
			if (!*context)
				make_id(context, 16);
			entry->fired++;
			entry->last_fire_ns = event->time_ns;
			if (config->thread_fire_count >= 0)
				count_up(&entry->by_thread, (uint64_t)event->tid + 1);
			if (key)
				count_up(&entry->by_value, key);
			fire(handler, entry, event, context);
		}
		if (config->fire_count >= 0 && entry->fired >= config->fire_count &&
		    !entry->used_up) {
			entry->used_up = true;
			if (!waits_for_end(config) && handler->actions.enabled)
				handler->actions.enabled(handler->actions.context, config, false);
		}
	}
	if (config->keep_until && entry->kept.count &&
	    holds(entry, event, config->keep_until, &arena))
		give_kept(handler, entry);
	arena_fini(&arena);
}

void handler_event(struct handler *handler, const struct event *event,
		   struct tracepoint_config *const *at_place, size_t count, uint64_t checked)
{
	char context[33] = "";
	for (size_t i = 0; i < count; i++) {
		struct entry *entry = find_entry(handler, at_place[i]);
		if (!entry)
			continue;
		if (event->kind == EVENT_CALL && event->frame)
			leave_calls(handler, event, entry);
		if (event->kind == EVENT_RETURN)
			end_calls(handler, event, entry);
		else
			meet(handler, entry, event, i < 64 && checked >> i & 1, context);
	}
}

void handler_thread_end(struct handler *handler, int tid, int64_t time_ns)
{
	for (size_t i = handler->open.count; i-- > 0;)
		if (tid == 0 || handler->open.items[i].tid == tid)
			give_up_call(handler, i, time_ns, "its thread ended");
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

void handler_tick(struct handler *handler, int64_t time_ns)
{
	for (size_t i = 0; i < handler->entries.count; i++) {
		struct entry *entry = handler->entries.items[i];
		if (entry->counting && time_ns / NS_PER_SECOND != entry->second)
			entry->counting = false;
	}
}

void handler_remove(struct handler *handler, const struct tracepoint_config *config)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (size_t i = 0; i < handler->entries.count; i++) {
		struct entry *entry = handler->entries.items[i];
		if (entry->config != config)
			continue;
		for (size_t j = handler->open.count; j-- > 0;) {
			if (handler->open.items[j].entry != entry)
				continue;
			give_up_call(handler, j, now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
				     "the tracepoint was removed");
		}
		free_entry(entry);
		memmove(&handler->entries.items[i], &handler->entries.items[i + 1],
			(--handler->entries.count - i) * sizeof(*handler->entries.items));
		return;
	}
}

void handler_status(const struct handler *handler, const struct tracepoint_config *config,
		    struct strobe_tracepoint_status *ret)
{
	const struct entry *entry = find_entry(handler, config);
	if (!entry)
		return;
	ret->hits = entry->hits;
	ret->fired = (uint64_t)entry->fired;
	ret->dropped = entry->dropped;
	ret->errors = entry->errors;
	if (entry->why[0])
		ret->error = entry->why;
	if (entry->used_up || entry->config->fire_count == 0)
		ret->state = "used up";
	else if (!entry->enabled)
		ret->state = "disarmed";
	else if (entry->off)
		ret->state = "off";
	else if (entry->counting)
		ret->state = "counting";
}
