// SPDX-License-Identifier: Apache-2.0
// Results as JSON: docs/json.md, "watch".
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"
#include "tracepoint/result.h"

/** Bytes that are no UTF-8 are written as the characters of their numbers. */
static void put_string(struct text *out, const char *string)
{
	if (!string) {
		text_append(out, "null");
		return;
	}
	text_append_char(out, '"');
	for (const unsigned char *at = (const unsigned char *)string; *at;) {
		unsigned size = utf8_size((const char *)at);
		if (*at == '"' || *at == '\\')
			text_printf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f || !size)
			text_printf(out, "\\u%04x", *at);
		else
			text_append_bytes(out, (const char *)at, size);
		at += size ? size : 1;
	}
	text_append_char(out, '"');
}

static void put_member(struct text *out, const char *name, const char *value)
{
	text_printf(out, "\"%s\":", name);
	put_string(out, value);
}

static void put_name(struct text *out, const struct variable_name *name)
{
	text_append(out, "{");
	put_member(out, "name", name->name);
	text_printf(out, ",\"id\":\"%" PRIu32 "\",\"modifiers\":[", name->id);
	for (unsigned i = 0; i < 4 && name->modifiers[i]; i++) {
		text_append(out, i ? "," : "");
		put_string(out, name->modifiers[i]);
	}
	text_append(out, "]}");
}

static void put_frame(struct text *out, const struct result_frame *frame)
{
	text_append(out, "{");
	put_member(out, "function", frame->function);
	text_append(out, ",");
	put_member(out, "file", frame->file);
	text_append(out, ",");
	put_member(out, "short_path", frame->short_path);
	text_printf(out, ",\"line\":%" PRIu32 ",\"column\":%" PRIu32 ",", frame->line,
		    frame->column);
	put_member(out, "class", frame->class_name);
	text_printf(out, ",\"app_frame\":%s,\"inlined\":%s,\"variables\":[",
		    frame->app_frame ? "true" : "false", frame->inlined ? "true" : "false");
	for (size_t i = 0; i < frame->variables.count; i++) {
		text_append(out, i ? "," : "");
		put_name(out, &frame->variables.items[i]);
	}
	text_append(out, "]}");
}

static void put_variable(struct text *out, const struct result_variable *variable, size_t id)
{
	text_printf(out, "\"%zu\":{", id);
	put_member(out, "type", variable->type);
	text_append(out, ",");
	put_member(out, "value", variable->value);
	text_printf(out, ",\"hash\":\"0x%" PRIx64 "\",\"children\":[", variable->identity);
	for (size_t i = 0; i < variable->children.count; i++) {
		text_append(out, i ? "," : "");
		put_name(out, &variable->children.items[i]);
	}
	text_printf(out, "],\"truncated\":%s", variable->truncated ? "true" : "false");
	if (variable->state != VARIABLE_GOOD)
		text_append(out, ","),
			put_member(out, "state",
				   variable->state == VARIABLE_OPTIMIZED_OUT ? "optimized_out"
									     : "unreadable");
	text_append(out, "}");
}

static void put_watch(struct text *out, const struct result_watch *watch)
{
	static const char *const sources[] = {"watch", "log", "metric", "capture"};
	text_append(out, "{");
	put_member(out, "expression", watch->expression);
	text_append(out, ",");
	put_member(out, "source", sources[watch->source]);
	text_append(out, ",");
	if (watch->error)
		put_member(out, "error", watch->error);
	else
		text_printf(out, "\"value\":\"%" PRIu32 "\"", watch->value.id);
	text_append(out, "}");
}

static void put_labels(struct text *out, const char *name, const struct result_label *labels,
		       size_t count)
{
	text_printf(out, ",\"%s\":{", name);
	for (size_t i = 0; i < count; i++) {
		text_append(out, i ? "," : "");
		put_string(out, labels[i].key);
		text_append(out, ":");
		put_string(out, labels[i].value);
	}
	text_append(out, "}");
}

static void put_snapshot(struct text *out, const struct result *result)
{
	text_append(out, ",\"frames\":[");
	for (size_t i = 0; i < result->frames.count; i++) {
		text_append(out, i ? "," : "");
		put_frame(out, &result->frames.items[i]);
	}
	text_append(out, "]");
}

static void put_variables(struct text *out, const struct result *result)
{
	text_append(out, ",\"variables\":{");
	for (size_t i = 0; i < result->variables.count; i++) {
		text_append(out, i ? "," : "");
		put_variable(out, &result->variables.items[i], i + 1);
	}
	text_append(out, "},\"watches\":[");
	for (size_t i = 0; i < result->watches.count; i++) {
		text_append(out, i ? "," : "");
		put_watch(out, &result->watches.items[i]);
	}
	text_append(out, "]");
}

static void put_metric(struct text *out, const struct result_metric *metric)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "summary"};
	text_append(out, ",\"metric\":{");
	put_member(out, "name", metric->config->name);
	text_append(out, ",");
	put_member(out, "type", types[metric->config->type]);
	text_append(out, ",");
	put_member(out, "namespace", metric->config->metric_namespace);
	text_append(out, ",");
	put_member(out, "unit", metric->config->unit);
	if (isfinite(metric->value))
		text_printf(out, ",\"value\":%.17g", metric->value);
	else
		text_append(out, ",\"value\":null");
	put_labels(out, "labels", metric->labels.items, metric->labels.count);
	text_append(out, "}");
}

static void put_status(struct text *out, const struct strobe_tracepoint_status *status)
{
	text_append(out, ",");
	put_member(out, "state", status->state);
	text_append(out, ",\"armed\":[");
	for (size_t i = 0; i < status->armed_count; i++) {
		text_printf(out, "%s{\"address\":\"0x%" PRIx64 "\",", i ? "," : "",
			    status->armed[i].address);
		put_member(out, "method", status->armed[i].method);
		text_append(out, ",");
		put_member(out, "inlined_in", status->armed[i].inlined_in);
		text_append(out, "}");
	}
	text_append(out, "]");
	if (status->moved_to)
		text_printf(out, ",\"moved_to\":%u", status->moved_to);
	text_append(out, ",");
	put_member(out, "error", status->error);
	text_printf(out,
		    ",\"hits\":%" PRIu64 ",\"fired\":%" PRIu64 ",\"dropped\":%" PRIu64
		    ",\"errors\":%" PRIu64 ",\"cost_ns\":%" PRIu64,
		    status->hits, status->fired, status->dropped, status->errors, status->cost_ns);
}

void result_write_json(const struct result *result, struct text *out)
{
	static const char *const kinds[] = {"snapshot", "log", "metric", "span", "status"};
	text_append(out, "{");
	put_member(out, "kind", kinds[result->kind]);
	text_append(out, ",");
	put_member(out, "id", result->id);
	text_append(out, ",");
	put_member(out, "tracepoint", result->config ? result->config->id : NULL);
	text_append(out, ",");
	put_member(out, "context", result->context[0] ? result->context : NULL);
	text_printf(out, ",\"time_ns\":%" PRId64 ",\"duration_ns\":%" PRId64 ",\"pid\":%d",
		    result->time_ns, result->duration_ns, result->pid);
	if (result->tid) {
		text_printf(out, ",\"thread\":{\"tid\":%d,", result->tid);
		put_member(out, "name", result->thread_name);
		text_append(out, "}");
	}
	if (result->kind == RESULT_SNAPSHOT)
		put_snapshot(out, result);
	if (result->kind == RESULT_SNAPSHOT || result->kind == RESULT_LOG)
		put_variables(out, result);
	if (result->kind == RESULT_METRIC)
		put_metric(out, &result->metric);
	if (result->kind == RESULT_SPAN) {
		text_append(out, ",");
		put_member(out, "name", result->span_name);
		text_append(out, ",");
		put_member(out, "span_id", result->span_id);
		text_append(out, ",");
		put_member(out, "trace_id", result->trace_id);
	}
	if (result->kind == RESULT_STATUS && result->status)
		put_status(out, result->status);
	put_labels(out, "attributes", result->attributes.items, result->attributes.count);
	put_labels(out, "resource", result->resource.items, result->resource.count);
	if (result->log_message) {
		text_append(out, ",");
		put_member(out, "log_msg", result->log_message);
	}
	text_append(out, "}");
}
