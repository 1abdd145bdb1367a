// SPDX-License-Identifier: Apache-2.0
#include "recorder/method.h"

#include <stddef.h>

static const char *never(void)
{
	return NULL;
}

// The first that can be used here is AUTO's.
static const struct record_method methods[] = {
	{STROBE_RECORD_INTEL_PT, "pt", perf_pt_problem, perf_pt_run},
	{STROBE_RECORD_STEP, "step", never, step_run},
};
enum { METHOD_COUNT = sizeof(methods) / sizeof(methods[0]) };

const struct record_method *record_method_choose(enum strobe_record_method method)
{
	for (size_t i = 0; i < METHOD_COUNT; i++)
		if (methods[i].method == method ||
		    (method == STROBE_RECORD_AUTO && !methods[i].problem()))
			return &methods[i];
	return &methods[METHOD_COUNT - 1];
}

const char *strobe_record_method_name(enum strobe_record_method method)
{
	for (size_t i = 0; i < METHOD_COUNT; i++)
		if (methods[i].method == method)
			return methods[i].name;
	return "auto";
}

const char *strobe_record_method_problem(enum strobe_record_method method)
{
	return method == STROBE_RECORD_AUTO ? methods[0].problem()
					    : record_method_choose(method)->problem();
}
