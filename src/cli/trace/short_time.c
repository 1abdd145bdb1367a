// SPDX-License-Identifier: Apache-2.0
#include "trace/short_time.h"

#include <math.h>
#include <stdio.h>

const char *short_time_text(double ns, struct short_time *ret)
{
	static const struct {
		double ns;
		const char *name;
	} units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
	unsigned at = 0;
	while (at < 3 && fabs(ns) < units[at].ns)
		at++;
	snprintf(ret->text, sizeof(ret->text), "%.3f %s", ns / units[at].ns, units[at].name);
	return ret->text;
}
