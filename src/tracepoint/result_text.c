// SPDX-License-Identifier: Apache-2.0
// Results for people.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "tracepoint/result.h"

enum { FRAMES_SHOWN = 12, VARIABLES_SHOWN = 24, NS_PER_SECOND = 1000000000, NS_PER_MS = 1000000 };

static void put_head(struct text *out, const struct result *result)
{
	time_t seconds = (time_t)(result->time_ns / NS_PER_SECOND);
	struct tm local;
	char clock[32] = "";
	if (localtime_r(&seconds, &local))
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	text_printf(out, "%s.%03d %s/%d %s:", clock,
		    (int)(result->time_ns % NS_PER_SECOND / NS_PER_MS),
		    result->thread_name ? result->thread_name : "", result->tid,
		    result->config ? result->config->id : "");
}

static void put_value(struct text *out, const struct result *result,
		      const struct variable_name *name)
{
	const struct result_variable *variable = &result->variables.items[name->id - 1];
	text_printf(out, "%s = %s%s", name->name, variable->value,
		    variable->truncated ? "..." : "");
}

static void put_watches(struct text *out, const struct result *result)
{
	for (size_t i = 0; i < result->watches.count; i++) {
		const struct result_watch *watch = &result->watches.items[i];
		if (watch->source == WATCH_LOG)
			continue;
		text_append(out, "\n    ");
		if (watch->error)
			text_printf(out, "%s: %s", watch->expression, watch->error);
		else
			put_value(out, result, &watch->value);
	}
}

static void put_frames(struct text *out, const struct result *result)
{
	for (size_t i = 0; i < result->frames.count && i < FRAMES_SHOWN; i++) {
		const struct result_frame *frame = &result->frames.items[i];
		text_printf(out, "\n  #%zu %s", i, frame->function ? frame->function : "??");
		if (frame->short_path)
			text_printf(out, " at %s:%" PRIu32, frame->short_path, frame->line);
		for (size_t j = 0; j < frame->variables.count && j < VARIABLES_SHOWN; j++) {
			text_append(out, "\n       ");
			put_value(out, result, &frame->variables.items[j]);
		}
	}
	if (result->frames.count > FRAMES_SHOWN)
		text_printf(out, "\n  ... %zu more", result->frames.count - FRAMES_SHOWN);
}

static void put_labels(struct text *out, const struct result_metric *metric)
{
	for (size_t i = 0; i < metric->labels.count; i++)
		text_printf(out, " %s=%s", metric->labels.items[i].key,
			    metric->labels.items[i].value);
}

void result_write_text(const struct result *result, struct text *out)
{
	put_head(out, result);
	if (result->log_message)
		text_printf(out, " %s", result->log_message);
	if (result->kind == RESULT_METRIC) {
		text_printf(out, " %s %.15g", result->metric.config->name, result->metric.value);
		put_labels(out, &result->metric);
	}
	if (result->duration_ns)
		text_printf(out, " %s%s%.3f ms", result->span_name ? result->span_name : "",
			    result->span_name ? " took " : "",
			    (double)result->duration_ns / NS_PER_MS);
	if (result->kind == RESULT_SNAPSHOT)
		put_frames(out, result);
	put_watches(out, result);
	for (size_t i = 0; i < result->attributes.count; i++)
		text_printf(out, "\n    %s: %s", result->attributes.items[i].key,
			    result->attributes.items[i].value);
}
