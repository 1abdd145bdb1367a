// SPDX-License-Identifier: Apache-2.0
#include "otlp/encode.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/** OpenTelemetry's default bounds. */
static const double bounds[HISTOGRAM_BUCKETS - 1] = {0,	  5,   10,   25,   50,	 75,   100,  250,
						     500, 750, 1000, 2500, 5000, 7500, 10000};

/** Bytes that are no UTF-8 are written as the characters of their numbers. */
static void put_string(struct text *out, const char *string)
{
	text_append_char(out, '"');
	for (const char *at = string ? string : ""; *at;) {
		unsigned size = utf8_size(at), byte = (unsigned char)*at;
		if (byte == '"' || byte == '\\')
			text_printf(out, "\\%c", *at);
		else if (byte < ' ' || byte == 0x7f || !size)
			text_printf(out, "\\u%04x", byte);
		else
			text_append_bytes(out, at, size);
		at += size ? size : 1;
	}
	text_append_char(out, '"');
}

static void put_attribute(struct text *out, const char *key, const char *value, bool *first)
{
	text_append(out, *first ? "{\"key\":" : ",{\"key\":");
	*first = false;
	put_string(out, key);
	text_append(out, ",\"value\":{\"stringValue\":");
	put_string(out, value);
	text_append(out, "}}");
}

static void put_integer(struct text *out, const char *key, int64_t value, bool *first)
{
	text_append(out, *first ? "{\"key\":" : ",{\"key\":");
	*first = false;
	put_string(out, key);
	text_printf(out, ",\"value\":{\"intValue\":\"%" PRId64 "\"}}", value);
}

static void put_number(struct text *out, const char *name, double value)
{
	if (isfinite(value))
		text_printf(out, ",\"%s\":%.17g", name, value);
	else
		text_printf(out, ",\"%s\":\"%s\"", name,
			    isnan(value) ? "NaN"
			    : value > 0	 ? "Infinity"
					 : "-Infinity");
}

static void put_common(struct text *out, const struct result *result)
{
	bool first = true;
	text_append(out, "\"attributes\":[");
	put_attribute(out, "tracepoint", result->config ? result->config->id : "", &first);
	put_attribute(out, "context", result->context, &first);
	put_integer(out, "thread.id", result->tid, &first);
	put_attribute(out, "thread.name", result->thread_name, &first);
	if (result->frames.count) {
		const struct result_frame *frame = &result->frames.items[0];
		put_attribute(out, "code.file.path", frame->file, &first);
		put_attribute(out, "code.function.name", frame->function, &first);
		put_integer(out, "code.line.number", frame->line, &first);
	}
	for (size_t i = 0; i < result->attributes.count; i++)
		put_attribute(out, result->attributes.items[i].key,
			      result->attributes.items[i].value, &first);
	if (result->kind == RESULT_SNAPSHOT) {
		struct text json cleanup_text = {0};
		result_write_json(result, &json);
		put_attribute(out, "snapshot", text_string(&json), &first);
	}
	text_append(out, "]");
}

void encode_log(const struct result *result, struct text *out)
{
	struct text shown cleanup_text = {0};
	const char *body = result->log_message;
	if (!body) {
		result_write_text(result, &shown);
		body = text_string(&shown);
	}
	text_printf(out,
		    "{\"timeUnixNano\":\"%" PRId64 "\",\"observedTimeUnixNano\":\"%" PRId64
		    "\",\"severityNumber\":9,\"severityText\":\"INFO\",\"body\":{\"stringValue\":",
		    result->time_ns, result->time_ns);
	put_string(out, body);
	text_append(out, "},");
	put_common(out, result);
	text_append(out, "}");
}

void encode_span(const struct result *result, struct text *out)
{
	text_printf(out, "{\"traceId\":\"%s\",\"spanId\":\"%s\",\"name\":", result->trace_id,
		    result->span_id);
	put_string(out, result->span_name);
	text_printf(out,
		    ",\"kind\":1,\"startTimeUnixNano\":\"%" PRId64
		    "\",\"endTimeUnixNano\":\"%" PRId64 "\",\"status\":{},",
		    result->time_ns, result->time_ns + result->duration_ns);
	put_common(out, result);
	text_append(out, "}");
}

// Metrics.

void series_fini(struct series *series)
{
	free(series->key);
	free(series->labels);
	free(series->name);
	free(series->unit);
	free(series->description);
}

static struct series *find_series(const struct result_metric *metric, const char *key,
				  struct series *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(items[i].key, key) == 0 && items[i].type == metric->config->type)
			return &items[i];
	return NULL;
}

static bool make_series(const struct result *result, const struct text *labels, const char *key,
			struct series *ret)
{
	const struct config_metric *config = result->metric.config;
	struct text name cleanup_text = {0};
	text_printf(&name, "%s.%s", config->metric_namespace, config->name);
	*ret = (struct series){
		.key = strdup(key),
		.labels = strdup(text_string(labels)),
		.name = text_steal(&name),
		.unit = config->unit ? strdup(config->unit) : NULL,
		.description = config->help ? strdup(config->help) : NULL,
		.type = config->type,
		.start_ns = result->time_ns,
		.min = INFINITY,
		.max = -INFINITY,
	};
	if (ret->key && ret->labels && ret->name)
		return true;
	series_fini(ret);
	return false;
}

static void feed(struct series *series, const struct result *result)
{
	double value = result->metric.value;
	size_t bucket = 0;
	while (bucket < HISTOGRAM_BUCKETS - 1 && !(value <= bounds[bucket]))
		bucket++;
	series->buckets[bucket]++;
	series->count++;
	series->sum += value;
	series->last = value;
	series->min = value < series->min ? value : series->min;
	series->max = value > series->max ? value : series->max;
	series->falls |= value < 0;
	series->changed = true;
	series->time_ns = result->time_ns;
}

struct series *series_feed(const struct result *result, struct series **items, size_t *count,
			   size_t limit)
{
	struct text labels cleanup_text = {0}, key cleanup_text = {0};
	bool first = true;
	for (size_t i = 0; i < result->metric.labels.count; i++)
		put_attribute(&labels, result->metric.labels.items[i].key,
			      result->metric.labels.items[i].value, &first);
	put_string(&key, result->metric.config->metric_namespace);
	put_string(&key, result->metric.config->name);
	text_append(&key, text_string(&labels));
	if (labels.failed || key.failed)
		return NULL;
	struct series *found = find_series(&result->metric, text_string(&key), *items, *count);
	if (!found) {
		struct series *more =
			*count < limit ? realloc(*items, (*count + 1) * sizeof(**items)) : NULL;
		if (!more)
			return NULL;
		*items = more;
		found = &more[*count];
		if (!make_series(result, &labels, text_string(&key), found))
			return NULL;
		++*count;
	}
	feed(found, result);
	return found;
}

static void put_histogram(const struct series *series, struct text *out)
{
	text_append(out, ",\"bucketCounts\":[");
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		text_printf(out, "%s\"%" PRIu64 "\"", i ? "," : "", series->buckets[i]);
	text_append(out, "],\"explicitBounds\":[");
	for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++)
		text_printf(out, "%s%g", i ? "," : "", bounds[i]);
	text_append(out, "]");
}

void encode_series(const struct series *series, struct text *out)
{
	static const char *const types[] = {"sum", "gauge", "histogram", "summary"};
	text_append(out, "{\"name\":");
	put_string(out, series->name);
	text_append(out, ",\"unit\":");
	put_string(out, series->unit);
	text_append(out, ",\"description\":");
	put_string(out, series->description);
	text_printf(out, ",\"%s\":{", types[series->type]);
	if (series->type == METRIC_COUNTER)
		text_printf(out, "\"isMonotonic\":%s,", series->falls ? "false" : "true");
	if (series->type == METRIC_COUNTER || series->type == METRIC_HISTOGRAM)
		text_append(out, "\"aggregationTemporality\":2,"); // cumulative
	text_printf(out, "\"dataPoints\":[{\"attributes\":[%s],\"timeUnixNano\":\"%" PRId64 "\"",
		    series->labels, series->time_ns);
	if (series->type != METRIC_GAUGE)
		text_printf(out, ",\"startTimeUnixNano\":\"%" PRId64 "\"", series->start_ns);
	if (series->type == METRIC_COUNTER || series->type == METRIC_GAUGE) {
		put_number(out, "asDouble",
			   series->type == METRIC_GAUGE ? series->last : series->sum);
	} else {
		text_printf(out, ",\"count\":\"%" PRIu64 "\"", series->count);
		put_number(out, "sum", series->sum);
	}
	if (series->type == METRIC_HISTOGRAM) {
		put_number(out, "min", series->min);
		put_number(out, "max", series->max);
		put_histogram(series, out);
	}
	if (series->type == METRIC_SUMMARY) {
		text_append(out, ",\"quantileValues\":[{\"quantile\":0");
		put_number(out, "value", series->min);
		text_append(out, "},{\"quantile\":1");
		put_number(out, "value", series->max);
		text_append(out, "}]");
	}
	text_append(out, "}]}}");
}

// What stands around them.

void encode_head(const char *kind, const struct strobe_pair *resource, size_t count,
		 struct text *out)
{
	bool first = true;
	const char *records = strcmp(kind, "Logs") == 0	     ? "logRecords"
			      : strcmp(kind, "Metrics") == 0 ? "metrics"
							     : "spans";
	text_printf(out, "{\"resource%s\":[{\"resource\":{\"attributes\":[", kind);
	for (size_t i = 0; i < count; i++)
		put_attribute(out, resource[i].name, resource[i].value, &first);
	text_printf(out,
		    "]},\"scope%s\":[{\"scope\":{\"name\":\"strobe\",\"version\":\"%s\"},\"%s\":[",
		    kind, STROBE_VERSION, records);
}

void encode_tail(struct text *out)
{
	text_append(out, "]}]}]}");
}
