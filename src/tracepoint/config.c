// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"

enum { NS_PER_MS = 1000000, ID_LIST_LIMIT = 100, LOG_PART_LIMIT = 200 };

/** One being read. */
struct reader {
	struct tracepoint_config *config;
	const char *window_start, *window_end;
	bool has_stage, has_span, stage_is_method;
};

static char *copy(struct tracepoint_config *config, const char *text)
{
	char *ret = arena_strdup(&config->arena, text);
	config->short_of_memory |= text && !ret;
	return ret;
}

static char *copy_part(struct tracepoint_config *config, const char *text, size_t size)
{
	char *ret = arena_copy_string(&config->arena, text, size);
	config->short_of_memory |= !ret;
	return ret;
}

/** What people wrote, fit for a message of one line. */
struct shown {
	char text[101];
};
static const char *show(struct shown *shown, const char *text)
{
	snprintf(shown->text, sizeof(shown->text), "%s", text ? text : "");
	for (char *at = shown->text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	return shown->text;
}

/** A whole number, all of it; false for anything else. */
static bool read_integer(const char *text, int64_t *ret)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno || end == text || *end)
		return false;
	*ret = value;
	return true;
}

static bool read_number(const char *text, double *ret)
{
	char *end;
	errno = 0;
	double value = strtod(text, &end);
	if (errno || end == text || *end || value != value)
		return false;
	*ret = value;
	return true;
}

// Arguments. Each reader says whether the value has a meaning.

/** DEEP's numbers: what is none leaves the default. */
static bool take_count(struct reader *reader, const char *value)
{
	if (!read_integer(value, &reader->config->fire_count) || reader->config->fire_count < -1)
		reader->config->fire_count = 1;
	return true;
}

static bool take_period(struct reader *reader, const char *value)
{
	int64_t period;
	if (read_integer(value, &period) && period >= 0 && period < INT64_MAX / NS_PER_MS)
		reader->config->fire_period_ns = period * NS_PER_MS;
	return true;
}

static void take_limit(uint32_t *limit, const char *value)
{
	int64_t number;
	if (read_integer(value, &number) && number >= 0 && number <= INT32_MAX)
		*limit = (uint32_t)number;
}

static bool take_max_string_length(struct reader *reader, const char *value)
{
	take_limit(&reader->config->limits.max_string_length, value);
	return true;
}

static bool take_max_collection_size(struct reader *reader, const char *value)
{
	take_limit(&reader->config->limits.max_collection_size, value);
	return true;
}

static bool take_max_variables(struct reader *reader, const char *value)
{
	take_limit(&reader->config->limits.max_variables, value);
	return true;
}

static bool take_max_var_depth(struct reader *reader, const char *value)
{
	take_limit(&reader->config->limits.max_var_depth, value);
	return true;
}

static bool take_max_watch_vars(struct reader *reader, const char *value)
{
	take_limit(&reader->config->limits.max_watch_vars, value);
	return true;
}

static bool take_max_tp_process_time(struct reader *reader, const char *value)
{
	take_limit(&reader->config->limits.max_process_time_ms, value);
	return true;
}

static bool take_condition(struct reader *reader, const char *value)
{
	if (value[strspn(value, " \t\r\n")])
		reader->config->condition = copy(reader->config, value);
	return true;
}

static bool take_window_start(struct reader *reader, const char *value)
{
	reader->window_start = value;
	return true;
}

static bool take_window_end(struct reader *reader, const char *value)
{
	reader->window_end = value;
	return true;
}

/** One of some words; its number in `ret`. */
static bool take_word(const char *value, const char *const *words, unsigned *ret)
{
	for (unsigned i = 0; words[i]; i++)
		if (strcasecmp(words[i], value) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool take_frame_type(struct reader *reader, const char *value)
{
	static const char *const words[] = {"single_frame", "all_frame", "no_frame", NULL};
	unsigned number;
	if (!take_word(value, words, &number))
		return false;
	reader->config->frame_type = (enum frame_type)number;
	return true;
}

static bool take_stack_type(struct reader *reader, const char *value)
{
	static const char *const words[] = {"stack", "no_stack", NULL};
	unsigned number;
	if (!take_word(value, words, &number))
		return false;
	reader->config->stack_type = (enum stack_type)number;
	return true;
}

static bool take_snapshot(struct reader *reader, const char *value)
{
	static const char *const words[] = {"no_collect", "collect", NULL};
	unsigned number;
	if (!take_word(value, words, &number))
		return false;
	reader->config->collect = number;
	return true;
}

static bool take_span(struct reader *reader, const char *value)
{
	static const char *const words[] = {"none", "line", "method", NULL};
	unsigned number;
	if (!take_word(value, words, &number))
		return false;
	reader->config->span = (enum span_kind)number;
	reader->has_span = number != 0;
	return true;
}

static bool take_stage(struct reader *reader, const char *value)
{
	static const char *const words[] = {"line_start",     "line_end",	  "line_capture",
					    "line_exception", "method_start",	  "method_end",
					    "method_capture", "method_exception", NULL};
	unsigned number;
	if (!take_word(value, words, &number))
		return false;
	reader->config->stage = (enum stage)(STAGE_LINE_START + number);
	reader->has_stage = true;
	reader->stage_is_method = config_is_method(reader->config);
	return true;
}

static bool take_method_name(struct reader *reader, const char *value)
{
	if (*value)
		reader->config->method_name = copy(reader->config, value);
	return true;
}

/** Cuts "n={n} of {{all}}" at its expressions. */
static bool take_log_msg(struct reader *reader, const char *value)
{
	struct tracepoint_config *config = reader->config;
	struct config_text parts[LOG_PART_LIMIT];
	struct text text cleanup_text = {0};
	size_t count = 0;
	for (const char *at = value;; at++) {
		if ((at[0] == '{' && at[1] == '{') || (at[0] == '}' && at[1] == '}')) {
			text_append_char(&text, *at++);
			continue;
		}
		if (*at && *at != '{') {
			text_append_char(&text, *at);
			continue;
		}
		if (count == LOG_PART_LIMIT)
			return false;
		struct config_text *part = &parts[count++];
		*part = (struct config_text){.text = copy(config, text_string(&text))};
		text_truncate(&text, 0);
		if (!*at)
			break;
		unsigned depth = 1;
		const char *start = ++at;
		for (; *at && depth; at++)
			depth += *at == '{' ? 1u : *at == '}' ? -1u : 0u;
		if (depth || at - start == 1)
			return false;
		part->expression = copy_part(config, start, (size_t)(--at - start));
	}
	config->log = arena_alloc(&config->arena, count * sizeof(*config->log));
	if (config->log)
		memcpy(config->log, parts, count * sizeof(*config->log));
	config->log_count = config->log ? count : 0;
	config->short_of_memory |= text.failed || !config->log;
	return true;
}

static bool take_hold(struct reader *reader, const char *value)
{
	reader->config->hold = copy(reader->config, value);
	return *value;
}

static bool take_snap(struct reader *reader, const char *value)
{
	reader->config->snap = copy(reader->config, value);
	return *value;
}

static bool take_record(struct reader *reader, const char *value)
{
	reader->config->record = copy(reader->config, value);
	return *value;
}

/** "a, b": a list that ends with NULL. */
static bool take_list(struct tracepoint_config *config, const char *value, const char ***ret)
{
	const char *ids[ID_LIST_LIMIT];
	size_t count = 0;
	for (const char *at = value + strspn(value, " ,"); *at; at += strspn(at, " ,")) {
		size_t size = strcspn(at, " ,");
		if (count == ID_LIST_LIMIT)
			return false;
		ids[count++] = copy_part(config, at, size);
		at += size;
	}
	*ret = arena_alloc(&config->arena, (count + 1) * sizeof(**ret));
	if (*ret)
		memcpy(*ret, ids, count * sizeof(**ret));
	config->short_of_memory |= !*ret;
	return count > 0;
}

static bool take_arms(struct reader *reader, const char *value)
{
	return take_list(reader->config, value, &reader->config->arms);
}

static bool take_disarms(struct reader *reader, const char *value)
{
	return take_list(reader->config, value, &reader->config->disarms);
}

static bool take_enabled(struct reader *reader, const char *value)
{
	static const char *const words[] = {"true", "yes", "1", "false", "no", "0", NULL};
	unsigned number;
	if (!take_word(value, words, &number))
		return false;
	reader->config->disabled = number >= 3;
	return true;
}

static bool take_sample(struct reader *reader, const char *value)
{
	return read_number(value, &reader->config->sample) && reader->config->sample >= 0 &&
	       reader->config->sample <= 1;
}

static bool take_thread_fire_count(struct reader *reader, const char *value)
{
	return read_integer(value, &reader->config->thread_fire_count) &&
	       reader->config->thread_fire_count >= -1;
}

static bool take_value_fire_count(struct reader *reader, const char *value)
{
	return read_integer(value, &reader->config->value_fire_count) &&
	       reader->config->value_fire_count >= -1;
}

static bool take_value_key(struct reader *reader, const char *value)
{
	reader->config->value_key = copy(reader->config, value);
	return *value;
}

static bool take_keep_last(struct reader *reader, const char *value)
{
	enum { KEEP_LIMIT = 10000 };
	int64_t number;
	if (!read_integer(value, &number) || number < 0 || number > KEEP_LIMIT)
		return false;
	reader->config->keep_last = (uint32_t)number;
	return true;
}

static bool take_keep_until(struct reader *reader, const char *value)
{
	reader->config->keep_until = copy(reader->config, value);
	return *value;
}

static bool take_positive(const char *value, double *ret)
{
	return read_number(value, ret) && *ret >= 0;
}

static bool take_cpu_share(struct reader *reader, const char *value)
{
	return take_positive(value, &reader->config->cpu_share);
}

static bool take_hits_per_second(struct reader *reader, const char *value)
{
	return take_positive(value, &reader->config->hits_per_second);
}

static bool take_bytes_per_second(struct reader *reader, const char *value)
{
	return take_positive(value, &reader->config->bytes_per_second);
}

static bool take_latency(struct reader *reader, const char *value)
{
	return take_positive(value, &reader->config->latency_us);
}

static const struct argument {
	const char *name;
	bool (*take)(struct reader *reader, const char *value);
	const char *expected;
} arguments[] = {
	{"fire_count", take_count, ""},
	{"fire_period", take_period, ""},
	{"condition", take_condition, ""},
	{"window_start", take_window_start, ""},
	{"window_end", take_window_end, ""},
	{"frame_type", take_frame_type, "single_frame, all_frame or no_frame"},
	{"stack_type", take_stack_type, "stack or no_stack"},
	{"log_msg", take_log_msg,
	 "text with {expressions}, each closed and not empty; {{ is a brace"},
	{"snapshot", take_snapshot, "collect or no_collect"},
	{"method_name", take_method_name, ""},
	{"span", take_span, "line or method"},
	{"stage", take_stage,
	 "line_start, line_end, line_capture, line_exception, or method_start, method_end, "
	 "method_capture, method_exception"},
	{"max_string_length", take_max_string_length, ""},
	{"max_collection_size", take_max_collection_size, ""},
	{"max_variables", take_max_variables, ""},
	{"max_var_depth", take_max_var_depth, ""},
	{"max_watch_vars", take_max_watch_vars, ""},
	{"max_tp_process_time", take_max_tp_process_time, ""},
	{"hold", take_hold, "a name"},
	{"snap", take_snap, "a path"},
	{"record", take_record, "a path"},
	{"arms", take_arms, "ids of tracepoints"},
	{"disarms", take_disarms, "ids of tracepoints"},
	{"enabled", take_enabled, "true or false"},
	{"sample", take_sample, "a share from 0 to 1"},
	{"thread_fire_count", take_thread_fire_count, "a number, -1 for no limit"},
	{"value_fire_count", take_value_fire_count, "a number, -1 for no limit"},
	{"value_key", take_value_key, "an expression"},
	{"keep_last", take_keep_last, "a number from 0 to 10000"},
	{"keep_until", take_keep_until, "an expression"},
	{"cpu_share", take_cpu_share, "a number"},
	{"hits_per_second", take_hits_per_second, "a number"},
	{"bytes_per_second", take_bytes_per_second, "a number"},
	{"latency_us", take_latency, "a number"},
};

static struct strobe_error *take_argument(struct reader *reader, const struct strobe_pair *pair)
{
	struct shown shown;
	for (size_t i = 0; pair->name && i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		if (strcasecmp(arguments[i].name, pair->name) != 0)
			continue;
		if (!pair->value || !arguments[i].take(reader, pair->value))
			return error_new(STROBE_ERROR_INVALID, "%s: '%.100s' is not %s",
					 arguments[i].name, show(&shown, pair->value),
					 arguments[i].expected);
		return NULL;
	}
	return error_new(STROBE_ERROR_INVALID, "no argument is called '%.100s'",
			 show(&shown, pair->name));
}

/** Servers tell times in seconds, milliseconds or nanoseconds since 1970: their size says which. */
static bool read_time(const char *text, int64_t *ret)
{
	int64_t value, unit = 1;
	*ret = 0;
	if (!text || !*text)
		return true;
	if (!read_integer(text, &value) || value < 0)
		return false;
	if (value < INT64_C(100000000000)) // before the year 5138, in seconds
		unit = 1000000000;
	else if (value < INT64_C(100000000000000))
		unit = 1000000;
	else if (value < INT64_C(100000000000000000))
		unit = 1000;
	*ret = value > INT64_MAX / unit ? INT64_MAX : value * unit;
	return true;
}

static struct strobe_error *take_metric(struct tracepoint_config *config,
					const struct strobe_tracepoint_metric *written,
					struct config_metric *ret)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "summary", NULL};
	struct shown name, kind;
	unsigned type = 0;
	if (!written->name || !*written->name)
		return error_new(STROBE_ERROR_INVALID, "a metric has no name");
	if (written->type && !take_word(written->type, types, &type))
		return error_new(
			STROBE_ERROR_INVALID,
			"metric %.100s: type '%.50s' is not counter, gauge, histogram or summary",
			show(&name, written->name), show(&kind, written->type));
	struct config_label *labels =
		arena_alloc(&config->arena, (written->label_count + 1) * sizeof(*labels));
	*ret = (struct config_metric){
		.name = copy(config, written->name),
		.expression = copy(config, written->expression),
		.metric_namespace = copy(
			config, written->metric_namespace ? written->metric_namespace : "strobe"),
		.help = copy(config, written->help),
		.unit = copy(config, written->unit),
		.type = (enum metric_type)type,
		.labels = labels,
		.label_count = written->label_count,
	};
	for (size_t i = 0; labels && i < written->label_count; i++) {
		const char *value = written->labels[i].value ? written->labels[i].value : "";
		size_t size = strlen(value);
		if (!written->labels[i].name)
			return error_new(STROBE_ERROR_INVALID, "metric %.100s: a label has no name",
					 show(&name, written->name));
		labels[i].key = copy(config, written->labels[i].name);
		if (size > 2 && value[0] == '{' && value[size - 1] == '}')
			labels[i].expression = copy_part(config, value + 1, size - 2);
		else
			labels[i].text = copy(config, value);
	}
	return labels ? NULL : error_no_memory();
}

static void add_hash(uint64_t *hash, const char *text)
{
	uint64_t parts[2] = {*hash, text ? hash_bytes(text, strlen(text)) : 1};
	*hash = hash_bytes(parts, sizeof(parts));
}

/** Of all that people wrote, in its order. */
static uint64_t hash_written(const struct strobe_tracepoint *written)
{
	// Counts, so that nothing can pass for its neighbour.
	uint64_t counts[] = {written->line, written->argument_count, written->watch_count,
			     written->metric_count};
	uint64_t hash = hash_bytes(counts, sizeof(counts));
	add_hash(&hash, written->id);
	add_hash(&hash, written->path);
	for (size_t i = 0; i < written->argument_count; i++) {
		add_hash(&hash, written->arguments[i].name);
		add_hash(&hash, written->arguments[i].value);
	}
	for (size_t i = 0; i < written->watch_count; i++)
		add_hash(&hash, written->watches[i]);
	for (size_t i = 0; i < written->metric_count; i++) {
		const struct strobe_tracepoint_metric *metric = &written->metrics[i];
		const char *texts[] = {metric->name,	   metric->type,
				       metric->expression, metric->metric_namespace,
				       metric->help,	   metric->unit};
		for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++)
			add_hash(&hash, texts[j]);
		for (size_t j = 0; j < metric->label_count; j++) {
			add_hash(&hash, metric->labels[j].name);
			add_hash(&hash, metric->labels[j].value);
		}
	}
	return hash;
}

static struct strobe_pair *copy_pairs(struct tracepoint_config *config,
				      const struct strobe_pair *pairs, size_t count)
{
	struct strobe_pair *copies = arena_alloc(&config->arena, (count + 1) * sizeof(*copies));
	for (size_t i = 0; copies && i < count; i++)
		copies[i] = (struct strobe_pair){copy(config, pairs[i].name),
						 copy(config, pairs[i].value)};
	return copies;
}

/** What is echoed in results. */
static const struct strobe_tracepoint *copy_written(struct tracepoint_config *config,
						    const struct strobe_tracepoint *written)
{
	struct strobe_tracepoint *ret = arena_alloc(&config->arena, sizeof(*ret));
	if (!ret)
		return NULL;
	*ret = (struct strobe_tracepoint){
		.size = sizeof(*ret),
		.id = config->id,
		.path = config->path,
		.line = config->line,
		.arguments = copy_pairs(config, written->arguments, written->argument_count),
		.argument_count = written->argument_count,
		.watches = config->watches,
		.watch_count = config->watch_count,
	};
	return ret->arguments ? ret : NULL;
}

/** Where it fires, from what was given. */
static struct strobe_error *settle(struct reader *reader)
{
	struct tracepoint_config *config = reader->config;
	struct shown shown;
	bool method = config->method_name != NULL || reader->stage_is_method ||
		      config->span == SPAN_METHOD;
	if (!config->method_name && config->line == 0)
		return error_new(STROBE_ERROR_INVALID, "it has neither a line nor a method_name");
	if (!config->method_name && !config->path)
		return error_new(STROBE_ERROR_INVALID, "it has a line, but no path");
	if (!reader->has_stage)
		config->stage = method ? STAGE_METHOD_START : STAGE_LINE_START;
	if (config->span == SPAN_LINE && config_is_method(config))
		return error_new(STROBE_ERROR_INVALID,
				 "span line goes with the stages of a line, not with those of a "
				 "method or with a method_name");
	if (config->span == SPAN_METHOD && !config_is_method(config))
		return error_new(STROBE_ERROR_INVALID,
				 "span method goes with the stages of a method, not with those "
				 "of a line");
	if (config->span != SPAN_NONE && config_is_of_exceptions(config))
		return error_new(STROBE_ERROR_INVALID,
				 "an exception has no span: use the stages start, end or capture");
	if (!config_is_method(config) && !config->path)
		return error_new(STROBE_ERROR_INVALID, "the stages of a line need a path");
	if (!config_is_method(config) && config->line == 0)
		return error_new(STROBE_ERROR_INVALID, "the stages of a line need a line");
	if (!read_time(reader->window_start, &config->window_start_ns))
		return error_new(STROBE_ERROR_INVALID,
				 "window_start: '%.50s' is no time since 1970",
				 show(&shown, reader->window_start));
	if (!read_time(reader->window_end, &config->window_end_ns))
		return error_new(STROBE_ERROR_INVALID, "window_end: '%.50s' is no time since 1970",
				 show(&shown, reader->window_end));
	if (config->value_fire_count >= 0 && !config->value_key)
		return error_new(STROBE_ERROR_INVALID, "value_fire_count needs a value_key");
	if (config->keep_last && !config->keep_until)
		return error_new(STROBE_ERROR_INVALID, "keep_last needs a keep_until");
	return NULL;
}

static struct strobe_error *read_all(struct reader *reader, const struct strobe_tracepoint *written)
{
	struct tracepoint_config *config = reader->config;
	struct strobe_error *error = NULL;
	config->watches =
		arena_alloc(&config->arena, (written->watch_count + 1) * sizeof(*config->watches));
	config->metrics =
		arena_alloc(&config->arena, (written->metric_count + 1) * sizeof(*config->metrics));
	if (!config->watches || !config->metrics)
		return error_no_memory();
	for (size_t i = 0; i < written->argument_count && !error; i++)
		error = take_argument(reader, &written->arguments[i]);
	for (; config->watch_count < written->watch_count && !error; config->watch_count++) {
		const char *watch = written->watches[config->watch_count];
		if (!watch || !watch[strspn(watch, " \t\r\n")])
			error = error_new(STROBE_ERROR_INVALID, "a watch has no expression");
		config->watches[config->watch_count] = copy(config, watch);
	}
	for (; config->metric_count < written->metric_count && !error; config->metric_count++)
		error = take_metric(config, &written->metrics[config->metric_count],
				    &config->metrics[config->metric_count]);
	if (!error)
		error = settle(reader);
	if (!error &&
	    (!(config->written = copy_written(config, written)) || config->short_of_memory))
		error = error_no_memory();
	return error;
}

struct strobe_error *config_new(const struct strobe_tracepoint *written, const char *source,
				struct tracepoint_config **ret)
{
	struct tracepoint_config *config = calloc(1, sizeof(*config));
	struct reader reader = {.config = config};
	char made[40];
	if (!config)
		return error_no_memory();
	*config = (struct tracepoint_config){
		.hash = hash_written(written),
		.line = written->line,
		.fire_count = 1,
		.fire_period_ns = INT64_C(1000) * NS_PER_MS,
		.collect = true,
		.limits = {1024, 10, 1000, 5, 100, 100},
		.sample = 1,
		.thread_fire_count = -1,
		.value_fire_count = -1,
	};
	snprintf(made, sizeof(made), "tp-%016llx", (unsigned long long)config->hash);
	config->id = copy(config, written->id && *written->id ? written->id : made);
	config->source = copy(config, source ? source : "");
	if (written->path && *written->path)
		config->path = copy(config, written->path);
	struct strobe_error *error =
		config->id && config->source ? read_all(&reader, written) : error_no_memory();
	if (error) {
		config_free(config);
		return error;
	}
	*ret = config;
	return NULL;
}

struct tracepoint_config *config_free(struct tracepoint_config *config)
{
	if (config)
		arena_fini(&config->arena);
	free(config);
	return NULL;
}
