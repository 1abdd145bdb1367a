// SPDX-License-Identifier: Apache-2.0
// The trigger handler: what is there, limits, actions, events.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "tracepoint/handler_state.h"

/** Named limit: values that are counted apart. */
enum { VALUE_LIMIT = 100000, NS_PER_SECOND = 1000000000 };

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
			handler_add_attribute(result, what, text_string(&text));
		return;
	}
	entry->errors++;
	snprintf(entry->why, sizeof(entry->why), "%s %s: %s", what, text_string(&text), why);
	if (result)
		handler_add_attribute(result, "error", entry->why);
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
	if (entry->limited)
		return true;
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

// Events.

static void fire(struct handler *handler, struct entry *entry, const struct event *event,
		 const char *context)
{
	const struct tracepoint_config *config = entry->config;
	struct result *result = NULL;
	bool now = config->collect && !config_is_of_end(config);
	if (now && !(result = handler_collect(handler, entry, event, context)))
		entry->dropped++;
	if (result && event->kind == EVENT_EXCEPTION)
		handler_add_outcome(entry, event, result);
	if (!config_is_of_end(config))
		handler_give_small(handler, entry, event, context);
	act(entry, event, result, "hold", handler->actions.hold, handler->actions.context,
	    config->hold);
	act(entry, event, result, "snap", handler->actions.snap, handler->actions.context,
	    config->snap);
	act(entry, event, result, "record", handler->actions.record, handler->actions.context,
	    config->record);
	switch_others(handler, config->arms, true);
	switch_others(handler, config->disarms, false);
	if (config_waits_for_end(config)) {
		bool capture = config_captures(config);
		handler_open_call(handler, entry, event, context, capture ? result : NULL);
		result = capture ? NULL : result;
	}
	if (result)
		handler_give(handler, entry, result);
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
				handler_make_id(context, 16);
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
			if (!config_waits_for_end(config) && handler->actions.enabled)
				handler->actions.enabled(handler->actions.context, config, false);
		}
	}
	if (config->keep_until && entry->kept.count &&
	    holds(entry, event, config->keep_until, &arena))
		handler_give_kept(handler, entry);
	arena_fini(&arena);
}

void handler_event(struct handler *handler, const struct event *event,
		   struct tracepoint_config *const *at_place, size_t count, uint64_t checked)
{
	char own[33] = "", *context = event->context ? event->context : own;
	for (size_t i = 0; i < count; i++) {
		struct entry *entry = find_entry(handler, at_place[i]);
		if (!entry)
			continue;
		if ((event->kind == EVENT_CALL || event->kind == EVENT_LINE) && event->frame)
			handler_leave_calls(handler, event, entry);
		if (event->kind == EVENT_RETURN || event->kind == EVENT_LINE_END)
			handler_end_calls(handler, event, entry);
		else
			meet(handler, entry, event, i < 64 && checked >> i & 1, context);
	}
}

void handler_limit(struct handler *handler, const struct tracepoint_config *config, bool counting,
		   bool off, const char *why)
{
	struct entry *entry = find_entry(handler, config);
	if (!entry)
		return;
	entry->limited = counting;
	entry->off = off;
	snprintf(entry->why, sizeof(entry->why), "%s", why);
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
		handler_give_up(handler, entry, now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
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
	else if (entry->counting || entry->limited)
		ret->state = "counting";
}
