// SPDX-License-Identifier: Apache-2.0
#include "pt/schedule.h"

#include "base/error.h"

static bool push(struct pt_cpu_schedule *ret, const struct pt_switch *who, uint64_t start,
		 uint64_t end, bool start_guessed, bool end_guessed)
{
	struct pt_execution execution = {
		.start = start,
		.end = end,
		.pid = who->pid,
		.tid = who->tid,
		.start_guessed = start_guessed,
		.end_guessed = end_guessed,
	};
	return start >= end || array_push(&ret->executions, execution);
}

/** What ran between two records. */
static bool push_between(const struct pt_switch *a, const struct pt_switch *b,
			 struct pt_cpu_schedule *ret)
{
	if (a->out && !b->out)
		return true; // nobody that is known
	if (a->out)
		return push(ret, b, a->clock, b->clock, true, false);
	if (!b->out)
		return push(ret, a, a->clock, b->clock, false, true);
	if (a->tid == b->tid && a->pid == b->pid)
		return push(ret, a, a->clock, b->clock, false, false);
	uint64_t middle = a->clock + (b->clock - a->clock) / 2;
	return push(ret, a, a->clock, middle, false, true) &&
	       push(ret, b, middle, b->clock, true, false);
}

struct strobe_error *pt_schedule_build(const struct pt_switch *switches, size_t count,
				       struct pt_cpu_schedule *ret)
{
	bool good = true;
	if (count && switches[0].out)
		good = push(ret, &switches[0], 0, switches[0].clock, true, false);
	for (size_t i = 1; good && i < count; i++)
		good = push_between(&switches[i - 1], &switches[i], ret);
	if (good && count && !switches[count - 1].out)
		good = push(ret, &switches[count - 1], switches[count - 1].clock, UINT64_MAX, false,
			    true);
	return good ? NULL : error_no_memory();
}
