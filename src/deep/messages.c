// SPDX-License-Identifier: Apache-2.0
// What is sent. A message stands in an arena until it is packed.
#include "deep/messages.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/utf8.h"
#include "deep/deep.pb-c.h"
#include "tracepoint/result.h"

/** A message being made. When memory is short, the making ends where it was begun. */
struct maker {
	struct arena arena;
	jmp_buf short_of_memory;
};

static void *take(struct maker *maker, size_t size)
{
	void *ret = arena_alloc(&maker->arena, size ? size : 1);
	if (!ret)
		longjmp(maker->short_of_memory, 1);
	return ret;
}

/** Text as protobuf wants it; NULL stays away. */
static char *put(struct maker *maker, const char *text)
{
	const char *clean = utf8_clean(&maker->arena, text);
	if (text && !clean)
		longjmp(maker->short_of_memory, 1);
	return (char *)(uintptr_t)clean;
}

static char *put_number(struct maker *maker, int64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRId64, number);
	char *ret = take(maker, strlen(text) + 1);
	return strcpy(ret, text);
}

static Deep__AnyValue *make_text(struct maker *maker, const char *text)
{
	Deep__AnyValue *value = take(maker, sizeof(*value));
	deep__any_value__init(value);
	value->value_case = DEEP__ANY_VALUE__VALUE_STRING_VALUE;
	value->string_value = put(maker, text ? text : "");
	return value;
}

static Deep__KeyValue *make_pair(struct maker *maker, const char *key, const char *value)
{
	Deep__KeyValue *pair = take(maker, sizeof(*pair));
	deep__key_value__init(pair);
	pair->key = put(maker, key);
	pair->value = make_text(maker, value);
	return pair;
}

static Deep__KeyValue **make_pairs(struct maker *maker, const struct strobe_pair *pairs,
				   size_t count)
{
	Deep__KeyValue **ret = take(maker, count * sizeof(Deep__KeyValue *));
	for (size_t i = 0; i < count; i++)
		ret[i] = make_pair(maker, pairs[i].name, pairs[i].value);
	return ret;
}

// The tracepoint, as it was asked for.

static Deep__ArgsEntry *make_argument(struct maker *maker, const char *name, const char *value)
{
	Deep__ArgsEntry *entry = take(maker, sizeof(*entry));
	deep__args_entry__init(entry);
	entry->key = put(maker, name);
	entry->value = put(maker, value ? value : "");
	return entry;
}

static void put_arguments(struct maker *maker, const struct tracepoint_config *config,
			  Deep__TracePointConfig *ret)
{
	// DEEP's agents always tell these.
	static const char *const frames[] = {"single_frame", "all_frame", "no_frame"};
	const struct strobe_pair told[] = {
		{"fire_count", put_number(maker, config->fire_count)},
		{"fire_period", put_number(maker, config->fire_period_ns / 1000000)},
		{"frame_type", frames[config->frame_type]},
		{"stack_type", config->stack_type == STACK_NO ? "no_stack" : "stack"},
	};
	enum { TOLD = sizeof(told) / sizeof(told[0]) };
	const struct strobe_tracepoint *written = config->written;
	size_t count = written ? written->argument_count : 0;
	ret->args = take(maker, (count + TOLD) * sizeof(*ret->args));
	for (size_t i = 0; i < count; i++)
		ret->args[ret->n_args++] = make_argument(maker, written->arguments[i].name,
							 written->arguments[i].value);
	for (size_t i = 0; i < TOLD; i++) {
		bool given = false;
		for (size_t j = 0; j < count; j++)
			given |= strcasecmp(written->arguments[j].name, told[i].name) == 0;
		if (!given)
			ret->args[ret->n_args++] =
				make_argument(maker, told[i].name, told[i].value);
	}
}

static Deep__Metric *make_metric(struct maker *maker, const struct config_metric *config)
{
	Deep__Metric *metric = take(maker, sizeof(*metric));
	deep__metric__init(metric);
	metric->name = put(maker, config->name);
	metric->has_type = true;
	metric->type = (uint32_t)config->type;
	metric->expression = put(maker, config->expression);
	metric->namespace_ = put(maker, config->metric_namespace);
	metric->help = put(maker, config->help);
	metric->unit = put(maker, config->unit);
	metric->label_expressions =
		take(maker, config->label_count * sizeof(*metric->label_expressions));
	for (size_t i = 0; i < config->label_count; i++) {
		Deep__LabelExpression *label = take(maker, sizeof(*label));
		deep__label_expression__init(label);
		label->key = put(maker, config->labels[i].key);
		if (config->labels[i].expression) {
			label->value_case = DEEP__LABEL_EXPRESSION__VALUE_EXPRESSION;
			label->expression = put(maker, config->labels[i].expression);
		} else {
			label->value_case = DEEP__LABEL_EXPRESSION__VALUE_STATIC_VALUE;
			label->static_value = make_text(maker, config->labels[i].text);
		}
		metric->label_expressions[metric->n_label_expressions++] = label;
	}
	return metric;
}

static Deep__TracePointConfig *make_tracepoint(struct maker *maker,
					       const struct tracepoint_config *config)
{
	Deep__TracePointConfig *ret = take(maker, sizeof(*ret));
	deep__trace_point_config__init(ret);
	ret->id = put(maker, config->id);
	ret->path = put(maker, config->path ? config->path : "");
	ret->has_line_number = true;
	ret->line_number = config->line;
	put_arguments(maker, config, ret);
	ret->watches = take(maker, config->watch_count * sizeof(*ret->watches));
	for (size_t i = 0; i < config->watch_count; i++)
		ret->watches[ret->n_watches++] = put(maker, config->watches[i]);
	ret->metrics = take(maker, config->metric_count * sizeof(Deep__Metric *));
	for (size_t i = 0; i < config->metric_count; i++)
		ret->metrics[ret->n_metrics++] = make_metric(maker, &config->metrics[i]);
	return ret;
}

// What was found.

static Deep__VariableID *make_name(struct maker *maker, const struct variable_name *name)
{
	Deep__VariableID *ret = take(maker, sizeof(*ret));
	enum { MODIFIERS = sizeof(name->modifiers) / sizeof(name->modifiers[0]) };
	deep__variable_id__init(ret);
	ret->id = put_number(maker, name->id);
	ret->name = put(maker, name->name ? name->name : "");
	ret->modifiers = take(maker, MODIFIERS * sizeof(*ret->modifiers));
	for (size_t i = 0; i < MODIFIERS && name->modifiers[i]; i++)
		ret->modifiers[ret->n_modifiers++] = put(maker, name->modifiers[i]);
	return ret;
}

static Deep__VariableID **make_names(struct maker *maker, const struct variable_name *names,
				     size_t count)
{
	Deep__VariableID **ret = take(maker, count * sizeof(Deep__VariableID *));
	for (size_t i = 0; i < count; i++)
		ret[i] = make_name(maker, &names[i]);
	return ret;
}

static Deep__VarLookupEntry *make_variable(struct maker *maker,
					   const struct result_variable *variable, size_t id)
{
	static const char *const states[] = {"", "<optimized out>", "<unreadable>"};
	Deep__VarLookupEntry *entry = take(maker, sizeof(*entry));
	Deep__Variable *ret = take(maker, sizeof(*ret));
	char hash[24];
	deep__var_lookup_entry__init(entry);
	deep__variable__init(ret);
	snprintf(hash, sizeof(hash), "%" PRIu64, variable->identity);
	entry->key = put_number(maker, (int64_t)id);
	entry->value = ret;
	ret->type = put(maker, variable->type ? variable->type : "");
	ret->value = put(maker, variable->value ? variable->value : states[variable->state]);
	ret->hash = strcpy(take(maker, strlen(hash) + 1), hash);
	ret->n_children = variable->children.count;
	ret->children = make_names(maker, variable->children.items, variable->children.count);
	ret->has_truncated = true;
	ret->truncated = variable->truncated;
	return entry;
}

static Deep__StackFrame *make_frame(struct maker *maker, const struct result_frame *frame)
{
	Deep__StackFrame *ret = take(maker, sizeof(*ret));
	deep__stack_frame__init(ret);
	ret->file_name = put(maker, frame->file ? frame->file : "");
	ret->method_name = put(maker, frame->function ? frame->function : "");
	ret->has_line_number = true;
	ret->line_number = frame->line;
	ret->class_name = put(maker, frame->class_name);
	ret->has_column_number = frame->column != 0;
	ret->column_number = frame->column;
	ret->n_variables = frame->variables.count;
	ret->variables = make_names(maker, frame->variables.items, frame->variables.count);
	ret->has_app_frame = ret->has_native_frame = true;
	ret->app_frame = frame->app_frame;
	ret->native_frame = true;
	ret->short_path = put(maker, frame->short_path);
	return ret;
}

static Deep__WatchResult *make_watch(struct maker *maker, const struct result_watch *watch)
{
	Deep__WatchResult *ret = take(maker, sizeof(*ret));
	deep__watch_result__init(ret);
	ret->expression = put(maker, watch->expression);
	ret->has_source = true;
	ret->source = (uint32_t)watch->source;
	if (watch->error) {
		ret->result_case = DEEP__WATCH_RESULT__RESULT_ERROR_RESULT;
		ret->error_result = put(maker, watch->error);
	} else {
		ret->result_case = DEEP__WATCH_RESULT__RESULT_GOOD_RESULT;
		ret->good_result = make_name(maker, &watch->value);
	}
	return ret;
}

static void put_id(struct maker *maker, const char *text, ProtobufCBinaryData *ret)
{
	enum { ID_SIZE = 16 };
	ret->data = take(maker, ID_SIZE);
	ret->len = ID_SIZE;
	for (size_t i = 0; i < ID_SIZE && strlen(text) == 2 * (size_t)ID_SIZE; i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], 0};
		ret->data[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
}

static void put_attributes(struct maker *maker, const struct result *result, Deep__Snapshot *ret)
{
	size_t count = result->attributes.count;
	char tid[16];
	snprintf(tid, sizeof(tid), "%d", result->tid);
	const struct strobe_pair always[] = {
		{"context", result->context},
		{"tracepoint", result->config ? result->config->id : ""},
		{"thread_name", result->thread_name},
		{"thread_id", tid},
	};
	enum { ALWAYS = sizeof(always) / sizeof(always[0]) };
	ret->attributes = take(maker, (count + ALWAYS) * sizeof(*ret->attributes));
	for (size_t i = 0; i < ALWAYS; i++)
		ret->attributes[ret->n_attributes++] =
			make_pair(maker, always[i].name, always[i].value);
	for (size_t i = 0; i < count; i++)
		ret->attributes[ret->n_attributes++] = make_pair(
			maker, result->attributes.items[i].key, result->attributes.items[i].value);
}

static Deep__Snapshot *make_snapshot(struct maker *maker, const struct result *result,
				     const struct strobe_pair *resource, size_t resource_count)
{
	Deep__Snapshot *ret = take(maker, sizeof(*ret));
	deep__snapshot__init(ret);
	ret->has_id = ret->has_ts_nanos = ret->has_duration_nanos = true;
	put_id(maker, result->id, &ret->id);
	ret->ts_nanos = (uint64_t)result->time_ns;
	ret->duration_nanos = (uint64_t)result->duration_ns;
	if (result->config)
		ret->tracepoint = make_tracepoint(maker, result->config);
	ret->var_lookup = take(maker, result->variables.count * sizeof(*ret->var_lookup));
	for (size_t i = 0; i < result->variables.count; i++)
		ret->var_lookup[ret->n_var_lookup++] =
			make_variable(maker, &result->variables.items[i], i + 1);
	ret->frames = take(maker, result->frames.count * sizeof(*ret->frames));
	for (size_t i = 0; i < result->frames.count; i++)
		ret->frames[ret->n_frames++] = make_frame(maker, &result->frames.items[i]);
	ret->watches = take(maker, result->watches.count * sizeof(*ret->watches));
	for (size_t i = 0; i < result->watches.count; i++)
		ret->watches[ret->n_watches++] = make_watch(maker, &result->watches.items[i]);
	put_attributes(maker, result, ret);
	ret->resource = make_pairs(maker, resource, resource_count);
	ret->n_resource = resource_count;
	ret->log_msg = put(maker, result->log_message);
	return ret;
}

static struct strobe_error *pack(const ProtobufCMessage *message, struct message *ret)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(size ? size : 1);
	if (!bytes)
		return error_no_memory();
	*ret = (struct message){bytes, protobuf_c_message_pack(message, bytes)};
	return NULL;
}

struct strobe_error *message_poll(int64_t time_ns, const char *hash,
				  const struct strobe_pair *resource, size_t resource_count,
				  struct message *ret)
{
	struct maker maker = {0};
	struct strobe_error *error;
	if (setjmp(maker.short_of_memory)) {
		error = error_no_memory();
	} else {
		Deep__PollRequest *request = take(&maker, sizeof(*request));
		Deep__Resource *told = take(&maker, sizeof(*told));
		deep__poll_request__init(request);
		deep__resource__init(told);
		request->has_ts_nanos = true;
		request->ts_nanos = (uint64_t)time_ns;
		request->current_hash = put(&maker, hash);
		request->resource = told;
		told->attributes = make_pairs(&maker, resource, resource_count);
		told->n_attributes = resource_count;
		error = pack(&request->base, ret);
	}
	arena_fini(&maker.arena);
	return error;
}

struct strobe_error *message_snapshot(const struct result *result,
				      const struct strobe_pair *resource, size_t resource_count,
				      struct message *ret)
{
	struct maker maker = {0};
	struct strobe_error *error;
	if (setjmp(maker.short_of_memory))
		error = error_no_memory();
	else
		error = pack(&make_snapshot(&maker, result, resource, resource_count)->base, ret);
	arena_fini(&maker.arena);
	return error;
}
