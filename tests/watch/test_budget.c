// SPDX-License-Identifier: Apache-2.0
// What is over its budget is counted for a while, then off; what keeps to it is free again.
#include "check.h"
#include "watch/budget.h"

enum { SECOND = 1000000000 };

static bool is_over(struct budget_limits limits, struct budget_use use, const char *says)
{
	char why[120] = "";
	bool over = budget_is_over(&limits, &use, why, sizeof(why));
	if (over && says && !strstr(why, says)) {
		printf("# %s\n", why);
		return false;
	}
	return over;
}

static void limits(void)
{
	struct budget_use use = {.span_ns = 2LL * SECOND,
				 .hits = 1000,
				 .bytes = 5000,
				 .cost_ns = SECOND / 5}; // 10 %, 200 us a hit, 500 hits/s, 2500 B/s
	CHECK(!is_over((struct budget_limits){0}, use, NULL));
	CHECK(!is_over((struct budget_limits){.cpu_share = 0.11}, use, NULL));
	CHECK(is_over((struct budget_limits){.cpu_share = 0.09}, use,
		      "10 % of a processor, where 9 % are allowed"));
	CHECK(!is_over((struct budget_limits){.latency_us = 201}, use, NULL));
	CHECK(is_over((struct budget_limits){.latency_us = 150}, use, "200 us a hit"));
	CHECK(!is_over((struct budget_limits){.hits_per_second = 501}, use, NULL));
	CHECK(is_over((struct budget_limits){.hits_per_second = 499}, use, "500 hits a second"));
	CHECK(!is_over((struct budget_limits){.bytes_per_second = 2501}, use, NULL));
	CHECK(is_over((struct budget_limits){.bytes_per_second = 2499}, use,
		      "2.5e+03 bytes a second"));
	// Nothing came: nothing is over.
	use.hits = use.bytes = use.cost_ns = 0;
	CHECK(!is_over((struct budget_limits){1e-9, 1e-9, 1e-9, 1e-9}, use, NULL));
}

static void over_while_counted(void)
{
	struct budget budget = {0};
	int64_t now = 1000LL * SECOND;
	CHECK(!budget_step(&budget, false, now) && budget.level == BUDGET_FREE);
	CHECK(budget_step(&budget, true, now += SECOND) && budget.level == BUDGET_COUNTING);
	CHECK(budget_step(&budget, true, now += SECOND) && budget.level == BUDGET_OFF);
	CHECK(!budget_step(&budget, false, now += 1000LL * SECOND) && budget.level == BUDGET_OFF);
}

static void again_and_again(void)
{
	struct budget budget = {0};
	int64_t now = 1000LL * SECOND;
	for (unsigned i = 1; i < BUDGET_STRIKES; i++) {
		CHECK(budget_step(&budget, true, now += SECOND) && budget.level == BUDGET_COUNTING);
		CHECK(!budget_step(&budget, false, now += SECOND)); // for a while
		CHECK(budget_step(&budget, false, now += 10LL * SECOND) &&
		      budget.level == BUDGET_FREE);
	}
	CHECK(budget_step(&budget, true, now += SECOND) && budget.level == BUDGET_OFF);
}

static void forgotten(void)
{
	struct budget budget = {0};
	int64_t now = 1000LL * SECOND;
	for (unsigned i = 0; i < 10; i++) {
		CHECK(budget_step(&budget, true, now += SECOND) && budget.level == BUDGET_COUNTING);
		CHECK(budget_step(&budget, false, now += 10LL * SECOND) &&
		      budget.level == BUDGET_FREE);
		CHECK(!budget_step(&budget, false, now += 61LL * SECOND) && budget.strikes == 0);
	}
}

CHECK_MAIN({"each limit by itself, in words", limits},
	   {"over while it is only counted: off for good", over_while_counted},
	   {"over again and again: off", again_and_again},
	   {"over once in a while: counted for a while", forgotten}, )
