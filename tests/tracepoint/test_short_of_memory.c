// SPDX-License-Identifier: Apache-2.0
// Allocation number N fails, N = 1, 2, 3, ... until all goes well: a configuration is whole or not there, and a hit that
// lacks memory is counted or incomplete, and harms nothing.

#include "base/text.h"
#include "check.h"
#include "failing_malloc.h"
#include "fake_scope.h"

static const struct strobe_pair labels[] = {{"who", "{n}"}, {"fixed", "text"}};
static const struct strobe_tracepoint_metric metrics[] = {
	{.name = "m", .expression = "n", .labels = labels, .label_count = 2}};
static const char *const watches[] = {"n", "gone"};
static const struct strobe_pair arguments[] = {{"condition", "n>0"},
					       {"log_msg", "a {n} b {gone} c"},
					       {"arms", "b, c"},
					       {"disarms", "d"},
					       {"fire_count", "-1"},
					       {"fire_period", "0"},
					       {"method_name", "f"},
					       {"stage", "method_capture"},
					       {"span", "method"},
					       {"value_key", "n"},
					       {"value_fire_count", "100"},
					       {"thread_fire_count", "100"},
					       {"keep_until", "n>1"},
					       {"keep_last", "5"},
					       {"hold", "h"}};
static const struct strobe_tracepoint written = {.size = sizeof(written),
						 .id = "a",
						 .path = "a.c",
						 .arguments = arguments,
						 .argument_count = 15,
						 .watches = watches,
						 .watch_count = 2,
						 .metrics = metrics,
						 .metric_count = 1};

/** All that was written is there. */
static void check_whole(const struct tracepoint_config *config)
{
	CHECK_STRING(config->id, "a");
	CHECK_STRING(config->condition, "n>0");
	CHECK_EQUAL(config->log_count, 3);
	CHECK_STRING(config->log[0].text, "a ");
	CHECK_STRING(config->log[1].expression, "gone");
	CHECK_STRING(config->log[2].text, " c");
	CHECK_STRING(config->arms[1], "c");
	CHECK(config->arms[2] == NULL);
	CHECK_STRING(config->disarms[0], "d");
	CHECK_STRING(config->method_name, "f");
	CHECK_STRING(config->value_key, "n");
	CHECK_STRING(config->keep_until, "n>1");
	CHECK_STRING(config->hold, "h");
	CHECK_STRING(config->watches[1], "gone");
	CHECK_STRING(config->metrics[0].labels[0].expression, "n");
	CHECK_STRING(config->metrics[0].labels[1].text, "text");
	for (size_t i = 0; i < config->written->argument_count; i++) {
		CHECK_STRING(config->written->arguments[i].name, arguments[i].name);
		CHECK_STRING(config->written->arguments[i].value, arguments[i].value);
	}
}

static void configurations(void)
{
	long runs = 0;
	for (bool failed = true; failed; runs++) {
		struct tracepoint_config *config = NULL;
		allocations_left = runs + 1;
		struct strobe_error *error = config_new(&written, "test", &config);
		failed = allocations_left == 0;
		allocations_left = 0;
		if (error) {
			CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_NO_MEMORY);
			CHECK(config == NULL);
			strobe_error_free(error);
			continue;
		}
		check_whole(config);
		config_free(config);
	}
	CHECK(runs > 3);
}

/** A configuration of values so long that each is a chunk of its own. */
static void long_values(void)
{
	static char text[20001];
	memset(text, 'x', sizeof(text) - 1);
	const struct strobe_pair pairs[] = {
		{"condition", text}, {"hold", text}, {"keep_until", text}};
	struct strobe_tracepoint one = {.size = sizeof(one),
					.path = "a.c",
					.line = 1,
					.arguments = pairs,
					.argument_count = 3};
	long runs = 0;
	for (bool failed = true; failed; runs++) {
		struct tracepoint_config *config = NULL;
		allocations_left = runs + 1;
		struct strobe_error *error = config_new(&one, "test", &config);
		failed = allocations_left == 0;
		allocations_left = 0;
		if (error) {
			CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_NO_MEMORY);
			strobe_error_free(error);
			continue;
		}
		CHECK_STRING(config->condition, text);
		CHECK_STRING(config->hold, text);
		CHECK_STRING(config->keep_until, text);
		config_free(config);
	}
	CHECK(runs > 5);
}

static struct fake_world world;

static void use(struct tracepoint_config *config)
{
	struct text text = {0};
	for (int i = 0; i < 4; i++) {
		struct event event =
			fake_event(&world, EVENT_CALL, 1 + i % 2, i, 1000 - (uint64_t)i);
		world.scope.n = i == 3 ? 2 : 1;
		handler_event(world.handler, &event, &config, 1, 0);
	}
	for (int i = 4; i-- > 1;) {
		struct event event =
			fake_event(&world, EVENT_RETURN, 1 + i % 2, 10 - i, 1000 - (uint64_t)i);
		handler_event(world.handler, &event, &config, 1, 0);
	}
	handler_thread_end(world.handler, 0, 20);
	for (size_t i = 0; i < world.count; i++) {
		text_truncate(&text, 0);
		result_write_json(world.results[i], &text);
		result_write_text(world.results[i], &text);
	}
	text_fini(&text);
}

static void hits(void)
{
	long runs = 0;
	for (bool failed = true; failed; runs++) {
		struct tracepoint_config *config = NULL;
		struct strobe_tracepoint_status status = {0};
		fake_end(&world);
		memset(&world, 0, sizeof(world));
		fake_begin(&world);
		CHECK_OK(config_new(&written, "test", &config));
		allocations_left = runs + 1;
		struct strobe_error *error = handler_add(world.handler, config);
		if (!error)
			use(config);
		failed = allocations_left == 0;
		allocations_left = 0;
		handler_status(world.handler, config, &status);
		if (error) {
			CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_NO_MEMORY);
			strobe_error_free(error);
			config_free(config);
			continue;
		}
		CHECK(status.hits <= 4 && (failed || status.fired == 4));
	}
	CHECK(runs > 50);
	CHECK_EQUAL(world.count, 4); // the metrics of four hits; calls that end later wait again
}

CHECK_MAIN({"a configuration is whole, or not there", configurations},
	   {"long values are there, or none is", long_values}, {"hits", hits}, )
