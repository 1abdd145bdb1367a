// SPDX-License-Identifier: Apache-2.0
// Limits, actions and calls of the trigger handler, with events and a scope that are made up.
#include "check.h"
#include "fake_scope.h"

enum { MS = 1000000, SECOND = 1000000000 };
#define ADD(id, ...) fake_add(&world, id, (const char *const[]){__VA_ARGS__, NULL})

static struct fake_world world;

static void begin(void)
{
	fake_end(&world); // what a case that failed left
	memset(&world, 0, sizeof(world));
	fake_begin(&world);
}

static void hit_all(struct tracepoint_config *const *configs, size_t count, int tid,
		    int64_t time_ns)
{
	struct event event = fake_event(&world, EVENT_LINE, tid, time_ns, 0);
	handler_event(world.handler, &event, configs, count, 0);
}

static void hit(struct tracepoint_config *config, int tid, int64_t time_ns)
{
	hit_all(&config, 1, tid, time_ns);
}

static void call(struct tracepoint_config *config, int tid, int64_t time_ns, uint64_t frame)
{
	struct event event = fake_event(&world, EVENT_CALL, tid, time_ns, frame);
	handler_event(world.handler, &event, &config, 1, 0);
}

static void come_back(struct tracepoint_config *config, int tid, int64_t time_ns, uint64_t frame)
{
	struct event event = fake_event(&world, EVENT_RETURN, tid, time_ns, frame);
	handler_event(world.handler, &event, &config, 1, 0);
}

static struct strobe_tracepoint_status status(const struct tracepoint_config *config)
{
	struct strobe_tracepoint_status ret = {.state = "armed"};
	handler_status(world.handler, config, &ret);
	return ret;
}

static void fire_counts(void)
{
	for (int count = 0; count < 5; count++) {
		char argument[30];
		begin();
		snprintf(argument, sizeof(argument), "fire_count=%d", count);
		struct tracepoint_config *config = ADD("a", argument, "fire_period=0");
		for (int i = 0; i < 20; i++)
			hit(config, i % 7, i);
		CHECK_EQUAL(world.count, count);
		CHECK_EQUAL(status(config).fired, count);
		CHECK_STRING(status(config).state, "used up");
		CHECK_STRING(world.switched, count ? "a- " : "");
	}
	begin();
	struct tracepoint_config *config = ADD("a", "fire_count=-1", "fire_period=0");
	for (int i = 0; i < 5000; i++)
		hit(config, 1, i);
	CHECK_EQUAL(world.count, 5000);
	CHECK_STRING(status(config).state, "armed");
	begin();
	config = ADD("a", "fire_period=0"); // DEEP's default is once
	hit(config, 1, 1);
	hit(config, 2, 1);
	CHECK_EQUAL(world.count, 1);
}

static void periods(void)
{
	begin();
	struct tracepoint_config *config = ADD("a", "fire_count=-1", "fire_period=100");
	int64_t times[] = {5, 100 * (int64_t)MS + 4, 100 * (int64_t)MS + 5, 200 * (int64_t)MS + 4,
			   200 * (int64_t)MS + 5};
	size_t after[] = {1, 1, 2, 2, 3};
	for (unsigned i = 0; i < 5; i++) {
		hit(config, 1, times[i]);
		CHECK_EQUAL(world.count, after[i]);
	}
	// A condition that is false does not begin a period.
	begin();
	config = ADD("a", "fire_count=-1", "condition=n>5");
	hit(config, 1, 1);
	world.scope.n = 6;
	hit(config, 1, 2);
	CHECK_EQUAL(world.count, 1);
}

static void windows(void)
{
	begin();
	struct tracepoint_config *config = ADD("a", "fire_count=-1", "fire_period=0",
					       "window_start=1700000010", "window_end=1700000020");
	for (int64_t i = 0; i < 31; i++)
		hit(config, 1, i * SECOND);
	CHECK_EQUAL(world.count, 11); // both ends are within
	CHECK_EQUAL(world.results[0]->time_ns, 1700000010000000000);
	CHECK_EQUAL(status(config).hits, 11);
	begin();
	config = ADD("a", "window_end=1"); // 1970
	hit(config, 1, 1);
	CHECK_EQUAL(world.count, 0);
}

static void samples(void)
{
	begin();
	struct tracepoint_config *some =
		ADD("some", "fire_count=-1", "fire_period=0", "sample=0.25");
	struct tracepoint_config *none = ADD("none", "fire_count=-1", "fire_period=0", "sample=0");
	for (int i = 0; i < 10000; i++) {
		hit(some, 1, i);
		hit(none, 1, i);
	}
	size_t count = fake_results(&world, RESULT_SNAPSHOT, "some");
	CHECK(count > 2300 && count < 2700);
	CHECK_EQUAL(fake_results(&world, RESULT_SNAPSHOT, "none"), 0);
}

static void shares(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("a", "fire_count=-1", "fire_period=0", "thread_fire_count=3");
	for (int i = 0; i < 100; i++)
		hit(config, i % 5, i); // thread 0 too
	CHECK_EQUAL(world.count, 15);
	begin();
	config = ADD("a", "fire_count=-1", "fire_period=0", "value_fire_count=2", "value_key=n");
	for (int i = 0; i < 100; i++) {
		world.scope.n = i % 10;
		hit(config, i, i);
	}
	CHECK_EQUAL(world.count, 20);
	begin();
	config = ADD("a", "fire_count=-1", "fire_period=0", "value_fire_count=2", "value_key=gone");
	hit(config, 1, 1);
	CHECK_EQUAL(world.count, 0);
	CHECK_EQUAL(status(config).errors, 1);
}

static void kept(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("a", "fire_count=-1", "fire_period=0", "keep_last=3", "keep_until=n>9", "w=n");
	for (int i = 0; i < 10; i++) {
		world.scope.n = i;
		hit(config, 1, i);
	}
	CHECK_EQUAL(world.count, 0);
	world.scope.n = 10;
	hit(config, 1, 10);
	CHECK_EQUAL(world.count, 3);
	for (int i = 0; i < 3; i++)
		CHECK_EQUAL(world.results[i]->time_ns, 1700000000000000000 + 8 + i);
	hit(config, 1, 11);
	CHECK_EQUAL(world.count, 4);
	world.scope.n = 0;
	hit(config, 1, 12); // kept when all ends: given back, not given
	handler_remove(world.handler, config);
	CHECK_EQUAL(world.count, 4);
	for (size_t i = 0; i < world.count; i++)
		result_free(world.results[i]); // their configuration is no more
	world.count = 0;
}

static void arming(void)
{
	begin();
	struct tracepoint_config *armed =
		ADD("armed", "enabled=false", "fire_count=-1", "fire_period=0");
	struct tracepoint_config *arms =
		ADD("arms", "arms=armed, nobody", "condition=n>1", "fire_count=-1");
	struct tracepoint_config *disarms =
		ADD("disarms", "disarms=armed", "condition=n>2", "fire_count=-1");
	struct tracepoint_config *all[] = {armed, arms, disarms};
	hit_all(all, 3, 1, 1);
	CHECK_EQUAL(world.count, 0);
	CHECK_STRING(status(armed).state, "disarmed");
	world.scope.n = 2;
	hit_all(all, 3, 1, 2);
	CHECK_EQUAL(fake_results(&world, RESULT_SNAPSHOT, "armed"), 0); // it came first
	hit_all(all, 3, 1, 3);
	CHECK_EQUAL(fake_results(&world, RESULT_SNAPSHOT, "armed"), 1);
	world.scope.n = 3;
	hit_all(all, 3, 1, 4);
	CHECK_EQUAL(fake_results(&world, RESULT_SNAPSHOT, "armed"), 2);
	hit_all(all, 3, 1, 5);
	CHECK_EQUAL(fake_results(&world, RESULT_SNAPSHOT, "armed"), 2);
	CHECK(strncmp(world.switched, "armed+ armed- ", 14) == 0);
}

static void shared(void)
{
	begin();
	struct tracepoint_config *configs[3] = {
		ADD("a", "fire_period=0"),
		ADD("b", "fire_count=2", "fire_period=0", "snapshot=no_collect", "log_msg={n}",
		    "m=n"),
		ADD("c", "fire_count=3", "fire_period=0", "frame_type=no_frame", "w=n")};
	world.scope.n = 7;
	for (int i = 0; i < 5; i++)
		hit_all(configs, 3, 1, i);
	CHECK_EQUAL(world.count, 1 + 2 * 2 + 3);
	CHECK_EQUAL(fake_results(&world, RESULT_LOG, "b"), 2);
	CHECK_EQUAL(fake_results(&world, RESULT_METRIC, "b"), 2);
	for (size_t i = 0; i < 4; i++) {
		CHECK_STRING(world.results[i]->context, world.results[0]->context);
		CHECK_EQUAL(world.results[i]->time_ns, world.results[0]->time_ns);
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(world.results[i]->id, world.results[j]->id) != 0);
	}
	CHECK(strcmp(world.results[4]->context, world.results[0]->context) != 0);
	CHECK_EQUAL(strlen(world.results[0]->context), 32);
	// Each has variables of its own.
	CHECK_EQUAL(world.results[0]->frames.items[0].variables.count, 1);
	CHECK_STRING(world.results[0]->variables.items[0].value, "7");
	CHECK_STRING(world.results[1]->log_message, "7");
	CHECK(world.results[2]->metric.value == 7);
	CHECK_EQUAL(world.results[3]->frames.items[0].variables.count, 0);
	CHECK_EQUAL(world.results[3]->watches.items[0].value.id, 1);
}

static void conditions(void)
{
	static const struct {
		const char *condition;
		bool fires, fails;
	} rows[] = {{"condition=1", true, false},   {"condition=2", true, false},
		    {"condition=5", true, false},   {"condition=0", false, false},
		    {"condition=-1", true, false},  {"condition=0.5", true, false},
		    {"condition= ", true, false},   {"condition=gone", false, true},
		    {"condition=yes", false, true}, {"condition=n>2", false, false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin();
		struct tracepoint_config *config = ADD("a", rows[i].condition);
		hit(config, 1, 1);
		CHECK_EQUAL(world.count, rows[i].fires);
		CHECK_EQUAL(status(config).errors, rows[i].fails);
		CHECK_EQUAL(status(config).hits, rows[i].fires);
		if (rows[i].fails)
			CHECK(strstr(status(config).error, "no such variable") != NULL);
	}
	// An engine that evaluated it is believed.
	begin();
	struct tracepoint_config *both[] = {ADD("a", "condition=gone"), ADD("b", "condition=gone")};
	struct event event = fake_event(&world, EVENT_LINE, 1, 1, 0);
	handler_event(world.handler, &event, both, 2, 2);
	CHECK_EQUAL(world.count, 1);
	CHECK_STRING(world.results[0]->config->id, "b");
}

static void watches(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("a", "w=n", "w=gone", "log_msg=n={n} {gone} {{}}", "snapshot=collect");
	world.scope.n = 4;
	hit(config, 1, 1);
	const struct result *result = world.results[0];
	CHECK_STRING(result->log_message, "n=4 <no such variable> {}");
	CHECK_EQUAL(result->watches.count, 4);
	CHECK_EQUAL(result->watches.items[0].source, WATCH_LOG);
	CHECK(result->watches.items[1].error != NULL);
	CHECK_EQUAL(result->watches.items[2].source, WATCH_WATCH);
	CHECK_STRING(result->variables.items[result->watches.items[2].value.id - 1].value, "4");
	CHECK_STRING(result->watches.items[3].error, "no such variable");
	CHECK_EQUAL(status(config).errors, 3);
	CHECK_EQUAL(result->frames.count, 1);
	begin();
	config = ADD("a", "m=", "m=n", "m=gone", "snapshot=no_collect");
	world.scope.n = 4;
	hit(config, 1, 1);
	CHECK_EQUAL(world.count, 3);
	CHECK(world.results[0]->metric.value == 1 && world.results[1]->metric.value == 4 &&
	      world.results[2]->metric.value == 1);
	CHECK_STRING(fake_attribute(world.results[2], "error"), "no such variable");
}

static void recursion(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("f", "method_name=f", "stage=method_capture", "span=method", "fire_count=-1",
		    "fire_period=0", "w=n");
	for (int depth = 0; depth < 5; depth++) {
		world.scope.n = depth;
		call(config, 1, depth, 1000 - 10 * (uint64_t)depth);
		call(config, 2, depth, 1000 - 10 * (uint64_t)depth);
	}
	CHECK_EQUAL(world.count, 0);
	for (int depth = 5; depth-- > 0;) {
		world.scope.returned = 100 + depth;
		come_back(config, 1, 100 - depth, 1000 - 10 * (uint64_t)depth);
		const struct result *span = world.results[world.count - 2],
				    *result = world.results[world.count - 1];
		CHECK_EQUAL(span->kind, RESULT_SPAN);
		CHECK_EQUAL(result->kind, RESULT_SNAPSHOT);
		CHECK_EQUAL(result->tid, 1);
		CHECK_EQUAL(result->duration_ns, 100 - 2 * depth);
		CHECK_EQUAL(span->duration_ns, 100 - 2 * depth);
		CHECK_STRING(span->span_name, "f");
		CHECK_STRING(span->trace_id, result->context);
		CHECK_EQUAL(atol(result->variables.items[0].value), depth);
		CHECK_EQUAL(result->watches.count, 2);
		CHECK_EQUAL(result->watches.items[1].source, WATCH_CAPTURE);
		CHECK_EQUAL(
			atol(result->variables.items[result->watches.items[1].value.id - 1].value),
			100 + depth);
		CHECK(fake_attribute(result, "end") == NULL);
	}
	CHECK_EQUAL(world.count, 10);
	come_back(config, 1, 200, 1000); // nobody's
	come_back(config, 3, 200, 1000);
	CHECK_EQUAL(world.count, 10);
}

static void ends(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("f", "method_name=f", "stage=method_end", "fire_count=-1", "fire_period=0",
		    "log_msg={n}", "m=n");
	world.scope.n = 1;
	call(config, 1, 10, 500);
	CHECK_EQUAL(world.count, 0);
	world.scope.n = 2;
	come_back(config, 1, 30, 500);
	CHECK_EQUAL(world.count, 2);
	CHECK(world.results[0]->metric.value == 2);
	CHECK_STRING(world.results[1]->log_message, "2");
	CHECK_EQUAL(world.results[1]->duration_ns, 20);
	begin();
	config =
		ADD("f", "method_name=f", "stage=method_end", "snapshot=no_collect", "log_msg={n}");
	call(config, 1, 10, 500);
	CHECK_EQUAL(world.count, 0);
	world.scope.n = 2;
	come_back(config, 1, 30, 500);
	CHECK_EQUAL(world.count, 1);
	CHECK_STRING(world.results[0]->log_message, "2");
}

static void jumped_over(void)
{
	begin();
	struct tracepoint_config *outer = ADD("outer", "method_name=o", "stage=method_capture",
					      "fire_count=-1", "fire_period=0");
	struct tracepoint_config *inner = ADD("inner", "method_name=i", "stage=method_end",
					      "span=method", "fire_count=-1", "fire_period=0");
	call(outer, 1, 1, 1000);
	call(inner, 1, 2, 900);
	call(inner, 1, 3, 800);
	call(inner, 2, 3, 800);
	unsigned collected = world.scope.frames_collected;
	come_back(outer, 1, 10, 1000); // longjmp: neither of the inner ones returned
	CHECK_EQUAL(world.count, 5);
	for (size_t i = 0; i < 4; i++) {
		CHECK_STRING(world.results[i]->config->id, "inner");
		CHECK_STRING(fake_attribute(world.results[i], "end"), "left without a return");
		CHECK_EQUAL(world.results[i]->frames.count,
			    0); // its frame is gone: nobody else's is shown for it
		CHECK_EQUAL(world.results[i]->tid, 1);
	}
	CHECK_EQUAL(world.scope.frames_collected, collected);
	CHECK(fake_attribute(world.results[4], "end") == NULL);
	// Again and again with the same frame, never returning.
	begin();
	inner = ADD("inner", "method_name=i", "stage=method_capture", "fire_count=-1",
		    "fire_period=0");
	for (int i = 0; i < 15000; i++)
		call(inner, 1, i, 800);
	CHECK_EQUAL(world.count, 14999);
	CHECK_EQUAL(status(inner).dropped, 0);
	come_back(inner, 1, 20000, 800);
	CHECK_EQUAL(world.count, 15000);
	CHECK(fake_attribute(world.results[14999], "end") == NULL);
	// A condition that is false the second time: the return is not the first call's.
	begin();
	inner = ADD("inner", "method_name=i", "stage=method_capture", "condition=n>0",
		    "fire_count=-1", "fire_period=0");
	world.scope.n = 1;
	call(inner, 1, 1, 800);
	world.scope.n = 0;
	call(inner, 1, 2, 800);
	come_back(inner, 1, 3, 800);
	CHECK_EQUAL(world.count, 1);
	CHECK_STRING(fake_attribute(world.results[0], "end"), "left without a return");
}

static void other_stacks(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("f", "method_name=f", "stage=method_capture", "fire_count=-1", "fire_period=0");
	call(config, 1, 1, 1000);
	call(config, 1, 2, 5000); // a signal handler's stack that is higher up
	come_back(config, 1, 3, 5000);
	CHECK_EQUAL(world.count, 1);
	come_back(config, 1, 4, 1000);
	CHECK_EQUAL(world.count, 2);
	CHECK(!fake_attribute(world.results[0], "end") && !fake_attribute(world.results[1], "end"));
}

static void thread_ends(void)
{
	begin();
	struct tracepoint_config *config = ADD("f", "method_name=f", "stage=method_capture",
					       "span=method", "fire_count=-1", "fire_period=0");
	call(config, 1, 10, 1000);
	call(config, 2, 10, 1000);
	handler_thread_end(world.handler, 1, 50);
	CHECK_EQUAL(world.count, 2);
	for (size_t i = 0; i < 2; i++) {
		CHECK_STRING(fake_attribute(world.results[i], "end"), "its thread ended");
		CHECK_EQUAL(world.results[i]->duration_ns, 40);
		CHECK_EQUAL(world.results[i]->pid, 100);
		CHECK_STRING(world.results[i]->thread_name, "worker");
	}
	CHECK_STRING(world.results[0]->span_name, "f");
	handler_thread_end(world.handler, 0, 60); // all
	CHECK_EQUAL(world.count, 4);
	CHECK_EQUAL(world.results[3]->tid, 2);
}

static bool lives(void *context, int tid)
{
	return tid != *(int *)context;
}

static void missed_threads(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("f", "method_name=f", "stage=method_capture", "fire_count=-1", "fire_period=0");
	int dead = 1;
	call(config, 1, 10, 1000);
	call(config, 2, 10, 1000);
	handler_miss_threads(world.handler, lives, &dead, 20);
	CHECK_EQUAL(world.count, 0);
	come_back(config, 1, 15, 1000); // it was on its way
	CHECK_EQUAL(world.count, 1);
	CHECK(fake_attribute(world.results[0], "end") == NULL);
	dead = 2;
	handler_miss_threads(world.handler, lives, &dead, 30);
	CHECK_EQUAL(world.count, 1);
	handler_miss_threads(world.handler, lives, &dead, 40);
	CHECK_EQUAL(world.count, 2);
	CHECK_STRING(fake_attribute(world.results[1], "end"), "its thread ended");
	CHECK_EQUAL(world.results[1]->duration_ns, 30);
}

static void removal(void)
{
	begin();
	struct tracepoint_config *config = ADD("f", "method_name=f", "stage=method_capture",
					       "span=method", "fire_count=-1", "fire_period=0");
	struct tracepoint_config *other =
		ADD("g", "method_name=g", "stage=method_end", "fire_count=-1", "fire_period=0");
	struct tracepoint_config *both[] = {config, other};
	call(config, 1, 10, 1000);
	call(other, 1, 11, 900);
	handler_remove(world.handler, config);
	CHECK_EQUAL(world.count, 2);
	for (size_t i = 0; i < 2; i++) {
		CHECK_STRING(fake_attribute(world.results[i], "end"), "the tracepoint was removed");
		result_free(world.results[i]);
	}
	world.count = 0;
	struct event event = fake_event(&world, EVENT_RETURN, 1, 20, 900);
	handler_event(world.handler, &event, both, 2, 0); // a hit that was on its way
	CHECK_EQUAL(world.count, 1);
	CHECK_STRING(world.results[0]->config->id, "g");
	handler_remove(world.handler, config); // nothing
}

static void budgets(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("a", "fire_count=-1", "fire_period=0", "hits_per_second=10");
	for (int i = 0; i < 100; i++)
		hit(config, 1, i);
	CHECK_EQUAL(world.count, 10);
	CHECK_EQUAL(status(config).hits, 100);
	CHECK_EQUAL(status(config).fired, 10);
	CHECK_STRING(status(config).state, "counting");
	CHECK(strstr(status(config).error, "budget") != NULL);
	handler_tick(world.handler, SECOND);
	CHECK_STRING(status(config).state, "armed");
	for (int i = 0; i < 100; i++)
		hit(config, 1, SECOND + i);
	CHECK_EQUAL(world.count, 20);
	begin();
	config = ADD("a", "fire_count=-1", "fire_period=0", "bytes_per_second=5000");
	for (int i = 0; i < 1000; i++)
		hit(config, 1, i);
	CHECK(world.count > 2 && world.count < 50);
	CHECK_STRING(status(config).state, "counting");
}

static void actions(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("a", "hold=h-%n-%t-%p-%x", "fire_count=-1", "fire_period=0");
	hit(config, 7, 1);
	hit(config, 8, 2);
	CHECK_STRING(world.held, "h-2-8-100-%x");
	CHECK_STRING(fake_attribute(world.results[0], "hold"), "h-1-7-100-%x");
	world.hold_fails = "no room";
	hit(config, 8, 3);
	CHECK_STRING(fake_attribute(world.results[2], "error"), "hold h-3-8-100-%x: no room");
	CHECK_EQUAL(status(config).errors, 1);
	config = ADD("b", "record=r", "fire_count=-1");
	hit(config, 1, 1);
	CHECK_STRING(fake_attribute(world.results[3], "error"), "record r: not possible here");
}

static void open_limit(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("f", "method_name=f", "span=method", "snapshot=no_collect", "fire_count=-1",
		    "fire_period=0");
	for (int i = 0; i < 10010; i++)
		call(config, i, i, 1000);
	CHECK_EQUAL(status(config).dropped, 10);
	handler_thread_end(world.handler, 0, 20000);
	CHECK_EQUAL(world.count, 10000);
}

static void event_at(struct tracepoint_config *config, enum event_kind kind, int64_t time_ns,
		     uint64_t frame, bool repeats)
{
	struct event event = fake_event(&world, kind, 1, time_ns, frame);
	event.repeats = repeats;
	handler_event(world.handler, &event, &config, 1, 0);
}

static void lines(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("l", "stage=line_end", "fire_count=-1", "fire_period=0", "log_msg={n}");
	world.scope.n = 1;
	event_at(config, EVENT_LINE, 10, 1000, false);
	event_at(config, EVENT_LINE, 11, 900, false); // recursion: within the line
	CHECK_EQUAL(world.count, 0);
	world.scope.n = 2;
	event_at(config, EVENT_LINE_END, 20, 900, false);
	CHECK_EQUAL(world.count, 1);
	CHECK_EQUAL(world.results[0]->duration_ns, 9);
	CHECK_STRING(world.results[0]->log_message, "2");
	event_at(config, EVENT_LINE_END, 21, 900, false); // nothing is open there any more
	CHECK_EQUAL(world.count, 1);
	event_at(config, EVENT_LINE_END, 30, 1000, false);
	CHECK_EQUAL(world.results[1]->duration_ns, 20);
	CHECK(!fake_attribute(world.results[1], "end"));
	// Its beginning again, in the same frame: a loop that is all in the line, or it was left.
	event_at(config, EVENT_LINE, 40, 1000, true);
	event_at(config, EVENT_LINE, 45, 1000, true);
	CHECK_EQUAL(world.count, 3);
	CHECK_EQUAL(world.results[2]->duration_ns, 5);
	CHECK(!fake_attribute(world.results[2], "end"));
	event_at(config, EVENT_LINE, 50, 1000, false);
	CHECK_STRING(fake_attribute(world.results[3], "end"), "left without reaching its end");
	handler_thread_end(world.handler, 1, 60);
	CHECK_EQUAL(world.count, 5);
	begin();
	config = ADD("s", "span=line", "snapshot=no_collect", "fire_count=-1", "fire_period=0");
	event_at(config, EVENT_LINE, 40, 1000, false);
	event_at(config, EVENT_LINE_END, 45, 1000, false);
	CHECK_EQUAL(fake_results(&world, RESULT_SPAN, "s"), 1);
	CHECK_STRING(world.results[0]->span_name, "a.c#1");
}

static void changes(void)
{
	begin();
	struct tracepoint_config *config =
		ADD("l", "stage=line_capture", "fire_count=-1", "fire_period=0");
	world.scope.n = 1;
	event_at(config, EVENT_LINE, 10, 1000, false);
	CHECK_EQUAL(world.count, 0);
	event_at(config, EVENT_LINE_END, 20, 1000, false);
	CHECK_EQUAL(world.results[0]->watches.count, 0);
	CHECK_EQUAL(world.results[0]->variables.count, 1);
	event_at(config, EVENT_LINE, 30, 1000, false);
	world.scope.n = 2;
	event_at(config, EVENT_LINE_END, 40, 1000, false);
	const struct result *result = world.results[1];
	CHECK_EQUAL(result->watches.count, 1);
	CHECK_STRING(result->watches.items[0].expression, "n");
	CHECK_EQUAL(result->watches.items[0].source, WATCH_CAPTURE);
	CHECK_STRING(result->variables.items[0].value, "1");
	CHECK_STRING(result->variables.items[result->watches.items[0].value.id - 1].value, "2");
	CHECK_EQUAL(result->duration_ns, 10);
}

static void exceptions(void)
{
	begin();
	struct tracepoint_config *call_of = ADD("f", "method_name=f", "stage=method_capture",
						"span=method", "fire_count=-1", "fire_period=0");
	struct tracepoint_config *line_of =
		ADD("l", "stage=line_end", "fire_count=-1", "fire_period=0");
	call(call_of, 1, 1, 5000); // outside of what catches it
	call(call_of, 1, 2, 4000); // catches it: not left
	event_at(line_of, EVENT_LINE, 3, 4000, false);
	call(call_of, 1, 4, 3000);
	call(call_of, 1, 5, 2000);
	call(call_of, 2, 5, 2000); // another thread
	call(call_of, 1, 6, 9000); // on another stack
	struct event event = fake_event(&world, EVENT_EXCEPTION, 1, 20, 0);
	world.scope.thrown = "std::bad_thing";
	world.scope.not_on_stack = 3000;
	handler_unwind(world.handler, &event, 1000, 3500, 4000);
	// Innermost first: a span and a snapshot each; the line.
	CHECK_EQUAL(world.count, 5);
	for (size_t i = 0; i < 5; i++) {
		CHECK_STRING(fake_attribute(world.results[i], "end"), "exception");
		CHECK_STRING(fake_attribute(world.results[i], "exception.type"), "std::bad_thing");
		CHECK_STRING(fake_attribute(world.results[i], "exception.message"),
			     "what happened");
	}
	CHECK_EQUAL(world.results[1]->duration_ns, 15);
	CHECK_EQUAL(world.results[1]->watches.count, 1);
	CHECK_STRING(world.results[1]->watches.items[0].expression, "exception");
	CHECK_EQUAL(world.results[3]->duration_ns, 16);
	CHECK_STRING(world.results[4]->config->id, "l");
	CHECK_EQUAL(world.results[4]->frames.count, 1);
	CHECK_EQUAL(world.scope.entered, 4000);
	handler_unwind(world.handler, &event, 1000, 3500, 4000);
	CHECK_EQUAL(world.count, 5);
	world.scope.thrown = NULL;
	come_back(call_of, 1, 30, 4000);
	CHECK_EQUAL(world.count, 7);
	CHECK(!fake_attribute(world.results[6], "end"));
	CHECK(handler_awaits(world.handler, 1, 5000) && handler_awaits(world.handler, 1, 9000) &&
	      handler_awaits(world.handler, 2, 0) && !handler_awaits(world.handler, 1, 4000) &&
	      !handler_awaits(world.handler, 3, 0));
}

CHECK_MAIN({"fire_count is exact, -1 is no limit, 0 is never", fire_counts},
	   {"fire_period is the least gap, and what did not fire begins none", periods},
	   {"windows are kept, ends included", windows}, {"a sample is about its share", samples},
	   {"threads and values have shares of their own", shares},
	   {"the last are kept until a condition holds", kept},
	   {"tracepoints arm and disarm others", arming},
	   {"tracepoints at one place share the context, and each has its limits and variables",
	    shared},
	   {"conditions are true as in C; those that fail are counted", conditions},
	   {"watches, log messages and metrics that fail say so and harm nothing", watches},
	   {"calls are matched with their returns by frame and thread", recursion},
	   {"logs and metrics of method_end are of the end", ends},
	   {"calls that longjmp() left are told as left", jumped_over},
	   {"lines end by frame, loops at each round; spans", lines},
	   {"a capture of a line has what it changed", changes},
	   {"exceptions end the calls that they leave, and the line that catches them", exceptions},
	   {"calls on other stacks are left alone", other_stacks},
	   {"calls of threads that end", thread_ends},
	   {"calls of threads that are not there any more", missed_threads},
	   {"a tracepoint is removed while calls are open", removal},
	   {"over the budget, hits are counted only", budgets},
	   {"holds have names of their own, and say why not", actions},
	   {"no more than so many calls are open", open_limit}, )
