// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "base/error.h"
#include "recorder/method.h"

const char *perf_pt_problem(void)
{
	if (access("/sys/bus/event_source/devices/intel_pt", F_OK) == 0)
		return NULL;
	return "this processor has no Intel PT that the kernel shows "
	       "(/sys/bus/event_source/devices/intel_pt is not there)";
}

struct strobe_error *perf_pt_run(struct record_job *job)
{
	(void)job;
	return error_new(STROBE_ERROR_UNSUPPORTED, "%s", perf_pt_problem());
}
