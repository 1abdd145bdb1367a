// SPDX-License-Identifier: Apache-2.0
// What the handler makes of a hit: snapshots, logs, metrics.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"
#include "tracepoint/handler_state.h"

void handler_make_id(char *ret, size_t bytes)
{
	uint8_t random[16];
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		memset(random, 0, sizeof(random));
	for (size_t i = 0; i < bytes; i++)
		snprintf(ret + 2 * i, 3, "%02x", random[i]);
}

/** A result of `entry`, with what all kinds have. NULL when memory is short. */
struct result *handler_begin_result(struct handler *handler, struct entry *entry,
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
	handler_make_id(result->id, 16);
	memcpy(result->context, context, sizeof(result->context));
	result->thread_name = arena_strdup(&result->arena, event->thread_name);
	for (size_t i = 0; i < handler->resource_count; i++)
		if (!array_push(&result->resource,
				(struct result_label){handler->resource[i].name,
						      handler->resource[i].value}))
			break;
	return result;
}

void handler_add_attribute(struct result *result, const char *key, const char *value)
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
void handler_give(struct handler *handler, struct entry *entry, struct result *result)
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

void handler_give_kept(struct handler *handler, struct entry *entry)
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

struct result *handler_collect(struct handler *handler, struct entry *entry,
			       const struct event *event, const char *context)
{
	const struct tracepoint_config *config = entry->config;
	struct result *result =
		handler_begin_result(handler, entry, event, context, RESULT_SNAPSHOT);
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
	struct result *result = handler_begin_result(handler, entry, event, context, RESULT_LOG);
	if (!result) {
		entry->dropped++;
		return;
	}
	add_log(event, entry, result);
	handler_give(handler, entry, result);
}

static void give_metric(struct handler *handler, struct entry *entry, const struct event *event,
			const char *context, const struct config_metric *metric)
{
	struct result *result = handler_begin_result(handler, entry, event, context, RESULT_METRIC);
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
		handler_add_attribute(result, "error", why);
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
	handler_give(handler, entry, result);
}

void handler_add_outcome(struct entry *entry, const struct event *event, struct result *result)
{
	struct result_watch watch = {.source = WATCH_CAPTURE};
	if (!event->ops ||
	    !event->ops->outcome(event->scope, &entry->config->limits, result, &watch.value))
		return;
	watch.expression = watch.value.name;
	(void)array_push(&result->watches, watch);
}

/** Log and metrics. */
void handler_give_small(struct handler *handler, struct entry *entry, const struct event *event,
			const char *context)
{
	const struct tracepoint_config *config = entry->config;
	if (!config->collect && config->log_count)
		give_log(handler, entry, event, context);
	for (size_t i = 0; i < config->metric_count; i++)
		give_metric(handler, entry, event, context, &config->metrics[i]);
}
