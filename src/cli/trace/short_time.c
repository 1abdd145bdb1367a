// SPDX-License-Identifier: Apache-2.0
#include "trace/short_time.h"

#include <math.h>
#include <string.h>

#include "trace/emit.h"

const char *short_time_text(double ns, struct short_time *ret)
{
	static const struct {
		double ns;
		const char *name;
	} units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
	unsigned at = 0;
	while (at < 3 && fabs(ns) < units[at].ns)
		at++;
	char *end = ret->text;
	if (ns < 0)
		*end++ = '-';
	end = write_fixed(end, fabs(ns) / units[at].ns, 3);
	*end++ = ' ';
	strcpy(end, units[at].name);
	return ret->text;
}
