// SPDX-License-Identifier: Apache-2.0
// What is received.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "deep/deep.pb-c.h"
#include "deep/messages.h"

/** All that one response may take while it is read, whatever it claims; the tracepoints in it. */
enum { MEMORY_LIMIT = 64 << 20, TRACEPOINT_LIMIT = 100000 };

static void *allocate(void *context, size_t size)
{
	size_t *left = context;
	if (size > *left)
		return NULL;
	*left -= size;
	return malloc(size);
}

static void release(void *context, void *memory)
{
	(void)context;
	free(memory);
}

/** Servers send labels that no agent uses, under several spellings. */
static bool ignored(const char *name)
{
	return strcasecmp(name, "span_name") == 0 || strncasecmp(name, "label", 5) == 0 ||
	       strncasecmp(name, "span_", 5) == 0 || strncasecmp(name, "snapshot_", 9) == 0 ||
	       (strncasecmp(name, "log_", 4) == 0 && strcasecmp(name, "log_msg") != 0) ||
	       strcasecmp(name, "target") == 0;
}

static void *take(struct arena *arena, size_t count, size_t size)
{
	return arena_alloc(arena, (count + 1) * size);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct strobe_pair *)a)->name, ((const struct strobe_pair *)b)->name);
}

/** A map has no order: sorted, the same one is the same each time. */
static bool read_arguments(struct arena *arena, const Deep__TracePointConfig *config,
			   struct strobe_tracepoint *ret)
{
	struct strobe_pair *arguments = take(arena, config->n_args, sizeof(*arguments));
	ret->arguments = arguments;
	for (size_t i = 0; arguments && i < config->n_args; i++) {
		const char *key = config->args[i]->key, *value = config->args[i]->value;
		if (!key || ignored(key))
			continue;
		struct strobe_pair *pair = &arguments[ret->argument_count++];
		*pair = (struct strobe_pair){arena_strdup(arena, key),
					     arena_strdup(arena, value ? value : "")};
		if (!pair->name || !pair->value)
			return false;
	}
	if (arguments)
		qsort(arguments, ret->argument_count, sizeof(*arguments), compare_names);
	return arguments != NULL;
}

static const char *read_any(struct arena *arena, const Deep__AnyValue *value)
{
	if (!value)
		return arena_strdup(arena, "");
	switch (value->value_case) {
	case DEEP__ANY_VALUE__VALUE_STRING_VALUE:
		return arena_strdup(arena, value->string_value);
	case DEEP__ANY_VALUE__VALUE_BOOL_VALUE:
		return value->bool_value ? "true" : "false";
	case DEEP__ANY_VALUE__VALUE_INT_VALUE:
		return arena_printf(arena, "%" PRId64, value->int_value);
	case DEEP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		return arena_printf(arena, "%.17g", value->double_value);
	default:
		return arena_strdup(arena, "");
	}
}

static bool read_metric(struct arena *arena, const Deep__Metric *metric,
			struct strobe_tracepoint_metric *ret)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "summary"};
	size_t count = metric->n_label_expressions;
	struct strobe_pair *labels = take(arena, count, sizeof(*labels));
	*ret = (struct strobe_tracepoint_metric){
		.name = arena_strdup(arena, metric->name),
		.type = metric->type < 4 ? types[metric->type] : "unknown",
		.expression = arena_strdup(arena, metric->expression),
		.metric_namespace =
			metric->namespace_ ? arena_strdup(arena, metric->namespace_) : "deep",
		.help = arena_strdup(arena, metric->help),
		.unit = arena_strdup(arena, metric->unit),
		.labels = labels,
	};
	if (ret->expression && !*ret->expression)
		ret->expression = NULL;
	for (size_t i = 0; labels && i < count; i++) {
		const Deep__LabelExpression *label = metric->label_expressions[i];
		bool expression = label->value_case == DEEP__LABEL_EXPRESSION__VALUE_EXPRESSION;
		if (!label->key)
			continue;
		labels[ret->label_count].name = arena_strdup(arena, label->key);
		labels[ret->label_count].value =
			expression ? arena_printf(arena, "{%s}", label->expression)
			: label->value_case == DEEP__LABEL_EXPRESSION__VALUE_STATIC_VALUE
				? read_any(arena, label->static_value)
				: "";
		if (!labels[ret->label_count].name || !labels[ret->label_count].value)
			return false;
		ret->label_count++;
	}
	return labels != NULL;
}

static bool read_tracepoint(struct arena *arena, const Deep__TracePointConfig *config,
			    struct strobe_tracepoint *ret)
{
	const char **watches = take(arena, config->n_watches, sizeof(*watches));
	struct strobe_tracepoint_metric *metrics = take(arena, config->n_metrics, sizeof(*metrics));
	*ret = (struct strobe_tracepoint){
		.size = sizeof(*ret),
		.id = arena_strdup(arena, config->id),
		.path = arena_strdup(arena, config->path),
		// Those of functions come as 0, or as -1.
		.line = config->line_number > INT32_MAX ? 0 : config->line_number,
		.watches = watches,
		.watch_count = config->n_watches,
		.metrics = metrics,
		.metric_count = config->n_metrics,
	};
	if (!watches || !metrics || !read_arguments(arena, config, ret))
		return false;
	for (size_t i = 0; i < config->n_watches; i++)
		if (!(watches[i] = arena_strdup(arena, config->watches[i])))
			return false;
	for (size_t i = 0; i < config->n_metrics; i++)
		if (!read_metric(arena, config->metrics[i], &metrics[i]))
			return false;
	return true;
}

static bool read_all(const Deep__PollResponse *response, struct poll_answer *ret)
{
	ret->update = response->response_type != 0;
	ret->hash = arena_strdup(&ret->arena, response->current_hash);
	ret->tracepoints = take(&ret->arena, response->n_response, sizeof(*ret->tracepoints));
	if (!ret->tracepoints || (response->current_hash && !ret->hash))
		return false;
	for (; ret->count < response->n_response; ret->count++)
		if (!read_tracepoint(&ret->arena, response->response[ret->count],
				     &ret->tracepoints[ret->count]))
			return false;
	return true;
}

struct strobe_error *message_read_poll(const uint8_t *bytes, size_t size, struct poll_answer *ret)
{
	size_t left = MEMORY_LIMIT;
	ProtobufCAllocator allocator = {allocate, release, &left};
	*ret = (struct poll_answer){0};
	Deep__PollResponse *response = deep__poll_response__unpack(&allocator, size, bytes);
	if (!response)
		return error_new(STROBE_ERROR_FORMAT, "the response is no PollResponse");
	struct strobe_error *error = NULL;
	if (response->n_response > TRACEPOINT_LIMIT)
		error = error_new(STROBE_ERROR_FORMAT, "the response has %zu tracepoints",
				  response->n_response);
	else if (!read_all(response, ret))
		error = error_no_memory();
	deep__poll_response__free_unpacked(response, &allocator);
	if (error)
		poll_answer_fini(ret);
	return error;
}

void poll_answer_fini(struct poll_answer *answer)
{
	arena_fini(&answer->arena);
	*answer = (struct poll_answer){0};
}
