// SPDX-License-Identifier: Apache-2.0
#include "watch/budget.h"

#include <stdio.h>

enum { NS_PER_MS = 1000000, NS_PER_SECOND = 1000000000 };

bool budget_is_over(const struct budget_limits *limits, const struct budget_use *use, char *why,
		    size_t size)
{
	double seconds = use->span_ns > 0 ? (double)use->span_ns / NS_PER_SECOND : 1;
	double share = (double)use->cost_ns / NS_PER_SECOND / seconds;
	double hits = (double)use->hits / seconds, bytes = (double)use->bytes / seconds;
	double latency_us = use->hits ? (double)use->cost_ns / (double)use->hits / 1000 : 0;
	if (limits->cpu_share > 0 && share > limits->cpu_share)
		snprintf(why, size, "%.3g %% of a processor, where %.3g %% are allowed",
			 share * 100, limits->cpu_share * 100);
	else if (limits->latency_us > 0 && latency_us > limits->latency_us)
		snprintf(why, size, "%.3g us a hit, where %.3g are allowed", latency_us,
			 limits->latency_us);
	else if (limits->hits_per_second > 0 && hits > limits->hits_per_second)
		snprintf(why, size, "%.3g hits a second, where %.3g are allowed", hits,
			 limits->hits_per_second);
	else if (limits->bytes_per_second > 0 && bytes > limits->bytes_per_second)
		snprintf(why, size, "%.3g bytes a second, where %.3g are allowed", bytes,
			 limits->bytes_per_second);
	else
		return false;
	return true;
}

bool budget_step(struct budget *budget, bool over, int64_t now_ns)
{
	enum budget_level before = budget->level;
	if (before == BUDGET_OFF)
		return false;
	if (over) {
		budget->last_ns = now_ns;
		budget->strikes++;
		budget->level = before == BUDGET_COUNTING || budget->strikes >= BUDGET_STRIKES
					? BUDGET_OFF
					: BUDGET_COUNTING;
		budget->until_ns = now_ns + (int64_t)BUDGET_PAUSE_MS * NS_PER_MS;
	} else if (before == BUDGET_COUNTING && now_ns >= budget->until_ns) {
		budget->level = BUDGET_FREE;
	} else if (now_ns - budget->last_ns >= (int64_t)BUDGET_FORGET_MS * NS_PER_MS) {
		budget->strikes = 0;
	}
	return budget->level != before;
}
