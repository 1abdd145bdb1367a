// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_RESULT_H
#define TRACEPOINT_RESULT_H

// What a hit becomes: DEEP's model of a snapshot, with logs, metrics and spans beside it. Made by the handler, written by
// result_json.c, src/deep and src/otlp. One hit: one context, one time, one table of variables, for all of its tracepoints.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/array.h"
#include "tracepoint/config.h"

enum variable_state { VARIABLE_GOOD, VARIABLE_OPTIMIZED_OUT, VARIABLE_UNREADABLE };
/** A name for a variable of the table. */
struct variable_name {
	uint32_t id; // 1 to count
	const char *name;
	const char *modifiers[4]; // "static", "const", "private", ...; NULL-terminated if fewer
};
/** A variable, once by identity (address and type). */
struct result_variable {
	const char *type, *value;
	uint64_t identity; // its address; 0 = none
	ARRAY(struct variable_name) children;
	bool truncated;
	enum variable_state state;
};
struct result_frame {
	const char *function, *file, *short_path, *class_name; // may be NULL
	uint32_t line, column;
	bool app_frame, inlined;
	ARRAY(struct variable_name) variables;
};
enum watch_source { WATCH_WATCH, WATCH_LOG, WATCH_METRIC, WATCH_CAPTURE };
struct result_watch {
	const char *expression, *error; // error NULL = `value`
	enum watch_source source;
	struct variable_name value;
};
struct result_label {
	const char *key, *value;
};
struct result_metric {
	const struct config_metric *config;
	double value;
	ARRAY(struct result_label) labels;
};
enum result_kind { RESULT_SNAPSHOT, RESULT_LOG, RESULT_METRIC, RESULT_SPAN, RESULT_STATUS };
struct result {
	struct arena arena;
	enum result_kind kind;
	const struct tracepoint_config *
		config; // NULL only for what concerns none; counted: it may be taken away meanwhile
	char id[33];	// 128 random bits, hexadecimal
	char context[33]; // the same for all results of one hit
	int64_t time_ns;  // since 1970
	int64_t duration_ns;
	int pid, tid;
	const char *thread_name;
	ARRAY(struct result_frame) frames;
	ARRAY(struct result_variable) variables; // [0] has id 1
	ARRAY(struct result_watch) watches;
	ARRAY(struct result_label) attributes, resource;
	const char *log_message; // NULL
	struct result_metric metric;
	char span_id[17], trace_id[33];
	const char *span_name, *snapshot_path, *hold_name; // NULL
	const struct strobe_tracepoint_status *status;
};
struct result *result_free(struct result *result);

struct text;
/** One JSON object, as docs/json.md ("watch") has it, without a newline. */
void result_write_json(const struct result *result, struct text *ret);

/** The same in a line or some for people: when, which thread, which tracepoint, and what. Text of the target is in it as it is. */
void result_write_text(const struct result *result, struct text *ret);

struct strobe_delivery;
/** Who gets results: the library's takers, DEEP's server, an OpenTelemetry collector, files. */
struct result_sink {
	/** Queues or writes it; false: dropped. Must not wait. */
	bool (*put)(void *context, const struct result *result);
	/** Does what there is to do, for at most `timeout_ms`: connections, retries. Returns after how many ms it wants to be called again. */
	int (*work)(void *context, int timeout_ms);
	/** How it does; see <strobe/tracepoint_server.h>. */
	void (*tell)(const void *context, struct strobe_delivery *ret);
	void (*close)(void *context); // flushes for a moment
	void *context;
};

#endif
