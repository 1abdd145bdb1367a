// SPDX-License-Identifier: Apache-2.0
#ifndef OTLP_ENCODE_H
#define OTLP_ENCODE_H

// Results in OTLP's JSON (opentelemetry-proto, "JSON Protobuf Encoding": 64-bit integers are text, ids hexadecimal).

#include <strobe/tracepoint_server.h>

#include "base/array.h"
#include "base/text.h"
#include "tracepoint/result.h"

enum { HISTOGRAM_BUCKETS = 16 };
/** A metric with one set of labels: all that it was fed since `start_ns`. */
struct series {
	char *key, *labels, *name, *unit,
		*description; // `labels` is JSON; unit and description may be NULL
	enum metric_type type;
	uint64_t count, buckets[HISTOGRAM_BUCKETS];
	double sum, last, min, max;
	int64_t start_ns, time_ns;
	bool falls, changed; // something negative was added; since it was sent
};

void encode_log(const struct result *result, struct text *ret);
void encode_span(const struct result *result, struct text *ret);
/** Feeds the series of the result's metric, made if it is new. NULL when memory is short, or past the limit. */
struct series *series_feed(const struct result *result, struct series **items, size_t *count,
			   size_t limit);
void encode_series(const struct series *series, struct text *ret);
void series_fini(struct series *series);

/** What stands around records: `kind` is "Logs", "Metrics" or "Spans". */
void encode_head(const char *kind, const struct strobe_pair *resource, size_t count,
		 struct text *ret);
void encode_tail(struct text *ret);

#endif
