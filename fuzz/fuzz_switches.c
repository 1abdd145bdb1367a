// SPDX-License-Identifier: Apache-2.0
// Context-switch files of bundles, and who ran as they tell it.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "bundle/switches.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pt_input clock = {.clock_multiplier = 3, .clock_shift = 2, .clock_zero = 7};
	const struct file file = {.path = (char *)"switches", .data = data, .size = size};
	struct bundle_switches switches = {0};
	struct pt_cpu_schedule schedule = {0};
	struct strobe_error *error = switches_read(&file, 3, &clock, &switches);
	if (error && strchr(strobe_error_message(error), '\n'))
		abort();
	if (!error)
		error = pt_schedule_build(switches.items.items, switches.items.count, &schedule);
	strobe_error_free(error);
	uint64_t last = 0;
	for (size_t i = 0; i < schedule.executions.count; i++) {
		const struct pt_execution *one = &schedule.executions.items[i];
		if (one->start < last || one->start >= one->end)
			abort();
		last = one->end;
	}
	array_fini(&schedule.executions);
	array_fini(&switches.items);
	return 0;
}
