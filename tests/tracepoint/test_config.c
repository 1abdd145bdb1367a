// SPDX-License-Identifier: Apache-2.0
// What people wrote, and what is meant by it.
#include "check.h"
#include "tracepoint/config.h"

static struct strobe_tracepoint on_line(const struct strobe_pair *arguments, size_t count)
{
	return (struct strobe_tracepoint){.size = sizeof(struct strobe_tracepoint),
					  .path = "a.c",
					  .line = 5,
					  .arguments = arguments,
					  .argument_count = count};
}

/** With one argument; must be taken. */
static struct tracepoint_config *with(const char *name, const char *value)
{
	struct strobe_pair pair = {name, value};
	struct strobe_tracepoint written = on_line(&pair, 1);
	struct tracepoint_config *config = NULL;
	CHECK_OK(config_new(&written, "test", &config));
	return config;
}

/** Refused, with both words in the one line. */
static void refused(const char *name, const char *value, const char *word)
{
	struct strobe_pair pair = {name, value};
	struct strobe_tracepoint written = on_line(&pair, 1);
	struct tracepoint_config *config = NULL;
	struct strobe_error *error = config_new(&written, "test", &config);
	CHECK(error != NULL);
	bool told = strstr(strobe_error_message(error), word) != NULL &&
		    strchr(strobe_error_message(error), '\n') == NULL;
	if (!told)
		printf("# %s\n", strobe_error_message(error));
	int code = strobe_error_code(error);
	strobe_error_free(error);
	CHECK(told);
	CHECK_EQUAL(code, STROBE_ERROR_INVALID);
	CHECK(config == NULL);
}

static void defaults(void)
{
	struct strobe_tracepoint written = on_line(NULL, 0);
	struct tracepoint_config *config = NULL;
	CHECK_OK(config_new(&written, "test", &config));
	CHECK_EQUAL(config->fire_count, 1);
	CHECK_EQUAL(config->fire_period_ns, 1000000000);
	CHECK(config->condition == NULL);
	CHECK_EQUAL(config->window_start_ns, 0);
	CHECK_EQUAL(config->window_end_ns, 0);
	CHECK_EQUAL(config->frame_type, FRAME_SINGLE);
	CHECK_EQUAL(config->stack_type, STACK_WHOLE);
	CHECK_EQUAL(config->log_count, 0);
	CHECK(config->collect);
	CHECK_EQUAL(config->span, SPAN_NONE);
	CHECK_EQUAL(config->stage, STAGE_LINE_START);
	CHECK_EQUAL(config->limits.max_string_length, 1024);
	CHECK_EQUAL(config->limits.max_collection_size, 10);
	CHECK_EQUAL(config->limits.max_variables, 1000);
	CHECK_EQUAL(config->limits.max_var_depth, 5);
	CHECK_EQUAL(config->limits.max_watch_vars, 100);
	CHECK_EQUAL(config->limits.max_process_time_ms, 100);
	CHECK(config->sample == 1);
	CHECK_EQUAL(config->thread_fire_count, -1);
	CHECK_EQUAL(config->value_fire_count, -1);
	CHECK(!config->disabled && !config->keep_last && !config->keep_until);
	CHECK(config->cpu_share == 0 && config->hits_per_second == 0);
	CHECK(strncmp(config->id, "tp-", 3) == 0);
	CHECK_STRING(config->source, "test");
	CHECK_STRING(config->written->path, "a.c");
	config_free(config);
}

static void deep_arguments(void)
{
	static const struct {
		const char *name, *value;
		size_t offset;
		long long expected;
		unsigned size;
	} rows[] = {
#define ROW(name, value, member, expected)                                                         \
	{name, value, offsetof(struct tracepoint_config, member), expected,                        \
	 sizeof(((struct tracepoint_config *)0)->member)}
		ROW("fire_count", "7", fire_count, 7),
		ROW("FIRE_COUNT", "-1", fire_count, -1),
		ROW("fire_count", "0", fire_count, 0),
		ROW("fire_period", "0", fire_period_ns, 0),
		ROW("fire_period", "250", fire_period_ns, 250000000),
		ROW("frame_type", "all_frame", frame_type, FRAME_ALL),
		ROW("frame_type", "No_Frame", frame_type, FRAME_NO),
		ROW("stack_type", "no_stack", stack_type, STACK_NO),
		ROW("snapshot", "no_collect", collect, 0),
		ROW("snapshot", "collect", collect, 1),
		ROW("span", "line", span, SPAN_LINE),
		ROW("span", "method", span, SPAN_METHOD),
		ROW("span", "method", stage, STAGE_METHOD_START),
		ROW("method_name", "f", stage, STAGE_METHOD_START),
		ROW("stage", "line_start", stage, STAGE_LINE_START),
		ROW("stage", "line_end", stage, STAGE_LINE_END),
		ROW("stage", "line_capture", stage, STAGE_LINE_CAPTURE),
		ROW("stage", "method_start", stage, STAGE_METHOD_START),
		ROW("stage", "method_end", stage, STAGE_METHOD_END),
		ROW("stage", "method_capture", stage, STAGE_METHOD_CAPTURE),
		ROW("MAX_STRING_LENGTH", "3", limits.max_string_length, 3),
		ROW("MAX_COLLECTION_SIZE", "0", limits.max_collection_size, 0),
		ROW("MAX_VARIABLES", "5", limits.max_variables, 5),
		ROW("MAX_VAR_DEPTH", "6", limits.max_var_depth, 6),
		ROW("MAX_WATCH_VARS", "7", limits.max_watch_vars, 7),
		ROW("MAX_TP_PROCESS_TIME", "8", limits.max_process_time_ms, 8),
		ROW("enabled", "no", disabled, 1),
		ROW("thread_fire_count", "3", thread_fire_count, 3),
		// What is no number leaves the default.
		ROW("fire_count", "many", fire_count, 1),
		ROW("fire_count", "3x", fire_count, 1),
		ROW("fire_count", "", fire_count, 1),
		ROW("fire_count", "-2", fire_count, 1),
		ROW("fire_count", "99999999999999999999", fire_count, 1),
		ROW("fire_period", "soon", fire_period_ns, 1000000000),
		ROW("fire_period", "-5", fire_period_ns, 1000000000),
		ROW("fire_period", "9223372036854775807", fire_period_ns, 1000000000),
		ROW("max_string_length", "big", limits.max_string_length, 1024),
		ROW("max_variables", "-1", limits.max_variables, 1000),
		ROW("max_var_depth", "4294967296", limits.max_var_depth, 5),
#undef ROW
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tracepoint_config *config = with(rows[i].name, rows[i].value);
		const char *at = (const char *)config + rows[i].offset;
		int64_t wide = 0;
		int32_t narrow = 0;
		if (rows[i].size == 8)
			memcpy(&wide, at, 8);
		else if (rows[i].size == 4)
			memcpy(&narrow, at, 4);
		else
			wide = *at;
		if (wide + narrow != rows[i].expected)
			printf("# %s = %s\n", rows[i].name, rows[i].value);
		CHECK_EQUAL(wide + narrow, rows[i].expected);
		config_free(config);
	}
}

static void blank_condition(void)
{
	struct tracepoint_config *config = with("condition", " \t\n");
	CHECK(config->condition == NULL);
	config_free(config);
	config = with("condition", "n > 1");
	CHECK_STRING(config->condition, "n > 1");
	config_free(config);
}

static void refusals(void)
{
	refused("colour", "blue", "colour");
	refused("", "1", "no argument");
	refused(NULL, "1", "no argument");
	refused("stage", "sideways", "method_capture");
	refused("stage", NULL, "stage");
	refused("two\nlines", "1", "two lines");
	refused("stage", "a\nb\033[2J", "a b [2J");
	refused("window_end", "a\nb", "window_end");
	refused("frame_type", "some", "single_frame");
	refused("stack_type", "", "no_stack");
	refused("snapshot", "perhaps", "collect");
	refused("span", "x", "line or method");
	refused("sample", "1.5", "sample");
	refused("sample", "-0.1", "sample");
	refused("sample", "nan", "sample");
	refused("keep_last", "10001", "keep_last");
	refused("keep_last", "3", "keep_until");
	refused("value_fire_count", "3", "value_key");
	refused("thread_fire_count", "x", "thread_fire_count");
	refused("cpu_share", "-1", "cpu_share");
	refused("window_start", "yesterday", "window_start");
	refused("window_end", "-1", "window_end");
	refused("hold", "", "hold");
	refused("arms", " , ", "arms");
	refused("log_msg", "a { b", "log_msg");
	refused("log_msg", "a {} b", "log_msg");
	refused("log_msg", "{a{b}", "log_msg");
}

static void places(void)
{
	struct tracepoint_config *config = NULL;
	struct strobe_tracepoint written = {.size = sizeof(written), .path = "a.c"};
	CHECK_ERROR(config_new(&written, "", &config), STROBE_ERROR_INVALID);
	written = (struct strobe_tracepoint){.size = sizeof(written), .path = "", .line = 3};
	CHECK_ERROR(config_new(&written, "", &config), STROBE_ERROR_INVALID);
	const char *watches[] = {"n", " "};
	written = on_line(NULL, 0);
	written.watches = watches;
	written.watch_count = 2;
	CHECK_ERROR(config_new(&written, "", &config), STROBE_ERROR_INVALID);
	watches[1] = NULL;
	CHECK_ERROR(config_new(&written, "", &config), STROBE_ERROR_INVALID);
}

static void log_is(const char *message, size_t count, const char *const *parts)
{
	struct tracepoint_config *config = with("log_msg", message);
	CHECK_EQUAL(config->log_count, count);
	for (size_t i = 0; i < count; i++) {
		CHECK_STRING(config->log[i].text, parts[2 * i]);
		CHECK((config->log[i].expression == NULL) == (parts[2 * i + 1] == NULL));
		if (parts[2 * i + 1])
			CHECK_STRING(config->log[i].expression, parts[2 * i + 1]);
	}
	config_free(config);
}

static void log_messages(void)
{
	log_is("plain", 1, (const char *[]){"plain", NULL});
	log_is("", 1, (const char *[]){"", NULL});
	log_is("n={n}", 2, (const char *[]){"n=", "n", "", NULL});
	log_is("{a}{b->c}!", 3, (const char *[]){"", "a", "", "b->c", "!", NULL});
	log_is("{{n}} of {n}", 2, (const char *[]){"{n} of ", "n", "", NULL});
	log_is("a } b", 1, (const char *[]){"a } b", NULL});
	log_is("{f{x}}", 2, (const char *[]){"", "f{x}", "", NULL});
}

static void many_log_parts(void)
{
	char message[1000] = "";
	for (unsigned i = 0; i < 199; i++)
		strcat(message, "{n}");
	struct tracepoint_config *config = with("log_msg", message);
	CHECK_EQUAL(config->log_count, 200);
	config_free(config);
	strcat(message, "{n}");
	refused("log_msg", message, "log_msg");
}

static void times(void)
{
	static const char *const same[] = {"1700000000", "1700000000000", "1700000000000000",
					   "1700000000000000000"};
	for (unsigned i = 0; i < 4; i++) {
		struct tracepoint_config *config = with("window_start", same[i]);
		CHECK_EQUAL(config->window_start_ns, 1700000000000000000);
		config_free(config);
		config = with("window_end", same[i]);
		CHECK_EQUAL(config->window_end_ns, 1700000000000000000);
		config_free(config);
	}
	struct tracepoint_config *config = with("window_end", "9223372036854775807");
	CHECK_EQUAL(config->window_end_ns, INT64_MAX);
	config_free(config);
	config = with("window_end", "99999999999"); // seconds, past what nanoseconds can tell
	CHECK_EQUAL(config->window_end_ns, INT64_MAX);
	config_free(config);
}

static uint64_t hash_of(const struct strobe_tracepoint *written)
{
	struct tracepoint_config *config = NULL;
	CHECK_OK(config_new(written, "", &config));
	uint64_t ret = config->hash;
	config_free(config);
	return ret;
}

static void hashes(void)
{
	const struct strobe_pair one[] = {{"condition", "n"}}, other[] = {{"condition", "m"}};
	const char *watches[] = {"condition", "n"};
	struct strobe_tracepoint written[5] = {on_line(NULL, 0), on_line(one, 1), on_line(other, 1),
					       on_line(NULL, 0), on_line(NULL, 0)};
	written[3].watches = watches;
	written[3].watch_count = 2;
	written[4].line = 6;
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQUAL(hash_of(&written[i]), hash_of(&written[i]));
		for (unsigned j = 0; j < i; j++)
			CHECK(hash_of(&written[i]) != hash_of(&written[j]));
	}
}

static void metrics(void)
{
	const struct strobe_pair labels[] = {
		{"who", "{user->name}"}, {"fixed", "text"}, {"e", "{}"}};
	struct strobe_tracepoint_metric metric = {.name = "m",
						  .type = "GAUGE",
						  .expression = "n",
						  .labels = labels,
						  .label_count = 3};
	struct strobe_tracepoint written = on_line(NULL, 0);
	struct tracepoint_config *config = NULL;
	written.metrics = &metric;
	written.metric_count = 1;
	CHECK_OK(config_new(&written, "", &config));
	CHECK_EQUAL(config->metrics[0].type, METRIC_GAUGE);
	CHECK_STRING(config->metrics[0].metric_namespace, "strobe");
	CHECK_STRING(config->metrics[0].labels[0].expression, "user->name");
	CHECK_STRING(config->metrics[0].labels[1].text, "text");
	CHECK_STRING(config->metrics[0].labels[2].text, "{}");
	config_free(config);
	metric.type = "speed";
	CHECK_ERROR(config_new(&written, "", &config), STROBE_ERROR_INVALID);
	metric.type = NULL;
	metric.name = "";
	CHECK_ERROR(config_new(&written, "", &config), STROBE_ERROR_INVALID);
}

CHECK_MAIN({"defaults are DEEP's", defaults},
	   {"each argument, and numbers that are none leave the default", deep_arguments},
	   {"a blank condition is none", blank_condition},
	   {"what has no meaning is refused by name", refusals},
	   {"a place is needed, and watches have expressions", places},
	   {"log messages are cut at their braces", log_messages},
	   {"a log message has 200 parts at most", many_log_parts},
	   {"times in s, ms, us and ns are one time", times},
	   {"hashes differ where anything does", hashes}, {"metrics and their labels", metrics}, )
