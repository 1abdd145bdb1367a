// SPDX-License-Identifier: Apache-2.0
// Differences against plain lists of both executions.

#include "flow/history.h"

#include <strobe/trace_diff.h>

/** A step as it must be. */
struct step {
	uint64_t what, id;
};
struct steps {
	ARRAY(struct step) items;
};

enum { RETURN_STEP = 1, ERROR_STEP = 2 };

static void add_step(struct steps *steps, uint64_t what, uint64_t id)
{
	struct step step = {what, id};
	CHECK(array_push(&steps->items, step));
}

/** What the items [from, end) of a thread are as steps. */
static void brute_steps(const struct history *history, uint64_t from, uint64_t end, bool functions,
			struct steps *ret)
{
	bool entering = true;
	for (uint64_t i = from; i < end; i++) {
		const struct history_item *item = &history->items.items[i];
		if (item->kind == STROBE_ITEM_ERROR)
			add_step(ret, ERROR_STEP, i);
		if (item->kind != STROBE_ITEM_INSTRUCTION)
			continue;
		struct strobe_function function;
		if (!functions) {
			add_step(ret, item->address, i);
			continue;
		}
		if (entering)
			add_step(ret,
				 strobe_function_at(history->symbols, item->address, &function)
					 ? function.start
					 : item->address,
				 i);
		entering = item->flow == STROBE_FLOW_CALL;
		if (item->flow == STROBE_FLOW_RETURN)
			add_step(ret, RETURN_STEP, i);
	}
}

static bool is_window(const struct steps *a, size_t i, const struct steps *b, size_t j,
		      size_t window)
{
	for (size_t n = 0; n < window; n++) {
		bool end_a = i + n >= a->items.count, end_b = j + n >= b->items.count;
		if (end_a && end_b)
			return true;
		if (end_a || end_b || a->items.items[i + n].what != b->items.items[j + n].what)
			return false;
	}
	return true;
}

/** The nearest meeting, by trying all places ever farther away; false if none in `limit` steps. */
static bool brute_meeting(const struct steps *a, size_t *i, const struct steps *b, size_t *j,
			  size_t window, size_t limit)
{
	for (size_t sum = 0; sum < limit; sum++) {
		for (size_t x = 0; x <= sum; x++) {
			if (*i + x > a->items.count || *j + (sum - x) > b->items.count ||
			    !is_window(a, *i + x, b, *j + (sum - x), window))
				continue;
			*i += x;
			*j += sum - x;
			return true;
		}
	}
	return false;
}

static uint64_t id_of(const struct steps *steps, size_t index)
{
	return index < steps->items.count ? steps->items.items[index].id : STROBE_NO_ID;
}

/** Follows both lists, and compares each of the first `limit` differences. */
static void check_differences(struct strobe_trace_diff *diff, const struct steps *a,
			      const struct steps *b, size_t window, unsigned limit)
{
	enum { FAR = 6000 };
	size_t i = 0, j = 0;
	struct strobe_trace_difference found;
	bool is_found;
	for (unsigned n = 0; n < limit; n++) {
		size_t common = 0;
		while (i < a->items.count && j < b->items.count &&
		       a->items.items[i].what == b->items.items[j].what) {
			i++;
			j++;
			common++;
		}
		CHECK_OK(strobe_trace_diff_next(diff, &found, &is_found));
		CHECK_EQUAL(is_found, i < a->items.count || j < b->items.count);
		if (!is_found) {
			CHECK(strobe_trace_diff_totals(diff)->complete);
			return;
		}
		CHECK_EQUAL(found.common, common);
		CHECK_EQUAL(found.last[0].id, i ? id_of(a, i - 1) : STROBE_NO_ID);
		CHECK_EQUAL(found.last[1].id, j ? id_of(b, j - 1) : STROBE_NO_ID);
		CHECK_EQUAL(found.first[0].id, id_of(a, i));
		CHECK_EQUAL(found.first[1].id, id_of(b, j));
		size_t from_i = i, from_j = j;
		if (!brute_meeting(a, &i, b, &j, window, FAR)) {
			printf("# too far to try: %llu and %llu\n",
			       (unsigned long long)found.count[0],
			       (unsigned long long)found.count[1]);
			CHECK(!found.met || found.count[0] + found.count[1] >= FAR);
			if (!found.met)
				return;
			i += found.count[0];
			j += found.count[1];
			CHECK(is_window(a, i, b, j, window));
		}
		CHECK(found.met);
		CHECK_EQUAL(found.count[0], i - from_i);
		CHECK_EQUAL(found.count[1], j - from_j);
		CHECK_EQUAL(found.again[0].id, id_of(a, i));
		CHECK_EQUAL(found.again[1].id, id_of(b, j));
	}
}

static struct history first, second;

static void compare(uint64_t from_a, uint64_t end_a, uint64_t from_b, uint64_t end_b,
		    const struct strobe_trace_diff_options *options, unsigned limit)
{
	struct strobe_trace_side a = {first.trace, first.symbols, first.thread, from_a, end_a};
	struct strobe_trace_side b = {second.trace, second.symbols, second.thread, from_b, end_b};
	struct strobe_trace_diff *diff;
	struct steps steps_a = {0}, steps_b = {0};
	brute_steps(&first, from_a, end_a ? end_a : first.items.count, options->functions,
		    &steps_a);
	brute_steps(&second, from_b, end_b ? end_b : second.items.count, options->functions,
		    &steps_b);
	CHECK_OK(strobe_trace_diff_open(&a, &b, options, &diff));
	size_t window = options->window ? options->window : options->functions ? 8 : 32;
	check_differences(diff, &steps_a, &steps_b, window, limit);
	strobe_trace_diff_close(diff);
	array_fini(&steps_a.items);
	array_fini(&steps_b.items);
}

static void test_two_runs(void)
{
	struct strobe_trace_diff_options options = {.size = sizeof(options)};
	history_open(&first, "threads2/trace.json", 0);
	history_open(&second, "threads2/trace.json", 1);
	compare(0, 0, 0, 0, &options, 60);
	options.window = 5;
	compare(0, 0, 0, 0, &options, 60);
	options.window = 100;
	compare(0, 0, 0, 0, &options, 20);
	history_close(&first);
	history_close(&second);
}

static void test_calls(void)
{
	struct strobe_trace_diff_options options = {.size = sizeof(options), .functions = true};
	history_open(&first, "threads2/trace.json", 0);
	history_open(&second, "threads2/trace.json", 1);
	compare(0, 0, 0, 0, &options, 1000);
	options.window = 3;
	compare(0, 0, 0, 0, &options, 1000);
	history_close(&first);
	history_close(&second);
}

static void test_itself(void)
{
	struct strobe_trace_diff_options options = {.size = sizeof(options)};
	history_open(&first, "calls1/trace.json", 0);
	history_open(&second, "threads2/trace.json", 0); // the same, from another file
	compare(0, 0, 0, 0, &options, 1);
	options.functions = true;
	compare(0, 0, 0, 0, &options, 1);
	history_close(&first);
	history_close(&second);
}

static void test_parts(void)
{
	struct strobe_trace_diff_options options = {.size = sizeof(options)};
	uint64_t seed = 5;
	history_open(&first, "calls1/trace.json", 0);
	history_open(&second, "calls1/trace.json", 0);
	compare(0, 0, 0, 1000, &options, 3);
	compare(0, 1000, 0, 0, &options, 3);
	compare(0, 1, 0, 1, &options, 3);
	compare(500, 500, 0, 10, &options, 3);
	compare(100, 100, 200, 200, &options, 3);
	for (int i = 0; i < 20; i++) {
		uint64_t from = history_random(&seed, 200000);
		compare(from, from + 3000, from + history_random(&seed, 700), from + 3000, &options,
			10);
	}
	history_close(&first);
	history_close(&second);
}

static void test_damage(void)
{
	struct strobe_trace_diff_options options = {.size = sizeof(options)};
	history_open(&first, "calls1/trace.json", 0);
	history_open(&second, "faulty/garbled.json", 0);
	compare(0, 0, 0, 0, &options, 10);
	history_close(&first);
	history_close(&second);
}

static void test_mistakes(void)
{
	struct strobe_trace_diff_options options = {.size = sizeof(options),
						    .look_ahead = UINT32_MAX};
	struct strobe_trace_diff *diff;
	history_open(&first, "loop/trace.json", 0);
	struct strobe_trace_side side = {first.trace, first.symbols, 0, 0, 0};
	CHECK_ERROR(strobe_trace_diff_open(&side, &side, &options, &diff), STROBE_ERROR_LIMIT);
	options.look_ahead = 0;
	side.thread_index = 4;
	CHECK_ERROR(strobe_trace_diff_open(&side, &side, &options, &diff), STROBE_ERROR_INVALID);
	history_close(&first);
}

CHECK_MAIN({"two runs part and meet where a plain search says", test_two_runs},
	   {"calls and returns likewise", test_calls}, {"a trace and itself", test_itself},
	   {"parts of a trace: ends, empty ones, later beginnings", test_parts},
	   {"a damaged trace against the whole one", test_damage},
	   {"what cannot be compared", test_mistakes})
