// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_CONFIG_H
#define TRACEPOINT_CONFIG_H

// A tracepoint as it is meant: DEEP's arguments with their defaults, and what is ours. Made once from what people wrote.

#include <strobe/tracepoint.h>

#include "base/arena.h"

enum stage {
	STAGE_NONE,
	STAGE_LINE_START,
	STAGE_LINE_END,
	STAGE_LINE_CAPTURE,
	STAGE_LINE_EXCEPTION,
	STAGE_METHOD_START,
	STAGE_METHOD_END,
	STAGE_METHOD_CAPTURE,
	STAGE_METHOD_EXCEPTION
};
enum frame_type { FRAME_SINGLE, FRAME_ALL, FRAME_NO };
enum stack_type { STACK_WHOLE, STACK_NO };
enum span_kind { SPAN_NONE, SPAN_LINE, SPAN_METHOD };
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_SUMMARY };

/** DEEP's limits, and their defaults. */
struct config_limits {
	uint32_t max_string_length;   // bytes of a value's text: 1024
	uint32_t max_collection_size; // children of an array or container: 10
	uint32_t max_variables;	      // of a snapshot: 1000
	uint32_t max_var_depth;	      // 5
	uint32_t max_watch_vars;      // 100
	uint32_t max_process_time_ms; // 100
};
struct config_label {
	const char *key, *text, *expression; // one of the two is NULL
};
struct config_metric {
	const char *name, *expression, *metric_namespace, *help, *unit; // expression may be NULL
	enum metric_type type;
	const struct config_label *labels;
	size_t label_count;
};
/** A log message, cut at its expressions. */
struct config_text {
	const char *text;	// before the expression; may be ""
	const char *expression; // NULL in the last one
};
struct tracepoint_config {
	struct arena arena; // of all that it points to
	uint64_t hash;	    // of all that people wrote: equal = unchanged
	const char *id, *source;
	const char *path; // NULL = by method_name alone
	uint32_t line;
	const char *method_name; // NULL
	const char *condition;	 // NULL = always
	const char **watches;
	size_t watch_count;
	int64_t fire_count; // -1 = no limit
	int64_t fire_period_ns;
	int64_t window_start_ns,
		window_end_ns; // since 1970; 0 = open. The unit is told by the size: s, ms, us or ns
	enum frame_type frame_type;
	enum stack_type stack_type;
	bool collect; // a snapshot
	enum span_kind span;
	enum stage stage; // never NONE: from span, method_name and line where it is not given
	struct config_limits limits;
	struct config_text *log; // NULL = none
	size_t log_count;
	struct config_metric *metrics;
	size_t metric_count;
	const char *hold, *snap,
		*record; // names and paths; %n, %t, %p stand for the hit's number, thread, process; NULL
	const char **arms, **disarms;		     // ids; NULL-terminated, may be NULL
	bool disabled;				     // until another one arms it
	double sample;				     // share of hits that count; 1
	int64_t thread_fire_count, value_fire_count; // -1
	const char *value_key;			     // expression
	uint32_t keep_last;	// results that wait for `keep_until`; 0 = none do
	const char *keep_until; // condition
	double cpu_share, hits_per_second, bytes_per_second, latency_us; // 0 = no limit of its own
	const struct strobe_tracepoint *written;			 // a copy, to be echoed
	bool short_of_memory;						 // while it was read
};

/** Is it of a function, not of a line? */
static inline bool config_is_method(const struct tracepoint_config *config)
{
	return config->stage >= STAGE_METHOD_START;
}
/** Does it collect when the line or call ends, and only then? */
static inline bool config_is_of_end(const struct tracepoint_config *config)
{
	return config->stage == STAGE_LINE_END || config->stage == STAGE_METHOD_END;
}
/** Does it collect at the beginning, and add how it ended? */
static inline bool config_captures(const struct tracepoint_config *config)
{
	return config->stage == STAGE_LINE_CAPTURE || config->stage == STAGE_METHOD_CAPTURE;
}
/** Does the end of the line or call matter? */
static inline bool config_waits_for_end(const struct tracepoint_config *config)
{
	return config_is_of_end(config) || config_captures(config) || config->span != SPAN_NONE;
}
/** Is it about exceptions and signals that come up there? */
static inline bool config_is_of_exceptions(const struct tracepoint_config *config)
{
	return config->stage == STAGE_LINE_EXCEPTION || config->stage == STAGE_METHOD_EXCEPTION;
}

/** Reads one. An argument that is unknown, or whose value has no meaning, is refused by name, except numbers that DEEP takes its
 *  default for (fire_count, fire_period and the limits). Errors: INVALID, SYNTAX, NO_MEMORY. */
struct strobe_error *config_new(const struct strobe_tracepoint *written, const char *source,
				struct tracepoint_config **ret) STROBE_MUST_CHECK;
struct tracepoint_config *config_free(struct tracepoint_config *config);

#endif
