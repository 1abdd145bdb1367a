// SPDX-License-Identifier: Apache-2.0
// Results as JSON and as text, whatever is in them.
#include <math.h>

#include "base/text.h"
#include "check.h"
#include "tracepoint/result.h"

static struct result *log_of(const char *message)
{
	struct result *result = calloc(1, sizeof(*result));
	CHECK(result != NULL);
	result->kind = RESULT_LOG;
	strcpy(result->id, "1");
	result->log_message = message;
	return result;
}

/** The log message must be written as `expected`. */
static void written_as(const char *message, const char *expected)
{
	struct result *result = log_of(message);
	struct text text = {0};
	result_write_json(result, &text);
	const char *at = strstr(text_string(&text), "\"log_msg\":\"");
	CHECK(at != NULL);
	at += strlen("\"log_msg\":\"");
	size_t size = strlen(at);
	bool same = size == strlen(expected) + 2 && memcmp(at, expected, size - 2) == 0;
	if (!same)
		printf("# %s\n", at);
	CHECK(same);
	CHECK(strchr(text_string(&text), '\n') == NULL);
	text_fini(&text);
	result_free(result);
}

static void escapes(void)
{
	written_as("plain", "plain");
	written_as("a\"b\\c", "a\\\"b\\\\c");
	written_as("\n\t\r\x01\x1f\x7f", "\\u000a\\u0009\\u000d\\u0001\\u001f\\u007f");
	written_as("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		   "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void no_utf8(void)
{
	written_as("\xff", "\\u00ff");
	written_as("a\xc3", "a\\u00c3");	  // cut
	written_as("\xe2\x82", "\\u00e2\\u0082"); // cut
	written_as("\xc0\x80", "\\u00c0\\u0080"); // overlong
	written_as("\xe0\x80\x80", "\\u00e0\\u0080\\u0080");
	written_as("\xed\xa0\x80", "\\u00ed\\u00a0\\u0080");		// half of a pair
	written_as("\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080"); // past the last
	written_as("\xf0\x80\x80\x80", "\\u00f0\\u0080\\u0080\\u0080");
	written_as("\x80\xbf", "\\u0080\\u00bf");
	written_as("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf");
}

static void numbers(void)
{
	static const struct {
		double value;
		const char *expected;
	} rows[] = {{1, "\"value\":1,"},
		    {0.1, "\"value\":0.10000000000000001,"},
		    {NAN, "\"value\":null,"},
		    {INFINITY, "\"value\":null,"},
		    {-INFINITY, "\"value\":null,"},
		    {-1e300, "\"value\":-1.0000000000000001e+300,"}};
	struct config_metric metric = {.name = "m", .metric_namespace = "strobe"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result *result = log_of(NULL);
		struct text text = {0};
		result->kind = RESULT_METRIC;
		result->metric.config = &metric;
		result->metric.value = rows[i].value;
		result_write_json(result, &text);
		bool found = strstr(text_string(&text), rows[i].expected) != NULL;
		if (!found)
			printf("# %s\n", text_string(&text));
		text_truncate(&text, 0);
		result_write_text(result, &text);
		CHECK(found && text.size > 0 && !text.failed);
		text_fini(&text);
		result_free(result);
	}
}

static void whole(void)
{
	struct result *result = log_of("m");
	struct text text = {0};
	result->kind = RESULT_SNAPSHOT;
	result->time_ns = 5;
	result->tid = 3;
	CHECK(array_push(&result->variables,
			 (struct result_variable){.type = "int", .value = "4", .identity = 0x10}));
	CHECK(array_push(&result->variables,
			 (struct result_variable){.type = "int",
						  .value = "<optimized out>",
						  .truncated = true,
						  .state = VARIABLE_OPTIMIZED_OUT}));
	CHECK(array_push(&result->frames, (struct result_frame){.function = "f", .line = 2}));
	CHECK(array_push(&result->frames.items[0].variables,
			 (struct variable_name){1, "n", {"static", "const"}}));
	CHECK(array_push(&result->watches,
			 (struct result_watch){.expression = "x", .error = "gone"}));
	CHECK(array_push(&result->watches, (struct result_watch){.expression = "y",
								 .source = WATCH_CAPTURE,
								 .value = {2, "y", {0}}}));
	CHECK(array_push(&result->attributes, (struct result_label){"k", "v\""}));
	result_write_json(result, &text);
	CHECK_STRING(text_string(&text),
		     "{\"kind\":\"snapshot\",\"id\":\"1\",\"tracepoint\":null,\"context\":null,"
		     "\"time_ns\":5,\"duration_ns\":0,\"pid\":0,"
		     "\"thread\":{\"tid\":3,\"name\":null},\"frames\":[{\"function\":\"f\","
		     "\"file\":null,\"short_path\":null,\"line\":2,"
		     "\"column\":0,\"class\":null,\"app_frame\":false,\"inlined\":false,"
		     "\"variables\":[{\"name\":\"n\",\"id\":\"1\","
		     "\"modifiers\":[\"static\",\"const\"]}]}],\"variables\":{\"1\":{\"type\":"
		     "\"int\",\"value\":\"4\",\"hash\":\"0x10\","
		     "\"children\":[],\"truncated\":false},\"2\":{\"type\":\"int\",\"value\":\"<"
		     "optimized out>\",\"hash\":\"0x0\","
		     "\"children\":[],\"truncated\":true,\"state\":\"optimized_out\"}},\"watches\":"
		     "[{\"expression\":\"x\",\"source\":\"watch\","
		     "\"error\":\"gone\"},{\"expression\":\"y\",\"source\":\"capture\",\"value\":"
		     "\"2\"}],\"attributes\":{\"k\":\"v\\\"\"},"
		     "\"resource\":{},\"log_msg\":\"m\"}");
	text_truncate(&text, 0);
	result_write_text(result, &text);
	CHECK(strstr(text_string(&text), "y = <optimized out>...") != NULL);
	text_fini(&text);
	result_free(result);
}

CHECK_MAIN({"quotes and control characters are escaped, UTF-8 is kept", escapes},
	   {"bytes that are no UTF-8 are written as numbers", no_utf8},
	   {"numbers that JSON does not have are null", numbers}, {"a snapshot, whole", whole}, )
