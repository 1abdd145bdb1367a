// SPDX-License-Identifier: Apache-2.0
#include "base/xsave.h"

#include <cpuid.h>
#include <pthread.h>

enum { LEAF = 0xd, SUPERVISOR = 1 }; // the latter in ecx

static struct xsave_place places[XSAVE_COMPONENTS];
static pthread_once_t asked = PTHREAD_ONCE_INIT;

static void ask(void)
{
	unsigned enabled, a, b, c, d;
	if (!__get_cpuid_count(LEAF, 0, &enabled, &b, &c, &d))
		return;
	for (unsigned i = XSAVE_FIRST; i < XSAVE_COMPONENTS; i++) {
		if (!(enabled >> i & 1))
			continue;
		__cpuid_count(LEAF, i, a, b, c, d);
		if (!(c & SUPERVISOR))
			places[i] = (struct xsave_place){.offset = b, .size = a};
	}
}

const struct xsave_place *xsave_places(void)
{
	pthread_once(&asked, ask);
	return places;
}

size_t xsave_end(uint64_t components, size_t size)
{
	const struct xsave_place *at = xsave_places();
	size_t end = XSAVE_HEADER_END;
	for (unsigned i = XSAVE_FIRST; i < XSAVE_COMPONENTS; i++)
		if (components >> i & 1 && at[i].offset + at[i].size > end &&
		    at[i].offset + at[i].size <= size)
			end = at[i].offset + at[i].size;
	return end;
}
